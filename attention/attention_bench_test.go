package attention

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// kinds are attention with all keys, in a window, and with heads that share keys.
func kinds(b tensor.Backend, width, heads int) map[string]*MultiHead {
	rng := rand.New(rand.NewPCG(1, 0))
	all := NewMultiHead(b, width, heads, rng)
	window := NewMultiHead(b, width, heads, rng)
	window.Window = 256
	return map[string]*MultiHead{
		"all": all, "window": window, "grouped": NewGroupedQuery(b, width, heads, heads/4, rng),
	}
}

// BenchmarkSelf times forward and backward of causal attention, projections included.
func BenchmarkSelf(b *testing.B) {
	const width, heads, tokens = 512, 8, 2048
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	x := tensor.Randn(cpu, 1, tokens, width)
	tp := tensor.NewTape(cpu)
	for name, a := range kinds(cpu, width, heads) {
		params := a.Parameters(nil, "")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				nn.ZeroGrad(params)
				tp.Reset(tensor.Training, 1)
				tp.Backward(tp.Sum(a.Self(tp, x, []int32{0, tokens}, true), false))
			}
		})
	}
}

// BenchmarkSelfCached times a step of generation for one sequence.
func BenchmarkSelfCached(b *testing.B) {
	const width, heads = 1024, 16
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	tp := tensor.NewTape(cpu)
	for _, past := range []int{256, 2048} {
		for name, a := range kinds(cpu, width, heads) {
			cache := a.NewCache(2, past+1)
			cache.Reset(1)
			a.SelfCached(tp, tensor.Randn(cpu, 1, past, width), []int32{0, int32(past)}, cache)
			x := tensor.Randn(cpu, 2, 1, width)
			b.Run(fmt.Sprintf("past=%d/%s", past, name), func(b *testing.B) {
				for b.Loop() {
					tp.Reset(tensor.Inference, 0)
					cache.Reorder([]int32{0, 0}) // the second is as the first, without the token of last time
					a.SelfCached(tp, x, []int32{0, 0, 1}, cache)
				}
			})
		}
	}
}
