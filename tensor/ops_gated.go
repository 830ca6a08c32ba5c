package tensor

import "fmt"

// gatedBackend are the methods that a backend may have for what the blocks of today's
// Transformers consist of, see those of CPU. Where it has not, the tape composes them
// of others.
type gatedBackend interface {
	SwiGLU(y, gate, up *Tensor)
	SwiGLUBackward(dgate, dup, dy, gate, up *Tensor)
	RMSNorm(y, rstd, x, weight *Tensor, eps float32)
	RMSNormBackward(dx, dweight, dy, x, weight, rstd *Tensor, accumulate [2]bool)
	Rotate(y, x, cos, sin *Tensor, back bool)
}

var (
	exprSwiGLU = binaryExpr("swiglu", func(gate, up Value) Value { return gate.Mul(gate.Sigmoid()).Mul(up) })
	// Of x, the mean of its squares, epsilon and weight.
	exprRMSNorm = NewExpr("rmsnorm", 4, func(in []Value) Value { return in[0].Div(in[1].Add(in[2]).Sqrt()).Mul(in[3]) })
	// Of the two columns of a pair, and cosine and sine of the angle.
	exprRotateFirst = NewExpr("rotate", 4, func(in []Value) Value {
		return in[0].Mul(in[2]).Sub(in[1].Mul(in[3]))
	})
	exprRotateSecond = NewExpr("rotate", 4, func(in []Value) Value {
		return in[1].Mul(in[2]).Add(in[0].Mul(in[3]))
	})
)

// SwiGLU returns gate * sigmoid(gate) * up, of equal shapes (Shazeer 2020,
// arXiv:2002.05202).
func (tp *Tape) SwiGLU(gate, up *Tensor) *Tensor {
	mustEqualShapes("swiglu", gate, up)
	b, ok := tp.backend.(gatedBackend)
	if !ok {
		return tp.Map(exprSwiGLU, gate, up)
	}
	tp.read("swiglu", gate, up)
	gate, up = tp.dense(gate), tp.dense(up)
	out := tp.New(gate.Shape()...)
	b.SwiGLU(out, gate, up)
	if tp.result(out, gate, up) {
		r := tp.push()
		r.backward, r.out, r.in = swiGLUBackward, out, [MaxExprInputs]*Tensor{gate, up}
	}
	return out
}

func swiGLUBackward(tp *Tape, r *record) {
	gate, up := r.in[0], r.in[1]
	g, addGate := tp.gradient(gate)
	u, addUp := tp.gradient(up)
	dgate, dup := tp.overwritable(g, addGate, gate), tp.overwritable(u, addUp, up)
	tp.backend.(gatedBackend).SwiGLUBackward(dgate, dup, r.out.grad, gate, up)
	tp.deliver(g, dgate)
	tp.deliver(u, dup)
}

// overwritable returns where a kernel that only sets can put the gradient of t: g, or
// new memory if g is nil or must be added to.
func (tp *Tape) overwritable(g *Tensor, accumulate bool, t *Tensor) *Tensor {
	if g != nil && !accumulate {
		return g
	}
	return tp.New(t.Shape()...)
}

// deliver adds to g what is in memory that overwritable returned for it.
func (tp *Tape) deliver(g, computed *Tensor) {
	if g == computed {
		return
	}
	if g != nil {
		tp.backend.Axpy(1, computed, g)
	}
	tp.release(computed)
}

