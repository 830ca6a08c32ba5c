package attention_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// A target of one token and three documents of evidence. Queries being zero,
// only the relevance of a document tells how much it counts; one document is
// hidden from the target.
func ExampleMultiHead_Cross() {
	cpu := tensor.NewCPU(0)
	a := attention.NewMultiHead(cpu, 2, 1, nil)
	nn.AddIdentity(a.V.Weight, 1)
	nn.AddIdentity(a.Out.Weight, 1)

	tape := tensor.NewTape(cpu)
	z := tape.Floats([]float32{
		1, 0, // first document, two tokens
		1, 0,
		0, 1, // second
		9, 9, // third
	}, 4, 2)
	evidence := a.Project(tape, z, []int32{0, 2, 3, 4})
	x := tape.Floats([]float32{5, 5}, 1, 2)
	hidden := float32(math.Inf(-1))
	bias := tape.Floats([]float32{0, 2, hidden}, 1, 3) // beta times the relevance
	y := a.Cross(tape, x, []int32{0, 1}, evidence, bias)
	fmt.Printf("%.3f\n", y.Float32s())
	// Output: [0.213 0.787]
}

// Two documents of two tokens each, in one matrix. Each token attends to
// itself and the one before it in its document, in equal parts.
func ExampleMultiHead_Self() {
	cpu := tensor.NewCPU(0)
	a := attention.NewMultiHead(cpu, 2, 1, nil)
	nn.AddIdentity(a.V.Weight, 1)
	nn.AddIdentity(a.Out.Weight, 1)

	tape := tensor.NewTape(cpu)
	x := tape.Floats([]float32{
		2, 0,
		0, 2,
		8, 0,
		0, 8,
	}, 4, 2)
	y := a.Self(tape, x, []int32{0, 2, 4}, true)
	fmt.Printf("%.0f\n", y.Float32s())
	// Output: [2 0 1 1 8 0 4 4]
}

// Tokens are decoded one by one, with the keys and values of those before them in a cache.
func ExampleMultiHead_SelfCached() {
	cpu := tensor.NewCPU(0)
	layer := attention.NewMultiHead(cpu, 8, 2, nil)
	cache := attention.NewCache(cpu, 2, 16, 8) // two hypotheses of up to 16 tokens
	tape := tensor.NewTape(cpu)
	for range 3 {
		tape.Reset(tensor.Inference, 0)
		x := tape.Floats(make([]float32, 2*8), 2, 8) // a token of each
		layer.SelfCached(tape, x, []int32{0, 1, 2}, cache)
	}
	cache.Reorder([]int32{1, 1}) // both continue the second
	fmt.Println(cache.Lengths())
	// Output: [3 3]
}

// A layer of a small Llama: it reads a document, or goes on token by token.
func ExampleTransformerBlock() {
	cpu := tensor.NewCPU(0)
	block := attention.NewTransformerBlock(cpu, attention.BlockOptions{
		Width: 32, Heads: 4, KVHeads: 2, Hidden: 64, Causal: true,
		Rotary:  attention.NewRotary(cpu, attention.HalfSplit, 8, 128, 10000),
		RMSNorm: true, SwiGLU: true, NoBias: true,
	}, rand.New(rand.NewPCG(1, 0)))
	tape := tensor.NewTape(cpu)
	x := tensor.New(cpu, tensor.Float32, 5, 32)
	nn.Normal(x, rand.New(rand.NewPCG(2, 0)), 1)
	whole := block.Forward(tape, x, []int32{0, 5})

	cache := block.Attention.NewCache(1, 128)
	block.ForwardCached(tape, tape.Rows(x, 0, 4), []int32{0, 4}, cache)
	last := block.ForwardCached(tape, tape.Rows(x, 4, 5), []int32{0, 1}, cache)
	difference := tape.Sub(tape.Rows(whole, 4, 5), last)
	fmt.Println(cache.Lengths(), tape.Norm(difference, false).Float32s()[0] < 1e-5)
	// Output: [5] true
}
