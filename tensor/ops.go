package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/internal/ceil"
)

var exprAdd = binaryExpr("add", func(a, b Value) Value { return a.Add(b) })

// Add returns a + b. Shapes are broadcast as Map does.
func (tp *Tape) Add(a, b *Tensor) *Tensor {
	tp.read("add", a, b)
	out := tp.tensor()
	tp.operands = append(tp.operands[:0], a, b)
	broadcastShape(out, "add", tp.operands)
	out.store, out.offset = tp.floats.alloc(out.Len())
	return tp.add(out, a, b)
}

// AddInto returns a + b, in the memory of a if a is a result of Linear, MatMul,
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
	if equalShapes(a, b) && a.Contiguous() && b.Contiguous() {
		tp.backend.Add(out, a, b)
	} else {
		tp.mapInto(out, exprAdd, false, a, b)
	}
	if tp.result(out, a, b) {
		r := tp.push()
		r.backward, r.out, r.in = addBackward, out, [MaxExprInputs]*Tensor{a, b}
	}
	return out
}

// mustEqualShapes panics unless a and b have the same shape.
func mustEqualShapes(op string, a, b *Tensor) {
	if !equalShapes(a, b) {
		panic(fmt.Sprintf("%s: %v and %v", op, a, b))
	}
}

func equalShapes(a, b *Tensor) bool { return slices.Equal(a.Shape(), b.Shape()) }

func addBackward(tp *Tape, r *record) {
	a, b, dy := r.in[0], r.in[1], r.out.grad
	if b.base != nil && !b.whole {
		a, b = b, a // dy may become the gradient of b, of which a may be a view
	}
	for _, in := range [2]*Tensor{a, b} {
		if equalShapes(in, r.out) {
			tp.pass(in, r, dy)
		} else if g, accumulate := tp.gradient(in); g != nil {
			tp.backend.Reduce(tp.aligned(g, r.out), ReduceSum, dy, accumulate)
		}
	}
}

// Scale returns alpha * x.
func (tp *Tape) Scale(alpha float32, x *Tensor) *Tensor {
	tp.read("scale", x)
	x = tp.dense(x)
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
	if s.Len() != 1 || s.dtype != Float32 {
		panic(fmt.Sprintf("mulscalar: s is %v, want one float32", s))
	}
	x = tp.dense(x)
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
	a, b = tp.dense(a), tp.dense(b)
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

// Linear returns x W^T + b [..., out] for x [..., in], W [out, in] and b [out] or
// nil.
func (tp *Tape) Linear(x, w, b *Tensor) *Tensor {
	tp.read("linear", x, w, b)
	tp.mustFitLinear("linear", x, w, b)
	x, b = tp.features(x), tp.dense(b)
	out := tp.linear(x, w, b, GemmOptions{})
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
	tp.mustFitLinear("lineargelu", x, w, b)
	x, b = tp.features(x), tp.dense(b)
	out, pre := tp.linearGELU(x, w, b)
	if tp.result(out, x, w, b) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved[0] = linearGELUBackward, out, [MaxExprInputs]*Tensor{x, w, b}, pre
	}
	return out
}

// mustFitLinear panics unless the operands are x [..., in], w [out, in] and b [out]
// or nil.
func (tp *Tape) mustFitLinear(op string, x, w, b *Tensor) {
	mustFeatures(op, "x", x)
	tp.mustWeight(op, "weight", w, x.shape[x.rank-1])
	if b != nil {
		mustShape(op, "bias", b, Float32, w.shape[0])
	}
}

// linear computes act(x W^T + b), of which o has the activation.
func (tp *Tape) linear(x, w, b *Tensor, o GemmOptions) *Tensor {
	o.TransB, o.Alpha, o.Bias = true, 1, b
	out := tp.newRows(x, w.shape[0])
	tp.product(tp.matrix(out), tp.matrix(x), w, o)
	return out
}

// linearGELU computes GELU(x W^T + b). What it also returns for the backward pass, if
// the tape records, is the value before GELU, as pairs of Compress if the backend
// compresses.
func (tp *Tape) linearGELU(x, w, b *Tensor) (out, pre *Tensor) {
	if c := tp.compressor(); c != nil && tp.recording {
		out = tp.linear(x, w, b, GemmOptions{})
		pre = tp.New(ceil.Div(out.Len(), 2))
		c.CompressGELU(out, pre)
		return out, pre
	}
	if tp.recording {
		pre = tp.New(x.Rows(), w.shape[0])
	}
	return tp.linear(x, w, b, GemmOptions{GELU: true, PreActivation: pre}), pre
}

// geluAgain sets h to GELU of what linearGELU kept.
func (tp *Tape) geluAgain(h, pre *Tensor) {
	if c := tp.compressor(); c != nil {
		c.ExpandGELU(h, pre)
	} else {
		tp.backend.GELU(h, pre)
	}
}

