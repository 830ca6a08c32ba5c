package asm

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Rows of a rowwise product have the same bits alone as among others, on any number
// of threads.
func TestGemmRowwise(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(61, 62))
		for _, c := range []gemmCase{
			{m: 40, n: 33, k: 64, transB: true, alpha: 1, bias: true, gelu: true},
			{m: 33, n: 130, k: 5, transB: true, alpha: 1, pad: 1},
			{m: 17, n: 7, k: 300, transB: true, alpha: -0.5, beta: 1, bias: true},
			{m: 9, n: 260, k: 1030, transB: true, alpha: 1, gelu: true, pre: true},
			{m: 12, n: 40, k: 70, transA: true, transB: true, alpha: 1, bias: true},
			{m: 30, n: 50, k: 400, alpha: 1, bias: true},
			{m: 30, n: 50, k: 100, transA: true, alpha: 1},
		} {
			g := c.args(rng, func(n int) []float32 { return make([]float32, n) })
			g.Rowwise = true
			before := append([]float32(nil), g.C...)
			Gemm(threads(1), g)
			whole := append([]float32(nil), g.C...)
			for _, rows := range []int{1, 2, 3, 5, 8, 9, c.m} {
				for from := 0; from < c.m; from += rows {
					part := *g
					part.M = min(rows, c.m-from)
					part.A, part.C = g.A[from*g.LDA:], append([]float32(nil), before[from*g.LDC:]...)
					if c.transA {
						part.A = g.A[from:]
					}
					if g.PreActivation != nil {
						part.PreActivation = make([]float32, len(part.C))
					}
					Gemm(threads(3), &part)
					for i := range part.M {
						for j := range c.n {
							got, want := part.C[i*g.LDC+j], whole[(from+i)*g.LDC+j]
							if math.Float32bits(got) != math.Float32bits(want) {
								t.Fatalf("%v: row %d, column %d of %d rows is %v, of all rows %v", c, from+i, j, rows, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// Rowwise products are right, where the kernels for few rows are not used otherwise.
func TestGemmRowwiseIsRight(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(63, 64))
		for _, m := range []int{1, 4, 9, 33} {
			for _, n := range []int{1, 3, 4, 9, 70} {
				for _, k := range []int{0, 1, 7, 16, 40, 500} {
					c := gemmCase{m: m, n: n, k: k, transB: true, alpha: 1, bias: true}
					g := c.args(rng, func(n int) []float32 { return make([]float32, n) })
					g.Rowwise = true
					Gemm(threads(2), g)
					for i := range m {
						for j := range n {
							want, size := float64(g.Bias[j]), math.Abs(float64(g.Bias[j]))
							for p := range k {
								v := float64(g.A[i*g.LDA+p]) * float64(g.B[j*g.LDB+p])
								want, size = want+v, size+math.Abs(v)
							}
							got := float64(g.C[i*g.LDC+j])
							if bound := float64(k+2) / (1 << 24) * size; !(math.Abs(got-want) <= bound) {
								t.Fatalf("%v: row %d, column %d is %v, want %v", c, i, j, got, want)
							}
						}
					}
				}
			}
		}
	})
}
