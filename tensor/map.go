package tensor

import (
	"fmt"
	"slices"
)

// Map returns an expression of tensors, element by element. Shapes are broadcast
// as NumPy does: aligned at the last dimension, dimensions of size 1 and missing
// ones repeat. Inputs can be views with any strides.
func (tp *Tape) Map(e *Expr, in ...*Tensor) *Tensor {
	tp.read(e.name, in...)
	if len(in) != e.inputs {
		panic(fmt.Sprintf("%s: %d inputs, want %d", e.name, len(in), e.inputs))
	}
	out := tp.tensor()
	tp.operands = append(tp.operands[:0], in...) // so that in need not be on the heap
	broadcastShape(out, e.name, tp.operands)
	out.store, out.offset = tp.floats.alloc(out.Len())
	tp.backend.Map(out, e, tp.operands, false)
	if tp.result(out, in...) {
		r := tp.push()
		r.backward, r.out, r.expr = mapBackward, out, e
		copy(r.in[:], in)
	}
	return out
}

// broadcastShape makes out a tensor of the shape that the inputs are broadcast
// to.
func broadcastShape(out *Tensor, op string, in []*Tensor) {
	var shape [MaxRank]int
	rank := 0
	for _, t := range in {
		rank = max(rank, t.rank)
	}
	for i := range rank {
		shape[i] = 1
	}
	mustFloats(op, in...)
	for _, t := range in {
		for i, n := range t.shape[:t.rank] {
			at := &shape[rank-t.rank+i]
			switch {
			case *at == 1:
				*at = n
			case n != 1 && n != *at:
				panic(fmt.Sprintf("%s: %v do not broadcast", op, slices.Clone(in)))
			}
		}
	}
	out.init(in[0].backend, Float32, shape[:rank])
}

func mapBackward(tp *Tape, r *record) {
	e, out := r.expr, r.out
	tp.operands = append(append(tp.operands[:0], r.in[:e.inputs]...), out.grad)
	for i, in := range r.in[:e.inputs] {
		if e.gradients[i] == nil || !in.requiresGrad {
			continue
		}
		g, accumulate := tp.gradient(in)
		if g.Len() == out.Len() {
			// Dimensions of size 1 may be missing.
			tp.backend.Map(tp.aligned(g, out), e.gradients[i], tp.operands, accumulate)
			continue
		}
		all := tp.New(out.Shape()...)
		tp.backend.Map(all, e.gradients[i], tp.operands, false)
		tp.backend.Reduce(tp.aligned(g, out), ReduceSum, all, accumulate)
		tp.release(all)
	}
}

// aligned returns g with as many dimensions as out, the first ones of size 1.
func (tp *Tape) aligned(g, out *Tensor) *Tensor {
	missing := out.rank - g.rank
	if missing == 0 {
		return g
	}
	v := tp.tensors.get()
	*v = *g
	v.rank = out.rank
	for i := range v.rank {
		if i < missing {
			v.shape[i], v.strides[i] = 1, 0
		} else {
			v.shape[i], v.strides[i] = g.shape[i-missing], g.strides[i-missing]
		}
	}
	return v
}

// ReduceOp is how elements are put together.
type ReduceOp uint8

// The reductions.
const (
	ReduceSum ReduceOp = iota // 0 for no elements; added up in float64
	ReduceMax                 // NaN if one is; -Inf for no elements
	ReduceMin                 // NaN if one is; +Inf for no elements
)
