package tensor

import (
	"fmt"

	"github.com/marge-go/marge/asm"
)

// int8Backend is the method that a backend has whose Gemm, Gather, LinearMax and
// CrossEntropy take int8 matrices where the weight, or the table, is: Gemm as a
// transposed B. The values are those of asm.NewInt8Matrix.
type int8Backend interface {
	NewInt8Storage(q []int8, scales []float32, rows, cols int) *Storage
}

// Quantize replaces the values of a float32 matrix [rows, cols] by int8 values and a
// float32 scale for each row, see [asm.QuantizeInt8]: about a quarter of the memory, for
// inference. Such a matrix can be the weight of Linear, LinearGELU, FeedForward,
// LinearMax and MatMul, which quantise the rows that they multiply by it too, and whose
// results have the same bits on all processors, see [asm.GemmInt8Args]; and the table of
// Gather and CrossEntropy. No gradient can be taken through these.
//
// It is an error if the backend cannot do so, if there are more than asm.MaxInt8Cols
// columns, or if a value is not finite; then the tensor is as it was. No tape may be
// using the tensor.
func (t *Tensor) Quantize() error {
	t.mustBeMatrix("quantize")
	rows, cols := t.shape[0], t.shape[1]
	values := t.hostValues()
	q, scales := make([]int8, rows*cols), make([]float32, rows)
	for i := range rows {
		scales[i] = asm.QuantizeInt8(q[i*cols:(i+1)*cols], values[i*cols:(i+1)*cols])
		if scales[i] != scales[i] {
			return fmt.Errorf("quantize: row %d of %v has a value that is not finite", i, t)
		}
	}
	return t.SetInt8s(q, scales)
}

// SetInt8s makes a float32 matrix [rows, cols] one of int8 values with a scale for each
// row, as Int8s returns them, and copies them. Errors are those of Quantize; scales must
// be finite and not negative.
func (t *Tensor) SetInt8s(q []int8, scales []float32) error {
	t.mustBeMatrix("int8")
	rows, cols := t.shape[0], t.shape[1]
	if len(q) != rows*cols || len(scales) != rows {
		panic(fmt.Sprintf("int8: %d values and %d scales for %v", len(q), len(scales), t))
	}
	b, ok := t.backend.(int8Backend)
	if !ok {
		return fmt.Errorf("int8: the backend %s has no products of int8 matrices; the CPU has", t.backend.Name())
	}
	if cols > asm.MaxInt8Cols {
		return fmt.Errorf("int8: %v has more than %d columns", t, asm.MaxInt8Cols)
	}
	for i, scale := range scales {
		if scale-scale != 0 || scale < 0 {
			return fmt.Errorf("int8: the scale of row %d is %v", i, scale)
		}
	}
	t.store, t.offset, t.dtype = b.NewInt8Storage(q, scales, rows, cols), 0, Int8
	t.requiresGrad, t.gradSet, t.grad = false, false, nil
	return nil
}

// mustBeMatrix panics unless t is a float32 matrix of its own.
func (t *Tensor) mustBeMatrix(op string) {
	if t.rank != 2 || t.dtype != Float32 || t.tape != nil || t.base != nil {
		panic(fmt.Sprintf("%s: of %v, want a float32 matrix that is neither a result nor a view", op, t))
	}
}

// hostValues returns the values of a float32 tensor on the host, without a copy if they
// are there.
func (t *Tensor) hostValues() []float32 {
	if t.store.Device == nil {
		return t.Float32s()
	}
	values := make([]float32, t.Len())
	t.CopyTo(values)
	return values
}

// Int8s returns a copy of the values of an int8 matrix, and the scales of its rows: an
// element is float32(value) * scale.
func (t *Tensor) Int8s() (q []int8, scales []float32) {
	m := t.int8s()
	q, scales = make([]int8, t.Len()), make([]float32, m.Rows())
	for i := range m.Rows() {
		m.Row(q[i*m.Cols():], i)
	}
	copy(scales, m.Scales())
	return q, scales
}

// int8s returns the matrix behind t, which must be all of it.
func (t *Tensor) int8s() *asm.Int8Matrix {
	t.check(Int8)
	m := t.store.Int8
	if m == nil || t.rank != 2 || t.offset != 0 || t.shape[0] != m.Rows() || t.shape[1] != m.Cols() {
		panic(fmt.Sprintf("tensor: %v is a view of an int8 matrix, or in a device's memory", t))
	}
	return m
}

// mustWeight panics unless t is a float32 matrix, or an int8 one on a tape that takes no
// gradients, with some number of columns (-1: any).
func (tp *Tape) mustWeight(op, name string, t *Tensor, cols int) {
	dt := Float32
	if t != nil && t.dtype == Int8 {
		dt = Int8
	}
	mustShape(op, name, t, dt, -1, cols)
	if dt == Int8 && tp.differentiates() {
		panic(fmt.Sprintf("%s: %s is %v, which is for inference: the tape must not record", op, name, t))
	}
}

// NewInt8Storage returns what keeps an int8 matrix, see Tensor.SetInt8s.
func (c *CPU) NewInt8Storage(q []int8, scales []float32, rows, cols int) *Storage {
	return &Storage{Int8: asm.NewInt8Matrix(q, scales, rows, cols)}
}

// gemmInt8 is Gemm for an int8 matrix b.
func (c *CPU) gemmInt8(out, a, b *Tensor, o GemmOptions) {
	if out.rank != 2 || a.rank != 2 || o.TransA || !o.TransB || o.Alpha != 1 || o.Beta != 0 || o.PreActivation != nil {
		panic(fmt.Sprintf("gemm: %v = %v x %v with options %+v, want A B^T of matrices", out, a, b, o))
	}
	g := asm.GemmInt8Args{M: out.shape[0], B: b.int8s(), Bias: floatsOrNil(o.Bias)}
	g.A, g.LDA = matrices(a)
	g.C, g.LDC = matrices(out)
	if o.GELU {
		g.Activation = asm.GELUActivation
	}
	asm.GemmInt8(c.pool, &g)
}

// gatherInt8 is gather for an int8 table.
func gatherInt8(a *rowArgs, lo, hi int) {
	d := a.width
	q, row := make([]int8, d), make([]float32, d)
	for i := lo; i < hi; i++ {
		id, dst := int(a.ids[i]), a.out[i*d:(i+1)*d]
		a.int8s.Row(q, id)
		asm.DequantizeInt8(row, q, a.int8s.Scales()[id])
		if a.accumulate {
			asm.Axpy(a.alpha, row, dst)
		} else {
			asm.Scale(dst, a.alpha, row)
		}
	}
}
