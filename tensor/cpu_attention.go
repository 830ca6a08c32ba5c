package tensor

import (
	"math"
	"sync"

	"github.com/marge-go/marge/asm"
)

// attentionRows is how many query rows share one block of scores.
const attentionRows = 64

// attentionTask is one call of Attention or AttentionBackward. Heads are
// slices of columns of the packed matrices.
type attentionTask struct {
	cpu               *CPU
	o                 *AttentionOptions
	width             int // of a head
	q, k, v, out      []float32
	ldq, ldk, ldv, lo int
	lse               []float32 // [heads, rows]
	rows              int       // of q
	bias              []float32 // [query segments, key segments]
	blocks            []queryBlock

	dout, dq, dk, dv       []float32
	lddo, lddq, lddk, lddv int
	dbias                  []float32 // [heads, query segments, key segments]
}

// queryBlock is a run of query rows of one segment.
type queryBlock struct{ segment, lo, hi int }

var attentionTasks sync.Pool

func (c *CPU) attentionTask(q, k, v, out, lse, bias *Tensor, o *AttentionOptions) *attentionTask {
	t, _ := attentionTasks.Get().(*attentionTask)
	if t == nil {
		t = new(attentionTask)
	}
	*t = attentionTask{cpu: c, o: o, width: q.shape[1] / o.Heads, rows: q.shape[0], lse: lse.Float32s(), bias: floatsOrNil(bias), blocks: t.blocks[:0]}
	t.q, t.ldq = matrix(q)
	t.k, t.ldk = matrix(k)
	t.v, t.ldv = matrix(v)
	t.out, t.lo = matrix(out)
	for s := range len(o.QOffsets) - 1 {
		end := int(o.QOffsets[s+1])
		for lo := int(o.QOffsets[s]); lo < end; lo += attentionRows {
			t.blocks = append(t.blocks, queryBlock{s, lo, min(lo+attentionRows, end)})
		}
	}
	return t
}

func (t *attentionTask) release() {
	*t = attentionTask{blocks: t.blocks[:0]}
	attentionTasks.Put(t)
}

// keys returns the range of key rows that a block of queries attends to.
func (t *attentionTask) keys(b queryBlock) (lo, hi int) {
	if t.bias != nil {
		return 0, int(t.o.KOffsets[len(t.o.KOffsets)-1])
	}
	lo, hi = int(t.o.KOffsets[b.segment]), int(t.o.KOffsets[b.segment+1])
	if t.o.Causal {
		hi = min(hi, lo+b.hi-int(t.o.QOffsets[b.segment]))
	}
	return lo, hi
}

// visible returns how many of n keys row i of a block attends to.
func (t *attentionTask) visible(b queryBlock, i, n int) int {
	if t.o.Causal {
		return min(n, b.lo+i-int(t.o.QOffsets[b.segment])+1)
	}
	return n
}

// biasOf returns the bias of a block's segment, with the offsets that it
// refers to.
func (t *attentionTask) biasOf(b queryBlock) (bias []float32, offsets []int32) {
	if t.bias == nil {
		return nil, nil
	}
	n := len(t.o.KOffsets) - 1
	return t.bias[b.segment*n : (b.segment+1)*n], t.o.KOffsets
}

// attentionScratch is the working memory of one part.
type attentionScratch struct {
	scores, probs, grads []float32
	gemm                 asm.GemmArgs
}

var attentionScratches sync.Pool

func grow(s *[]float32, n int) []float32 {
	if cap(*s) < n {
		*s = make([]float32, n)
	}
	return (*s)[:n]
}

func newAttentionScratch() *attentionScratch {
	s, _ := attentionScratches.Get().(*attentionScratch)
	if s == nil {
		s = new(attentionScratch)
	}
	return s
}

// product computes C = alpha op(A) op(B) + beta C on the calling goroutine.
func (s *attentionScratch) product(m, n, k int, alpha float32, a []float32, lda int, transA bool, b []float32, ldb int, transB bool, beta float32, c []float32, ldc int) {
	s.gemm = asm.GemmArgs{TransA: transA, TransB: transB, M: m, N: n, K: k, Alpha: alpha, A: a, LDA: lda, B: b, LDB: ldb, Beta: beta, C: c, LDC: ldc}
	asm.Gemm(asm.Serial, &s.gemm)
}

// Attention implements Backend. A part is one head of one block of queries.
func (c *CPU) Attention(out, lse, q, k, v, bias *Tensor, o *AttentionOptions) {
	if q.shape[0] == 0 {
		return
	}
	t := c.attentionTask(q, k, v, out, lse, bias, o)
	c.pool.Run(len(t.blocks)*o.Heads, (*attentionForward)(t))
	t.release()
}

type attentionForward attentionTask

func (f *attentionForward) Do(part int) {
	t := (*attentionTask)(f)
	b, head := t.blocks[part/t.o.Heads], part%t.o.Heads
	col := head * t.width
	lse := t.lse[head*t.rows+b.lo : head*t.rows+b.hi]
	m := b.hi - b.lo
	klo, khi := t.keys(b)
	n := khi - klo
	if n == 0 {
		for i := range m {
			clear(t.out[(b.lo+i)*t.lo+col:][:t.width])
			lse[i] = float32(math.Inf(-1))
		}
		return
	}
	s := newAttentionScratch()
	defer attentionScratches.Put(s)
	scores := grow(&s.scores, m*n)
	s.product(m, n, t.width, 1, t.q[b.lo*t.ldq+col:], t.ldq, false, t.k[klo*t.ldk+col:], t.ldk, true, 0, scores, n)
	bias, offsets := t.biasOf(b)
	for i := range m {
		row := scores[i*n : (i+1)*n]
		seen := t.visible(b, i, n)
		lse[i] = asm.Softmax(row[:seen], row[:seen], t.o.Scale, bias, offsets)
		clear(row[seen:])
		if t.o.Dropout > 0 {
			asm.Dropout(row, row, t.o.Dropout, t.o.Seed, t.dropoutOffset(head, b.lo+i))
		}
	}
	s.product(m, t.width, n, 1, scores, n, false, t.v[klo*t.ldv+col:], t.ldv, false, 0, t.out[b.lo*t.lo+col:], t.lo)
}

