package tensor

import (
	"fmt"
	"math"
)

// Add returns a + b; the shapes must be equal.
func (tp *Tape) Add(a, b *Tensor) *Tensor { return tp.add(tp.New(a.Shape()...), a, b) }

// AddInto returns a + b in the memory of a, which must be the result of Linear,
// FeedForward, Gather or Dropout, and which no other operation may read.
func (tp *Tape) AddInto(a, b *Tensor) *Tensor {
	return tp.add(tp.into("addinto", a), a, b)
}

// into returns a tensor in the memory of a, for the result of an operation.
func (tp *Tape) into(op string, a *Tensor) *Tensor {
	if !a.spare || a.viewed {
		panic(fmt.Sprintf("%s: %v is not the result of Linear, FeedForward, Gather or Dropout, or has views, or its memory is taken", op, a))
	}
	out := tp.tensors.get()
	out.init(tp.backend, Float32, a.Shape())
	out.store, out.offset = a.store, a.offset
	a.spare = false
	return out
}

func (tp *Tape) add(out, a, b *Tensor) *Tensor {
	if a.rank != b.rank || a.shape != b.shape {
		panic(fmt.Sprintf("add: %v and %v", a, b))
	}
	tp.backend.Add(out, a, b)
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in = addBackward, out, [4]*Tensor{a, b}
	}
	return out
}

func addBackward(tp *Tape, r *record) {
	dy := r.out.grad
	for _, in := range r.in[:2] {
		tp.pass(in, r, dy)
	}
}

// pass adds dy, the gradient of r's output, to the gradient of t.
func (tp *Tape) pass(t *Tensor, r *record, dy *Tensor) {
	if r.out.grad != nil && tp.give(t, r) {
		return
	}
	if g, accumulate := tp.gradient(t); g == nil {
		return
	} else if accumulate {
		tp.backend.Axpy(1, dy, g)
	} else {
		tp.backend.Scale(g, 1, dy)
	}
}

// Scale returns alpha * x.
func (tp *Tape) Scale(alpha float32, x *Tensor) *Tensor {
	out := tp.New(x.Shape()...)
	tp.backend.Scale(out, alpha, x)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.f = scaleBackward, out, [4]*Tensor{x}, alpha
	}
	return out
}

func scaleBackward(tp *Tape, r *record) {
	if g, accumulate := tp.gradient(r.in[0]); accumulate {
		tp.backend.Axpy(r.f, r.out.grad, g)
	} else {
		tp.backend.Scale(g, r.f, r.out.grad)
	}
}

// MulScalar returns s[0] * x for a tensor s of one element, trainable or not.
func (tp *Tape) MulScalar(x, s *Tensor) *Tensor {
	mustShape("mulscalar", "s", s, Float32, 1)
	out := tp.New(x.Shape()...)
	tp.backend.MulScalar(out, x, s, false)
	if tp.result(out, x, s) {
		r := tp.push()
		r.backward, r.out, r.in = mulScalarBackward, out, [4]*Tensor{x, s}
	}
	return out
}

func mulScalarBackward(tp *Tape, r *record) {
	if g, accumulate := tp.gradient(r.in[0]); g != nil {
		tp.backend.MulScalar(g, r.out.grad, r.in[1], accumulate)
	}
	if g := tp.sum(r.in[1]); g != nil {
		tp.backend.AddDot(g, r.out.grad, r.in[0])
	}
}

// Dot returns the sum of the products of the elements of a and b, which have
// the same shape: [1].
func (tp *Tape) Dot(a, b *Tensor) *Tensor {
	if a.rank != b.rank || a.shape != b.shape {
		panic(fmt.Sprintf("dot: %v and %v", a, b))
	}
	out := tp.New(1)
	tp.backend.Fill(out, 0)
	tp.backend.AddDot(out, a, b)
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in = dotBackward, out, [4]*Tensor{a, b}
	}
	return out
}

