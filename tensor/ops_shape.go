package tensor

import (
	"fmt"
	"slices"
)

// Reshape returns x with another shape of as many elements, in row-major order;
// one size can be -1 and follows from the others. It is a view if x is contiguous,
// else a copy.
func (tp *Tape) Reshape(x *Tensor, shape ...int) *Tensor {
	var sizes [MaxRank]int
	n, unknown := 1, -1
	if len(shape) > MaxRank {
		panic(fmt.Sprintf("reshape: %v to %v: more than %d dimensions", x, slices.Clone(shape), MaxRank))
	}
	for i, size := range shape {
		sizes[i] = size
		if size == -1 && unknown < 0 {
			unknown = i
		} else {
			n *= size
		}
	}
	if unknown >= 0 && n > 0 {
		sizes[unknown] = x.Len() / n
		n *= sizes[unknown]
	}
	if n != x.Len() || min(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]) < 0 {
		panic(fmt.Sprintf("reshape: %v to %v", x, slices.Clone(shape)))
	}
	x = tp.Contiguous(x)
	v := tp.view("reshape", x, useViewed)
	offset, store := v.offset, v.store
	v.init(v.backend, v.dtype, sizes[:len(shape)])
	v.offset, v.store = offset, store
	return v
}

// Contiguous returns x if its elements are adjacent in row-major order, else a
// copy that is.
func (tp *Tape) Contiguous(x *Tensor) *Tensor {
	if x.Contiguous() {
		return x
	}
	if x.dtype == Int32 {
		tp.read("contiguous", x)
		ids := tp.newInts(x.Shape()...)
		tp.backend.CopyInts(ids, x)
		return ids
	}
	return tp.Map(exprCopy, x)
}

// Permute returns a view with the axes of x in another order: axis i of the
// result is axis axes[i] of x.
func (tp *Tape) Permute(x *Tensor, axes ...int) *Tensor {
	if len(axes) != x.rank {
		panic(fmt.Sprintf("permute: %v by %v", x, slices.Clone(axes)))
	}
	v := tp.view("permute", x, useViewed)
	var seen [MaxRank]bool
	for i, axis := range axes {
		axis = x.axis("permute", axis)
		if seen[axis] {
			panic(fmt.Sprintf("permute: %v by %v", x, slices.Clone(axes)))
		}
		seen[axis] = true
		v.shape[i], v.strides[i] = x.shape[axis], x.strides[axis]
	}
	return v
}

// Transpose returns a view of x with two axes exchanged.
func (tp *Tape) Transpose(x *Tensor, a, b int) *Tensor {
	a, b = x.axis("transpose", a), x.axis("transpose", b)
	v := tp.view("transpose", x, useViewed)
	v.shape[a], v.shape[b] = x.shape[b], x.shape[a]
	v.strides[a], v.strides[b] = x.strides[b], x.strides[a]
	return v
}

// Slice returns the elements lo:hi of x along an axis as a view.
func (tp *Tape) Slice(x *Tensor, axis, lo, hi int) *Tensor {
	axis = x.axis("slice", axis)
	if lo < 0 || hi < lo || hi > x.shape[axis] {
		panic(fmt.Sprintf("slice: %d:%d of axis %d of %v", lo, hi, axis, x))
	}
	v := tp.view("slice", x, useViewed)
	v.shape[axis] = hi - lo
	v.move(lo * x.strides[axis])
	return v
}

// Split returns consecutive views of x along an axis, of the given sizes, whose
// sum is that of the axis.
func (tp *Tape) Split(x *Tensor, axis int, sizes ...int) []*Tensor {
	var parts []*Tensor
	at := 0
	for _, size := range sizes {
		parts = append(parts, tp.Slice(x, axis, at, at+size))
		at += size
	}
	if at != x.Dim(axis) {
		panic(fmt.Sprintf("split: %v in %v along axis %d", x, slices.Clone(sizes), axis))
	}
	return parts
}

