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
