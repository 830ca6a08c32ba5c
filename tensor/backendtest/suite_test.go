package backendtest

import (
	"testing"

	"github.com/marge-go/marge/tensor"
)

func TestCPU(t *testing.T) {
	Run(t, func() (tensor.Backend, error) { return tensor.NewCPU(1), nil }, Float32)
}

func TestCPUThreads(t *testing.T) {
	Run(t, func() (tensor.Backend, error) { return tensor.NewCPU(3), nil }, Float32)
}

func TestOpaque(t *testing.T) {
	Run(t, func() (tensor.Backend, error) { return Opaque(tensor.NewCPU(2)), nil }, Float32)
}

// bfloat16 is for the CPU backend that rounds the operands of products to bfloat16: each
// by up to 2^-8, on average a third of that, and errors add up as random ones do. Scores of
// attention have a standard deviation of up to 6 here, and weights have their errors.
var bfloat16 = Tolerance{Gemm: 5e-3, Attention: 1.2e-2, AttentionGradients: 1.2e-2, Other: 1e-6}

func TestCPUBFloat16(t *testing.T) {
	Run(t, func() (tensor.Backend, error) {
		return tensor.NewCPUWith(tensor.CPUOptions{Threads: 2, Precision: tensor.BFloat16, Slow: true})
		// Not Training: after several layers gradients are those of other activations.
	}, bfloat16, "Gemm", "GemmBatches", "GemmRowwise", "LinearMax", "Attention", "AttentionGradients", "CrossEntropy",
		"CrossEntropyRows", "LayerNorm", "Map")
}
