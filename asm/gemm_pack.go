package asm

import "github.com/marge-go/marge/internal/ceil"

// place returns the offset in a packed slab of the panel of B that starts at
// column j. A slab holds its blocks one after the other, each with its panels.
func (t *gemmTask) place(s *gemmStep, k0, k1, j int) int {
	nr := t.kern.nr
	first, _ := t.block(s.kb0)
	width := ceil.Div(s.n1-s.n0, nr) * nr
	return (k0-first)*width + (j-s.n0)*(k1-k0)
}

// packGroup packs the panels of columns g0 to g1. If B is multiplied in place, it
// packs only panels that b does not hold whole.
func (t *gemmTask) packGroup(w *gemmWork, dst, b []float32, k0, k1, g0, g1 int) {
	if t.BF16 {
		t.packPanelsBF16(dst, w.rows, b, k0, k1, g0, g1)
		return
	}
	nr := t.kern.nr
	for j := g0; j < g1; j += nr {
		if t.packB || g1-j < nr {
			t.packPanel(dst[(j-g0)*(k1-k0):], b, k0, k1, j)
		}
	}
}

// packPanel packs rows k0 to k1 of the panel of b that starts at column j.
func (t *gemmTask) packPanel(dst, b []float32, k0, k1, j int) {
	nr := t.kern.nr
	cols := min(nr, t.N-j)
	if cols < nr {
		clear(dst[:(k1-k0)*nr])
	}
	pack := t.kern.copyRows
	if t.TransB {
		pack = t.kern.transpose
	}
	pack(dst, nr, t.atB(b, k0, j), t.LDB, cols, k1-k0)
}

// packTiles packs columns k0 to k1 of rows i0 to i1 of A^T, tile by tile.
func (t *gemmTask) packTiles(dst, a []float32, i0, i1, k0, k1 int) {
	mr, depth, tiles := t.mr, k1-k0, ceil.Div(i1-i0, t.mr)
	first := 0
	if whole := depth &^ 7; t.kern.split8 != nil && tiles > 2 {
		first = tiles - 2
		if (i1-i0)%mr == 0 && i1+2 <= t.M {
			first = tiles // a row of A continues after the last
		}
		// These write beyond their tiles; the code below overwrites that.
		for tile := 0; tile < first && whole < depth; tile++ {
			from, to := t.tile(i1-i0, tile)
			t.packRows(dst[from*depth+whole*mr:], a, i0+from, i0+to, k0+whole, k1)
		}
		for k := 0; k < whole; k += 8 {
			t.kern.split8(dst[k*mr:], mr*depth, a[(k0+k)*t.LDA+i0:], t.LDA, first)
		}
	}
	for tile := first; tile < tiles; tile++ {
		from, to := t.tile(i1-i0, tile)
		t.packRows(dst[from*depth:], a, i0+from, i0+to, k0, k1)
	}
}

// packRows packs columns k0 to k1 of rows i0 to i1 of A^T.
func (t *gemmTask) packRows(dst, a []float32, i0, i1, k0, k1 int) {
	t.kern.copyRows(dst, i1-i0, t.atA(a, i0, k0), t.LDA, i1-i0, k1-k0)
}
