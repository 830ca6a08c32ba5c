package tensor

import (
	"sync"

	"github.com/marge-go/marge/asm"
)

// rowAttentionTask is one call of AttentionRows. Its parts are heads of queries.
type rowAttentionTask struct {
	o                    *AttentionRowsOptions
	width                int // of a head
	q, k, v, out         []float32
	ldq, ldk, ldv, ldout int
	mass                 []float32 // [heads, seen], or nil
	seen                 int
	first                []int // the first segment of each query among those that queries see
}

var rowAttentionTasks = sync.Pool{New: func() any { return new(rowAttentionTask) }}

// AttentionRows implements Backend.
func (c *CPU) AttentionRows(out, mass, q, k, v *Tensor, o *AttentionRowsOptions) {
	c.pool.mustBeOpen()
	t := rowAttentionTasks.Get().(*rowAttentionTask)
	*t = rowAttentionTask{o: o, width: q.shape[1] / o.Heads, mass: floatsOrNil(mass), first: t.first[:0]}
	t.q, t.ldq = matrix(q)
	t.k, t.ldk = matrix(k)
	t.v, t.ldv = matrix(v)
	t.out, t.ldout = matrix(out)
	for i := range q.shape[0] {
		t.first = append(t.first, t.seen)
		t.seen += int(o.Seen[2*i+1] - o.Seen[2*i])
	}
	c.pool.Run(q.shape[0]*o.Heads, t)
	*t = rowAttentionTask{first: t.first}
	rowAttentionTasks.Put(t)
}

// rowAttentionSegments keeps the bounds of segments, from the first row of a query on.
var rowAttentionSegments = sync.Pool{New: func() any { return new([]int32) }}

// Do computes one head of one query. Heads that share keys, and queries that share
// segments, come one after the other.
func (t *rowAttentionTask) Do(part int) {
	o, query, head := t.o, part/t.o.Heads, part%t.o.Heads
	col := head / (o.Heads / o.KVHeads) * t.width
	lo, hi := int(o.Seen[2*query]), int(o.Seen[2*query+1])
	at := query*t.ldq + head*t.width
	a := asm.RowAttentionArgs{
		Q: t.q[at : at+t.width], K: rowsFrom(t.k, 0, t.ldk, col), V: rowsFrom(t.v, 0, t.ldv, col),
		LDK: t.ldk, LDV: t.ldv, Rows: o.Rows[o.Offsets[lo]:o.Offsets[hi]], Scale: o.Scale,
	}
	at = query*t.ldout + head*t.width
	a.Out = t.out[at : at+t.width]
	if t.mass != nil {
		a.Mass = t.mass[head*t.seen+t.first[query]:][:hi-lo]
	}
	if o.Bias != nil || a.Mass != nil {
		segments := rowAttentionSegments.Get().(*[]int32)
		defer rowAttentionSegments.Put(segments)
		a.Segments = (*segments)[:0]
		for _, offset := range o.Offsets[lo : hi+1] {
			a.Segments = append(a.Segments, offset-o.Offsets[lo])
		}
		*segments = a.Segments
	}
	if o.Bias != nil {
		a.Bias = o.Bias[lo:hi]
	}
	asm.RowAttention(&a)
}
