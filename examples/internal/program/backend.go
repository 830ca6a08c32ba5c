package program

import (
	"cmp"
	"flag"

	_ "github.com/marge-go/marge/gpu" // registers "cuda", which works in a program that is built with the tag cuda
	"github.com/marge-go/marge/tensor"
)

// Backend is the flag -backend: where a model computes. The zero value is cpu.
type Backend struct{ name string }

// Define defines the flag.
func (b *Backend) Define(f *flag.FlagSet) {
	f.StringVar(&b.name, "backend", "cpu", "where to compute: cpu or, in a program built with the tag cuda, cuda "+
		"(see package gpu)")
}

// Open opens the backend, which the program closes.
func (b *Backend) Open() (tensor.Backend, error) { return tensor.Open(cmp.Or(b.name, "cpu")) }
