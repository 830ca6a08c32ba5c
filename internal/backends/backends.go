// Package backends has the flags by which programs choose where they compute.
package backends

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"

	_ "github.com/marge-go/marge/gpu" // registers "cuda", which works in a program that is built with the tag cuda
	"github.com/marge-go/marge/tensor"
)

// The backends and precisions that are the defaults.
const (
	cpu  = "cpu"
	fp32 = "fp32"
)

// Choice is where a model computes, and how it multiplies matrices: the flags -backend
// and -precision. The zero value is cpu, in float32.
type Choice struct {
	Backend   string `json:"backend,omitempty"`   // "": cpu
	Precision string `json:"precision,omitempty"` // "": fp32, or with cuda what the environment says
}

// Define defines the flags.
func (c *Choice) Define(f *flag.FlagSet) {
	f.StringVar(&c.Backend, "backend", cpu, "where to compute: cpu or, in a program built with the tag cuda, cuda "+
		"(see package gpu)")
	f.StringVar(&c.Precision, "precision", "", "how to multiply matrices: fp32 (the default) or bf16, for the CPU "+
		"one with AVX512_BF16; with -backend cuda also tf32")
}

// Canonical returns the form of a choice that all choices of the same have: without the
// names of defaults, whatever the environment says.
func (c Choice) Canonical() Choice {
	if c.Backend == cpu {
		c.Backend = ""
	}
	if c.Precision == fp32 {
		c.Precision = ""
	}
	return c
}

// String names a canonical choice by what is not the default: "", "bf16" or "cuda tf32".
func (c Choice) String() string { return strings.TrimSpace(c.Backend + " " + c.Precision) }

// Open opens the backend, which the program closes.
func (c Choice) Open() (tensor.Backend, error) {
	name := cmp.Or(c.Backend, cpu)
	switch {
	case name == "cuda" && c.Precision != "": // it takes its options from the environment
		if err := os.Setenv("MARGE_CUDA_PRECISION", c.Precision); err != nil {
			return nil, err
		}
		return tensor.Open(name)
	case c.Precision == "" || c.Precision == fp32:
		return tensor.Open(name)
	case name != cpu || c.Precision != "bf16":
		return nil, fmt.Errorf("-precision %s: backend %s has no such precision", c.Precision, name)
	}
	b, err := tensor.NewCPUWith(tensor.CPUOptions{Precision: tensor.BFloat16})
	if err != nil {
		return nil, fmt.Errorf("-precision %s: %w", c.Precision, err)
	}
	if w := b.Warning(); w != "" {
		fmt.Fprintf(os.Stderr, "-precision %s: %s\n", c.Precision, w)
	}
	return b, nil
}
