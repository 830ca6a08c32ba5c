package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
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

// A network learns the exclusive or of two numbers.
func ExampleSequential() {
	cpu := tensor.NewCPU(0)
	rng := rand.New(rand.NewPCG(1, 0))
	net := nn.Sequential{nn.NewLinear(cpu, 2, 8, rng), nn.Func((*tensor.Tape).Tanh), nn.NewLinear(cpu, 8, 1, rng)}
	params := net.Parameters(nil, "")
	opt := optim.NewAdamW(params)
	tape := tensor.NewTape(cpu)
	forward := func() *tensor.Tensor {
		return net.Forward(tape, tape.Floats([]float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2))
	}
	for step := range uint64(300) {
		nn.ZeroGrad(params)
		tape.Reset(tensor.Training, step)
		off := tape.Sub(forward(), tape.Floats([]float32{0, 1, 1, 0}, 4, 1))
		tape.Backward(tape.Mean(tape.Mul(off, off), false))
		opt.Step(0.05, 1)
	}
	tape.Reset(tensor.Inference, 0)
	for _, y := range forward().Float32s() {
		fmt.Printf("%.1f ", math.Abs(float64(y)))
	}
	// Output: 0.0 1.0 1.0 0.0
}

// Two documents of two and of three rows in one matrix; the second goes on from
// where it was.
func ExampleLSTM() {
	cpu := tensor.NewCPU(0)
	lstm := nn.NewLSTM(cpu, 4, 8, 2, rand.New(rand.NewPCG(1, 0))) // of width 8, two layers
	tape := tensor.NewTape(cpu)
	x := tape.Floats(make([]float32, 5*4), 5, 4)
	y, state := lstm.Forward(tape, x, []int32{0, 2, 5}, nil)
	fmt.Println(y.Shape(), len(state), state[1].H.Shape())

	y, _ = lstm.Forward(tape, tape.Floats(make([]float32, 4), 1, 4), []int32{0, 0, 1}, state)
	fmt.Println(y.Shape())
	// Output:
	// [5 8] 2 [2 8]
	// [1 8]
}

// The feed-forward network of Llama, with the normalisation before it.
func ExampleSwiGLU() {
	cpu := tensor.NewCPU(0)
	net := nn.Sequential{nn.NewRMSNorm(cpu, 4, 1e-5), nn.NewSwiGLU(cpu, 4, 16, rand.New(rand.NewPCG(1, 0)))}
	for _, p := range net.Parameters(nil, "") {
		fmt.Println(p.Name, p.Shape())
	}
	// Output:
	// 0.weight [4]
	// 1.gate_proj.weight [16 4]
	// 1.up_proj.weight [16 4]
	// 1.down_proj.weight [4 16]
}

// Weights of a layer are drawn again in another way.
func ExampleXavierUniform() {
	cpu := tensor.NewCPU(0)
	rng := rand.New(rand.NewPCG(1, 0))
	l := nn.NewLinear(cpu, 100, 200, rng)
	nn.XavierUniform(l.Weight, rng, 1)
	nn.Constant(l.Bias, 0)
	fmt.Printf("all below %.2f: %v\n", math.Sqrt(6./300), slices.Max(l.Weight.Float32s()) < 0.1415)
	// Output: all below 0.14: true
}
