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