func dotBackward(tp *Tape, r *record) {
	for i, in := range r.in[:2] {
		if g, accumulate := tp.gradient(in); g != nil {
			tp.backend.MulScalar(g, r.in[1-i], r.out.grad, accumulate)
		}
	}
}

// Linear returns x W^T + b for x [n, in], W [out, in] and b [out] or nil.
func (tp *Tape) Linear(x, w, b *Tensor) *Tensor {
	out := tp.linear(x, w, b, nil)
	out.spare = true
	if tp.result(out, x, w, b) {
		r := tp.push()
		r.backward, r.out, r.in = linearBackward, out, [4]*Tensor{x, w, b}
	}
	return out
}

// LinearGELU returns GELU(x W^T + b), as Linear followed by GELU, in one pass.
func (tp *Tape) LinearGELU(x, w, b *Tensor) *Tensor {
	var pre *Tensor
	if tp.recording {
		pre = tp.New(x.shape[0], w.shape[0])
	}
	out := tp.linear(x, w, b, &pre)
	if tp.result(out, x, w, b) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved[0] = linearGELUBackward, out, [4]*Tensor{x, w, b}, pre
	}
	return out
}

// linear computes x W^T + b, with GELU if pre is not nil; *pre, if not nil,
// receives the value before GELU.
func (tp *Tape) linear(x, w, b *Tensor, pre **Tensor) *Tensor {
	mustShape("linear", "x", x, Float32, -1, -1)
	mustShape("linear", "weight", w, Float32, -1, x.shape[1])
	o := GemmOptions{TransB: true, Alpha: 1, Bias: b, GELU: pre != nil}
	if b != nil {
		mustShape("linear", "bias", b, Float32, w.shape[0])
	}
	if pre != nil {
		o.PreActivation = *pre
	}
	out := tp.New(x.shape[0], w.shape[0])
	tp.backend.Gemm(out, x, w, o)
	return out
}

// FeedForward returns GELU(x W1^T + b1) W2^T + b2 for x [n, in], W1 [ffn, in],
// b1 [ffn], W2 [out, ffn] and b2 [out]. The value after GELU is not kept for the
// backward pass, which computes it again from the value before.
func (tp *Tape) FeedForward(x, w1, b1, w2, b2 *Tensor) *Tensor {
	var pre *Tensor
	if tp.recording {
		pre = tp.New(x.shape[0], w1.shape[0])
	}
	h := tp.linear(x, w1, b1, &pre)
	out := tp.linear(h, w2, b2, nil)
	out.spare = true
	tp.release(h)
	if tp.result(out, x, w1, b1, w2, b2) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved = feedForwardBackward, out, [4]*Tensor{x, w1, b1}, [3]*Tensor{pre, w2, b2}
	}
	return out
}

func feedForwardBackward(tp *Tape, r *record) {
	dy, pre, w2, b2 := r.out.grad, r.saved[0], r.saved[1], r.saved[2]
	h := tp.New(pre.Shape()...)
	tp.backend.GELU(h, pre)
	tp.productGradient(w2, dy, h, true, false)
	tp.addRows(b2, dy)
	tp.backend.Gemm(h, dy, w2, GemmOptions{Alpha: 1})
	tp.backend.GELUBackward(h, h, pre, false)
	tp.linearGradients(r, h)
	tp.release(h)
	tp.release(pre)
}

func linearBackward(tp *Tape, r *record) { tp.linearGradients(r, r.out.grad) }

func linearGELUBackward(tp *Tape, r *record) {
	// The gradient of the output is of no use to anyone else: overwrite it.
	dy := r.out.grad
	tp.backend.GELUBackward(dy, dy, r.saved[0], false)
	tp.linearGradients(r, dy)
}

func (tp *Tape) linearGradients(r *record, dy *Tensor) {
	x, w, b := r.in[0], r.in[1], r.in[2]
	tp.productGradient(x, dy, w, false, false)
	tp.productGradient(w, dy, x, true, false)
	tp.addRows(b, dy)
}

// addRows adds the sum of the rows of dy to the gradient of b.
func (tp *Tape) addRows(b, dy *Tensor) {
	if g := tp.sum(b); g != nil {
		tp.backend.AddRows(g, dy)
	}
}

