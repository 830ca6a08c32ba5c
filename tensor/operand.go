package tensor

import "fmt"

// Every view is an operand of every operation. Map and Reduce read any strides;
// the other kernels read contiguous tensors, or matrices with adjacent elements in
// a row. What they cannot read, the tape copies first, by a recorded operation, so
// that the gradient finds its way back to the view.

// dense returns x for kernels that read contiguous tensors. It can be nil.
func (tp *Tape) dense(x *Tensor) *Tensor {
	if x == nil {
		return nil
	}
	return tp.Contiguous(x)
}

// rows returns x for kernels that read matrices with adjacent elements in a row:
// see matrix.
func (tp *Tape) rows(x *Tensor) *Tensor {
	if _, ok := x.rowStride(); ok {
		return x
	}
	return tp.Contiguous(x)
}

// features returns x [..., d] for products, which read matrices with any strides.
func (tp *Tape) features(x *Tensor) *Tensor {
	if x.rank == 2 {
		return x
	}
	return tp.rows(x)
}

// rowStride returns the distance between the rows of t, of which the last
// dimension is the columns and the others together are the rows. It reports
// whether there is one, and whether the elements of a row are adjacent.
func (t *Tensor) rowStride() (stride int, ok bool) {
	last := t.rank - 1
	stride = max(t.shape[last], 1)
	if t.Len() == 0 {
		return stride, true
	}
	if t.shape[last] != 1 && t.strides[last] != 1 {
		return 0, false
	}
	n := 1
	for i := last - 1; i >= 0; i-- {
		switch {
		case t.shape[i] == 1:
			continue
		case n == 1:
			stride = t.strides[i]
		case t.strides[i] != n*stride:
			return 0, false
		}
		n *= t.shape[i]
	}
	return stride, true // views do not overlap
}

// matrix returns what rows or features returned, or its gradient, as a matrix [rows,
// columns], outside the tape's bookkeeping. It can be nil.
func (tp *Tape) matrix(t *Tensor) *Tensor {
	if t == nil || t.rank == 2 && t.strides[1] == 1 && t.strides[0] >= t.shape[1] {
		return t
	}
	stride, ok := t.rowStride()
	if !ok && t.rank == 2 {
		return t
	}
	if !ok {
		panic(fmt.Sprintf("tensor: %v with strides %v is no row-major matrix", t, t.Strides()))
	}
	v := tp.tensors.get()
	*v = Tensor{backend: t.backend, store: t.store, offset: t.offset, rank: 2, dtype: t.dtype}
	v.shape[0], v.shape[1] = t.Rows(), t.shape[t.rank-1]
	v.strides[0], v.strides[1] = stride, 1
	return v
}

// vector returns a contiguous tensor as one of one dimension, outside the tape's
// bookkeeping.
func (tp *Tape) vector(t *Tensor) *Tensor {
	if t.rank == 1 {
		return t
	}
	v := tp.tensors.get()
	*v = Tensor{backend: t.backend, store: t.store, offset: t.offset, rank: 1, dtype: t.dtype}
	v.shape[0], v.strides[0] = t.Len(), 1
	return v
}

// newRows returns a tensor like x whose last dimension has n elements, with
// undefined content.
func (tp *Tape) newRows(x *Tensor, n int) *Tensor {
	shape := x.shape
	shape[x.rank-1] = n
	return tp.New(shape[:x.rank]...)
}

// mustFloats panics unless all tensors are float32.
func mustFloats(op string, in ...*Tensor) {
	for _, t := range in {
		if t.dtype != Float32 {
			panic(fmt.Sprintf("%s: %v, want float32", op, t))
		}
	}
}

// mustFeatures panics unless t is a float32 tensor [..., n].
func mustFeatures(op, name string, t *Tensor) {
	if t == nil || t.dtype != Float32 || t.rank == 0 {
		panic(fmt.Sprintf("%s: %s is %v, want float32[... n]", op, name, t))
	}
}
