package gradcheck_test

import (
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/gradcheck"
)

// clippedExp is exp(x) whose gradient is at most that at 3.
func clippedExp(tp *tensor.Tape, in []*tensor.Tensor) (*tensor.Tensor, func(*tensor.Tensor) []*tensor.Tensor) {
	y := tp.Exp(in[0])
	return y, func(dout *tensor.Tensor) []*tensor.Tensor {
		most := tensor.Full(tp.Backend(), 20.085537)
		return []*tensor.Tensor{tp.Mul(dout, tp.Minimum(y, most))}
	}
}

// A test of an operation's gradient.
func Example() {
	testClippedExp := func(t *testing.T) {
		cpu := tensor.NewCPU(0)
		defer cpu.Close()
		gradcheck.Check(t, func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Apply(clippedExp, in...)
		}, tensor.Rand(cpu, 1, 2, 3))
	}
	testClippedExp(new(testing.T))
	// Output:
}
