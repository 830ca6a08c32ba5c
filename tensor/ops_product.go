package tensor

import "fmt"

// MatMul returns the matrix products a b for a [..., m, k] and b [..., k, n], or
// a b^T for b [..., n, k] if transB. The leading dimensions are broadcast as NumPy
// does. Views can have any strides; only matrices neither of whose strides is 1
// are copied.
func (tp *Tape) MatMul(a, b *Tensor, transB bool) *Tensor {
	tp.read("matmul", a, b)
	if b.dtype == Int8 && transB {
		tp.mustWeight("matmul", "b", b, -1)
	} else if b.dtype != Float32 {
		panic(fmt.Sprintf("matmul: %v x %v (transB %v), want float32 matrices, or int8 for b^T", a, b, transB))
	}
	if a.rank < 2 || b.rank < 2 || a.dtype != Float32 {
		panic(fmt.Sprintf("matmul: %v x %v, want float32 matrices", a, b))
	}
	k, n := b.shape[b.rank-2], b.shape[b.rank-1]
	if transB {
		k, n = n, k
	}
	if a.shape[a.rank-1] != k {
		panic(fmt.Sprintf("matmul: inner dimensions differ: %v x %v (transB %v)", a, b, transB))
	}
	out := tp.tensor()
	batchShape(out, a, b)
	out.shape[out.rank-2], out.shape[out.rank-1] = a.shape[a.rank-2], n
	shape := out.shape
	out.init(tp.backend, Float32, shape[:out.rank])
	out.store, out.offset = tp.floats.alloc(out.Len())
	out.use = useTemporary
	tp.product(out, a, b, GemmOptions{TransB: transB, Alpha: 1})
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in, r.flag = matMulBackward, out, [MaxExprInputs]*Tensor{a, b}, transB
	}
	return out
}

// batchShape sets the dimensions of out but the last two, to which those of a and
// b are broadcast.
func batchShape(out, a, b *Tensor) {
	out.rank = max(a.rank, b.rank)
	for d := range out.rank - 2 {
		n := 1
		for _, t := range [2]*Tensor{a, b} {
			if at := d - (out.rank - t.rank); at >= 0 && t.shape[at] != 1 {
				if n != 1 && n != t.shape[at] {
					panic(fmt.Sprintf("matmul: %v and %v do not broadcast", a, b))
				}
				n = t.shape[at]
			}
		}
		out.shape[d] = n
	}
}

func matMulBackward(tp *Tape, r *record) {
	a, b, dy := r.in[0], r.in[1], r.out.grad
	tp.productGradient(a, dy, b, false, !r.flag)
	if r.flag {
		tp.productGradient(b, dy, a, true, false)
	} else {
		tp.productGradient(b, a, dy, true, false)
	}
}

// productGradient adds op(a) op(b) to the gradient of t, summed over the
// dimensions along which t was broadcast.
func (tp *Tape) productGradient(t, a, b *Tensor, transA, transB bool) {
	g, accumulate := tp.gradient(t)
	if g == nil {
		return
	}
	if rank := max(a.rank, b.rank); rank > g.rank {
		v := *g
		v.rank = rank
		g = tp.aligned(g, &v)
	}
	tp.addProduct(g, a, b, GemmOptions{TransA: transA, TransB: transB, Alpha: 1}, accumulate)
}

// addProduct sets (adds) g to a product.
func (tp *Tape) addProduct(g, a, b *Tensor, o GemmOptions, accumulate bool) {
	if accumulate {
		o.Beta = 1
	}
	tp.product(g, a, b, o)
}

// product is Gemm of matrices with any strides.
func (tp *Tape) product(c, a, b *Tensor, o GemmOptions) {
	if !c.rowMajor() {
		if t := tp.transposed(c); t.rowMajor() {
			// (A B)^T = B^T A^T
			o.TransA, o.TransB = !o.TransB, !o.TransA
			tp.product(t, b, a, o)
			return
		}
		sum := tp.New(c.Shape()...)
		beta := o.Beta
		o.Beta = 0
		tp.product(sum, a, b, o)
		tp.mapInto(c, exprCopy, beta != 0, sum)
		tp.release(sum)
		return
	}
	x, y := a, b
	x, o.TransA = tp.factor(x, o.TransA)
	y, o.TransB = tp.factor(y, o.TransB)
	o.Rowwise = tp.rowwise
	tp.backend.Gemm(c, x, y, o)
	tp.releaseCopy(y, b)
	tp.releaseCopy(x, a)
}

// factor returns a row-major tensor to multiply by for t, and whether it is to be
// transposed: t, a transposed view of it, or a copy.
func (tp *Tape) factor(t *Tensor, trans bool) (*Tensor, bool) {
	if t.rowMajor() {
		return t, trans
	}
	if v := tp.transposed(t); v.rowMajor() {
		return v, !trans
	}
	v := tp.New(t.Shape()...)
	tp.mapInto(v, exprCopy, false, t)
	return v, trans
}

// releaseCopy releases v if it is a copy of t.
func (tp *Tape) releaseCopy(v, t *Tensor) {
	if v.store != t.store || v.offset != t.offset {
		tp.release(v)
	}
}

// transposed returns t with the last two axes exchanged, outside the tape's
// bookkeeping.
func (tp *Tape) transposed(t *Tensor) *Tensor {
	v := tp.tensors.get()
	*v = Tensor{backend: t.backend, store: t.store, offset: t.offset, rank: t.rank, shape: t.shape, strides: t.strides}
	r, c := t.rank-2, t.rank-1
	v.shape[r], v.shape[c] = t.shape[c], t.shape[r]
	v.strides[r], v.strides[c] = t.strides[c], t.strides[r]
	return v
}

// rowMajor reports whether the elements of the rows of matrices are adjacent.
func (t *Tensor) rowMajor() bool { return t.strides[t.rank-1] == 1 || t.shape[t.rank-1] <= 1 }

// Outer returns the outer product of a [m] and b [n]: [m, n]. Leading dimensions
// are those of a batch, and are broadcast.
func (tp *Tape) Outer(a, b *Tensor) *Tensor {
	if a.rank < 1 || b.rank < 1 {
		panic(fmt.Sprintf("outer: %v and %v, want vectors", a, b))
	}
	return tp.Mul(tp.Unsqueeze(a, -1), tp.Unsqueeze(b, -2))
}
