// Package nn holds the layers of neural networks, on top of package tensor.
//
// A layer is a struct of parameters with a Forward method that takes the tape
// to run on. Weights have PyTorch's orientation, [out, in]. Constructors draw the
// weights as PyTorch's layers of the same name do, from a generator of random
// numbers; without one, nil, weights are zeros, for models that set them all.
package nn

import "github.com/marge-go/marge/tensor"

// Parameter is a trainable tensor and its name in checkpoints.
type Parameter struct {
	Name string
	*tensor.Tensor
}

// Values returns the values of a contiguous parameter on the host: those in use,
// without a copy, where the backend keeps them in the host's memory.
func (p Parameter) Values() []float32 {
	if s, _ := p.Storage(); s.Device == nil {
		return p.Float32s()
	}
	values := make([]float32, p.Len())
	p.CopyTo(values)
	return values
}

// Layer is anything that has parameters.
type Layer interface {
	// Parameters appends the layer's parameters to list, with prefix before
	// their names, in a fixed order.
	Parameters(list []Parameter, prefix string) []Parameter
}

// Module is a layer of one input and one output, such as those of Sequential.
type Module interface {
	Layer
	Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor
}

// NewParameter returns a parameter of zeros.
func NewParameter(b tensor.Backend, shape ...int) *tensor.Tensor {
	t := tensor.New(b, tensor.Float32, shape...)
	t.SetRequiresGrad(true)
	return t
}

// Count returns the number of trainable values in the parameters.
func Count(params []Parameter) int {
	n := 0
	for _, p := range params {
		n += p.Len()
	}
	return n
}

// ZeroGrad clears the gradients of the parameters.
func ZeroGrad(params []Parameter) {
	for _, p := range params {
		p.ZeroGrad()
	}
}
