package nn

import (
	"math/rand/v2"

	"github.com/marge-go/marge/tensor"
)

// RMSNorm divides rows by the root of the mean of their squares, and scales each
// column (Zhang and Sennrich 2019): x/sqrt(mean(x^2) + eps) * weight.
type RMSNorm struct {
	Weight *tensor.Tensor // [width]
	Eps    float32
}

// NewRMSNorm returns an RMSNorm that only normalises: weight 1.
func NewRMSNorm(b tensor.Backend, width int, eps float32) *RMSNorm {
	n := &RMSNorm{Weight: NewParameter(b, width), Eps: eps}
	Constant(n.Weight, 1)
	return n
}

// Forward returns [..., width] for x [..., width].
func (n *RMSNorm) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tp.RMSNorm(x, n.Weight, n.Eps)
}

// Parameters implements Layer: weight.
func (n *RMSNorm) Parameters(list []Parameter, prefix string) []Parameter {
	return append(list, Parameter{prefix + "weight", n.Weight})
}

// SwiGLU is a feed-forward network with a gate, Down(SiLU(Gate(x)) * Up(x))
// (Shazeer 2020, arXiv:2002.05202), without biases.
type SwiGLU struct {
	Gate, Up, Down *Linear
	Dropout        float32 // before Down
}

// NewSwiGLU returns a SwiGLU with hidden width ffn, its layers made by NewLinear.
func NewSwiGLU(b tensor.Backend, width, ffn int, rng *rand.Rand) *SwiGLU {
	return &SwiGLU{
		Gate: newProjection(b, width, ffn, rng), Up: newProjection(b, width, ffn, rng),
		Down: newProjection(b, ffn, width, rng),
	}
}

// Forward returns [..., width] for x [..., width].
func (s *SwiGLU) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	h := tp.SwiGLU(s.Gate.Forward(tp, x), s.Up.Forward(tp, x))
	return s.Down.Forward(tp, tp.Dropout(h, s.Dropout))
}

// Parameters implements Layer: gate_proj, up_proj, down_proj.
func (s *SwiGLU) Parameters(list []Parameter, prefix string) []Parameter {
	list = s.Gate.Parameters(list, prefix+"gate_proj.")
	list = s.Up.Parameters(list, prefix+"up_proj.")
	return s.Down.Parameters(list, prefix+"down_proj.")
}
