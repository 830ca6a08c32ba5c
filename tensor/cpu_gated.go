package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// SwiGLU sets y = gate * sigmoid(gate) * up, all contiguous.
func (c *CPU) SwiGLU(y, gate, up *Tensor) {
	c.elementwise(y.Len(), elementArgs{dst: y.Float32s(), a: gate.Float32s(), b: up.Float32s()}, swiGLU)
}

func swiGLU(a *elementArgs, lo, hi int) { asm.SwiGLU(a.dst[lo:hi], a.a[lo:hi], a.b[lo:hi]) }

// SwiGLUBackward sets dgate and dup, the gradients of SwiGLU.
func (c *CPU) SwiGLUBackward(dgate, dup, dy, gate, up *Tensor) {
	rowSpans.run(c.pool, dy.Len(), elementGrain, rowArgs{
		dgamma: dgate.Float32s(), dbeta: dup.Float32s(), y: dy.Float32s(), gamma: gate.Float32s(), beta: up.Float32s(),
	}, swiGLUGradient)
}

func swiGLUGradient(a *rowArgs, lo, hi int) {
	asm.SwiGLUBackward(a.dgamma[lo:hi], a.dbeta[lo:hi], a.y[lo:hi], a.gamma[lo:hi], a.beta[lo:hi])
}

// RMSNorm sets y = x * rstd * weight for every row of x [n, d], and rstd [n], which is
// 1/sqrt(mean(x^2) + eps), for the backward pass.
func (c *CPU) RMSNorm(y, rstd, x, weight *Tensor, eps float32) {
	d := x.shape[1]
	rowSpans.run(c.pool, x.shape[0], rowGrain(d), rowArgs{
		out: y.Float32s(), x: x.Float32s(), gamma: weight.Float32s(), rstd: rstd.Float32s(), width: d, alpha: eps,
	}, rmsNorm)
}

func rmsNorm(a *rowArgs, lo, hi int) {
	d := a.width
	for i := lo; i < hi; i++ {
		x, y := a.x[i*d:(i+1)*d], a.out[i*d:(i+1)*d]
		a.rstd[i] = float32(1 / math.Sqrt(asm.SumSquares(x)/float64(d)+float64(a.alpha)))
		asm.Scale(y, a.rstd[i], x)
		asm.Mul(y, y, a.gamma)
	}
}

// RMSNormBackward sets (adds to) dx and dweight, the gradients of RMSNorm, each as
// accumulate says. Each of the two may be nil. Every part sums the gradient
// of weight over its own rows; the parts' sums are added in order.
func (c *CPU) RMSNormBackward(dx, dweight, dy, x, weight, rstd *Tensor, accumulate [2]bool) {
	rows, d := x.shape[0], x.shape[1]
	grain := max(rowGrain(d), ceil.Div(rows, normSums))
	parts := ceil.Div(rows, grain)
	work := c.scratch.get(2 * parts * d) // for each part a row of sums and one of products
	clear(work.data[:parts*d])
	a := rowArgs{
		out: floatsOrNil(dx), x: x.Float32s(), y: dy.Float32s(), gamma: weight.Float32s(), rstd: rstd.Float32s(),
		dbeta: work.data[parts*d:], width: d, grain: grain, accumulate: accumulate[0],
	}
	if dweight != nil {
		a.dgamma = work.data[:parts*d]
	}
	rowSpans.run(c.pool, rows, grain, a, rmsNormGradient)
	if dweight != nil {
		addAllRows(dweight.Float32s(), a.dgamma, parts, accumulate[1])
	}
	c.scratch.put(work)
}

func rmsNormGradient(a *rowArgs, lo, hi int) {
	d, part := a.width, lo/a.grain
	products := a.dbeta[part*d : (part+1)*d]
	for i := lo; i < hi; i++ {
		x, dy, rstd := a.x[i*d:(i+1)*d], a.y[i*d:(i+1)*d], a.rstd[i]
		if a.dgamma != nil {
			asm.Mul(products, dy, x)
			asm.Axpy(rstd, products, a.dgamma[part*d:(part+1)*d])
		}
		if a.out == nil {
			continue
		}
		// With g = dy*weight: rstd*g - rstd^3 * mean(g*x) * x.
		dx := a.out[i*d : (i+1)*d]
		asm.Mul(products, dy, a.gamma)
		slope := -rstd * rstd * rstd * asm.Dot(products, x) / float32(d)
		if a.accumulate {
			asm.Axpy(rstd, products, dx)
		} else {
			asm.Scale(dx, rstd, products)
		}
		asm.Axpy(slope, x, dx)
	}
}

// Rotate sets y, which can be x [n, heads*w], to x with the columns i and i+w/2 of
// every head turned by the angles of cos and sin [n, w/2] or, if back, by the opposite
// ones, see Tape.Rotate.
func (c *CPU) Rotate(y, x, cos, sin *Tensor, back bool) {
	d := x.shape[1]
	rowSpans.run(c.pool, x.shape[0], rowGrain(d), rowArgs{
		out: y.Float32s(), x: x.Float32s(), gamma: cos.Float32s(), beta: sin.Float32s(), width: d, ld: cos.shape[1],
		accumulate: back,
	}, rotate)
}

func rotate(a *rowArgs, lo, hi int) {
	d, half := a.width, a.ld
	for i := lo; i < hi; i++ {
		asm.Rotate(a.out[i*d:(i+1)*d], a.x[i*d:(i+1)*d], a.gamma[i*half:(i+1)*half], a.beta[i*half:(i+1)*half], a.accumulate)
	}
}