// geluGradient multiplies dy by the derivative of GELU at what linearGELU kept.
func (tp *Tape) geluGradient(dy, pre *Tensor) {
	if c := tp.compressor(); c != nil {
		c.ExpandGELUBackward(dy, pre)
	} else {
		tp.backend.GELUBackward(dy, dy, pre, false)
	}
}

// FeedForward returns GELU(x W1^T + b1) W2^T + b2 for x [..., in], W1 [ffn, in],
// b1 [ffn], W2 [out, ffn] and b2 [out]. The value after GELU is not kept for the
// backward pass, which computes it again from the value before.
func (tp *Tape) FeedForward(x, w1, b1, w2, b2 *Tensor) *Tensor {
	tp.read("feedforward", x, w1, b1, w2, b2)
	tp.mustFitLinear("feedforward", x, w1, b1)
	tp.mustWeight("feedforward", "second weight", w2, w1.shape[0])
	if b2 != nil {
		mustShape("feedforward", "second bias", b2, Float32, w2.shape[0])
	}
	x, b1, b2 = tp.features(x), tp.dense(b1), tp.dense(b2)
	h, pre := tp.linearGELU(x, w1, b1)
	out := tp.linear(h, w2, b2, GemmOptions{})
	out.use = useTemporary
	tp.release(h)
	if tp.result(out, x, w1, b1, w2, b2) {
		r := tp.push()
		r.backward, r.out, r.in = feedForwardBackward, out, [MaxExprInputs]*Tensor{x, w1, b1}
		r.saved = [3]*Tensor{pre, w2, b2}
	}
	return out
}

func feedForwardBackward(tp *Tape, r *record) {
	dy, pre, w2, b2 := tp.matrix(r.out.grad), r.saved[0], r.saved[1], r.saved[2]
	h := tp.New(dy.shape[0], w2.shape[1])
	tp.geluAgain(h, pre)
	tp.productGradient(w2, dy, h, true, false)
	tp.addRows(b2, dy)
	tp.product(h, dy, w2, GemmOptions{Alpha: 1})
	tp.geluGradient(h, pre)
	tp.linearGradients(r, h)
	tp.release(h)
	tp.release(pre)
}

func linearBackward(tp *Tape, r *record) { tp.linearGradients(r, r.out.grad) }

func linearGELUBackward(tp *Tape, r *record) {
	// Nothing else reads the gradient of the output: overwrite it.
	dy := tp.matrix(r.out.grad)
	tp.geluGradient(dy, r.saved[0])
	tp.linearGradients(r, dy)
}

func (tp *Tape) linearGradients(r *record, dy *Tensor) {
	x, w, b := r.in[0], r.in[1], r.in[2]
	dy = tp.matrix(dy)
	if g, accumulate := tp.gradient(x); g != nil {
		tp.addProduct(tp.matrix(g), dy, w, GemmOptions{Alpha: 1}, accumulate)
	}
	tp.productGradient(w, dy, tp.matrix(x), true, false)
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
	x = tp.dense(x)
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
// x [..., d], the elements of the last dimension; var is the biased variance.
func (tp *Tape) LayerNorm(x, gamma, beta *Tensor, eps float32) *Tensor {
	tp.read("layernorm", x, gamma, beta)
	mustFeatures("layernorm", "x", x)
	mustShape("layernorm", "gamma", gamma, Float32, x.shape[x.rank-1])
	mustShape("layernorm", "beta", beta, Float32, x.shape[x.rank-1])
	x, gamma, beta = tp.dense(x), tp.dense(gamma), tp.dense(beta)
	out := tp.New(x.Shape()...)
	mean, rstd := tp.New(x.Rows()), tp.New(x.Rows())
	tp.backend.LayerNorm(tp.matrix(out), mean, rstd, tp.matrix(x), gamma, beta, eps)
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
	tp.backend.LayerNorm(tp.matrix(r.out), r.saved[0], r.saved[1], tp.matrix(r.in[0]), r.in[1], r.in[2], r.f)
}

func layerNormBackward(tp *Tape, r *record) {
	x, gamma, beta := r.in[0], r.in[1], r.in[2]
	dgamma, addGamma := tp.gradient(gamma)
	dbeta, addBeta := tp.gradient(beta)
	dx, addX := tp.gradient(x)
	tp.backend.LayerNormBackward(tp.matrix(dx), dgamma, dbeta, tp.matrix(r.out.grad), tp.matrix(x), gamma,
		r.saved[0], r.saved[1], [3]bool{addX, addGamma, addBeta})
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
	x = tp.dense(x)
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
	given := y
	x, y = tp.dense(x), tp.dense(y)
	stream := tp.stream(uint64(out.Len()))
	tp.backend.AddDropout(out, x, y, p, tp.seed, stream)
	tp.overwritten(given, taken)
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
