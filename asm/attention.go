package asm

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/marge-go/marge/internal/ceil"
)

// AttentionArgs describes one head of attention of Queries queries to Keys
// keys, on row-major matrices [Queries, Width] and [Keys, Width]:
//
//	S = Scale*Q*K^T + bias
//	P = softmax of the rows of S
//	Out = dropout(P) * V
//
// A query that sees no key, all being masked or Keys being 0, has output zero. A
// NaN in a query, or in a key or bias that the query sees, makes its output, LSE
// and gradients NaN. A NaN in V may also reach queries from which its key is
// hidden, as 0*NaN.
type AttentionArgs struct {
	Queries, Keys, Width int
	Q, K, V, Out         []float32
	LDQ, LDK, LDV, LDOut int       // distances between the starts of two rows
	LSE                  []float32 // [Queries]: logarithm of the sum of exp(S) over the keys; -Inf for no key
	Scale                float32

	// First is the position of the first query in its document, for Causal, or
	// among the rows that QOffsets refers to, for Bias.
	First int
	// Causal lets query i see the keys 0 to First+i alone; with a Window above 0 only
	// the last Window of them, without a Bias.
	Causal bool
	Window int
	// Bias [query segments, key segments] is added to the scores by segment;
	// nil adds nothing. Segment i has the rows offsets[i]:offsets[i+1]. -Inf
	// masks a pair of segments.
	Bias               []float32
	QOffsets, KOffsets []int32

	// Dropout drops weights as the function Dropout does; the counter of query
	// i and key j is Counter + i*CounterStride + j.
	Dropout                      float32
	Seed, Counter, CounterStride uint64

	// BF16 rounds the operands of all products to bfloat16, as [GemmArgs] does: Q before
	// and after it is multiplied by Scale, K, V and the weights before they are divided by
	// their sum; backward, Q, DOut, P and dS. All else is float32: that Q, K and V are
	// rounded already changes nothing.
	BF16 bool
}

// check panics unless sizes and slices fit together.
func (a *AttentionArgs) check(op string) {
	if a.Queries < 0 || a.Keys < 0 || a.Width < 1 || a.First < 0 {
		panic(fmt.Sprintf("%s: sizes: Queries=%d Keys=%d Width=%d First=%d", op, a.Queries, a.Keys, a.Width, a.First))
	}
	checkRows(op, "Q", a.Q, a.Queries, a.Width, a.LDQ)
	checkRows(op, "K", a.K, a.Keys, a.Width, a.LDK)
	checkRows(op, "V", a.V, a.Keys, a.Width, a.LDV)
	checkRows(op, "Out", a.Out, a.Queries, a.Width, a.LDOut)
	checkLen(op, "LSE", len(a.LSE), a.Queries)
	if !(a.Dropout >= 0 && a.Dropout < 1) {
		panic(fmt.Sprintf("%s: dropout probability %v is not in [0, 1)", op, a.Dropout))
	}
	if a.Window < 0 || a.Window > 0 && (!a.Causal || a.Bias != nil) {
		panic(fmt.Sprintf("%s: Window=%d, Causal=%v, with Bias: %v", op, a.Window, a.Causal, a.Bias != nil))
	}
	if a.Bias == nil {
		return
	}
	if a.KOffsets == nil {
		panic(op + ": Bias without KOffsets")
	}
	segments(op, a.Keys, nil, a.KOffsets)
	nq := len(a.QOffsets) - 1
	if nq < 0 || int(a.QOffsets[0]) > a.First || int(a.QOffsets[nq]) < a.First+a.Queries {
		panic(fmt.Sprintf("%s: offsets %v do not hold the queries %d to %d", op, a.QOffsets, a.First, a.First+a.Queries))
	}
	checkLen(op, "Bias", len(a.Bias), nq*(len(a.KOffsets)-1))
}

func checkRows(op, name string, x []float32, rows, cols, ld int) {
	if ld < cols || rows > 0 && cols > 0 && len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("%s: %s is %dx%d with rows %d apart, but has %d values", op, name, rows, cols, ld, len(x)))
	}
}

// Attention works on blocks of about attentionQueries queries, rounded up to whole
// panels of lanes, and tiles of about attentionKeys keys. The scores of a block and
// a tile fit in the first caches. They are stored transposed, with one row for each
// key, so that a vector holds scores of several queries: their sums and maxima need
// no operations across lanes. The matrix of all scores never exists.
const (
	attentionQueries = 48
	attentionKeys    = 128
)

