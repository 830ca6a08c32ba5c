package asm

import "github.com/marge-go/marge/internal/ceil"

// gemmSmall is the largest number of values of A and B of a small problem: they stay
// in the first-level cache.
const gemmSmall = 1 << 12

// isSmall reports whether a thread computes whole problems, whose C has one panel of
// columns: there is nothing to block, and the way to the kernel would take longer
// than the kernel.
func (t *gemmTask) isSmall() bool {
	return (t.perPart || t.parts == 1) && t.N <= t.kern.nr && t.kblocks == 1 && !t.packA &&
		t.Activation == NoActivation && (t.M+t.N)*t.K <= gemmSmall
}

// planSmall chooses the kernels. The columns of a tile that C lacks are computed
// too: there are fewer of them in a narrow one, which is slow only where it stores
// parts of vectors.
func (t *gemmTask) planSmall() {
	if n := t.kern.narrow; n != nil && t.N == n.nr {
		t.kern, t.mr = n, n.mr
	}
	t.buffers(0, t.depth()*t.kern.nr)
}

// doSmall computes problems from to to. B is multiplied in place where it goes on
// behind its last row as far as the kernel reads.
func (t *gemmTask) doSmall(w *gemmWork, from, to int) {
	k, tiles, beta := t.kern, ceil.Div(t.M, t.mr), t.Beta
	if beta == 0 {
		beta = 0 // and not -0
	}
	ars, acs := t.LDA, 1
	if t.TransA {
		ars, acs = acs, ars
	}
	for p := from; p < to; p++ {
		b, brs := t.B[p*t.StrideB:], t.LDB
		if t.TransB || len(b) < (t.K-1)*brs+k.nr {
			t.packPanel(w.b, b, 0, t.K, 0)
			b, brs = w.b, k.nr
		}
		for tile := range tiles {
			i0, i1 := t.tile(t.M, tile)
			k.tile[i1-i0](t.C[p*t.StrideC+i0*t.LDC:], t.LDC, t.A[p*t.StrideA+i0*ars:], ars, acs,
				b, brs, 0, t.K, t.Bias, t.Alpha, beta, t.N, gemmFetch{})
		}
	}
}