// Squeeze returns a view of x without an axis of size 1.
func (tp *Tape) Squeeze(x *Tensor, axis int) *Tensor {
	axis = x.axis("squeeze", axis)
	if x.shape[axis] != 1 {
		panic(fmt.Sprintf("squeeze: axis %d of %v", axis, x))
	}
	v := tp.view("squeeze", x, useViewed)
	copy(v.shape[axis:], x.shape[axis+1:])
	copy(v.strides[axis:], x.strides[axis+1:])
	v.rank--
	v.shape[v.rank], v.strides[v.rank] = 0, 0
	return v
}

// Unsqueeze returns a view of x with a new axis of size 1 before axis; -1 stands
// for the end.
func (tp *Tape) Unsqueeze(x *Tensor, axis int) *Tensor {
	if axis < 0 {
		axis += x.rank + 1
	}
	if axis < 0 || axis > x.rank || x.rank == MaxRank {
		panic(fmt.Sprintf("unsqueeze: axis %d of %v", axis, x))
	}
	v := tp.view("unsqueeze", x, useViewed)
	copy(v.shape[axis+1:], x.shape[axis:x.rank])
	copy(v.strides[axis+1:], x.strides[axis:x.rank])
	v.shape[axis], v.strides[axis] = 1, 0
	v.rank++
	return v
}

// Expand returns x broadcast to a shape, a copy in new memory.
func (tp *Tape) Expand(x *Tensor, shape ...int) *Tensor {
	tp.read("expand", x)
	mustFloats("expand", x)
	out := tp.New(shape...)
	tp.mapInto(out, exprCopy, false, x)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.expr = mapBackward, out, [MaxExprInputs]*Tensor{x}, exprCopy
	}
	return out
}

// Concat returns tensors one after the other along an axis; the other sizes must
// be equal.
func (tp *Tape) Concat(axis int, parts ...*Tensor) *Tensor {
	if len(parts) == 0 {
		panic("concat: no tensors")
	}
	tp.read("concat", parts...)
	mustFloats("concat", parts...)
	axis = parts[0].axis("concat", axis)
	shape, n := parts[0].shape, 0
	for _, x := range parts {
		other := x.shape
		n += other[axis]
		other[axis] = shape[axis]
		if x.rank != parts[0].rank || other != shape {
			panic(fmt.Sprintf("concat: %v along axis %d", parts, axis))
		}
	}
	shape[axis] = n
	out := tp.New(shape[:parts[0].rank]...)
	at := 0
	for _, x := range parts {
		tp.mapInto(tp.piece(out, axis, at, x.shape[axis]), exprCopy, false, x)
		at += x.shape[axis]
	}
	if tp.result(out, parts...) {
		from := len(tp.lists)
		tp.lists = append(tp.lists, parts...)
		r := tp.push()
		r.backward, r.out, r.list, r.axis = concatBackward, out, tp.lists[from:], axis
	}
	return out
}

// piece returns a tensor that is a part of t along an axis, outside the tape's
// bookkeeping.
func (tp *Tape) piece(t *Tensor, axis, at, n int) *Tensor {
	v := tp.tensors.get()
	*v = *t
	v.shape[axis] = n
	v.move(at * t.strides[axis])
	return v
}

// move moves a view in memory, unless it is empty: its place could be beyond the
// end.
func (t *Tensor) move(by int) {
	if t.Len() > 0 {
		t.offset += by
	}
}

func concatBackward(tp *Tape, r *record) {
	at := 0
	for _, x := range r.list {
		if g, accumulate := tp.gradient(x); g != nil {
			tp.mapInto(g, exprCopy, accumulate, tp.piece(r.out.grad, r.axis, at, x.shape[r.axis]))
		}
		at += x.shape[r.axis]
	}
}

// Stack returns tensors of equal shape along a new axis.
func (tp *Tape) Stack(axis int, parts ...*Tensor) *Tensor {
	views := make([]*Tensor, len(parts))
	for i, x := range parts {
		views[i] = tp.Unsqueeze(x, axis)
	}
	return tp.Concat(axis, views...)
}