// attention is one call of Attention or AttentionBackward.
type attention struct {
	AttentionArgs
	AttentionGradients
	kern  *gemmKernels
	pair  int // values in an element of an operand: 1, or 2 with BF16
	depth int // elements of a row of Q, K or V whose Width is summed over

	// The keys and values as operands of keyProduct and, as kSum and vSum, of
	// queryProduct. Without BF16 both are the same, with rows of whole panels.
	k, v, kSum, vSum         []float32
	ldk, ldv, ldkSum, ldvSum int
	// The gradients of the keys, before scaling, and of the values, with rows of
	// whole panels.
	dk, dv            []float32
	kBuf, vBuf        []float32
	kSumBuf, rounded  []float32 // of attention_bf16.go
	keyOffsets        []int32   // bounds of the key segments; each has its own bias
	keyBounds         [2]int32
	block             attentionBlock
	scores, gradients []float32 // [keys of a tile, lanes]
}

// attentionBlock is a block of queries; a lane is a query or, at the end,
// padding that sees nothing.
type attentionBlock struct {
	first, rows, lanes int
	from               int       // the first key of the first tile
	q, dout            []float32 // transposed: panels [depth, nr] of lanes
	rowsQ, rowsDOut    []float32 // operands of keyGradient, like vSum
	ldq, lddout        int
	qBuf, doutBuf      []float32
	rowsQBuf           []float32
	rowsDOutBuf        []float32
	scaled             []float32 // queries times Scale, of attention_bf16.go
	halves             []uint16  // a query, of attention_bf16.go
	out                []float32 // rows of whole panels: the output; backward, the unscaled gradient of the queries
	bias               []float32 // [key segments, lanes]
	dbias              []float32 // [key segments, lanes]
	last               []int32   // the last key that a lane sees
	max, sum           []float32 // maximum of the scores so far, sum of their exponentials; backward: see normalise
	inverse            []float32 // backward: factors that turn exp(score - max) into probabilities
	normalised         bool      // backward: all of inverse are 1
	factors            []float32 // factors of the output's rows; backward, the row sums D
	counters, keys     []uint32  // of dropoutHash
}

var attentions = sync.Pool{New: func() any { return new(attention) }}

func (t *attention) release() {
	t.AttentionArgs, t.AttentionGradients = AttentionArgs{}, AttentionGradients{}
	t.k, t.v, t.kSum, t.vSum, t.keyOffsets, t.block.rowsQ, t.block.rowsDOut = nil, nil, nil, nil, nil, nil, nil
	attentions.Put(t)
}

// newAttention prepares the operands of a or, with gradients, of its backward pass.
func newAttention(a *AttentionArgs, g *AttentionGradients) *attention {
	t := attentions.Get().(*attention)
	t.AttentionArgs, t.kern, t.pair, t.depth = *a, gemmKernelsOf(isa), 1, a.Width
	if g != nil {
		t.AttentionGradients = *g
	}
	if a.BF16 {
		t.operandsBF16(g != nil)
	} else {
		t.k, t.ldk = t.wholePanels(&t.kBuf, a.K, a.LDK, a.Keys)
		t.v, t.ldv = t.wholePanels(&t.vBuf, a.V, a.LDV, a.Keys)
		t.kSum, t.ldkSum, t.vSum, t.ldvSum = t.k, t.ldk, t.v, t.ldv
	}
	t.keyBounds = [2]int32{0, int32(a.Keys)}
	t.keyOffsets = t.keyBounds[:]
	if a.Bias != nil {
		t.keyOffsets = a.KOffsets
	}
	return t
}

// wholePanels returns x if the kernels can read whole panels of its rows and the
// rows are not a multiple of 1 KB apart, where they would share a few sets of the
// cache. Otherwise it returns a copy in buf.
func (t *attention) wholePanels(buf *[]float32, x []float32, ld, rows int) ([]float32, int) {
	nr := t.kern.nr
	if t.Width%nr == 0 && ld%256 != 0 {
		return x, ld
	}
	width := t.panels()
	grow(buf, rows*width+gemmSlack)
	dst := (*buf)[:rows*width+gemmSlack]
	if width > t.Width {
		clear(dst)
	}
	if rows > 0 {
		attentionCopy(dst, width, x, ld, rows, t.Width)
	}
	return dst, width
}

