package asm

// rowDotsGeneric computes the dot products of q with listed rows of k.
func rowDotsGeneric(dst, q, k []float32, ldk int, rows []int32) {
	for t, row := range rows {
		s := float32(0)
		for c, v := range k[int(row)*ldk:][:len(q)] {
			s += float32(q[c] * v)
		}
		dst[t] = s
	}
}

// rowSumGeneric sets dst to the sum of listed rows of v, each times its weight.
func rowSumGeneric(dst, weights, v []float32, ldv int, rows []int32) {
	clear(dst)
	for t, row := range rows {
		w := weights[t]
		for c, v := range v[int(row)*ldv:][:len(dst)] {
			dst[c] += float32(w * v)
		}
	}
}
