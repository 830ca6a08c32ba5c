package nn_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

func ExampleLinear() {
	cpu := tensor.NewCPU(0)
	l := nn.NewLinear(cpu, 3, 2, nil)
	l.Weight.SetFloat32s([]float32{
		1, 0, 0,
		0, 1, 1,
	})
	l.Bias.SetFloat32s([]float32{10, 20})
	tape := tensor.NewTape(cpu)
	y := l.Forward(tape, tape.Floats([]float32{1, 2, 3}, 1, 3))
	fmt.Println(y, y.Float32s())
	// Output: float32[1 2] [11 25]
}

// block is a layer made of layers.
type block struct {
	norm *nn.LayerNorm
	ffn  *nn.FeedForward
}

// Forward returns x + ffn(norm(x)).
func (b *block) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tp.Add(x, b.ffn.Forward(tp, b.norm.Forward(tp, x)))
}

// Parameters implements nn.Layer.
func (b *block) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = b.norm.Parameters(list, prefix+"final_layer_norm.")
	return b.ffn.Parameters(list, prefix)
}

// Parameters gives the names that tensors have in checkpoints.
func ExampleLayer() {
	cpu := tensor.NewCPU(0)
	b := &block{nn.NewLayerNorm(cpu, 4), nn.NewFeedForward(cpu, 4, 16, nil)}
	params := b.Parameters(nil, "encoder.layers.0.")
	rng := rand.New(rand.NewPCG(1, 0))
	for _, p := range params {
		if len(p.Shape()) == 2 {
			nn.Normal(p.Tensor, rng, 0.02)
		}
		fmt.Println(p.Name, p.Shape())
	}
	fmt.Println(nn.Count(params), "values")

	tape := tensor.NewTape(cpu)
	y := b.Forward(tape, tape.Floats([]float32{1, 2, 3, 4}, 1, 4))
	fmt.Println(y)
	// Output:
	// encoder.layers.0.final_layer_norm.weight [4]
	// encoder.layers.0.final_layer_norm.bias [4]
	// encoder.layers.0.fc1.weight [16 4]
	// encoder.layers.0.fc1.bias [16]
	// encoder.layers.0.fc2.weight [4 16]
	// encoder.layers.0.fc2.bias [4]
	// 156 values
	// float32[1 4]
}
