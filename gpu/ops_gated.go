//go:build cuda

package gpu

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// Kernels of kernels/gated.cu have blocks of gatedBlock threads. The gradient of
// RMSNorm's weight is that of at most gatedGroups groups of rows.
const (
	gatedBlock  = 256
	gatedGroups = 256
	gatedHeight = 64 // least rows of a group
)

// SwiGLU sets y = gate * sigmoid(gate) * up, all contiguous.
func (b *Backend) SwiGLU(y, gate, up *tensor.Tensor) {
	defer b.enter("SwiGLU")()
	n := y.Len()
	b.launch("swiglu", [3]int{ceil.Div(n, gatedBlock), 1, 1}, gatedBlock, 0, b.dense(y), b.dense(gate), b.dense(up), n)
}

// SwiGLUBackward sets dgate and dup, the gradients of SwiGLU.
func (b *Backend) SwiGLUBackward(dgate, dup, dy, gate, up *tensor.Tensor) {
	defer b.enter("SwiGLUBackward")()
	n := dy.Len()
	b.launch("swiglu_backward", [3]int{ceil.Div(n, gatedBlock), 1, 1}, gatedBlock, 0,
		b.dense(dgate), b.dense(dup), b.dense(dy), b.dense(gate), b.dense(up), n)
}

// RMSNorm sets y = x * rstd * weight for every row of x [n, d], and rstd [n], which is
// 1/sqrt(mean(x^2) + eps), for the backward pass.
func (b *Backend) RMSNorm(y, rstd, x, weight *tensor.Tensor, eps float32) {
	defer b.enter("RMSNorm")()
	n, d := x.Shape()[0], x.Shape()[1]
	b.launch("rms_norm", [3]int{ceil.Div(n*32, gatedBlock), 1, 1}, gatedBlock, 0,
		b.dense(y), b.dense(rstd), b.dense(x), b.dense(weight), n, int32(d), eps)
}

// RMSNormBackward sets (adds to) dx and dweight, the gradients of RMSNorm, each as
// accumulate says. Each of the two may be nil. The gradient of weight comes first: dx can
// be dy or x.
func (b *Backend) RMSNormBackward(dx, dweight, dy, x, weight, rstd *tensor.Tensor, accumulate [2]bool) {
	defer b.enter("RMSNormBackward")()
	n, d := x.Shape()[0], x.Shape()[1]
	if dweight != nil {
		height := max(gatedHeight, ceil.Div(n, gatedGroups))
		groups := ceil.Div(n, height)
		sums := b.scratch(8 * groups * d)
		columns := ceil.Div(d, gatedBlock)
		b.launch("rms_norm_weight", [3]int{columns, groups, 1}, gatedBlock, 0,
			sums, b.dense(dy), b.dense(x), b.dense(rstd), n, int32(d), height)
		b.launch("add_groups", [3]int{columns, 1, 1}, gatedBlock, 0,
			b.dense(dweight), sums, int32(groups), int32(d), flag(accumulate[1]))
	}
	if dx != nil {
		b.launch("rms_norm_backward", [3]int{ceil.Div(n*32, gatedBlock), 1, 1}, gatedBlock, 0,
			b.dense(dx), b.dense(dy), b.dense(x), b.dense(weight), b.dense(rstd), n, int32(d), flag(accumulate[0]))
	}
}

// Rotate sets y, which can be x [n, heads*w], to x with the columns i and i+w/2 of
// every head turned by the angles of cos and sin [n, w/2] or, if back, by the opposite
// ones, see tensor.Tape.Rotate.
func (b *Backend) Rotate(y, x, cos, sin *tensor.Tensor, back bool) {
	defer b.enter("Rotate")()
	pairs, sign := x.Shape()[1]/2, float32(1)
	if back {
		sign = -1
	}
	n := x.Shape()[0] * pairs
	b.launch("rotate", [3]int{ceil.Div(n, gatedBlock), 1, 1}, gatedBlock, 0,
		b.dense(y), b.dense(x), b.dense(cos), b.dense(sin), n, int32(pairs), int32(cos.Shape()[1]), sign)
}
