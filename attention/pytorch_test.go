package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// roundoff is the largest relative error of one float32 operation.
const roundoff = 1.0 / (1 << 24)

// self is a layer of packed documents.
type self interface {
	nn.Layer
	Forward(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor
}

// alone is attention as a layer.
type alone struct {
	*MultiHead
	causal bool
}

func (a alone) Forward(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
	return a.Self(tp, x, offsets, a.causal)
}

// Kinds of attention and of blocks have PyTorch's values and gradients, on the same
// weights: see bench/peers/layers_golden.py.
func TestPyTorch(t *testing.T) {
	file, err := safetensors.Open("testdata/attention.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := tensor.NewCPU(2)
	defer b.Close()
	multiHead := func(width, heads, kvHeads int, rotary *Rotary, window int) *MultiHead {
		a := NewGroupedQuery(b, width, heads, kvHeads, nil)
		a.Rotary, a.Window = rotary, window
		return a
	}
	half := func(width int) *Rotary { return NewRotary(b, HalfSplit, width, 7, 10000) }
	plain := BlockOptions{Width: 12, Heads: 3, Hidden: 7}
	post := plain
	post.PostNorm = true
	for name, layer := range map[string]self{
		"half":        alone{multiHead(12, 3, 3, half(4), 0), true},
		"interleaved": alone{multiHead(12, 3, 3, NewRotary(b, Interleaved, 4, 7, 10000), 0), false},
		"grouped":     alone{multiHead(16, 4, 2, half(4), 0), true},
		"window":      alone{multiHead(12, 3, 3, nil, 3), true},
		"pre":         NewTransformerBlock(b, plain, nil),
		"post":        NewTransformerBlock(b, post, nil),
		"llama": NewTransformerBlock(b, BlockOptions{
			Width: 12, Heads: 6, KVHeads: 2, Hidden: 7, Causal: true, Window: 4, Rotary: half(2),
			RMSNorm: true, SwiGLU: true, NoBias: true,
		}, nil),
	} {
		t.Run(name, func(t *testing.T) { comparePyTorch(t, file, name, layer) })
	}
}

func comparePyTorch(t *testing.T, file *safetensors.File, name string, layer self) {
	floats := func(what string) []float32 {
		t.Helper()
		values, err := file.Float32s(name + "." + what)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	params := layer.Parameters(nil, "")
	width := params[len(params)-1].Dim(0)
	for _, p := range params {
		if strings.HasPrefix(p.Name, "q_proj") || strings.HasPrefix(p.Name, "norm1") {
			width = p.Dim(0)
		}
	}
	b := params[0].Backend()
	x := nn.NewParameter(b, len(floats("x"))/width, width)
	params = append(params, nn.Parameter{Name: "x", Tensor: x})
	for _, p := range params {
		p.SetFloat32s(floats(p.Name))
	}
	offsets, err := file.Int32s(name + ".offsets")
	if err != nil {
		t.Fatal(err)
	}
	tp := tensor.NewTape(b)
	tp.Poison()
	tp.Reset(tensor.Training, 1)
	y := layer.Forward(tp, x, offsets)
	// Sums of a few dozen products of numbers of about 1, a few times one after the other.
	near := func(what string, got, want []float32) {
		t.Helper()
		most := float32(1)
		for _, w := range want {
			most = max(most, w, -w)
		}
		for i, w := range want {
			if d := got[i] - w; !(math.Abs(float64(d)) <= 256*roundoff*float64(most)) {
				t.Fatalf("%s[%d] is %v, want %v", what, i, got[i], w)
			}
		}
	}
	near("y", y.Float32s(), floats("y"))
	tp.Backward(tp.Sum(tp.Mul(y, tp.Floats(floats("dy"), y.Shape()...)), false))
	for _, p := range params {
		near("gradient of "+p.Name, p.Grad().Float32s(), floats("grad."+p.Name))
	}
	gradients := 0
	for _, key := range file.Names() {
		if strings.HasPrefix(key, name+".grad.") {
			gradients++
		}
	}
	if gradients != len(params) {
		t.Errorf("%d parameters, PyTorch has %d", len(params), gradients)
	}
}

// Token by token with a cache, blocks give what they do for whole sequences.
func TestForwardCached(t *testing.T) {
	b := tensor.NewCPU(1)
	for _, o := range []BlockOptions{
		{},
		{Rotary: NewRotary(b, HalfSplit, 4, 20, 10000)},
		{Rotary: NewRotary(b, Interleaved, 4, 20, 10000), KVHeads: 2},
		{KVHeads: 1, Window: 3, RMSNorm: true, SwiGLU: true, Rotary: NewRotary(b, HalfSplit, 4, 20, 100)},
	} {
		o.Width, o.Heads, o.Hidden, o.Causal = 16, 4, 24, true
		t.Run(fmt.Sprint(o.KVHeads, o.Window), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 0))
			block := NewTransformerBlock(b, o, rng)
			lengths := [2]int{11, 7}
			x := tensor.New(b, tensor.Float32, 18, 16)
			nn.Normal(x, rng, 1)
			tp := tensor.NewTape(b)
			tp.Poison()
			want := values(block.Forward(tp, x, []int32{0, 11, 18}))
			cache := block.Attention.NewCache(2, 12)
			at := [2]int{}
			for _, n := range [][2]int{{4, 1}, {1, 1}, {0, 1}, {5, 2}, {1, 1}, {0, 1}} {
				tp.Reset(tensor.Inference, 0)
				next := tp.Concat(0, tp.Rows(x, at[0], at[0]+n[0]), tp.Rows(x, 11+at[1], 11+at[1]+n[1]))
				got := values(block.ForwardCached(tp, next, []int32{0, int32(n[0]), int32(n[0] + n[1])}, cache))
				rows := append(want[16*at[0]:16*(at[0]+n[0]):16*(at[0]+n[0])], want[16*(11+at[1]):16*(11+at[1]+n[1])]...)
				for i, w := range rows {
					if math.Abs(float64(got[i]-w)) > 1e-5 {
						t.Fatalf("after %v tokens, %v more: [%d] is %v, want %v", at, n, i, got[i], w)
					}
				}
				at[0], at[1] = at[0]+n[0], at[1]+n[1]
			}
			if at != lengths {
				t.Fatalf("%v tokens, want %v", at, lengths)
			}
		})
	}
}

