//go:build cuda

package gpu

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// maxOperands is the greatest number of operands that are walked through together.
const maxOperands = 1 + tensor.MaxExprInputs

// nest are the dimensions that operands of an operation are walked through, the
// outermost first, with the distance between neighbours in each operand. Dimensions of
// size 1 are left out, and those that all operands walk through without a jump are one.
type nest struct {
	rank, operands int
	size           [tensor.MaxRank]int
	strides        [tensor.MaxRank][maxOperands]int
}

// broadcastNest returns the dimensions of a shape for operands that are broadcast to
// it. nil stands for an operand that is not in memory.
func broadcastNest(shape []int, operands ...*tensor.Tensor) *nest {
	l := &nest{operands: len(operands)}
	for d, n := range shape {
		var strides [maxOperands]int
		for k, t := range operands {
			if t == nil {
				continue
			}
			if at := d - (len(shape) - len(t.Shape())); at >= 0 && t.Shape()[at] != 1 {
				if t.Shape()[at] != n {
					panic(fmt.Sprintf("tensor: %v is not broadcast to %v", t, shape))
				}
				strides[k] = t.Strides()[at]
			}
		}
		l.add(n, strides)
	}
	return l
}

// lineNest returns the dimensions of a shape without an axis. The operands, of which
// some may be nil, have the same rank, and are broadcast to the shape in the other axes.
func lineNest(shape []int, axis int, operands ...*tensor.Tensor) *nest {
	l := &nest{operands: len(operands)}
	for d, n := range shape {
		var strides [maxOperands]int
		for k, t := range operands {
			switch {
			case t == nil || d == axis:
			case len(t.Shape()) != len(shape) || t.Shape()[d] != n && t.Shape()[d] != 1:
				panic(fmt.Sprintf("tensor: shape %v along axis %d: operand %d is %v", shape, axis, k, t))
			case t.Shape()[d] != 1:
				strides[k] = t.Strides()[d]
			}
		}
		if d != axis {
			l.add(n, strides)
		}
	}
	return l
}

// add adds a dimension further inside.
func (l *nest) add(n int, strides [maxOperands]int) {
	if n == 1 {
		return
	}
	if last := l.rank - 1; last >= 0 && l.joins(last, n, &strides) {
		l.size[last] *= n
		l.strides[last] = strides
		return
	}
	l.size[l.rank], l.strides[l.rank] = n, strides
	l.rank++
}

// joins reports whether dimension d and a following one of size n are one for all
// operands.
func (l *nest) joins(d, n int, strides *[maxOperands]int) bool {
	for k := range l.operands {
		if l.strides[d][k] != n*strides[k] {
			return false
		}
	}
	return true
}

// len returns the number of elements.
func (l *nest) len() int {
	n := 1
	for _, size := range l.size[:l.rank] {
		n *= size
	}
	return n
}

// innermost makes the dimension along which operand k is adjacent the innermost one, if
// there is such a dimension.
func (l *nest) innermost(k int) {
	for d := l.rank - 1; d >= 0; d-- {
		if l.strides[d][k] == 1 {
			size, strides := l.remove(d)
			l.size[l.rank], l.strides[l.rank] = size, strides
			l.rank++
			return
		}
	}
}

// fixed reports whether operand k is a single number.
func (l *nest) fixed(k int) bool {
	for _, strides := range l.strides[:l.rank] {
		if strides[k] != 0 {
			return false
		}
	}
	return true
}

// remove takes a dimension out, and returns its size and the strides.
func (l *nest) remove(d int) (size int, strides [maxOperands]int) {
	size, strides = l.size[d], l.strides[d]
	copy(l.size[d:], l.size[d+1:l.rank])
	copy(l.strides[d:], l.strides[d+1:l.rank])
	l.rank--
	return size, strides
}

// stride returns the distance between neighbours of operand k in the innermost
// dimension, or 0 if there is none.
func (l *nest) stride(k int) int {
	if l.rank == 0 {
		return 0
	}
	return l.strides[l.rank-1][k]
}

// each calls f with the number of each element and its place in operand 0.
func (l *nest) each(f func(i, at int)) {
	for i := range l.len() {
		at, rest := 0, i
		for d := l.rank - 1; d >= 0; d-- {
			at += rest % l.size[d] * l.strides[d][0]
			rest /= l.size[d]
		}
		f(i, at)
	}
}

// nest returns a nest as kernels read it: for each dimension, the innermost first,
// its size and the strides. The size of the outermost one is left out, as it makes no
// difference: results of the same operation on other numbers of rows share a table.
func (b *Backend) nest(l *nest) (table devptr, rank int32) {
	words := make([]int32, 0, 2*tensor.MaxRank*(1+maxOperands))
	number := func(v int) { words = append(words, int32(v), int32(v>>32)) }
	for d := l.rank - 1; d >= 0; d-- {
		if d == 0 {
			number(0)
		} else {
			number(l.size[d])
		}
		for _, stride := range l.strides[d][:l.operands] {
			number(stride)
		}
	}
	return b.table(words), int32(l.rank)
}
