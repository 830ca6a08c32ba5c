package tensor

import (
	"fmt"
	"math"
)

// Add returns a + b; the shapes must be equal.
func (tp *Tape) Add(a, b *Tensor) *Tensor {
	mustEqualShapes("add", a, b)
	tp.read("add", a, b)
	return tp.add(tp.New(a.Shape()...), a, b)
}

// AddInto returns a + b, in the memory of a if a is a result of Linear,
// FeedForward, Gather or Dropout that no operation has read, and else in new
// memory. Either way a cannot be read afterwards.
func (tp *Tape) AddInto(a, b *Tensor) *Tensor { return tp.addInto("addinto", a, b) }

func (tp *Tape) addInto(op string, a, b *Tensor) *Tensor {
	mustEqualShapes(op, a, b)
	tp.read(op, b)
	out, taken := tp.inPlace(op, a)
	tp.add(out, a, b)
	tp.overwritten(a, taken)
	return out
}

// inPlace returns a tensor for the result of an operation on a, and whether it
// has the memory of a: not where something else needs the values of a, such as a
// view, or the backward pass of the operation that made a or of one that read
// it. The operation's other inputs must be marked as read before.
func (tp *Tape) inPlace(op string, a *Tensor) (out *Tensor, taken bool) {
	tp.mustUse(op, a)
	if a.tape != tp || a.base != nil || a.use != useTemporary {
		return tp.New(a.Shape()...), false
	}
	out = tp.tensor()
	out.init(tp.backend, Float32, a.Shape())
	out.store, out.offset = a.store, a.offset
	return out, true
}

// overwritten marks a after an operation in place, so that nothing reads it.
func (tp *Tape) overwritten(a *Tensor, taken bool) {
	if a.tape == tp {
		a.use |= useOverwritten
	}
	if taken {
		a.store = nil
	}
}

// add sets out, which may have the memory of a.
func (tp *Tape) add(out, a, b *Tensor) *Tensor {
	tp.backend.Add(out, a, b)
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in = addBackward, out, [MaxExprInputs]*Tensor{a, b}
	}
	return out
}

// mustEqualShapes panics unless a and b have the same shape.
func mustEqualShapes(op string, a, b *Tensor) {
	if a.rank != b.rank || a.shape != b.shape {
		panic(fmt.Sprintf("%s: %v and %v", op, a, b))
	}
}

func addBackward(tp *Tape, r *record) {
	dy := r.out.grad
	for _, in := range r.in[:2] {
		tp.pass(in, r, dy)
	}
}

// Scale returns alpha * x.
func (tp *Tape) Scale(alpha float32, x *Tensor) *Tensor {
	tp.read("scale", x)
	out := tp.New(x.Shape()...)
	tp.backend.Scale(out, alpha, x)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.f = scaleBackward, out, [MaxExprInputs]*Tensor{x}, alpha
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
	tp.read("mulscalar", x, s)
	mustShape("mulscalar", "s", s, Float32, 1)
	out := tp.New(x.Shape()...)
	tp.backend.MulScalar(out, x, s, false)
	if tp.result(out, x, s) {
		r := tp.push()
		r.backward, r.out, r.in = mulScalarBackward, out, [MaxExprInputs]*Tensor{x, s}
	}
	return out
}

func mulScalarBackward(tp *Tape, r *record) {
	if g, accumulate := tp.gradient(r.in[0]); g != nil {
		tp.backend.MulScalar(g, r.out.grad, r.in[1], accumulate)
	}
	if g, accumulate := tp.gradient(r.in[1]); g != nil {
		tp.backend.AddDot(g, r.out.grad, r.in[0], accumulate)
	}
}

// Dot returns the sum of the products of the elements of a and b, which have
// the same shape: [1].
func (tp *Tape) Dot(a, b *Tensor) *Tensor {
	mustEqualShapes("dot", a, b)
	tp.read("dot", a, b)
	out := tp.New(1)
	tp.backend.AddDot(out, a, b, false)
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in = dotBackward, out, [MaxExprInputs]*Tensor{a, b}
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
	tp.read("linear", x, w, b)
	out := tp.linear(x, w, b, nil)
	out.use = useTemporary
	if tp.result(out, x, w, b) {
		r := tp.push()
		r.backward, r.out, r.in = linearBackward, out, [MaxExprInputs]*Tensor{x, w, b}
	}
	return out
}

// LinearGELU returns GELU(x W^T + b), as Linear followed by GELU, in one pass.
func (tp *Tape) LinearGELU(x, w, b *Tensor) *Tensor {
	tp.read("lineargelu", x, w, b)
	var pre *Tensor
	if tp.recording {
		pre = tp.New(x.shape[0], w.shape[0])
	}
	out := tp.linear(x, w, b, &pre)
	if tp.result(out, x, w, b) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved[0] = linearGELUBackward, out, [MaxExprInputs]*Tensor{x, w, b}, pre
	}
	return out
}

// linear computes x W^T + b, with GELU if pre is not nil. If *pre is not nil,
// it receives the value before GELU.
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
	tp.product(out, x, w, o)
	return out
}

