package asm

// before returns how many keys lie before the window of query i of the block.
func (t *attention) before(i int) int {
	if t.Window == 0 {
		return 0
	}
	return max(0, t.First+t.block.first+i+1-t.Window)
}

// hide sets the elements of x [keys k0 to k1, lanes] to a value where the key lies
// before the window of the query.
func (t *attention) hide(x []float32, k0, k1 int, value float32) {
	lanes := t.block.lanes
	for k := k0; k < min(k1, t.before(lanes-1)); k++ {
		first := k + t.Window - t.First - t.block.first // the first query that does not see the key
		row := x[(k-k0)*lanes : (k-k0+1)*lanes]
		for i := max(0, first); i < lanes; i++ {
			row[i] = value
		}
	}
}
