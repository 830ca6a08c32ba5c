package asm

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"unsafe"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/pages"
)

// MaxInt8Cols is the greatest number of columns of an Int8Matrix: sums of as many
// products fit in an int32.
const MaxInt8Cols = 1 << 16

// leastInt8 is the smallest greatest magnitude of values that are quantised to other
// than zeros: below, 127 divided by it may exceed float32.
const leastInt8 = 0x1p-120

// QuantizeInt8 sets q to the values of x, of equal length, as multiples of a scale,
// which it returns: the greatest magnitude of a value divided by 127.
//
//	q[i] = round(float32(x[i] * float32(127/max|x|))), to nearest, ties to even
//
// Zeros, and values below 2^-120 alone, are quantised to zeros with scale 0. If a
// value is not finite, the scale is NaN and q is zeros. The bits are the same with
// every instruction set.
func QuantizeInt8(q []int8, x []float32) (scale float32) {
	if len(q) != len(x) {
		panic(fmt.Sprintf("quantize: %d values to %d", len(x), len(q)))
	}
	bytes := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
	scale = quantize(bytes, x)
	for i, u := range bytes {
		bytes[i] = u ^ 0x80
	}
	return scale
}

// quantize is QuantizeInt8, but adds 128 to the values.
func quantize(q []uint8, x []float32) (scale float32) {
	most := math.Float32frombits(absMax(x))
	if most >= leastInt8 && most-most == 0 {
		int8Round(q, x, 127/most)
		return most / 127
	}
	for i := range q {
		q[i] = 128
	}
	if most < leastInt8 {
		return 0
	}
	return float32(math.NaN())
}

// DequantizeInt8 sets dst[i] = float32(q[i]) * scale, for slices of equal length. What
// QuantizeInt8 made of the greatest float32 is infinite then.
func DequantizeInt8(dst []float32, q []int8, scale float32) {
	if len(dst) != len(q) {
		panic(fmt.Sprintf("dequantize: %d values to %d", len(q), len(dst)))
	}
	dequantize(dst, q, scale)
}

// Panels of an Int8Matrix have int8Panel rows. Four adjacent values of each make
// 128 bytes, which the next four follow.
const int8Panel = 32

// Int8Matrix is a matrix of int8 values, each row with a scale: an operand of
// [GemmInt8], in the order in which that reads it. It does not change.
type Int8Matrix struct {
	rows, cols int
	blocks     int // of four columns; at least 1
	packed     []int8
	scales     []float32 // of the rows; those of whole panels
	sums       []int32   // 128 times the sum of the values of each row, likewise
}

// NewInt8Matrix returns a matrix of the values q [rows, cols], of which row i is to be
// multiplied by scales[i]. It panics if the sizes do not agree or cols exceeds
// MaxInt8Cols.
func NewInt8Matrix(q []int8, scales []float32, rows, cols int) *Int8Matrix {
	if rows < 0 || cols < 0 || cols > MaxInt8Cols || len(q) != rows*cols || len(scales) != rows {
		panic(fmt.Sprintf("int8: %d values and %d scales for %dx%d, of at most %d columns",
			len(q), len(scales), rows, cols, MaxInt8Cols))
	}
	panels := ceil.Div(rows, int8Panel)
	m := &Int8Matrix{rows: rows, cols: cols, blocks: max(ceil.Div(cols, 4), 1)}
	m.packed = pagedInt8s(panels * m.panelBytes())
	m.scales, m.sums = make([]float32, panels*int8Panel), make([]int32, panels*int8Panel)
	copy(m.scales, scales)
	for i := range rows {
		at, sum := m.row(i), int32(0)
		for k, v := range q[i*cols : (i+1)*cols] {
			m.packed[at+k/4*4*int8Panel+k%4] = v
			sum += int32(v)
		}
		m.sums[i] = 128 * sum
	}
	return m
}

// pagedInt8s returns n zeros, on large pages if they fill some.
func pagedInt8s(n int) []int8 {
	if n < 2*pages.Size {
		return make([]int8, n)
	}
	mem := make([]float32, (n+pages.Size+3)/4)
	mem = mem[-uintptr(unsafe.Pointer(unsafe.SliceData(mem)))/4%(pages.Size/4):]
	pages.Advise(mem[:n/4])
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(mem))), n)
}

