package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/tensor"
)

// matrix returns x [..., d] as a matrix [n, d]: x itself if it is one.
func matrix(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	if len(x.Shape()) == 2 {
		return x
	}
	return tp.Reshape(x, x.Rows(), x.Dim(-1))
}

// unflatten returns y [n, d], made of a matrix of x, with the leading dimensions
// of x.
func unflatten(tp *tensor.Tape, y *tensor.Tensor, leading []int) *tensor.Tensor {
	if len(leading) == 1 {
		return y
	}
	return tp.Reshape(y, append(slices.Clone(leading), y.Dim(1))...)
}

// leading returns all dimensions of x but the last.
func leading(x *tensor.Tensor) []int { return x.Shape()[:len(x.Shape())-1] }

// Linear is y = x W^T + b.
type Linear struct {
	Weight *tensor.Tensor // [out, in]
	Bias   *tensor.Tensor // [out], or nil
}

// NewLinear returns a Linear with weights and biases drawn uniformly between
// -1/sqrt(in) and 1/sqrt(in), or zeros if rng is nil. For a layer without a bias
// set Bias to nil afterwards.
func NewLinear(b tensor.Backend, in, out int, rng *rand.Rand) *Linear {
	l := &Linear{Weight: NewParameter(b, out, in), Bias: NewParameter(b, out)}
	if rng != nil && in > 0 {
		bound := 1 / math.Sqrt(float64(in))
		Uniform(l.Weight, rng, bound)
		Uniform(l.Bias, rng, bound)
	}
	return l
}

// newProjection returns a Linear without a bias.
func newProjection(b tensor.Backend, in, out int, rng *rand.Rand) *Linear {
	l := NewLinear(b, in, out, rng)
	l.Bias = nil
	return l
}

// Forward returns [..., out] for x [..., in].
func (l *Linear) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return unflatten(tp, tp.Linear(matrix(tp, x), l.Weight, l.Bias), leading(x))
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

	kept *tensor.Tensor // [ids, 1]: 0 for the padding, 1 for others; nil without padding
}

// NewEmbedding returns an Embedding drawn from the standard normal distribution,
// or of zeros if rng is nil.
func NewEmbedding(b tensor.Backend, ids, width int, rng *rand.Rand) *Embedding {
	e := &Embedding{Weight: NewParameter(b, ids, width)}
	if rng != nil {
		Normal(e.Weight, rng, 1)
	}
	return e
}

// SetPadding makes id that of padding: its vector becomes zero and gets no
// gradient.
func (e *Embedding) SetPadding(id int) {
	ids, width := e.Weight.Dim(0), e.Weight.Dim(1)
	if id < 0 || id >= ids {
		panic(fmt.Sprintf("nn: padding %d of an embedding of %d ids", id, ids))
	}
	values, kept := make([]float32, ids*width), make([]float32, ids)
	e.Weight.CopyTo(values)
	clear(values[id*width : (id+1)*width])
	e.Weight.SetFloat32s(values)
	for i := range kept {
		if i != id {
			kept[i] = 1
		}
	}
	e.kept = tensor.FromSlice(e.Weight.Backend(), kept, ids, 1)
}

// Forward returns scale times the rows of the table that ids [...] names:
// [..., width].
func (e *Embedding) Forward(tp *tensor.Tape, ids *tensor.Tensor, scale float32) *tensor.Tensor {
	shape := ids.Shape()
	if len(shape) != 1 {
		ids = tp.Reshape(ids, ids.Len())
	}
	x := tp.Gather(e.Weight, ids, scale)
	if e.kept != nil {
		x = tp.Where(tp.Gather(e.kept, ids, 1), x, tp.Detach(x))
	}
	return unflatten(tp, x, shape)
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

// Forward returns [..., width] for x [..., width].
func (l *LayerNorm) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return unflatten(tp, tp.LayerNorm(matrix(tp, x), l.Weight, l.Bias, LayerNormEps), leading(x))
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

// NewFeedForward returns a FeedForward with hidden width ffn, its layers made by
// NewLinear.
func NewFeedForward(b tensor.Backend, width, ffn int, rng *rand.Rand) *FeedForward {
	return &FeedForward{FC1: NewLinear(b, width, ffn, rng), FC2: NewLinear(b, ffn, width, rng)}
}

// Forward returns [..., width] for x [..., width].
func (f *FeedForward) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	rows := matrix(tp, x)
	if f.Dropout == 0 {
		y := tp.FeedForward(rows, f.FC1.Weight, f.FC1.Bias, f.FC2.Weight, f.FC2.Bias)
		return unflatten(tp, y, leading(x))
	}
	h := tp.LinearGELU(rows, f.FC1.Weight, f.FC1.Bias)
	return unflatten(tp, f.FC2.Forward(tp, tp.Dropout(h, f.Dropout)), leading(x))
}

// Parameters implements Layer: fc1, fc2.
func (f *FeedForward) Parameters(list []Parameter, prefix string) []Parameter {
	return f.FC2.Parameters(f.FC1.Parameters(list, prefix+"fc1."), prefix+"fc2.")
}