// Attention weights are dropped with a window, too, and on training tapes only.
func TestWindowDropout(t *testing.T) {
	b := tensor.NewCPU(1)
	a := NewMultiHead(b, 8, 2, rand.New(rand.NewPCG(1, 0)))
	a.Window = 2
	x := random(2, 9, 8)
	tp := tensor.NewTape(b)
	run := func(mode tensor.Mode) []float32 {
		tp.Reset(mode, 3)
		return values(a.Self(tp, x, []int32{0, 9}, true))
	}
	plain := run(tensor.Training)
	a.Dropout = 0.5
	if got := run(tensor.Inference); fmt.Sprint(got) != fmt.Sprint(plain) {
		t.Error("dropout outside of training")
	}
	if got := run(tensor.Training); fmt.Sprint(got) == fmt.Sprint(plain) {
		t.Error("no dropout in training")
	}
}

func TestOptionPanics(t *testing.T) {
	b := tensor.NewCPU(1)
	tp := tensor.NewTape(b)
	x := tp.New(4, 8)
	a := NewMultiHead(b, 8, 2, nil)
	a.Rotary = NewRotary(b, HalfSplit, 4, 3, 10000)
	window := NewMultiHead(b, 8, 2, nil)
	window.Window = 2
	for want, f := range map[string]func(){
		"width 8 in 4 heads, 3 of keys": func() { NewGroupedQuery(b, 8, 4, 3, nil) },
		"heads of width 3":              func() { NewRotary(b, HalfSplit, 3, 9, 10000) },
		"position 3 of 3":               func() { a.Self(tp, x, []int32{0, 4}, true) },
		"3 rows and heads of width 4":   func() { a.Self(tp, x, []int32{0, 3}, true) },
		"a window of 2, causal false":   func() { window.Self(tp, x, []int32{0, 4}, false) },
		"block that is not causal": func() {
			NewTransformerBlock(b, BlockOptions{Width: 8, Heads: 2, Hidden: 8}, nil).
				ForwardCached(tp, x, []int32{0, 4}, NewCache(b, 1, 4, 8))
		},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q in it", got, want)
				}
			}()
			f()
		})
	}
}

// A position beyond those of the past turns queries and keys alike: scores depend
// on distances alone.
func TestRotaryDistances(t *testing.T) {
	b := tensor.NewCPU(1)
	x, y := random(1, 1, 8), random(2, 1, 8)
	for _, pairs := range []RotaryPairs{HalfSplit, Interleaved} {
		r := NewRotary(b, pairs, 8, 100, 10000)
		tp := tensor.NewTape(b)
		score := func(p, q int32) float64 {
			return float64(tp.Dot(r.Apply(tp, x, []int32{p}), r.Apply(tp, y, []int32{q})).Float32s()[0])
		}
		if d := score(90, 83) - score(7, 0); math.Abs(d) > 1e-5 {
			t.Errorf("%v: the score differs by %v between equal distances", pairs, d)
		}
		if d := score(7, 0) - score(8, 0); math.Abs(d) < 1e-3 {
			t.Errorf("%v: the score does not depend on the distance", pairs)
		}
	}
}
