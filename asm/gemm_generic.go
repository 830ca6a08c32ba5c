package asm

import "math"

// Gemm computes g on the threads of run; nil means Serial. The result does not
// depend on the number of threads. It panics if the shapes and slices of g do
// not fit together.
func Gemm(run Runner, g *GemmArgs) {
	g.check()
	for b := range max(g.Batch, 1) {
		for i := range g.M {
			for j := range g.N {
				var acc float32
				for k := range g.K {
					ai, bi := i*g.LDA+k, k*g.LDB+j
					if g.TransA {
						ai = k*g.LDA + i
					}
					if g.TransB {
						bi = j*g.LDB + k
					}
					acc += g.A[b*g.StrideA+ai] * g.B[b*g.StrideB+bi]
				}
				acc *= g.Alpha
				c := &g.C[b*g.StrideC+i*g.LDC+j]
				if g.Beta != 0 {
					acc += g.Beta * *c
				}
				if g.Bias != nil {
					acc += g.Bias[j]
				}
				*c = acc
			}
			if g.N == 0 || g.Activation == NoActivation {
				continue
			}
			at := b*g.StrideC + i*g.LDC
			row := g.C[at : at+g.N]
			if g.PreActivation != nil {
				copy(g.PreActivation[at:], row)
			}
			gemmGELU(row, row)
		}
	}
}

// gemmGELU computes dst[i] = x[i]/2 * (1 + erf(x[i]/sqrt(2))).
func gemmGELU(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(0.5 * float64(v) * (1 + math.Erf(float64(v)/math.Sqrt2)))
	}
}
