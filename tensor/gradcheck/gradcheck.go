// Package gradcheck checks gradients: those of [tensor.Function]s, of layers, of
// anything that is made of the operations of a tape.
//
// It runs a function on a backend that computes in float64, so that differences of its
// results tell the gradient to nine digits or so, and compares that with what the
// backward pass makes. It does not test the kernels of other backends: see
// [github.com/marge-go/marge/tensor/backendtest] for that.
package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Function is a function of tensors to be checked. It computes on the tape that it is
// given, and must depend on nothing but its inputs, whatever else is a tensor: a
// parameter of a layer is an input. The tape is in training mode, with a fixed seed:
// dropout drops the same elements whenever the function is called.
//
// It must have no kink near the inputs, such as a ReLU of 0. Results that tell their
// inputs by Tensor.CopyTo are rounded to float32.
type Function func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor

const (
	// step is the distance of central differences. Their error is about step^2/6 times
	// the third derivative, plus 1e-16/step times the value.
	step = 1e-5
	// tolerance is of the greatest gradient of an input. Constants of expressions are
	// float32, which their derivatives need not match exactly.
	tolerance = 1e-6
	seed      = 11
)

// Check reports an error of t unless the gradients of f by its inputs are right: the
// gradients of a weighted sum of the elements of f(inputs), with random weights, by every
// element of the inputs that are float32. The inputs are copied; they may be of any
// backend.
func Check(t testing.TB, f Function, inputs ...*tensor.Tensor) {
	t.Helper()
	if err := check(f, inputs); err != nil {
		t.Error(err)
	}
}

func check(f Function, inputs []*tensor.Tensor) error {
	tp := tensor.NewTape(backend{})
	var in []*tensor.Tensor
	for _, x := range inputs {
		in = append(in, clone(x))
	}
	var weights *tensor.Tensor
	// run returns the weighted sum, a tensor of the tape.
	run := func(mode tensor.Mode) *tensor.Tensor {
		tp.Reset(mode, seed)
		y := f(tp, in)
		if weights == nil {
			weights = random(y.Shape())
		}
		return tp.Sum(tp.Mul(y, weights), false)
	}
	value := func() float64 {
		m, offset := device(run(tensor.Training))
		return m.f[offset]
	}
	for _, x := range in {
		x.SetRequiresGrad(x.DType() == tensor.Float32)
	}
	loss := run(tensor.Training)
	if !loss.RequiresGrad() {
		return fmt.Errorf("gradcheck: the result depends on no input")
	}
	tp.Backward(loss)
	for i, x := range in {
		if x.DType() != tensor.Float32 {
			continue
		}
		got := values(x.Grad())
		want := make([]float64, len(got))
		greatest := 1e-3
		for j := range want {
			p := &values(x)[j]
			keep := *p
			*p = keep + step
			above := value()
			*p = keep - step
			want[j] = (above - value()) / (2 * step)
			*p = keep
			greatest = max(greatest, math.Abs(want[j]))
		}
		for j, w := range want {
			if !(math.Abs(got[j]-w) <= tolerance*greatest) {
				return fmt.Errorf("gradcheck: input %d, %v: the gradient of element %d is %.9g, differences give %.9g",
					i, x, j, got[j], w)
			}
		}
	}
	return nil
}

// clone returns a copy of x on the backend.
func clone(x *tensor.Tensor) *tensor.Tensor {
	y := tensor.New(backend{}, x.DType(), x.Shape()...)
	if x.DType() == tensor.Int32 {
		y.SetInt32s(x.Int32s())
		return y
	}
	data := make([]float32, x.Len())
	x.CopyTo(data)
	y.SetFloat32s(data)
	return y
}

// random returns normally distributed numbers.
func random(shape []int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := tensor.New(backend{}, tensor.Float32, shape...)
	data := values(x)
	for i := range data {
		data[i] = rng.NormFloat64()
	}
	return x
}
