package backendtest

import (
	"fmt"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// transposed returns x [rows, cols] transposed.
func transposed(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

func (s *suite) gemm() {
	for _, size := range [][3]int{
		{0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {1, 1, 1}, {1, 33, 17}, {3, 1, 65}, {2, 7, 300}, {6, 16, 16}, {7, 17, 9},
		{13, 31, 64}, {15, 33, 65}, {64, 64, 64}, {65, 130, 129}, {130, 70, 400}, {1, 1000, 70},
	} {
		if testing.Short() && size[0]*size[1]*size[2] > 1<<17 {
			continue
		}
		for trans := range 4 {
			s.gemmCase(size[0], size[1], size[2], trans&1 != 0, trans&2 != 0)
		}
	}
}

// gemmCase tests products of one size and orientation: scaled, added to, with bias
// and activation, and with all matrices being parts of larger ones.
func (s *suite) gemmCase(m, n, k int, transA, transB bool) {
	matrix := func(rows, cols int, trans, strided bool) (*tensor.Tensor, []float64) {
		r, c := rows, cols
		if trans {
			r, c = cols, rows
		}
		draw := s.random
		if strided {
			draw = func(shape ...int) (*tensor.Tensor, []float64) { return s.wideRandom(shape[0], shape[1]) }
		}
		x, values := draw(r, c)
		if trans {
			values = transposed(values, r, c)
		}
		return x, values
	}
	for _, o := range []struct {
		alpha, beta              float32
		bias, gelu, pre, strided bool
	}{
		{alpha: 1},
		{alpha: 1, strided: true},
		{alpha: -0.5, beta: 1},
		{alpha: 1, beta: 1, strided: true},
		{alpha: 1, bias: true},
		{alpha: 1, bias: true, gelu: true},
		{alpha: 1, bias: true, gelu: true, pre: true},
		{alpha: 1, gelu: true, pre: true},
	} {
		a, a64 := matrix(m, k, transA, o.strided)
		b, b64 := matrix(k, n, transB, o.strided)
		bias, bias64 := s.random(n)
		value := reference.MatMul(a64, b64, m, k, n)
		size := length(a64) * length(b64)
		for i := range value {
			value[i] *= float64(o.alpha)
			if o.bias {
				value[i] += bias64[i%n]
			}
		}
		c := output{
			shape: []int{m, n}, want: value, tol: s.tol.Gemm, strided: o.strided, accumulate: o.beta == 1, size: size,
		}
		pre := output{shape: []int{m, n}, want: value, tol: s.tol.Gemm, nil: !o.pre, size: size}
		if o.gelu {
			c.want = reference.Each(value, reference.GELU)
		}
		opt := tensor.GemmOptions{TransA: transA, TransB: transB, Alpha: o.alpha, Beta: o.beta, GELU: o.gelu}
		if o.bias {
			opt.Bias = bias
		}
		name := fmt.Sprintf("%dx%dx%d, transposed %v %v, %+v", m, n, k, transA, transB, o)
		s.check(name, []output{c, pre}, func(out []*tensor.Tensor) {
			opt := opt
			opt.PreActivation = out[1]
			s.b.Gemm(out[0], a, b, opt)
		})
	}
}

// gemmBatches tests products of many matrices: broadcast, summed, and of views.
func (s *suite) gemmBatches() {
	for _, c := range []struct{ c, a, b []int }{
		{[]int{3}, []int{3}, []int{3}},
		{[]int{2, 3}, []int{2, 3}, nil},
		{[]int{2, 3}, []int{3}, []int{2, 1}},
		{[]int{1}, []int{4}, []int{4}},
		{[]int{1, 3}, []int{2, 3}, []int{2, 3}},
		{[]int{2, 1}, []int{2, 3}, []int{3}},
		{[]int{1}, []int{0}, []int{0}},
		{[]int{0}, []int{1}, []int{0}},
		{nil, nil, nil},
	} {
		for _, size := range [][3]int{{1, 1, 1}, {5, 4, 3}, {1, 6, 7}, {6, 1, 9}, {4, 5, 0}, {33, 18, 20}} {
			for trans := range 4 {
				s.gemmBatch(c.c, c.a, c.b, size, trans&1 != 0, trans&2 != 0)
			}
		}
	}
}

func (s *suite) gemmBatch(batchC, batchA, batchB []int, size [3]int, transA, transB bool) {
	m, n, k := size[0], size[1], size[2]
	// factor returns a tensor whose first two dimensions stand in memory the other way round.
	factor := func(batch []int, rows, cols int, trans bool) (*tensor.Tensor, []float64) {
		if trans {
			rows, cols = cols, rows
		}
		shape := append(append([]int(nil), batch...), rows, cols)
		if len(batch) < 2 {
			return s.random(shape...)
		}
		shape[0], shape[1] = shape[1], shape[0]
		x, values := s.random(shape...)
		tp := tensor.NewTape(s.b)
		x = tp.Transpose(x, 0, 1)
		ordered := make([]float64, 0, len(values))
		matrix := rows * cols
		for i := range shape[1] {
			for j := range shape[0] {
				ordered = append(ordered, values[(j*shape[1]+i)*matrix:][:matrix]...)
			}
		}
		return x, ordered
	}
	a, a64 := factor(batchA, m, k, transA)
	b, b64 := factor(batchB, k, n, transB)
	all := make([]int, max(len(batchA), len(batchB), len(batchC)))
	for i := range all {
		all[i] = 1
	}
	for _, batch := range [][]int{batchA, batchB} {
		for i, size := range batch {
			if size != 1 {
				all[len(all)-len(batch)+i] = size
			}
		}
	}
	// number returns the number of the matrix of a batch at a position.
	number := func(batch, index []int) int {
		i := 0
		for d, size := range batch {
			i *= size
			if size != 1 {
				i += index[len(index)-len(batch)+d]
			}
		}
		return i
	}
	products, count := 1, 1
	for _, size := range all {
		products *= size
	}
	for _, size := range batchC {
		count *= size
	}
	want := make([]float64, count*m*n)
	index := make([]int, len(all))
	for i := range products {
		for d := len(all) - 1; d >= 0; d-- {
			index[d] = i % all[d]
			i /= all[d]
		}
		x, y := a64[number(batchA, index)*m*k:][:m*k], b64[number(batchB, index)*k*n:][:k*n]
		if transA {
			x = transposed(x, k, m)
		}
		if transB {
			y = transposed(y, n, k)
		}
		to := want[number(batchC, index)*m*n:]
		for j, v := range reference.MatMul(x, y, m, k, n) {
			to[j] += v
		}
	}
	for _, beta := range []float32{0, 1} {
		shape := append(append([]int(nil), batchC...), m, n)
		o := output{shape: shape, want: want, tol: s.tol.Gemm, accumulate: beta == 1, size: length(a64) * length(b64)}
		name := fmt.Sprintf("%v = %v x %v, transposed %v %v", shape, a, b, transA, transB)
		s.check(name, []output{o}, func(out []*tensor.Tensor) {
			s.b.Gemm(out[0], a, b, tensor.GemmOptions{TransA: transA, TransB: transB, Alpha: 1, Beta: beta})
		})
	}
}

// gemmRowwise tests that a row of a product has the same bits alone as among others.
func (s *suite) gemmRowwise() {
	for _, size := range [][3]int{{33, 5, 7}, {20, 40, 64}, {9, 70, 300}} {
		m, n, k := size[0], size[1], size[2]
		a, a64 := s.random(m, k)
		b, b64 := s.random(n, k)
		bias, bias64 := s.random(n)
		o := tensor.GemmOptions{TransB: true, Alpha: 1, Bias: bias, GELU: true, Rowwise: true}
		want := reference.MatMul(a64, transposed(b64, n, k), m, k, n)
		for i := range want {
			want[i] += bias64[i%n]
		}
		want = reference.Each(want, reference.GELU)
		out := output{shape: []int{m, n}, want: want, tol: s.tol.Gemm, size: length(a64) * length(b64)}
		s.check(fmt.Sprintf("rowwise %v", size), []output{out}, func(out []*tensor.Tensor) { s.b.Gemm(out[0], a, b, o) })
		whole := tensor.New(s.b, tensor.Float32, m, n)
		s.b.Gemm(whole, a, b, o)
		tp := tensor.NewTape(s.b)
		for _, rows := range []int{1, 4, 9} {
			part := tensor.New(s.b, tensor.Float32, rows, n)
			s.b.Gemm(part, tp.Rows(a, 0, rows), b, o)
			if !equalBits(download(part), download(whole)[:rows*n]) {
				s.Errorf("rowwise %v: %d rows have other bits than among %d", size, rows, m)
			}
		}
	}
}
