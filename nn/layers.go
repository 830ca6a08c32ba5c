package nn

import "github.com/marge-go/marge/tensor"

// Linear is y = x W^T + b.
type Linear struct {
	Weight *tensor.Tensor // [out, in]
	Bias   *tensor.Tensor // [out], or nil
}

// NewLinear returns a Linear with a bias, all zeros.
func NewLinear(b tensor.Backend, in, out int) *Linear {
	return &Linear{Weight: NewParameter(b, out, in), Bias: NewParameter(b, out)}
}

// Forward returns [n, out] for x [n, in].
func (l *Linear) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tp.Linear(x, l.Weight, l.Bias)
}

// Parameters implements Layer: weight, bias.
func (l *Linear) Parameters(list []Parameter, prefix string) []Parameter {
	list = append(list, Parameter{prefix + "weight", l.Weight})
	if l.Bias != nil {
		list = append(list, Parameter{prefix + "bias", l.Bias})
	}
	return list
}

// Embedding is a table of vectors, one for each id.
type Embedding struct {
	Weight *tensor.Tensor // [ids, width]
}

// NewEmbedding returns an Embedding of zeros.
func NewEmbedding(b tensor.Backend, ids, width int) *Embedding {
	return &Embedding{Weight: NewParameter(b, ids, width)}
}

// Forward returns scale times the rows of the table that ids [n] names:
// [n, width].
func (e *Embedding) Forward(tp *tensor.Tape, ids *tensor.Tensor, scale float32) *tensor.Tensor {
	return tp.Gather(e.Weight, ids, scale)
}

// Parameters implements Layer: weight.
func (e *Embedding) Parameters(list []Parameter, prefix string) []Parameter {
	return append(list, Parameter{prefix + "weight", e.Weight})
}

// LayerNormEps is added to the variance in LayerNorm.
const LayerNormEps = 1e-5

// LayerNorm normalises rows to mean 0 and variance 1, then scales and shifts
// each column (Ba et al. 2016).
type LayerNorm struct {
	Weight *tensor.Tensor // [width]
	Bias   *tensor.Tensor // [width]
}

// NewLayerNorm returns a LayerNorm that only normalises: weight 1, bias 0.
func NewLayerNorm(b tensor.Backend, width int) *LayerNorm {
	l := &LayerNorm{Weight: NewParameter(b, width), Bias: NewParameter(b, width)}
	Constant(l.Weight, 1)
	return l
}

// Forward returns [n, width] for x [n, width].
func (l *LayerNorm) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tp.LayerNorm(x, l.Weight, l.Bias, LayerNormEps)
}

// Parameters implements Layer: weight, bias.
func (l *LayerNorm) Parameters(list []Parameter, prefix string) []Parameter {
	return append(list, Parameter{prefix + "weight", l.Weight}, Parameter{prefix + "bias", l.Bias})
}

// FeedForward is the position-wise network of a Transformer block,
// FC2(GELU(FC1(x))).
type FeedForward struct {
	FC1, FC2 *Linear
	Dropout  float32 // after GELU
}

// NewFeedForward returns a FeedForward with hidden width ffn, all zeros.
func NewFeedForward(b tensor.Backend, width, ffn int) *FeedForward {
	return &FeedForward{FC1: NewLinear(b, width, ffn), FC2: NewLinear(b, ffn, width)}
}

// Forward returns [n, width] for x [n, width].
func (f *FeedForward) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	if f.Dropout == 0 {
		return tp.FeedForward(x, f.FC1.Weight, f.FC1.Bias, f.FC2.Weight, f.FC2.Bias)
	}
	h := tp.LinearGELU(x, f.FC1.Weight, f.FC1.Bias)
	return f.FC2.Forward(tp, tp.Dropout(h, f.Dropout))
}

// Parameters implements Layer: fc1, fc2.
func (f *FeedForward) Parameters(list []Parameter, prefix string) []Parameter {
	return f.FC2.Parameters(f.FC1.Parameters(list, prefix+"fc1."), prefix+"fc2.")
}
