// Package nn holds the layers of neural networks, on top of package tensor.
//
// A layer is a struct of parameters with a Forward method that takes the tape
// to run on. Weights have PyTorch's orientation, [out, in].
package nn

import (
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/tensor"
)

// Parameter is a trainable tensor and its name in checkpoints.
type Parameter struct {
	Name string
	*tensor.Tensor
}

// Layer is anything that has parameters.
type Layer interface {
	// Parameters appends the layer's parameters to list, with prefix before
	// their names, in a fixed order.
	Parameters(list []Parameter, prefix string) []Parameter
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

// Constant sets all elements of t.
func Constant(t *tensor.Tensor, value float32) { t.Backend().Fill(t, value) }

// Normal draws the elements of t from a normal distribution with mean 0.
func Normal(t *tensor.Tensor, rng *rand.Rand, std float64) {
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(rng.NormFloat64() * std)
	}
	t.SetFloat32s(values)
}

// AddIdentity adds gain times the identity to a square matrix.
func AddIdentity(t *tensor.Tensor, gain float32) {
	n := t.Dim(0)
	if len(t.Shape()) != 2 || t.Dim(1) != n {
		panic(fmt.Sprintf("nn: AddIdentity to %v, want a square matrix", t))
	}
	values := make([]float32, n*n)
	t.CopyTo(values)
	for i := range n {
		values[i*n+i] += gain
	}
	t.SetFloat32s(values)
}