func (m *Int8Matrix) panelBytes() int { return m.blocks * 4 * int8Panel }

// row returns where the first four values of row i are.
func (m *Int8Matrix) row(i int) int { return i/int8Panel*m.panelBytes() + i%int8Panel*4 }

// Rows returns the number of rows.
func (m *Int8Matrix) Rows() int { return m.rows }

// Cols returns the number of columns.
func (m *Int8Matrix) Cols() int { return m.cols }

// Scales returns the scales of the rows, which must not be changed.
func (m *Int8Matrix) Scales() []float32 { return m.scales[:m.rows] }

// Row copies the values of row i to q, which has Cols values.
func (m *Int8Matrix) Row(q []int8, i int) {
	q, panel := q[:m.cols], m.packed[m.row(i):]
	for k := range q {
		q[k] = panel[k/4*4*int8Panel+k%4]
	}
}

// GemmInt8Args describes C = act(A*B^T + bias) for a float32 matrix A, MxK, and an
// int8 matrix B, NxK. C is MxN. The rows of A are quantised as QuantizeInt8 says, and
// the sums of the products of integers are exact:
//
//	C[i][j] = act(float32(float32(sum) * scale of B[j] * scale of A[i]) + bias[j])
//
// from left to right, each step rounded to float32. So but for the activation the bits
// are the same with every instruction set and number of threads, and a row of C depends
// on its row of A alone. It is NaN if that has a value that is not finite.
type GemmInt8Args struct {
	M          int
	A          []float32
	LDA        int // distance between the starts of two rows of A
	B          *Int8Matrix
	C          []float32
	LDC        int
	Bias       []float32 // nil or N values, added to every row
	Activation Activation
}

func (g *GemmInt8Args) check() {
	n, k := g.B.rows, g.B.cols
	check := func(name string, x []float32, cols, ld int) {
		if need := (g.M-1)*ld + cols; ld < cols || g.M > 0 && cols > 0 && len(x) < need {
			panic(fmt.Sprintf("gemm: %s is %dx%d with rows %d apart and has %d values", name, g.M, cols, ld, len(x)))
		}
	}
	if g.M < 0 {
		panic(fmt.Sprintf("gemm: negative size: M=%d", g.M))
	}
	check("A", g.A, k, g.LDA)
	check("C", g.C, n, g.LDC)
	if g.Bias != nil && len(g.Bias) != n {
		panic(fmt.Sprintf("gemm: bias has %d values, C has %d columns", len(g.Bias), n))
	}
	if g.Activation > GELUActivation {
		panic(fmt.Sprintf("gemm: unknown activation %d", g.Activation))
	}
}

// int8Kernel computes a tile of C: rows by cols, which divides int8Panel.
//
//	for i := range rows {
//		for j := range cols {
//			sum := -sums[j]
//			for k := range 4 * blocks {
//				sum += int32(a[i*lda+k]) * int32(b[k/4*128+4*j+k%4])
//			}
//			c[i*ldc+j] = float32(float32(float32(sum)*scales[j])*rowScales[i]) + bias[j]
//		}
//	}
//
// a has the values of A and 128, so that they are not negative, as the instruction of
// VNNI wants; sums take that off again.
type int8Kernel struct {
	rows, cols int
	tile       func(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
		scales []float32, sums []int32, bias, rowScales []float32)
}

// int8Task is one call of GemmInt8. Its parts are first rows of A that are quantised,
// and then rectangles of C.
type int8Task struct {
	GemmInt8Args
	kernels    []int8Kernel // by falling number of rows, the last has 1
	a          []uint8      // the rows of A and 128, quantised
	lda        int
	scales     []float32 // of the rows of A
	multiply   bool
	rowParts   int
	panelParts int
	work       []int8Buffers // of the parts
}

// int8Buffers are those of one part.
type int8Buffers struct {
	c    [8 * int8Panel]float32 // rows of C where the panel is not whole
	bias [int8Panel]float32
	_    [64]byte // the next part starts on another cache line
}

var int8Tasks = sync.Pool{New: func() any { return new(int8Task) }}