// FeedForward returns GELU(x W1^T + b1) W2^T + b2 for x [n, in], W1 [ffn, in],
// b1 [ffn], W2 [out, ffn] and b2 [out]. The value after GELU is not kept for the
// backward pass, which computes it again from the value before.
func (tp *Tape) FeedForward(x, w1, b1, w2, b2 *Tensor) *Tensor {
	tp.read("feedforward", x, w1, b1, w2, b2)
	var pre *Tensor
	if tp.recording {
		pre = tp.New(x.shape[0], w1.shape[0])
	}
	h := tp.linear(x, w1, b1, &pre)
	out := tp.linear(h, w2, b2, nil)
	out.use = useTemporary
	tp.release(h)
	if tp.result(out, x, w1, b1, w2, b2) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved = feedForwardBackward, out, [MaxExprInputs]*Tensor{x, w1, b1}, [3]*Tensor{pre, w2, b2}
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
	// Nothing else reads the gradient of the output: overwrite it.
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
	if g, accumulate := tp.gradient(b); g != nil {
		tp.backend.AddRows(g, dy, accumulate)
	}
}

// GELU returns x*Phi(x), Phi being the normal distribution function (the
// exact form, by erf).
func (tp *Tape) GELU(x *Tensor) *Tensor {
	tp.read("gelu", x)
	out := tp.New(x.Shape()...)
	tp.backend.GELU(out, x)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = geluBackward, out, [MaxExprInputs]*Tensor{x}
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
	tp.read("layernorm", x, gamma, beta)
	mustShape("layernorm", "x", x, Float32, -1, -1)
	mustShape("layernorm", "gamma", gamma, Float32, x.shape[1])
	mustShape("layernorm", "beta", beta, Float32, x.shape[1])
	out := tp.New(x.Shape()...)
	mean, rstd := tp.New(x.shape[0]), tp.New(x.shape[0])
	tp.backend.LayerNorm(out, mean, rstd, x, gamma, beta, eps)
	out.use = useComputable
	tp.result(out, x, gamma, beta)
	if tp.recording { // also without a gradient, for Recompute
		r := tp.push()
		r.backward, r.forward, r.out, r.in = layerNormBackward, layerNormForward, out, [MaxExprInputs]*Tensor{x, gamma, beta}
		r.saved, r.f = [3]*Tensor{mean, rstd}, eps
		out.record = len(tp.records)
	}
	return out
}

func layerNormForward(tp *Tape, r *record) {
	tp.backend.LayerNorm(r.out, r.saved[0], r.saved[1], r.in[0], r.in[1], r.in[2], r.f)
}

func layerNormBackward(tp *Tape, r *record) {
	x, gamma, beta := r.in[0], r.in[1], r.in[2]
	dgamma, addGamma := tp.gradient(gamma)
	dbeta, addBeta := tp.gradient(beta)
	dx, addX := tp.gradient(x)
	tp.backend.LayerNormBackward(dx, dgamma, dbeta, r.out.grad, x, gamma, r.saved[0], r.saved[1],
		[3]bool{addX, addGamma, addBeta})
}

// Dropout zeroes each element with probability p and multiplies the others by
// 1/(1-p) on a training tape; otherwise it returns x as it is. Which elements are
// dropped depends on the tape's seed and on the number of dropouts before
// this one.
func (tp *Tape) Dropout(x *Tensor, p float32) *Tensor {
	if !tp.drops(p) {
		return tp.alias("dropout", x)
	}
	tp.read("dropout", x)
	out := tp.New(x.Shape()...)
	out.use = useTemporary
	stream := tp.stream(uint64(out.Len()))
	tp.backend.Dropout(out, x, p, tp.seed, stream)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = dropoutBackward, out, [MaxExprInputs]*Tensor{x}
		r.f, r.seed, r.stream = p, tp.seed, stream
	}
	return out
}

// AddDropout returns x + Dropout(y, p), the residual connection of a
// Transformer. It may take the memory of y, as AddInto does that of a.
func (tp *Tape) AddDropout(x, y *Tensor, p float32) *Tensor {
	if !tp.drops(p) {
		return tp.addInto("adddropout", y, x)
	}
	mustEqualShapes("adddropout", x, y)
	tp.read("adddropout", x)
	out, taken := tp.inPlace("adddropout", y)
	stream := tp.stream(uint64(out.Len()))
	tp.backend.AddDropout(out, x, y, p, tp.seed, stream)
	tp.overwritten(y, taken)
	if tp.result(out, x, y) {
		r := tp.push()
		r.backward, r.out, r.in = addDropoutBackward, out, [MaxExprInputs]*Tensor{y, x}
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
	if g, accumulate := tp.gradient(y); g != nil && accumulate {
		dropped := tp.New(dy.Shape()...)
		tp.backend.Dropout(dropped, dy, r.f, r.seed, r.stream)
		tp.backend.Axpy(1, dropped, g)
		tp.release(dropped)
	} else if g != nil {
		tp.backend.Dropout(g, dy, r.f, r.seed, r.stream)
	}
	tp.pass(x, r, dy)
}

// stream returns the number of an unused stream of random numbers for n
// elements. If one stream is too short, the following ones are used up, too.
func (tp *Tape) stream(n uint64) uint64 {
	first := tp.streams + 1
	tp.streams += max(1, (n+streamLen-1)/streamLen)
	return first
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
