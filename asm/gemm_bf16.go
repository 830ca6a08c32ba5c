package asm

import "github.com/marge-go/marge/internal/ceil"

// A product of bfloat16 values is a Gemm whose operands are rounded while they are
// packed, two of them to a word: values 2k and 2k+1 of a row of op(A), or of a column
// of op(B), in the lower and the upper half of the bits of a float32. Where K is odd
// the last upper half is zero. All else is as for float32, with pairs for products.

// BF16 reports whether the instruction set in use has an instruction for products of
// bfloat16 values. Without it Gemm computes the same bits slowly.
func BF16() bool { return isa == AVX512 && hasBF16 }

// packTilesBF16 packs products k0 to k1 of rows i0 to i1 of op(A): those of A^T tile by
// tile as packTiles does, others row by row.
func (t *gemmTask) packTilesBF16(dst, a []float32, i0, i1, k0, k1 int) {
	first, last, depth := 2*k0, min(2*k1, t.values), k1-k0
	if !t.TransA {
		for i := i0; i < i1; i++ {
			gemmPairs(dst[(i-i0)*depth:][:depth], a[i*t.LDA+first:i*t.LDA+last])
		}
		return
	}
	for tile := range ceil.Div(i1-i0, t.mr) {
		from, to := t.tile(i1-i0, tile)
		gemmZip(dst[from*depth:], to-from, a[first*t.LDA+i0+from:], t.LDA, to-from, last-first)
	}
}

// packPanelBF16 is packPanel for bfloat16; rows is a buffer.
func (t *gemmTask) packPanelBF16(dst, rows, b []float32, k0, k1, j int) {
	nr, first, last, depth := t.kern.nr, 2*k0, min(2*k1, t.values), k1-k0
	cols := min(nr, t.N-j)
	if cols < nr {
		clear(dst[:depth*nr])
	}
	if !t.TransB {
		gemmZip(dst, nr, b[first*t.LDB+j:], t.LDB, cols, last-first)
		return
	}
	for i := range cols {
		gemmPairs(rows[i*depth:(i+1)*depth], b[(j+i)*t.LDB+first:(j+i)*t.LDB+last])
	}
	t.kern.transpose(dst, nr, rows, depth, cols, depth)
}