// panels returns the width of rows of whole panels.
func (t *attention) panels() int { return ceil.Div(t.Width, t.kern.nr) * t.kern.nr }

// keySums prepares buf as a matrix to which keyGradient adds.
func (t *attention) keySums(buf *[]float32) {
	n := t.Keys * t.panels()
	grow(buf, n)
	if t.Causal {
		clear((*buf)[:n])
	}
}

// transposed packs the rows x of a block in panels [depth, nr] of lanes.
func (t *attention) transposed(buf *[]float32, x []float32, ld int, b *attentionBlock) []float32 {
	nr := t.kern.nr
	grow(buf, b.lanes*t.depth+gemmSlack)
	dst := *buf
	for p := 0; p < b.rows; p += nr {
		panel := dst[p*t.depth:]
		rows := min(nr, b.rows-p)
		if rows < nr {
			clear(panel[:nr*t.depth])
		}
		t.kern.transpose(panel, nr, x[p*ld:], ld, rows, t.depth)
	}
	return dst
}

// blocks calls f once for each block of queries. The last block has the remaining
// queries, up to half more than the others.
func (t *attention) blocks(f func(t *attention)) {
	size := ceil.Div(attentionQueries, t.kern.nr) * t.kern.nr
	n := max(1, (t.Queries+size/2-1)/size)
	for i := range n {
		b := &t.block
		b.first, b.rows = i*size, size
		if i == n-1 {
			b.rows = t.Queries - b.first
		}
		b.lanes = ceil.Div(b.rows, t.kern.nr) * t.kern.nr
		t.begin(b)
		t.fetch(b)
		f(t)
	}
}

// fetch prefetches the rows that this block writes and the next one reads: the
// processor does not prefetch short rows that lie far apart by itself.
func (t *attention) fetch(b *attentionBlock) {
	next := b.first + b.rows
	rows := min(b.rows, t.Queries-next)
	fetch := func(x []float32, ld, first, rows int) {
		if rows > 0 && x != nil {
			fetchRows(x[first*ld:], ld, rows, t.Width)
		}
	}
	fetch(t.Q, t.LDQ, next, rows)
	if t.DOut == nil {
		fetch(t.Out, t.LDOut, b.first, b.rows)
		return
	}
	fetch(t.Out, t.LDOut, next, rows)
	fetch(t.DOut, t.LDDOut, next, rows)
	fetch(t.DQ, t.LDDQ, b.first, b.rows)
}

// begin sets the queries, the bias and the visible keys of the lanes of a block.
func (t *attention) begin(b *attentionBlock) {
	segs := len(t.keyOffsets) - 1
	b.from = max(0, min(t.before(0), t.Keys-1)) / t.pair * t.pair
	grow(&b.bias, segs*b.lanes)
	b.last = slices.Grow(b.last[:0], b.lanes)[:b.lanes]
	for _, buf := range []*[]float32{&b.max, &b.sum, &b.factors} {
		grow(buf, b.lanes)
	}
	for s := range segs {
		bias := b.bias[s*b.lanes : (s+1)*b.lanes]
		if t.Bias == nil {
			clear(bias[:b.rows])
		} else {
			t.fillBias(bias[:b.rows], s)
		}
		clear(bias[b.rows:])
	}
	for i := range b.last[:b.lanes] {
		if t.Causal {
			b.last[i] = int32(t.First + b.first + i)
		} else {
			b.last[i] = attentionNoKey
		}
	}
	if t.BF16 {
		t.beginBF16(b)
		return
	}
	b.rowsQ, b.ldq = t.Q[b.first*t.LDQ:], t.LDQ
	if t.DK != nil {
		b.rowsQ, b.ldq = t.wholePanels(&b.rowsQBuf, b.rowsQ, b.ldq, b.rows)
	}
	b.q = t.transposed(&b.qBuf, b.rowsQ, b.ldq, b)
	scale(b.q[:b.lanes*t.Width], t.Scale, b.q[:b.lanes*t.Width])
}

// attentionNoKey is greater than the index of any key.
const attentionNoKey = 1 << 30

// fillBias sets the bias of the lanes to key segment s.
func (t *attention) fillBias(bias []float32, s int) {
	row, segs := t.First+t.block.first, len(t.keyOffsets)-1
	qs := 0
	for i := range bias {
		for int(t.QOffsets[qs+1]) <= row+i {
			qs++
		}
		bias[i] = t.Bias[qs*segs+s]
	}
}

