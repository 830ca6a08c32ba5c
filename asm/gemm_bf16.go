package asm

// A product of bfloat16 values is a Gemm whose operands are rounded while they are
// packed, two of them to a word: values 2k and 2k+1 of a row of op(A), or of a column
// of op(B), in the lower and the upper half of the bits of a float32. Where K is odd
// the last upper half is zero. All else is as for float32, with pairs for products.

// BF16 reports whether the instruction set in use has an instruction for products of
// bfloat16 values. Without it Gemm computes the same bits slowly.
func BF16() bool { return isa == AVX512 && hasBF16 }

// packTileBF16 packs products k0 to k1 of rows i0 to i1 of op(A), a tile: as packTiles
// does if A is transposed, otherwise row by row.
func (t *gemmTask) packTileBF16(dst, a []float32, i0, i1, k0, k1 int) {
	first, last, depth := 2*k0, min(2*k1, t.values), k1-k0
	if t.TransA {
		gemmZip(dst, i1-i0, a[first*t.LDA+i0:], t.LDA, i1-i0, last-first)
		return
	}
	for i := i0; i < i1; i++ {
		gemmPairs(dst[(i-i0)*depth:][:depth], a[i*t.LDA+first:i*t.LDA+last])
	}
}

// packPanelsBF16 is packPanel for bfloat16 and the panels of columns g0 to g1; rows is a
// buffer.
func (t *gemmTask) packPanelsBF16(dst, rows, b []float32, k0, k1, g0, g1 int) {
	nr, first, last, depth := t.kern.nr, 2*k0, min(2*k1, t.values), k1-k0
	j := g0 + (g1-g0)/nr*nr // where a panel begins that is narrower
	if j < g1 {
		clear(dst[(j-g0)*depth:][:depth*nr])
	}
	if !t.TransB {
		gemmZipPanels(dst, nr*depth, b[first*t.LDB+g0:], t.LDB, nr, (j-g0)/nr, last-first)
		if j < g1 {
			gemmZip(dst[(j-g0)*depth:], nr, b[first*t.LDB+j:], t.LDB, g1-j, last-first)
		}
		return
	}
	for j := g0; j < g1; j += nr {
		cols := min(nr, g1-j)
		for i := range cols {
			gemmPairs(rows[i*depth:(i+1)*depth], b[(j+i)*t.LDB+first:(j+i)*t.LDB+last])
		}
		t.kern.transpose(dst[(j-g0)*depth:], nr, rows, depth, cols, depth)
	}
}