// dropoutOffset is where the attention weights of one head and query row
// begin in the dropout's stream.
func (t *attentionTask) dropoutOffset(head, row int) uint64 {
	keys := uint64(t.o.KOffsets[len(t.o.KOffsets)-1])
	return t.o.Stream<<streamShift + uint64(head*t.rows+row)*keys
}

// AttentionBackward implements Backend. A part is one head of one segment
// where segments are on their own, and one head where all queries share the
// keys, so that every sum over queries is made in order.
func (c *CPU) AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *Tensor, o *AttentionOptions) {
	if q.shape[0] == 0 || k.shape[0] == 0 {
		return
	}
	t := c.attentionTask(q, k, v, out, lse, bias, o)
	t.dout, t.lddo = matrix(dout)
	for _, g := range []struct {
		grad *Tensor
		data *[]float32
		ld   *int
	}{{dq, &t.dq, &t.lddq}, {dk, &t.dk, &t.lddk}, {dv, &t.dv, &t.lddv}} {
		if g.grad != nil {
			*g.data, *g.ld = matrix(g.grad)
		}
	}
	if bias == nil {
		c.pool.Run((len(o.QOffsets)-1)*o.Heads, (*attentionBackwardTask)(t))
		t.release()
		return
	}
	var partial *scratch
	if dbias != nil {
		partial = c.scratch.get(o.Heads * dbias.Len())
		clear(partial.data)
		t.dbias = partial.data
	}
	c.pool.Run(o.Heads, (*attentionBackwardTask)(t))
	if dbias != nil {
		asm.AddRows(dbias.Float32s(), partial.data, o.Heads, dbias.Len(), dbias.Len())
		c.scratch.put(partial)
	}
	t.release()
}

type attentionBackwardTask attentionTask

func (f *attentionBackwardTask) Do(part int) {
	t := (*attentionTask)(f)
	s := newAttentionScratch()
	defer attentionScratches.Put(s)
	for _, b := range t.blocks {
		if t.bias != nil {
			t.backward(s, b, part)
		} else if b.segment == part/t.o.Heads {
			t.backward(s, b, part%t.o.Heads)
		}
	}
}

// backward computes one head's share in the gradients from one block of
// queries. With P the attention weights, dP = dO V^T and
// dS = P (dP - rowsum(dO O)): dV += P^T dO, dQ += scale dS K,
// dK += scale dS^T Q, dbias += row sums of dS by segment.
func (t *attentionTask) backward(s *attentionScratch, b queryBlock, head int) {
	klo, khi := t.keys(b)
	m, n, w, col := b.hi-b.lo, khi-klo, t.width, head*t.width
	if n == 0 {
		return
	}
	q, k, v := t.q[b.lo*t.ldq+col:], t.k[klo*t.ldk+col:], t.v[klo*t.ldv+col:]
	dout, out := t.dout[b.lo*t.lddo+col:], t.out[b.lo*t.lo+col:]
	scores, grads := grow(&s.scores, m*n), grow(&s.grads, m*n)
	s.product(m, n, w, 1, q, t.ldq, false, k, t.ldk, true, 0, scores, n)
	s.product(m, n, w, 1, dout, t.lddo, false, v, t.ldv, true, 0, grads, n)
	bias, offsets := t.biasOf(b)
	var dbias []float32
	if t.dbias != nil {
		nq, nk := len(t.o.QOffsets)-1, len(t.o.KOffsets)-1
		dbias = t.dbias[(head*nq+b.segment)*nk:][:nk]
	}
	probs := scores // what dV needs: the weights after dropout
	if t.o.Dropout > 0 {
		probs = grow(&s.probs, m*n)
	}
	for i := range m {
		row, grad := scores[i*n:(i+1)*n], grads[i*n:(i+1)*n]
		seen := t.visible(b, i, n)
		asm.SoftmaxFromLSE(row[:seen], row[:seen], t.o.Scale, bias, offsets, t.lse[head*t.rows+b.lo+i])
		clear(row[seen:])
		if t.o.Dropout > 0 {
			at := t.dropoutOffset(head, b.lo+i)
			asm.Dropout(probs[i*n:(i+1)*n], row, t.o.Dropout, t.o.Seed, at)
			asm.Dropout(grad, grad, t.o.Dropout, t.o.Seed, at)
		}
	}
	if t.dv != nil {
		s.product(n, w, m, 1, probs, n, true, dout, t.lddo, false, 1, t.dv[klo*t.lddv+col:], t.lddv)
	}
	for i := range m {
		delta := asm.Dot(dout[i*t.lddo:][:w], out[i*t.lo:][:w])
		row, grad := scores[i*n:(i+1)*n], grads[i*n:(i+1)*n]
		seen := t.visible(b, i, n)
		asm.SoftmaxBackward(grad[:seen], row[:seen], grad[:seen], delta, dbias, offsets)
		clear(grad[seen:])
	}
	if t.dq != nil {
		s.product(m, w, n, t.o.Scale, grads, n, false, k, t.ldk, false, 1, t.dq[b.lo*t.lddq+col:], t.lddq)
	}
	if t.dk != nil {
		s.product(n, w, m, t.o.Scale, grads, n, true, q, t.ldq, false, 1, t.dk[klo*t.lddk+col:], t.lddk)
	}
}