// RMSNorm returns x/sqrt(mean(x^2) + eps) * weight for every row of x [..., d], the
// elements of the last dimension (Zhang and Sennrich 2019, arXiv:1910.07467).
func (tp *Tape) RMSNorm(x, weight *Tensor, eps float32) *Tensor {
	mustFeatures("rmsnorm", "x", x)
	mustShape("rmsnorm", "weight", weight, Float32, x.shape[x.rank-1])
	b, ok := tp.backend.(gatedBackend)
	if !ok {
		return tp.Map(exprRMSNorm, x, tp.Mean(tp.Map(exprSquare, x), true, -1), tp.Floats([]float32{eps}, 1), weight)
	}
	tp.read("rmsnorm", x, weight)
	x, weight = tp.dense(x), tp.dense(weight)
	out, rstd := tp.New(x.Shape()...), tp.New(x.Rows())
	b.RMSNorm(tp.matrix(out), rstd, tp.matrix(x), weight, eps)
	if tp.result(out, x, weight) {
		r := tp.push()
		r.backward, r.out, r.in = rmsNormBackward, out, [MaxExprInputs]*Tensor{x, weight}
		r.saved[0] = rstd
	}
	return out
}

func rmsNormBackward(tp *Tape, r *record) {
	x, weight := r.in[0], r.in[1]
	dweight, addWeight := tp.gradient(weight)
	dx, addX := tp.gradient(x)
	tp.backend.(gatedBackend).RMSNormBackward(tp.matrix(dx), dweight, tp.matrix(r.out.grad), tp.matrix(x), weight,
		r.saved[0], [2]bool{addX, addWeight})
}

// Rotate turns pairs of columns of x [n, heads*w] by angles, of which cos and sin
// [n, w/2] are cosines and sines: the first of a pair becomes a*cos - b*sin, the
// second b*cos + a*sin (rotary positions, Su et al. 2021, arXiv:2104.09864, eq. 34).
// Pair i of a head are the columns i and i+w/2 or, if interleaved, 2i and 2i+1.
// Gradients flow to x alone.
func (tp *Tape) Rotate(x, cos, sin *Tensor, interleaved bool) *Tensor {
	mustEqualShapes("rotate", cos, sin)
	if x.rank != 2 || cos.rank != 2 || x.dtype != Float32 || cos.dtype != Float32 || x.shape[0] != cos.shape[0] ||
		cos.shape[1] == 0 || x.shape[1]%(2*cos.shape[1]) != 0 {
		panic(fmt.Sprintf("rotate: %v by angles %v, want [n heads*w] and [n w/2]", x, cos))
	}
	b, ok := tp.backend.(gatedBackend)
	if !ok || interleaved {
		return tp.rotatePairs(x, tp.Detach(cos), tp.Detach(sin), interleaved)
	}
	tp.read("rotate", x, cos, sin)
	x, cos, sin = tp.dense(x), tp.dense(cos), tp.dense(sin)
	out := tp.New(x.Shape()...)
	b.Rotate(out, x, cos, sin, false)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = rotateBackward, out, [MaxExprInputs]*Tensor{x}
		r.saved = [3]*Tensor{cos, sin}
	}
	return out
}

func rotateBackward(tp *Tape, r *record) {
	dy := r.out.grad
	tp.backend.(gatedBackend).Rotate(dy, dy, r.saved[0], r.saved[1], true)
	tp.pass(r.in[0], r, dy)
}

// rotatePairs is Rotate by operations that every backend has.
func (tp *Tape) rotatePairs(x, cos, sin *Tensor, interleaved bool) *Tensor {
	n, width, half := x.shape[0], x.shape[1], cos.shape[1]
	axis, shape := 2, [4]int{n, width / (2 * half), 2, half}
	if interleaved {
		axis, shape = 3, [4]int{n, width / (2 * half), half, 2}
	}
	cos, sin = tp.Unsqueeze(cos, 1), tp.Unsqueeze(sin, 1)
	split := tp.Reshape(x, shape[:]...)
	a, b := tp.Squeeze(tp.Slice(split, axis, 0, 1), axis), tp.Squeeze(tp.Slice(split, axis, 1, 2), axis)
	turned := tp.Stack(axis, tp.Map(exprRotateFirst, a, b, cos, sin), tp.Map(exprRotateSecond, a, b, cos, sin))
	return tp.Reshape(turned, n, width)
}
