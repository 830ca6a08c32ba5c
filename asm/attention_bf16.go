package asm

import "github.com/marge-go/marge/internal/ceil"

// With BF16, the elements of operands of attention's products are pairs of bfloat16
// values, as those of Gemm, see gemm_bf16.go: neighbours along what is summed over.
// Pairs of keys start at even keys, pairs of queries at even queries of a block. Behind
// the last there are zeros.

// operandsBF16 sets those of the operands made of keys and values that a pass needs.
func (t *attention) operandsBF16(backward bool) {
	t.pair, t.depth = 2, ceil.Div(t.Width, 2)
	t.k, t.ldk = t.paired(&t.kBuf, t.K, t.LDK, t.Keys)
	if !backward {
		t.vSum, t.ldvSum = t.zipped(&t.vBuf, t.V, t.LDV, t.Keys)
		return
	}
	t.v, t.ldv = t.paired(&t.vBuf, t.V, t.LDV, t.Keys)
	if t.DQ != nil {
		t.kSum, t.ldkSum = t.zipped(&t.kSumBuf, t.K, t.LDK, t.Keys)
	}
}

// beginBF16 sets the operands made of the queries of a block, and hides all keys from
// lanes of padding: what they see would be in a pair with the last query.
func (t *attention) beginBF16(b *attentionBlock) {
	q := t.Q[b.first*t.LDQ:]
	grow(&b.scaled, b.rows*t.Width)
	if len(b.halves) < t.Width {
		b.halves = make([]uint16, t.Width)
	}
	for i := range b.rows {
		row := b.scaled[i*t.Width : (i+1)*t.Width]
		ToBF16(b.halves[:t.Width], q[i*t.LDQ:i*t.LDQ+t.Width])
		FromBF16(row, b.halves[:t.Width])
		Scale(row, t.Scale, row)
	}
	b.q = t.lanesBF16(&b.qBuf, b.scaled, t.Width)
	if t.DK != nil {
		b.rowsQ, b.ldq = t.zipped(&b.rowsQBuf, q, t.LDQ, b.rows)
	}
	for i := b.rows; i < b.lanes; i++ {
		b.last[i] = -1
	}
}

// paired returns the rows of x [rows, Width] as pairs along the rows.
func (t *attention) paired(buf *[]float32, x []float32, ld, rows int) ([]float32, int) {
	grow(buf, rows*t.depth)
	for i := range rows {
		gemmPairs((*buf)[i*t.depth:(i+1)*t.depth], x[i*ld:i*ld+t.Width])
	}
	return *buf, t.depth
}

// zipped returns the rows of x [rows, Width] as pairs of two rows each, as rows of
// whole panels.
func (t *attention) zipped(buf *[]float32, x []float32, ld, rows int) ([]float32, int) {
	width := t.panels()
	n := ceil.Div(rows, 2) * width
	grow(buf, n)
	if width > t.Width {
		clear((*buf)[:n])
	}
	gemmZip(*buf, width, x, ld, t.Width, rows)
	return *buf, width
}

// lanesBF16 packs the rows x of the block, pairs along the rows, in panels of lanes.
func (t *attention) lanesBF16(buf *[]float32, x []float32, ld int) []float32 {
	pairs, depth := t.paired(&t.rounded, x, ld, t.block.rows)
	return t.transposed(buf, pairs, depth, &t.block)
}

// byKeys returns the transposed block x [keys, lanes] as operand of queryProduct.
func (t *attention) byKeys(x []float32, keys int) []float32 {
	if !t.BF16 {
		return x
	}
	lanes := t.block.lanes
	grow(&t.rounded, ceil.Div(keys, 2)*lanes)
	gemmZip(t.rounded, lanes, x, lanes, lanes, keys)
	return t.rounded
}

// byQueries returns the transposed block x [keys, lanes] as operand of keyGradient.
func (t *attention) byQueries(x []float32, keys int) []float32 {
	if !t.BF16 {
		return x
	}
	n := keys * t.block.lanes / 2
	grow(&t.rounded, n)
	gemmPairs(t.rounded[:n], x[:2*n])
	return t.rounded
}

// productRows computes c = a*b, or c += a*b if add is set, for operands a [rows, k] and
// b, which has as many columns as a panel.
func (t *attention) productRows(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	if t.BF16 {
		attentionProductBF16(c, ldc, a, lda, 1, b, ldb, t.kern.nr, k, rows, add)
	} else {
		attentionProductRows(c, ldc, a, lda, b, ldb, k, rows, add)
	}
}

// productColumns is productRows for a stored as a^T [k, rows].
func (t *attention) productColumns(
	c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool,
) {
	if t.BF16 {
		attentionProductBF16(c, ldc, a, 1, lda, b, ldb, t.kern.nr, k, rows, add)
	} else {
		attentionProductColumns(c, ldc, a, lda, b, ldb, k, rows, add)
	}
}

// attentionProductBF16 computes both for pairs, from a with rows ars apart and columns
// acs apart.
func attentionProductBF16(
	c []float32, ldc int, a []float32, ars, acs int, b []float32, ldb, cols, k, rows int, add bool,
) {
	kern, beta := bf16Kernels(), float32(0)
	if add {
		beta = 1
	}
	for i := 0; i < rows; {
		n := min(rows-i, kern.mr)
		if left := rows - i; left > n && left < 2*n { // the last two tiles share what is left
			n = ceil.Div(left, 2)
		}
		kern.tile[n](c[i*ldc:], ldc, a[i*ars:], ars, acs, b, ldb, kern.nr, k, nil, 1, beta, cols, gemmFetch{})
		i += n
	}
}
