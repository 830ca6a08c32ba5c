package attention

import (
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/internal/race"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// A step of training allocates next to nothing once the tape has its memory: some
// small slices of the layers and, in an LSTM, one for each step of a layer.
func TestAllocations(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 0))
	block := NewTransformerBlock(b, BlockOptions{
		Width: 32, Heads: 4, KVHeads: 2, Hidden: 48, Causal: true, Window: 40,
		Rotary: NewRotary(b, HalfSplit, 8, 64, 10000), RMSNorm: true, SwiGLU: true, NoBias: true, Dropout: 0.1,
	}, rng)
	lstm := nn.NewLSTM(b, 32, 16, 2, rng)
	x := random(1, 128, 32)
	offsets := []int32{0, 64, 128}
	for _, c := range []struct {
		name   string
		layer  nn.Layer
		most   float64
		launch func(tp *tensor.Tape) *tensor.Tensor
	}{
		{"block", block, 8, func(tp *tensor.Tape) *tensor.Tensor { return block.Forward(tp, x, offsets) }},
		{"lstm", lstm, 2*64 + 40, func(tp *tensor.Tape) *tensor.Tensor {
			y, _ := lstm.Forward(tp, x, offsets, nil)
			return y
		}},
	} {
		params := c.layer.Parameters(nil, "")
		tp := tensor.NewTape(b)
		step := func() {
			nn.ZeroGrad(params)
			tp.Reset(tensor.Training, 1)
			tp.Backward(tp.Sum(c.launch(tp), false))
		}
		for range 3 {
			step()
		}
		if n := testing.AllocsPerRun(20, step); n > c.most && !race.Enabled {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
