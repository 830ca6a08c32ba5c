package tensor

import (
	"sync"

	"github.com/marge-go/marge/asm"
)

// A part of Attention has about attentionRows queries of a document, a multiple
// of attentionBlock, which suits the kernels.
const (
	attentionRows  = 512
	attentionBlock = 192
)

// attentionTask is one call of Attention or AttentionBackward. Its parts are
// heads of parts of the queries; heads are slices of columns of the matrices.
type attentionTask struct {
	o                        *AttentionOptions
	width                    int // of a head
	group                    int // heads of q for each of k and v
	rows, keys               int // of q and k
	q, k, v, out             []float32
	ldq, ldk, ldv, ldout     int
	lse                      []float32 // [heads, rows]
	bias                     []float32 // [query segments, key segments]
	dout, dq, dk, dv         []float32
	lddout, lddq, lddk, lddv int
	accumulate               [4]bool   // whether dq, dk, dv and dbias are added to
	dbias                    []float32 // [heads, query segments, key segments]
	parts                    []attentionPart
	shared                   []float32 // for lse of single, [rows, heads]; nil: no heads share keys
	bf16                     bool      // products are those of bfloat16 values
}

// attentionPart is a run of queries, of one segment unless there is a bias.
type attentionPart struct{ segment, lo, hi int }

var attentionTasks sync.Pool

// newAttentionTask returns a task whose parts have about rows queries each.
func (c *CPU) newAttentionTask(q, k, v, out, lse, bias *Tensor, o *AttentionOptions, rows int) *attentionTask {
	t, _ := attentionTasks.Get().(*attentionTask)
	if t == nil {
		t = new(attentionTask)
	}
	*t = attentionTask{
		o: o, width: q.shape[1] / o.Heads, group: q.shape[1] / k.shape[1], rows: q.shape[0], keys: k.shape[0],
		lse: lse.Float32s(), bias: floatsOrNil(bias), parts: t.parts[:0], bf16: c.bf16,
	}
	t.q, t.ldq = matrix(q)
	t.k, t.ldk = matrix(k)
	t.v, t.ldv = matrix(v)
	t.out, t.ldout = matrix(out)
	if bias != nil {
		t.split(0, 0, t.rows, rows)
		return t
	}
	for s := range len(o.QOffsets) - 1 {
		t.split(s, int(o.QOffsets[s]), int(o.QOffsets[s+1]), rows)
	}
	return t
}

// split adds the parts of a run of queries: about rows each, a multiple of
// attentionBlock but for the last, which has up to half more or less.
func (t *attentionTask) split(segment, lo, hi, rows int) {
	n := max(1, (hi-lo+rows/2)/max(rows, 1))
	bound := func(i int) int { return lo + (hi-lo)*i/n/attentionBlock*attentionBlock }
	for i := range n {
		end := hi
		if i < n-1 {
			end = bound(i + 1)
		}
		t.parts = append(t.parts, attentionPart{segment, bound(i), end})
	}
}

func (t *attentionTask) release() {
	*t = attentionTask{parts: t.parts[:0]}
	attentionTasks.Put(t)
}

// keysOf returns the range of keys that a part attends to.
func (t *attentionTask) keysOf(p attentionPart) (lo, hi int) {
	if t.bias != nil {
		return 0, t.keys
	}
	return t.o.keys(p.segment)
}

// args describes one head of a part.
func (t *attentionTask) args(p attentionPart, head int) asm.AttentionArgs {
	klo, khi := t.keysOf(p)
	col, kcol := head*t.width, head/t.group*t.width
	a := asm.AttentionArgs{
		Queries: p.hi - p.lo, Keys: khi - klo, Width: t.width,
		Q: rowsFrom(t.q, p.lo, t.ldq, col), K: rowsFrom(t.k, klo, t.ldk, kcol),
		V: rowsFrom(t.v, klo, t.ldv, kcol), Out: rowsFrom(t.out, p.lo, t.ldout, col),
		LDQ: t.ldq, LDK: t.ldk, LDV: t.ldv, LDOut: t.ldout,
		LSE:   t.lse[head*t.rows+p.lo : head*t.rows+p.hi],
		Scale: t.o.Scale, Causal: t.o.Causal, Window: t.o.Window, First: p.lo,
		Dropout: t.o.Dropout, Seed: t.o.Seed,
		Counter:       t.o.Stream<<streamShift + uint64(head*t.rows+p.lo)*uint64(t.keys),
		CounterStride: uint64(t.keys),
		BF16:          t.bf16,
	}
	if t.bias != nil {
		a.Bias, a.QOffsets, a.KOffsets = t.bias, t.o.QOffsets, t.o.KOffsets
	} else {
		a.First -= int(t.o.QOffsets[p.segment])
		if t.o.Causal {
			a.First += khi - klo - int(t.o.QOffsets[p.segment+1]-t.o.QOffsets[p.segment])
		}
	}
	return a
}

// rowsFrom returns the rows of a matrix from one on, without the columns
// before col of the first.
func rowsFrom(x []float32, row, ld, col int) []float32 {
	return x[min(row*ld+col, len(x)):]
}