// tiles calls f once for each tile of keys that the block sees.
func (t *attention) tiles(f func(t *attention, k0, k1 int)) {
	from := t.block.from
	keys := t.visible(t.block.rows) - from
	n := max(1, (keys+attentionKeys/4)/attentionKeys)
	for i := range n {
		k0, k1 := span(ceil.Div(keys, t.pair), n, i)
		f(t, from+k0*t.pair, from+min(k1*t.pair, keys))
	}
}

// visible returns how many keys the first n queries of the block see.
func (t *attention) visible(n int) int {
	if t.Causal {
		return min(t.Keys, t.First+t.block.first+n)
	}
	return t.Keys
}

// segments calls f once for each key segment, with the rows of the tile in it.
func (t *attention) segments(k0, k1 int, f func(t *attention, s, base, lo, rows int)) {
	for s := range len(t.keyOffsets) - 1 {
		lo, hi := max(k0, int(t.keyOffsets[s])), min(k1, int(t.keyOffsets[s+1]))
		if lo < hi {
			f(t, s, lo, (lo-k0)*t.block.lanes, hi-lo)
		}
	}
}

// keyProduct computes dst = x * lanes^T for the keys k0 to k1 of x [Keys, Width]
// and packed lanes. It skips keys that no query sees.
func (t *attention) keyProduct(dst, x []float32, ld int, lanes []float32, k0, k1 int) {
	nr, b := t.kern.nr, &t.block
	for p := 0; p < b.lanes; p += nr {
		from := max(k0, t.before(p))
		if n := min(k1, t.visible(p+nr)) - from; n > 0 {
			t.productRows(dst[(from-k0)*b.lanes+p:], b.lanes, x[from*ld:], ld, lanes[p*t.depth:], nr, t.depth, n, false)
		}
	}
}

// queryProduct adds x * y to dst, for the transposed block x [keys k0 to k1,
// lanes], as byKeys returns it, and kSum or vSum as y; dst has rows of whole panels.
// The first tile of keys sets dst.
func (t *attention) queryProduct(dst, x, y []float32, ldy, k0, k1 int) {
	kern, b, ldd, add := t.kern, &t.block, t.panels(), k0 > t.block.from
	for p := 0; p < ldd; p += kern.nr {
		from, y := 0, y[k0/t.pair*ldy+p:]
		for from < b.rows && t.visible(from+1) < k1 { // not all of the keys
			to := min(from+kern.mr, b.rows)
			if n := min(k1, t.visible(to)) - k0; n > 0 {
				t.productColumns(dst[from*ldd+p:], ldd, x[from:], b.lanes, y, ldy, ceil.Div(n, t.pair), to-from, add)
			}
			from = to
		}
		if from < b.rows {
			t.productColumns(dst[from*ldd+p:], ldd, x[from:], b.lanes, y, ldy, ceil.Div(k1-k0, t.pair), b.rows-from, add)
		}
	}
}

// keyGradient adds x * y to the rows k0 to k1 of dst, for the transposed block x
// [keys k0 to k1, lanes], as byQueries returns it, and y [rows of the block, Width];
// dst has rows of whole panels. Without Causal, the first block sets dst.
func (t *attention) keyGradient(dst, x, y []float32, ldy, k0, k1 int) {
	kern, b, ldd := t.kern, &t.block, t.panels()
	rows, lanes := ceil.Div(b.rows, t.pair), b.lanes/t.pair
	add := t.Causal || b.first > 0
	seen := k1 // all queries see the keys before this one
	if t.Causal {
		seen = max(k0, min(k1, t.visible(1)))
	}
	for p := 0; p < ldd; p += kern.nr {
		if seen > k0 {
			t.productRows(dst[k0*ldd+p:], ldd, x, lanes, y[p:], ldy, rows, seen-k0, add)
		}
		for from := seen; from < k1; from += kern.mr {
			skip := max(0, from-t.First-b.first) / t.pair // queries that see none of these keys
			if skip < rows {
				t.productRows(dst[from*ldd+p:], ldd, x[(from-k0)*lanes+skip:], lanes,
					y[skip*ldy+p:], ldy, rows-skip, min(kern.mr, k1-from), true)
			}
		}
	}
}

