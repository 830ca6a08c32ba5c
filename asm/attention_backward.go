package asm

import (
	"math"
	"slices"
)

// AttentionGradients describes the gradients that AttentionBackward computes.
type AttentionGradients struct {
	DOut             []float32 // gradient of Out
	DQ, DK, DV       []float32 // nil: not wanted
	LDDOut           int
	LDDQ, LDDK, LDDV int
	// AddDQ, AddDK and AddDV make the gradients add to DQ, DK and DV instead of
	// replacing their contents.
	AddDQ, AddDK, AddDV bool
	DBias               []float32 // of the size of Bias, added to; nil: not wanted
}

func (g *AttentionGradients) check(op string, a *AttentionArgs) {
	checkRows(op, "DOut", g.DOut, a.Queries, a.Width, g.LDDOut)
	for _, m := range []struct {
		name string
		x    []float32
		rows int
		ld   int
	}{{"DQ", g.DQ, a.Queries, g.LDDQ}, {"DK", g.DK, a.Keys, g.LDDK}, {"DV", g.DV, a.Keys, g.LDDV}} {
		if m.x != nil {
			checkRows(op, m.name, m.x, m.rows, a.Width, m.ld)
		}
	}
	if g.DBias != nil {
		checkLen(op, "DBias", len(g.DBias), len(a.Bias))
	}
}

// AttentionBackward computes the gradients of a on the calling goroutine, from
// a.Out and a.LSE as Attention left them. With D the row sums of DOut*Out:
//
//	dS = P * (dropout(DOut*V^T) - D)
//	DV = dropout(P)^T * DOut
//	DQ = Scale * dS * K
//	DK = Scale * dS^T * Q
//	DBias += sums of dS by segments
func AttentionBackward(a *AttentionArgs, g *AttentionGradients) {
	const op = "attention backward"
	a.check(op)
	g.check(op, a)
	if a.Queries == 0 || a.Keys == 0 {
		clearRows(g.DQ, g.LDDQ, a.Queries, a.Width, g.AddDQ)
		clearRows(g.DK, g.LDDK, a.Keys, a.Width, g.AddDK)
		clearRows(g.DV, g.LDDV, a.Keys, a.Width, g.AddDV)
		return
	}
	t := newAttention(a, g)
	defer t.release()
	if t.DK != nil {
		t.keySums(&t.dk)
	}
	if t.DV != nil {
		t.keySums(&t.dv)
	}
	t.blocks((*attention).backward)
	if t.DK != nil {
		attentionAdd(t.DK, t.LDDK, t.dk, t.panels(), t.Keys, t.Width, t.Scale, t.AddDK)
	}
	if t.DV != nil {
		attentionAdd(t.DV, t.LDDV, t.dv, t.panels(), t.Keys, t.Width, 1, t.AddDV)
	}
}

// clearRows sets the rows of x to zero, unless x is nil or accumulated.
func clearRows(x []float32, ld, rows, cols int, accumulate bool) {
	if x == nil || accumulate {
		return
	}
	for i := range rows {
		clear(x[i*ld : i*ld+cols])
	}
}

func (t *attention) backward() {
	b := &t.block
	dout, ld := t.DOut[b.first*t.LDDOut:], t.LDDOut
	if t.BF16 {
		b.dout = t.lanesBF16(&b.doutBuf, dout, ld)
		if t.DV != nil {
			b.rowsDOut, b.lddout = t.zipped(&b.rowsDOutBuf, dout, ld, b.rows)
		}
	} else {
		dout, ld = t.wholePanels(&b.rowsDOutBuf, dout, ld, b.rows)
		b.dout = t.transposed(&b.doutBuf, dout, ld, b)
		b.rowsDOut, b.lddout = dout, ld
	}
	t.normalise()
	clear(b.factors[b.rows:b.lanes])
	attentionDots(b.factors[:b.rows], dout, ld, t.Out[b.first*t.LDOut:], t.LDOut, t.Width)
	segs := len(t.keyOffsets) - 1
	grow(&b.dbias, segs*b.lanes)
	clear(b.dbias[:segs*b.lanes])
	if t.DQ != nil {
		grow(&b.out, b.rows*t.panels())
	}
	t.tiles((*attention).backwardTile)
	if !b.normalised {
		multiplyRows(b.dbias, segs, b.inverse[:b.lanes])
	}
	if t.DQ != nil {
		attentionAdd(t.DQ[b.first*t.LDDQ:], t.LDDQ, b.out, t.panels(), b.rows, t.Width, t.Scale, t.AddDQ)
	}
	if t.DBias != nil {
		t.addBiasGradient()
	}
}