// productGradient adds op(a) op(b) to the gradient of t.
func (tp *Tape) productGradient(t, a, b *Tensor, transA, transB bool) {
	g, accumulate := tp.gradient(t)
	if g == nil {
		return
	}
	o := GemmOptions{TransA: transA, TransB: transB, Alpha: 1}
	if accumulate {
		o.Beta = 1
	}
	tp.backend.Gemm(g, a, b, o)
}

// MatMul returns a b for a [m, k] and b [k, n], or a b^T for b [n, k] if
// transB.
func (tp *Tape) MatMul(a, b *Tensor, transB bool) *Tensor {
	mustShape("matmul", "a", a, Float32, -1, -1)
	mustShape("matmul", "b", b, Float32, -1, -1)
	k, n := b.shape[0], b.shape[1]
	if transB {
		k, n = n, k
	}
	if a.shape[1] != k {
		panic(fmt.Sprintf("matmul: inner dimensions differ: %v x %v (transB %v)", a, b, transB))
	}
	out := tp.New(a.shape[0], n)
	tp.backend.Gemm(out, a, b, GemmOptions{TransB: transB, Alpha: 1})
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in, r.flag = matMulBackward, out, [4]*Tensor{a, b}, transB
	}
	return out
}

func matMulBackward(tp *Tape, r *record) {
	a, b, dy := r.in[0], r.in[1], r.out.grad
	tp.productGradient(a, dy, b, false, !r.flag)
	if r.flag {
		tp.productGradient(b, dy, a, true, false)
	} else {
		tp.productGradient(b, a, dy, true, false)
	}
}

// GELU returns x*Phi(x), Phi being the normal distribution function (the
// exact form, by erf).
func (tp *Tape) GELU(x *Tensor) *Tensor {
	out := tp.New(x.Shape()...)
	tp.backend.GELU(out, x)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = geluBackward, out, [4]*Tensor{x}
	}
	return out
}

func geluBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	tp.backend.GELUBackward(g, r.out.grad, r.in[0], accumulate)
}

// LayerNorm returns (x - mean)/sqrt(var + eps)*gamma + beta for every row of
// x [n, d]; var is the biased variance.
func (tp *Tape) LayerNorm(x, gamma, beta *Tensor, eps float32) *Tensor {
	mustShape("layernorm", "x", x, Float32, -1, -1)
	mustShape("layernorm", "gamma", gamma, Float32, x.shape[1])
	mustShape("layernorm", "beta", beta, Float32, x.shape[1])
	out := tp.New(x.Shape()...)
	mean, rstd := tp.New(x.shape[0]), tp.New(x.shape[0])
	tp.backend.LayerNorm(out, mean, rstd, x, gamma, beta, eps)
	if tp.result(out, x, gamma, beta) {
		r := tp.push()
		r.backward, r.again, r.out, r.in = layerNormBackward, layerNormAgain, out, [4]*Tensor{x, gamma, beta}
		r.saved, r.f = [3]*Tensor{mean, rstd}, eps
	}
	return out
}

func layerNormAgain(tp *Tape, r *record) {
	tp.backend.LayerNorm(r.out, r.saved[0], r.saved[1], r.in[0], r.in[1], r.in[2], r.f)
}

func layerNormBackward(tp *Tape, r *record) {
	x, gamma, beta := r.in[0], r.in[1], r.in[2]
	dgamma, dbeta := tp.sum(gamma), tp.sum(beta)
	dx, accumulate := tp.gradient(x)
	tp.backend.LayerNormBackward(dx, dgamma, dbeta, r.out.grad, x, gamma, r.saved[0], r.saved[1], accumulate)
}

