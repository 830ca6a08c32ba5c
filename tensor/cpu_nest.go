package tensor

import "fmt"

// loopNest are the dimensions that operands of an operation are walked through,
// the outermost first, with the distance between neighbours in each operand.
// Dimensions of size 1 are left out, and those that all operands walk through
// without a jump are one.
type loopNest struct {
	rank     int
	operands int
	size     [MaxRank]int
	strides  [MaxRank][MaxExprInputs + 1]int
}

// init makes the dimensions those of shape for operands that are broadcast to it.
func (l *loopNest) init(shape []int, operands []*Tensor) {
	l.rank, l.operands = 0, len(operands)
	for d, n := range shape {
		if n == 1 {
			continue
		}
		var strides [MaxExprInputs + 1]int
		for k, t := range operands {
			strides[k] = 0
			if at := d - (len(shape) - t.rank); at >= 0 && t.shape[at] != 1 {
				if t.shape[at] != n {
					panic(fmt.Sprintf("tensor: %v is not broadcast to %v", t, shape))
				}
				strides[k] = t.strides[at]
			}
		}
		l.add(n, &strides)
	}
	l.finish()
}

// add adds a dimension further inside.
func (l *loopNest) add(n int, strides *[MaxExprInputs + 1]int) {
	if last := l.rank - 1; last >= 0 && l.joins(last, n, strides) {
		l.size[last] *= n
		l.strides[last] = *strides
		return
	}
	l.size[l.rank], l.strides[l.rank] = n, *strides
	l.rank++
}

// finish gives a nest without dimensions one of size 1.
func (l *loopNest) finish() {
	if l.rank == 0 {
		l.rank, l.size[0], l.strides[0] = 1, 1, [MaxExprInputs + 1]int{}
	}
}

// joins reports whether dimension d and a following one of size n are one for
// all operands.
func (l *loopNest) joins(d, n int, strides *[MaxExprInputs + 1]int) bool {
	for k := range l.operands {
		if l.strides[d][k] != n*strides[k] {
			return false
		}
	}
	return true
}

// len returns the number of elements.
func (l *loopNest) len() int {
	n := 1
	for _, size := range l.size[:l.rank] {
		n *= size
	}
	return n
}

// fixed reports whether an operand is a single number.
func (l *loopNest) fixed(k int) bool {
	for d := range l.rank {
		if l.strides[d][k] != 0 {
			return false
		}
	}
	return true
}

// contiguous reports whether an operand's elements are adjacent in the order of the
// nest.
func (l *loopNest) contiguous(k int) bool {
	n := 1
	for d := l.rank - 1; d >= 0; d-- {
		if l.strides[d][k] != n && l.size[d] != 1 {
			return false
		}
		n *= l.size[d]
	}
	return true
}

// innermost makes the dimension along which operand k is adjacent the innermost
// one, if there is such a dimension.
func (l *loopNest) innermost(k int) {
	inner := l.rank - 1
	for d := inner; d >= 0; d-- {
		if l.strides[d][k] == 1 {
			l.move(d, inner)
			return
		}
	}
}

// sortOuter orders all dimensions but the innermost by how far apart neighbours of
// operand k are, so that a walk goes through its memory in order.
func (l *loopNest) sortOuter(k int) {
	for d := l.rank - 3; d >= 0; d-- {
		to := d
		for to < l.rank-2 && l.strides[d][k] < l.strides[to+1][k] {
			to++
		}
		l.move(d, to)
	}
}

// move puts dimension d at the place to, further inside.
func (l *loopNest) move(d, to int) {
	if d == to {
		return
	}
	size, strides := l.size[d], l.strides[d]
	copy(l.size[d:to], l.size[d+1:to+1])
	copy(l.strides[d:to], l.strides[d+1:to+1])
	l.size[to], l.strides[to] = size, strides
}

// position is a place in a loop nest.
type position struct {
	index [MaxRank]int
	at    [MaxExprInputs + 1]int // of the operands
}

// seek makes p the position of element i.
func (l *loopNest) seek(p *position, i int) {
	for k := range l.operands {
		p.at[k] = 0
	}
	for d := l.rank - 1; d >= 0; d-- {
		p.index[d] = 0
		if i > 0 {
			p.index[d] = i % l.size[d]
			i /= l.size[d]
			for k := range l.operands {
				p.at[k] += p.index[d] * l.strides[d][k]
			}
		}
	}
}

// run returns how many elements follow in the innermost dimension, at most n.
func (l *loopNest) run(p *position, n int) int {
	return min(n, l.size[l.rank-1]-p.index[l.rank-1])
}

// rows returns how many whole rows of the innermost dimension follow in the second, at
// most n elements.
func (l *loopNest) rows(p *position, n int) int {
	if inner := l.rank - 1; inner > 0 && p.index[inner] == 0 {
		return min(n/l.size[inner], l.size[inner-1]-p.index[inner-1])
	}
	return 0
}

// advance goes n elements further, which do not exceed run.
func (l *loopNest) advance(p *position, n int) {
	if d := l.rank - 1; n == l.size[d] && d > 0 { // a whole row is a step of the dimension around it
		l.step(p, d-1, 1)
	} else {
		l.step(p, d, n)
	}
}

// advanceRows goes n rows further, which do not exceed rows.
func (l *loopNest) advanceRows(p *position, n int) { l.step(p, l.rank-2, n) }

// step goes n steps of dimension d further, at most to its end.
func (l *loopNest) step(p *position, d, n int) {
	p.index[d] += n
	for k := range l.operands {
		p.at[k] += n * l.strides[d][k]
	}
	for ; d > 0 && p.index[d] == l.size[d]; d-- {
		p.index[d] = 0
		p.index[d-1]++
		for k := range l.operands {
			p.at[k] += l.strides[d-1][k] - l.size[d]*l.strides[d][k]
		}
	}
}