// drop applies the dropout to the weights x [keys k0 to k1, lanes], or their
// gradient.
func (t *attention) drop(x []float32, k0, k1 int) {
	b := &t.block
	b.counters, b.keys = slices.Grow(b.counters[:0], b.lanes)[:b.lanes], slices.Grow(b.keys[:0], b.lanes)[:b.lanes]
	inv := float32(1 / (1 - float64(t.Dropout)))
	threshold := uint32(float64(t.Dropout) * (1 << 32))
	for k0 < k1 {
		// The upper half of a counter chooses the key of the hash: stop where one changes.
		n := k1 - k0
		upper, key := uint64(0), dropoutKey(t.Seed, 0)
		for i := range b.lanes {
			c := t.Counter + uint64(b.first+i)*t.CounterStride + uint64(k0)
			if c>>32 != upper {
				upper, key = c>>32, dropoutKey(t.Seed, c>>32)
			}
			b.counters[i], b.keys[i] = uint32(c)+uint32(key), uint32(key>>32)
			if left := 1<<32 - c&(1<<32-1); uint64(n) > left {
				n = int(left)
			}
		}
		attentionDropout(x, b.lanes, n, b.counters[:b.lanes], b.keys[:b.lanes], inv, threshold)
		x, k0 = x[n*b.lanes:], k0+n
	}
}

// Attention computes a.Out and a.LSE on the calling goroutine.
func Attention(a *AttentionArgs) {
	const op = "attention"
	a.check(op)
	if a.Queries == 0 {
		return
	}
	t := newAttention(a, nil)
	defer t.release()
	t.blocks((*attention).forward)
}

func (t *attention) forward() {
	b := &t.block
	b.clearSums()
	grow(&b.out, b.rows*t.panels())
	if t.Keys > 0 {
		t.tiles((*attention).forwardTile)
	} else {
		clear(b.out)
	}
	lse := t.LSE[b.first : b.first+b.rows]
	for i := range lse {
		m, sum := b.max[i], b.sum[i]
		if sum == 0 {
			lse[i], b.factors[i] = negInf, 0
			continue
		}
		lse[i], b.factors[i] = float32(float64(m)+math.Log(float64(sum))), 1/sum
	}
	attentionScale(t.Out[b.first*t.LDOut:], t.LDOut, b.out, t.panels(), t.Width, b.factors[:b.rows])
}

// clearSums sets max and sum to their values before the first key.
func (b *attentionBlock) clearSums() {
	clear(b.sum[:b.lanes])
	for i := range b.max[:b.lanes] {
		b.max[i] = negInf
	}
}

// forwardTile adds the share of the keys k0 to k1 to the block's sums, and to
// its output, both relative to the greatest score so far.
func (t *attention) forwardTile(k0, k1 int) {
	b, width := &t.block, t.panels()
	t.weigh(k0, k1)
	if k0 > b.from {
		attentionScale(b.out, width, b.out, width, width, b.factors[:b.rows])
	}
	if t.Dropout > 0 {
		t.drop(t.scores, k0, k1)
	}
	t.queryProduct(b.out, t.byKeys(t.scores, k1-k0), t.vSum, t.ldvSum, k0, k1)
}

// weigh sets scores to the exponentials of the scores of keys k0 to k1, relative to
// the greatest score so far, and adds them to the block's sums. After the first tile
// it sets factors, which rescale what was computed relative to an earlier maximum.
func (t *attention) weigh(k0, k1 int) {
	b := &t.block
	grow(&t.scores, (k1-k0)*b.lanes)
	t.keyProduct(t.scores, t.k, t.ldk, b.q, k0, k1)
	t.hide(t.scores, k0, k1, negInf)
	copy(b.factors, b.max[:b.lanes])
	hidden := b.last
	if t.visible(1) >= k1 {
		hidden = nil
	}
	t.segments(k0, k1, func(t *attention, s, base, at, rows int) {
		attentionMax(b.max[:b.lanes], t.scores[at:], b.lanes, rows, b.bias[s*b.lanes:], hidden, base)
	})
	if k0 > b.from {
		f := b.factors[:b.lanes]
		for i, m := range b.max[:b.lanes] {
			if f[i] == m {
				f[i] = 0
			} else {
				f[i] -= m
			}
		}
		exp(f, f)
		mul(b.sum[:b.lanes], b.sum[:b.lanes], f)
	}
	t.segments(k0, k1, func(t *attention, s, base, at, rows int) {
		attentionExp(b.sum[:b.lanes], t.scores[at:], b.lanes, rows, b.bias[s*b.lanes:], b.max, b.last, base)
	})
}
