package optim

import (
	"math"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// Optimisers make PyTorch's updates: see bench/peers/layers_golden.py.
func TestPyTorch(t *testing.T) {
	file, err := safetensors.Open("testdata/optimizers.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := tensor.NewCPU(1)
	sgd := func(momentum float32, nesterov bool) func(p []nn.Parameter) Optimizer {
		return func(p []nn.Parameter) Optimizer {
			o := NewSGD(p)
			o.Momentum, o.Nesterov, o.WeightDecay = momentum, nesterov, 0.2
			return o
		}
	}
	for name, create := range map[string]func(p []nn.Parameter) Optimizer{
		"adamw": func(p []nn.Parameter) Optimizer {
			o := NewAdamW(p)
			o.Beta2, o.Eps, o.WeightDecay = 0.95, 1e-4, 0.2
			return o
		},
		"sgd":      sgd(0, false),
		"momentum": sgd(0.75, false),
		"nesterov": sgd(0.75, true),
	} {
		t.Run(name, func(t *testing.T) {
			read := func(what string) []float32 {
				values, err := file.Float32s(name + "." + what)
				if err != nil {
					t.Fatal(err)
				}
				return values
			}
			p := nn.NewParameter(b, 5, 7)
			p.SetFloat32s(read("before"))
			o := create([]nn.Parameter{{Name: "p", Tensor: p}})
			for g := read("gradients"); len(g) > 0; g = g[35:] {
				// Twice the gradient at half the scale is the same.
				for i, v := range g[:35] {
					p.Grad().Float32s()[i] = 2 * v
				}
				o.Step(0.1, 0.5)
				p.ZeroGrad()
			}
			for i, want := range read("after") {
				if got := p.Float32s()[i]; math.Abs(float64(got-want)) > 32*roundoff*(1+math.Abs(float64(want))) {
					t.Fatalf("[%d] is %v, want %v", i, got, want)
				}
			}
			if o.Steps()[0] != 4 {
				t.Errorf("steps %v, want 4", o.Steps())
			}
		})
	}
}
