package asm

import "github.com/marge-go/marge/internal/ceil"

// Up to gemmThinRows rows of A are multiplied by a transposed B row by row, as dot
// products, which read B once and in order. With fewer than gemmThinDepth products
// for each row of A, the sums over the lanes cost more than packing.
const (
	gemmThinRows  = 8
	gemmThinDepth = 32
)

// gemmDots computes the dot products of some rows of x with four rows of f:
//
//	for i := range rows {
//		for j := range 4 {
//			out[i*4+j] = dot(x[i*ldx:i*ldx+k], f[j*ldf:j*ldf+k])
//		}
//	}
//
// The order of additions depends on k only.
type gemmDots struct {
	rows int
	dots func(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
}

func (t *gemmTask) planThin() {
	rows := 0
	if t.TransA {
		rows = t.M * t.K
	}
	t.buffers(rows, 0)
}

// doThin computes part p: some problems of the batch, or some columns of all.
func (t *gemmTask) doThin(w *gemmWork, p int) {
	b0, b1, n0, n1 := 0, t.Batch, 0, t.N
	if t.perPart {
		b0, b1 = span(t.Batch, t.parts, p)
	} else {
		n0, n1 = span(ceil.Div(t.N, 4), t.parts, p)
		n0, n1 = n0*4, min(n1*4, t.N)
	}
	if n0 >= n1 {
		return
	}
	for b := b0; b < b1; b++ {
		problem := t.problem(b)
		x, ldx := problem.a, t.LDA
		if t.TransA {
			t.kern.transpose(w.a, t.K, x, t.LDA, t.K, t.M)
			x, ldx = w.a, t.K
		}
		t.thinColumns(&w.dots, problem, x, ldx, n0, n1)
		if t.Activation != NoActivation {
			t.activate(problem, 0, t.M, n0, n1)
		}
	}
}

// thinColumns computes columns n0 to n1 of alpha*x*B^T + beta*C + bias.
func (t *gemmTask) thinColumns(out *[16]float32, p gemmProblem, x []float32, ldx, n0, n1 int) {
	whole, sums := t.K-t.K%t.kern.lanes, p.sums()
	plain := t.Alpha == 1 && t.Beta == 0 // but for the bias, which whole rows get at the end
	for j := n0; j < n1; {
		cols, ldf := 4, t.LDB
		if n1-j < 4 {
			cols, ldf = 1, 0 // the same row four times
		}
		f := p.b[j*t.LDB:]
		dots := t.kern.dots
		for i := 0; i < t.M; i += dots[0].rows {
			for dots[0].rows > t.M-i {
				dots = dots[1:]
			}
			if whole > 0 {
				dots[0].dots(out, x[i*ldx:], ldx, f, ldf, whole)
			} else {
				*out = [16]float32{}
			}
			for r := range dots[0].rows {
				row := out[r*4 : r*4+cols]
				for k := whole; k < t.K; k++ {
					v := x[(i+r)*ldx+k]
					for c := range row {
						row[c] += float32(v * f[c*ldf+k])
					}
				}
				c := sums[(i+r)*t.LDC+j:][:cols]
				switch {
				case !plain:
					t.finish(c, row, j)
				case cols == 4:
					*(*[4]float32)(c) = [4]float32(row)
				default:
					copy(c, row)
				}
			}
		}
		j += cols
	}
	if !plain || t.Bias == nil {
		return
	}
	for i := range t.M {
		row := sums[i*t.LDC+n0 : i*t.LDC+n1]
		Add(row, row, t.Bias[n0:n1])
	}
}

// finish sets c = alpha*x + beta*c + bias for a piece of a row of C, which starts
// at column j.
func (t *gemmTask) finish(c, x []float32, j int) {
	for i, v := range x {
		v = float32(v * t.Alpha)
		if t.Beta != 0 {
			v += float32(t.Beta * c[i])
		}
		if t.Bias != nil {
			v += t.Bias[j+i]
		}
		c[i] = v
	}
}
