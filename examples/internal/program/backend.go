package program

import (
	"cmp"
	"flag"
	"fmt"
	"os"

	_ "github.com/marge-go/marge/gpu" // registers "cuda", which works in a program that is built with the tag cuda
	"github.com/marge-go/marge/tensor"
)

// Backend are the flags -backend and -precision: where a model computes, and how it
// multiplies matrices. The zero value is cpu, in float32.
type Backend struct{ name, precision string }

// Define defines the flags.
func (b *Backend) Define(f *flag.FlagSet) {
	f.StringVar(&b.name, "backend", "cpu", "where to compute: cpu or, in a program built with the tag cuda, cuda "+
		"(see package gpu)")
	f.StringVar(&b.precision, "precision", "", "how to multiply matrices: fp32 (the default) or bf16, for the CPU "+
		"one with AVX512_BF16; with -backend cuda also tf32")
}

// Open opens the backend, which the program closes.
func (b *Backend) Open() (tensor.Backend, error) {
	name := cmp.Or(b.name, "cpu")
	if b.precision == "" {
		return tensor.Open(name)
	}
	if name == "cuda" { // which takes its options from the environment
		if err := os.Setenv("MARGE_CUDA_PRECISION", b.precision); err != nil {
			return nil, err
		}
		return tensor.Open(name)
	}
	precision, ok := map[string]tensor.DType{"fp32": tensor.Float32, "bf16": tensor.BFloat16}[b.precision]
	if name != "cpu" || !ok {
		return nil, fmt.Errorf("-precision %s: backend %s has no such precision", b.precision, name)
	}
	c, err := tensor.NewCPUWith(tensor.CPUOptions{Precision: precision})
	if err != nil {
		return nil, fmt.Errorf("-precision %s: %w", b.precision, err)
	}
	if w := c.Warning(); w != "" {
		fmt.Fprintf(os.Stderr, "-precision %s: %s\n", b.precision, w)
	}
	return c, nil
}