// Dropout zeroes each element with probability p and multiplies the others by
// 1/(1-p) on a training tape; otherwise it returns x. Which elements are
// dropped depends on the tape's seed and on the number of dropouts before
// this one.
func (tp *Tape) Dropout(x *Tensor, p float32) *Tensor {
	if !tp.drops(p) {
		return x
	}
	out := tp.New(x.Shape()...)
	out.spare = true
	stream := tp.stream()
	tp.backend.Dropout(out, x, p, tp.seed, stream)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = dropoutBackward, out, [4]*Tensor{x}
		r.f, r.seed, r.stream = p, tp.seed, stream
	}
	return out
}

// AddDropout returns x + Dropout(y, p) in the memory of y, which must be the
// result of Linear, FeedForward, Gather or Dropout, and which no other operation
// may read: the residual connection of a Transformer.
func (tp *Tape) AddDropout(x, y *Tensor, p float32) *Tensor {
	if !tp.drops(p) {
		return tp.AddInto(y, x)
	}
	if x.rank != y.rank || x.shape != y.shape {
		panic(fmt.Sprintf("adddropout: %v and %v", x, y))
	}
	out := tp.into("adddropout", y)
	stream := tp.stream()
	tp.backend.AddDropout(out, x, y, p, tp.seed, stream)
	if tp.result(out, x, y) {
		r := tp.push()
		r.backward, r.out, r.in = addDropoutBackward, out, [4]*Tensor{y, x}
		r.f, r.seed, r.stream = p, tp.seed, stream
	}
	return out
}

// drops reports whether a dropout with probability p has an effect.
func (tp *Tape) drops(p float32) bool {
	if p < 0 || p >= 1 || math.IsNaN(float64(p)) {
		panic(fmt.Sprintf("dropout: probability %v, want [0, 1)", p))
	}
	return tp.training && p > 0
}

func addDropoutBackward(tp *Tape, r *record) {
	y, x, dy := r.in[0], r.in[1], r.out.grad
	if g, accumulate := tp.gradient(y); accumulate {
		panic("adddropout: another operation read what it overwrote")
	} else if g != nil {
		tp.backend.Dropout(g, dy, r.f, r.seed, r.stream)
	}
	tp.pass(x, r, dy)
}

func (tp *Tape) stream() uint64 {
	tp.streams++
	return tp.streams
}

func dropoutBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	if !accumulate {
		tp.backend.Dropout(g, r.out.grad, r.f, r.seed, r.stream)
		return
	}
	dy := r.out.grad
	tp.backend.Dropout(dy, dy, r.f, r.seed, r.stream)
	tp.backend.Axpy(1, dy, g)
}

// Attention returns multi-head attention of packed documents: q [m, d],
// k and v [n, d] are split in o.Heads heads of d/heads columns; bias is nil or
// [query segments, key segments]. See AttentionOptions. Nothing of the size of
// the score matrix is kept for the backward pass, which computes the scores
// again, block by block.
func (tp *Tape) Attention(q, k, v, bias *Tensor, o AttentionOptions) *Tensor {
	mustShape("attention", "q", q, Float32, -1, -1)
	d := q.shape[1]
	mustShape("attention", "k", k, Float32, -1, d)
	mustShape("attention", "v", v, Float32, k.shape[0], d)
	if o.Heads < 1 || d%o.Heads != 0 {
		panic(fmt.Sprintf("attention: width %d in %d heads", d, o.Heads))
	}
	mustOffsets("attention", o.QOffsets, q.shape[0])
	mustOffsets("attention", o.KOffsets, k.shape[0])
	if bias != nil {
		mustShape("attention", "bias", bias, Float32, len(o.QOffsets)-1, len(o.KOffsets)-1)
	} else if len(o.QOffsets) != len(o.KOffsets) {
		panic(fmt.Sprintf("attention: %d query segments and %d key segments without a bias", len(o.QOffsets)-1, len(o.KOffsets)-1))
	}
	if o.Causal && bias != nil {
		panic("attention: causal attention with a bias between documents")
	}
	opt := tp.attention.get()
	*opt = o
	if !tp.training {
		opt.Dropout = 0
	} else if o.Dropout > 0 {
		opt.Seed, opt.Stream = tp.seed, tp.stream()
	}
	out, lse := tp.New(q.Shape()...), tp.New(o.Heads, q.shape[0])
	tp.backend.Attention(out, lse, q, k, v, bias, opt)
	if tp.result(out, q, k, v, bias) {
		r := tp.push()
		r.backward, r.out, r.in = attentionBackward, out, [4]*Tensor{q, k, v, bias}
		r.saved[0], r.attn = lse, opt
	}
	return out
}

