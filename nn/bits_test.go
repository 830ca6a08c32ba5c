package nn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// everyLayer returns the outputs and gradients of a network of all kinds of layers,
// on documents that are long enough for several threads.
func everyLayer(b tensor.Backend) []float32 {
	rng := rand.New(rand.NewPCG(1, 0))
	embed := NewEmbedding(b, 50, 48, rng)
	embed.SetPadding(7)
	lstm, gru := NewLSTM(b, 48, 40, 2, rng), NewGRU(b, 40, 32, 1, rng)
	net := Sequential{NewRMSNorm(b, 32, 1e-6), NewSwiGLU(b, 32, 64, rng), Dropout(0.1), NewLayerNorm(b, 32),
		NewFeedForward(b, 32, 64, rng), Func((*tensor.Tape).Tanh), NewLinear(b, 32, 5, rng)}
	params := embed.Parameters(nil, "")
	for _, l := range []Layer{lstm, gru, net} {
		params = l.Parameters(params, "")
	}
	offsets, ids := []int32{0, 300, 310, 310, 800}, make([]int32, 800)
	for i := range ids {
		ids[i] = int32(rng.IntN(50))
	}
	tp := tensor.NewTape(b)
	tp.Reset(tensor.Training, 1)
	x, _ := lstm.Forward(tp, embed.Forward(tp, tp.Ints(ids), 1), offsets, nil)
	x, _ = gru.Forward(tp, x, offsets, nil)
	y := net.Forward(tp, x)
	tp.Backward(tp.Mean(tp.Mul(y, y), false))
	var all []float32
	add := func(t *tensor.Tensor) {
		values := make([]float32, t.Len())
		t.CopyTo(values)
		all = append(all, values...)
	}
	add(y)
	for _, p := range params {
		add(p.Grad())
	}
	return all
}

// Layers have the same bits for any number of threads, and on a device.
func TestBits(t *testing.T) {
	one, three := tensor.NewCPU(1), tensor.NewCPU(3)
	defer one.Close()
	defer three.Close()
	want := everyLayer(one)
	if !slices.Equal(everyLayer(three), want) {
		t.Error("three threads give other bits than one")
	}
	device := backendtest.Opaque(tensor.NewCPU(1))
	defer device.Close()
	if !slices.Equal(everyLayer(device), want) {
		t.Error("a device gives other bits")
	}
}