// Attention implements Backend. A part is one head of about attentionRows
// queries.
func (c *CPU) Attention(out, lse, q, k, v, bias *Tensor, o *AttentionOptions) {
	if q.Len() == 0 {
		return
	}
	t := c.newAttentionTask(q, k, v, out, lse, bias, o, attentionRows)
	var shared *scratch
	if t.group > 1 && bias == nil {
		shared = c.scratch.get(t.rows * o.Heads)
		t.shared = shared.data
	}
	c.pool.Run(len(t.parts)*o.Heads, (*attentionForward)(t))
	if shared != nil {
		c.scratch.put(shared)
	}
	t.release()
}

type attentionForward attentionTask

func (f *attentionForward) Do(part int) {
	t := (*attentionTask)(f)
	p, head := t.parts[part/t.o.Heads], part%t.o.Heads
	if t.shared != nil && p.hi-p.lo == 1 {
		if head%t.group == 0 {
			t.single(p, head)
		}
		return
	}
	a := t.args(p, head)
	if a.Causal {
		onlySeen(&a)
	}
	asm.Attention(&a)
}

// single is attention of a single query, as in generation: the heads of a group, of
// which head is the first, are the rows of a matrix, so that the keys and values that
// they share are read once.
func (t *attentionTask) single(p attentionPart, head int) {
	a := t.args(p, head)
	if a.Causal {
		onlySeen(&a)
	}
	a.Queries, a.First, a.Causal, a.Window = t.group, 0, false, 0
	a.LDQ, a.LDOut = t.width, t.width
	a.CounterStride = uint64(t.rows) * uint64(t.keys)
	a.LSE = t.shared[p.lo*t.o.Heads+head:][:t.group]
	asm.Attention(&a)
	for i, lse := range a.LSE {
		t.lse[(head+i)*t.rows+p.lo] = lse
	}
}

// onlySeen leaves out the keys that no query of causal attention sees.
func onlySeen(a *asm.AttentionArgs) {
	first := 0
	if a.Window > 0 {
		first = max(0, a.First+1-a.Window)
	}
	a.Keys = a.First + a.Queries - first
	a.K, a.V = rowsFrom(a.K, first, a.LDK, 0), rowsFrom(a.V, first, a.LDV, 0)
	a.First -= first
	a.Counter += uint64(first)
}

// AttentionBackward implements Backend. A part is one head of the keys of one
// segment or, with a bias, as all queries share the keys, one head of them: so every
// sum over queries, and over heads that share keys, is made in order.
func (c *CPU) AttentionBackward(
	dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *Tensor, o *AttentionOptions, accumulate [4]bool,
) {
	t := c.newAttentionTask(q, k, v, out, lse, bias, o, q.shape[0])
	t.accumulate = accumulate
	t.dout, t.lddout = matrix(dout)
	for _, g := range []struct {
		grad *Tensor
		data *[]float32
		ld   *int
	}{{dq, &t.dq, &t.lddq}, {dk, &t.dk, &t.lddk}, {dv, &t.dv, &t.lddv}} {
		if g.grad != nil {
			*g.data, *g.ld = matrix(g.grad)
		}
	}
	var partial *scratch
	if dbias != nil {
		partial = c.scratch.get(o.Heads * dbias.Len())
		clear(partial.data)
		t.dbias = partial.data
	}
	if o.KLengths != nil {
		clearRoom(dk, o, accumulate[1])
		clearRoom(dv, o, accumulate[2])
	}
	c.pool.Run(len(t.parts)*(o.Heads/t.group), (*attentionGradient)(t))
	if dbias != nil {
		addAllRows(dbias.Float32s(), partial.data, o.Heads, accumulate[3])
		c.scratch.put(partial)
	}
	t.release()
}

// clearRoom zeroes the gradient of the room behind each segment.
func clearRoom(g *Tensor, o *AttentionOptions, accumulate bool) {
	if g == nil || accumulate {
		return
	}
	data, ld := matrix(g)
	for i := range o.KLengths {
		_, from := o.keys(i)
		for row := from; row < int(o.KOffsets[i+1]); row++ {
			clear(data[row*ld : row*ld+g.shape[1]])
		}
	}
}

type attentionGradient attentionTask

func (f *attentionGradient) Do(part int) {
	t := (*attentionTask)(f)
	keyHeads := t.o.Heads / t.group
	p, keyHead := t.parts[part/keyHeads], part%keyHeads
	for i := range t.group {
		t.gradient(p, keyHead*t.group+i, i > 0)
	}
}

// gradient computes the gradients of a head of queries, and adds to those of the
// keys and values if others have been there before.
func (t *attentionTask) gradient(p attentionPart, head int, add bool) {
	klo, _ := t.keysOf(p)
	col, kcol := head*t.width, head/t.group*t.width
	a := t.args(p, head)
	g := asm.AttentionGradients{
		DOut:   rowsFrom(t.dout, p.lo, t.lddout, col),
		LDDOut: t.lddout, LDDQ: t.lddq, LDDK: t.lddk, LDDV: t.lddv,
		AddDQ: t.accumulate[0], AddDK: add || t.accumulate[1], AddDV: add || t.accumulate[2],
	}
	if t.dq != nil {
		g.DQ = rowsFrom(t.dq, p.lo, t.lddq, col)
	}
	if t.dk != nil {
		g.DK = rowsFrom(t.dk, klo, t.lddk, kcol)
	}
	if t.dv != nil {
		g.DV = rowsFrom(t.dv, klo, t.lddv, kcol)
	}
	if t.dbias != nil {
		g.DBias = t.dbias[head*len(t.bias):][:len(t.bias)]
	}
	asm.AttentionBackward(&a, &g)
}