// Parts of less work than this many products are not worth another thread, and rows of
// A that exceed int8Rows bytes do not stay in the second-level cache.
const (
	int8Work = 1 << 17
	int8Rows = 1 << 17
)

// GemmInt8 computes g on the threads of run; nil means Serial. It panics if the shapes
// and slices of g do not fit together.
func GemmInt8(run Runner, g *GemmInt8Args) {
	g.check()
	if g.M == 0 || g.B.rows == 0 {
		return
	}
	if run == nil {
		run = Serial
	}
	t := int8Tasks.Get().(*int8Task)
	t.GemmInt8Args, t.kernels, t.lda = *g, int8Kernels(), 4*g.B.blocks
	t.a = slices.Grow(t.a[:0], t.M*t.lda)[:t.M*t.lda]
	t.scales = slices.Grow(t.scales[:0], t.M)[:t.M]
	most := 4 * run.Threads()
	t.multiply, t.rowParts = false, max(1, min(t.M*t.lda*8/int8Work, t.M, most))
	t.run(run, t.rowParts)
	t.multiply, t.rowParts = true, ceil.Div(t.M, max(8, int8Rows/t.lda&^7))
	work := t.M * t.lda * g.B.rows / t.rowParts
	t.panelParts = max(1, min(work/int8Work, ceil.Div(g.B.rows, int8Panel), most))
	t.work = slices.Grow(t.work[:0], t.rowParts*t.panelParts)[:t.rowParts*t.panelParts]
	t.run(run, len(t.work))
	t.GemmInt8Args = GemmInt8Args{}
	int8Tasks.Put(t)
}

func (t *int8Task) run(run Runner, parts int) {
	if parts == 1 {
		t.Do(0)
		return
	}
	run.Run(parts, t)
}

// Do implements Task.
func (t *int8Task) Do(part int) {
	if !t.multiply {
		from, to := span(t.M, t.rowParts, part)
		for i := from; i < to; i++ {
			var x []float32
			if t.B.cols > 0 {
				x = t.A[i*t.LDA:][:t.B.cols]
			}
			t.scales[i] = quantize(t.a[i*t.lda:][:len(x)], x)
		}
		return
	}
	// The rows of A stay in the cache while B goes by, a panel at a time.
	r0, r1 := span(ceil.Div(t.M, 8), t.rowParts, part/t.panelParts)
	r0, r1 = 8*r0, min(8*r1, t.M)
	p0, p1 := span(ceil.Div(t.B.rows, int8Panel), t.panelParts, part%t.panelParts)
	for p := p0; p < p1; p++ {
		t.panel(&t.work[part], p, r0, r1)
	}
	if n0, n1 := p0*int8Panel, min(p1*int8Panel, t.B.rows); t.Activation != NoActivation && n0 < n1 {
		for i := r0; i < r1; i++ {
			row := t.C[i*t.LDC+n0 : i*t.LDC+n1]
			GELU(row, row)
		}
	}
}

// panel multiplies rows r0 to r1 of A by a panel of B.
func (t *int8Task) panel(w *int8Buffers, p, r0, r1 int) {
	n0, n1 := p*int8Panel, min((p+1)*int8Panel, t.B.rows)
	clear(w.bias[:])
	if t.Bias != nil {
		copy(w.bias[:], t.Bias[n0:n1])
	}
	b := t.B.packed[p*t.B.panelBytes():][:t.B.panelBytes()]
	kernels := t.kernels
	for i := r0; i < r1; i += kernels[0].rows {
		for kernels[0].rows > r1-i {
			kernels = kernels[1:]
		}
		kern := &kernels[0]
		whole, c, ldc := n1-n0 == int8Panel, w.c[:], int8Panel
		if whole {
			c, ldc = t.C[i*t.LDC+n0:], t.LDC
		}
		for j := 0; j < int8Panel; j += kern.cols {
			kern.tile(c[j:], ldc, t.a[i*t.lda:], t.lda, b[4*j:], t.B.blocks,
				t.B.scales[n0+j:], t.B.sums[n0+j:], w.bias[j:], t.scales[i:])
		}
		for r := range kern.rows {
			if !whole {
				copy(t.C[(i+r)*t.LDC+n0:(i+r)*t.LDC+n1], w.c[r*int8Panel:])
			}
		}
	}
}
