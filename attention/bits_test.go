package attention

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// everyBlock returns the outputs and gradients of two blocks with all that blocks
// can have.
func everyBlock(b tensor.Backend) []float32 {
	rng := rand.New(rand.NewPCG(1, 0))
	first := NewTransformerBlock(b, BlockOptions{
		Width: 64, Heads: 4, KVHeads: 2, Hidden: 96, Causal: true, Window: 50, Dropout: 0.1,
		Rotary: NewRotary(b, Interleaved, 16, 400, 10000), RMSNorm: true, SwiGLU: true, NoBias: true,
	}, rng)
	second := NewTransformerBlock(b, BlockOptions{
		Width: 64, Heads: 4, Hidden: 96, PostNorm: true, Rotary: NewRotary(b, HalfSplit, 16, 400, 10000),
	}, rng)
	params := second.Parameters(first.Parameters(nil, "0."), "1.")
	x := tensor.New(b, tensor.Float32, 460, 64)
	nn.Normal(x, rng, 1)
	offsets := []int32{0, 400, 400, 460}
	tp := tensor.NewTape(b)
	tp.Reset(tensor.Training, 1)
	y := second.Forward(tp, first.Forward(tp, x, offsets), offsets)
	tp.Backward(tp.Mean(tp.Mul(y, tp.Mul(y, y)), false))
	all := values(y)
	for _, p := range params {
		all = append(all, values(p.Grad())...)
	}
	return all
}

// Blocks have the same bits for any number of threads, and on a device.
func TestBits(t *testing.T) {
	one, three := tensor.NewCPU(1), tensor.NewCPU(3)
	defer one.Close()
	defer three.Close()
	want := everyBlock(one)
	if !slices.Equal(everyBlock(three), want) {
		t.Error("three threads give other bits than one")
	}
	device := backendtest.Opaque(tensor.NewCPU(1))
	defer device.Close()
	if !slices.Equal(everyBlock(device), want) {
		t.Error("a device gives other bits")
	}
}