// attentionExactLSE is the greatest absolute log-sum-exp that the backward pass
// uses as it is. Rounding it to float32 changes probabilities by at most 4e-6; a
// greater one would change them by more.
const attentionExactLSE = 128

// normalise sets max and inverse so that exp(score - max) * inverse is a
// probability. They are LSE and 1. For queries whose LSE is beyond attentionExactLSE
// they are the greatest score and 1 over the sum, computed again as in the forward
// pass.
func (t *attention) normalise() {
	b, lse := &t.block, t.LSE[t.block.first:t.block.first+t.block.rows]
	far := func(lse float32) bool {
		return lse > attentionExactLSE && lse <= math.MaxFloat32 || lse < -attentionExactLSE && lse >= -math.MaxFloat32
	}
	b.normalised = !slices.ContainsFunc(lse, far)
	if !b.normalised {
		b.clearSums()
		t.tiles((*attention).weigh)
		grow(&b.inverse, b.lanes)
	}
	for i := range b.max[:b.lanes] {
		inverse := float32(1)
		switch {
		case i >= b.rows:
			b.max[i] = 0
		case !b.normalised && far(lse[i]):
			inverse = 1 / b.sum[i]
		default:
			b.max[i] = lse[i]
		}
		if !b.normalised {
			b.inverse[i] = inverse
		}
	}
}

// multiplyRows multiplies each of the first rows of x elementwise by y.
func multiplyRows(x []float32, rows int, y []float32) {
	for ; rows > 0; rows-- {
		mul(x[:len(y)], x[:len(y)], y)
		x = x[len(y):]
	}
}

func (t *attention) backwardTile(k0, k1 int) {
	b := &t.block
	grow(&t.scores, (k1-k0)*b.lanes)
	grow(&t.gradients, (k1-k0)*b.lanes)
	t.keyProduct(t.scores, t.k, t.ldk, b.q, k0, k1)
	t.keyProduct(t.gradients, t.v, t.ldv, b.dout, k0, k1)
	if t.Dropout > 0 {
		t.drop(t.gradients, k0, k1)
	}
	t.segments(k0, k1, func(t *attention, s, base, at, rows int) {
		attentionGradient(b.dbias[s*b.lanes:(s+1)*b.lanes], t.scores[at:], t.gradients[at:], b.lanes, rows,
			b.bias[s*b.lanes:], b.max, b.factors, b.last, base)
	})
	t.hide(t.scores, k0, k1, 0)
	t.hide(t.gradients, k0, k1, 0)
	if !b.normalised {
		multiplyRows(t.scores, k1-k0, b.inverse[:b.lanes])
		multiplyRows(t.gradients, k1-k0, b.inverse[:b.lanes])
	}
	if t.Dropout > 0 {
		t.drop(t.scores, k0, k1)
	}
	if t.DV != nil {
		t.keyGradient(t.dv, t.byQueries(t.scores, k1-k0), b.rowsDOut, b.lddout, k0, k1)
	}
	if t.DK != nil {
		t.keyGradient(t.dk, t.byQueries(t.gradients, k1-k0), b.rowsQ, b.ldq, k0, k1)
	}
	if t.DQ != nil {
		t.queryProduct(b.out, t.byKeys(t.gradients, k1-k0), t.kSum, t.ldkSum, k0, k1)
	}
}

// addBiasGradient sums the lanes of each query segment.
func (t *attention) addBiasGradient() {
	b := &t.block
	row, segs := t.First+b.first, len(t.keyOffsets)-1
	qs := 0
	for from := 0; from < b.rows; {
		for int(t.QOffsets[qs+1]) <= row+from {
			qs++
		}
		to := min(b.rows, int(t.QOffsets[qs+1])-row)
		for s := range segs {
			t.DBias[qs*segs+s] += float32(sum(b.dbias[s*b.lanes+from : s*b.lanes+to]))
		}
		from = to
	}
}
