package nn

import (
	"math"
	"strings"
	"testing"

	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// golden is what PyTorch computes for one layer: see bench/peers/layers_golden.py.
type golden struct {
	t    *testing.T
	file *safetensors.File
	name string
	b    tensor.Backend
	used map[string]*tensor.Tensor // inputs and weights
}

func (g *golden) floats(name string) ([]float32, []int) {
	g.t.Helper()
	values, err := g.file.Float32s(g.name + "." + name)
	if err != nil {
		g.t.Fatal(err)
	}
	info, _ := g.file.Tensor(g.name + "." + name)
	return values, info.Shape
}

func (g *golden) ints(name string) []int32 {
	g.t.Helper()
	values, err := g.file.Int32s(g.name + "." + name)
	if err != nil {
		g.t.Fatal(err)
	}
	return values
}

// input returns an input of the layer, which gets a gradient.
func (g *golden) input(name string) *tensor.Tensor {
	g.t.Helper()
	values, shape := g.floats(name)
	x := NewParameter(g.b, shape...)
	x.SetFloat32s(values)
	g.used[name] = x
	return x
}

// load sets the weights of a layer.
func (g *golden) load(l Layer) {
	g.t.Helper()
	for _, p := range l.Parameters(nil, "") {
		values, _ := g.floats(p.Name)
		p.SetFloat32s(values)
		g.used[p.Name] = p.Tensor
	}
}

// check compares output and gradients.
func (g *golden) check(tp *tensor.Tape, y *tensor.Tensor) {
	g.t.Helper()
	want, _ := g.floats("y")
	g.near("y", y.Float32s(), want)
	dy, shape := g.floats("dy")
	tp.Backward(tp.Sum(tp.Mul(y, tp.Floats(dy, shape...)), false))
	for name, x := range g.used {
		want, _ := g.floats("grad." + name)
		g.near("gradient of "+name, x.Grad().Float32s(), want)
	}
	for _, name := range g.file.Names() {
		if key, ok := strings.CutPrefix(name, g.name+".grad."); ok && g.used[key] == nil {
			g.t.Errorf("no layer has the weight or input %s", key)
		}
	}
}

// near compares values that are sums of a few dozen products of numbers of about 1.
func (g *golden) near(what string, got, want []float32) {
	g.t.Helper()
	if len(got) != len(want) {
		g.t.Fatalf("%s: %s has %d values, want %d", g.name, what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= 64*roundoff*(1+math.Abs(float64(w)))) {
			g.t.Fatalf("%s: %s[%d] is %v, want %v", g.name, what, i, got[i], w)
		}
	}
}

// Layers have PyTorch's values and gradients, on the same weights.
func TestPyTorch(t *testing.T) {
	file, err := safetensors.Open("testdata/layers.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := tensor.NewCPU(2)
	defer b.Close()
	for name, forward := range map[string]func(g *golden, tp *tensor.Tape) *tensor.Tensor{
		"linear":    simple(NewLinear(b, 5, 3, nil)),
		"layernorm": simple(NewLayerNorm(b, 6)),
		"rmsnorm":   simple(NewRMSNorm(b, 6, 1e-3)),
		"swiglu":    simple(NewSwiGLU(b, 5, 7, nil)),
		"embedding": func(g *golden, tp *tensor.Tape) *tensor.Tensor {
			e := NewEmbedding(b, 6, 3, nil)
			g.load(e)
			e.SetPadding(2)
			return e.Forward(tp, tp.Ints(g.ints("ids")), 1)
		},
		"lstm": func(g *golden, tp *tensor.Tape) *tensor.Tensor {
			l := NewLSTM(b, 4, 5, 2, nil)
			g.load(l)
			h, c := g.input("initial0"), g.input("initial1")
			var initial []LSTMState
			for i := range 2 {
				initial = append(initial, LSTMState{layerState(tp, h, i), layerState(tp, c, i)})
			}
			y, final := l.Forward(tp, g.input("x"), g.ints("offsets"), initial)
			parts := []*tensor.Tensor{y}
			for _, s := range final {
				parts = append(parts, tp.Reshape(tp.Concat(1, s.H, s.C), -1, 5))
			}
			return tp.Concat(0, parts...)
		},
		"gru": func(g *golden, tp *tensor.Tape) *tensor.Tensor {
			l := NewGRU(b, 4, 5, 2, nil)
			g.load(l)
			h := g.input("initial0")
			y, final := l.Forward(tp, g.input("x"), g.ints("offsets"),
				[]*tensor.Tensor{layerState(tp, h, 0), layerState(tp, h, 1)})
			return tp.Concat(0, y, final[0], final[1])
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := &golden{t: t, file: file, name: name, b: b, used: map[string]*tensor.Tensor{}}
			tp := tensor.NewTape(b)
			tp.Poison()
			tp.Reset(tensor.Training, 1)
			g.check(tp, forward(g, tp))
		})
	}
}

func simple(m Module) func(g *golden, tp *tensor.Tape) *tensor.Tensor {
	return func(g *golden, tp *tensor.Tape) *tensor.Tensor {
		g.load(m)
		return m.Forward(tp, g.input("x"))
	}
}

// layerState returns a layer's part of the states of all layers.
func layerState(tp *tensor.Tape, states *tensor.Tensor, layer int) *tensor.Tensor {
	return tp.Squeeze(tp.Slice(states, 0, layer, layer+1), 0)
}