func attentionBackward(tp *Tape, r *record) {
	q, k, v, bias := r.in[0], r.in[1], r.in[2], r.in[3]
	dq, addQ := tp.gradient(q)
	dk, addK := tp.gradient(k)
	dv, addV := tp.gradient(v)
	tp.backend.AttentionBackward(dq, dk, dv, tp.sum(bias), r.out.grad, r.out, r.saved[0], q, k, v, bias, r.attn, [3]bool{addQ, addK, addV})
}

// CrossEntropy returns scale times the sum over rows i of the negative
// log-likelihood of targets[i] under softmax(hidden[i] table^T), for hidden
// [n, d] and table [v, d], and the n summands without scale. With label
// smoothing s a row counts (1-s) times its own term plus s times the mean term
// over the vocabulary.
//
// On a recording tape the gradients are computed along with the loss, block by
// block, so that the logits are computed only once. The gradient of a table that
// has none yet is computed where it will stay; it counts when Backward adds it.
func (tp *Tape) CrossEntropy(hidden, table, targets *Tensor, smoothing, scale float32) (loss, nll *Tensor) {
	mustShape("crossentropy", "hidden", hidden, Float32, -1, -1)
	mustShape("crossentropy", "table", table, Float32, -1, hidden.shape[1])
	mustShape("crossentropy", "targets", targets, Int32, hidden.shape[0])
	loss, nll = tp.New(1), tp.New(hidden.shape[0])
	var dhidden, dtable *Tensor
	if tp.result(loss, hidden, table) {
		dhidden = tp.New(hidden.Shape()...)
		if table.requiresGrad {
			dtable = tp.borrow(table)
		}
		r := tp.push()
		r.backward, r.out, r.in, r.saved = crossEntropyBackward, loss, [4]*Tensor{hidden, table}, [3]*Tensor{dhidden, dtable}
	}
	n, v := hidden.shape[0], table.shape[0]
	logits := tp.New(logitsRows(n, v), v)
	tp.backend.CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits, smoothing, scale)
	tp.release(logits)
	return loss, nll
}

// logitsBlock is the size, in elements, that a block of logits has at most,
// unless that were fewer than minLogitsRows rows. Every block reads the table
// and its gradient anew, which takes longer than the products if it is small.
const (
	logitsBlock   = 1 << 22
	minLogitsRows = 256
)

// logitsRows returns how many of n rows of v logits are computed at a time, in
// blocks of about the same size.
func logitsRows(n, v int) int {
	most := max(minLogitsRows, logitsBlock/max(v, 1))
	blocks := max((n+most-1)/most, 1)
	return (n + blocks - 1) / blocks
}

func crossEntropyBackward(tp *Tape, r *record) {
	for i, in := range r.in[:2] {
		saved := r.saved[i]
		if saved != nil && tp.adopt(in, saved) {
			tp.backend.MulScalar(saved, saved, r.out.grad, false)
			continue
		}
		if g, accumulate := tp.gradient(in); g != nil {
			tp.backend.MulScalar(g, saved, r.out.grad, accumulate)
		}
		if saved != nil && saved.inTape(tp) {
			tp.release(saved)
		}
	}
}

// mustOffsets panics unless offsets rise from 0 to n.
func mustOffsets(op string, offsets []int32, n int) {
	ok := len(offsets) > 0 && offsets[0] == 0 && int(offsets[len(offsets)-1]) == n
	for i := 1; ok && i < len(offsets); i++ {
		ok = offsets[i-1] <= offsets[i]
	}
	if !ok {
		panic(fmt.Sprintf("%s: offsets do not rise from 0 to %d", op, n))
	}
}
