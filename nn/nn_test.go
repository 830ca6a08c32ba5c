package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/tensor"
)

// roundoff is the largest relative error of one float32 operation.
const roundoff = 1.0 / (1 << 24)

// fill sets a parameter to random values and returns them in float64.
func fill(t *tensor.Tensor, rng *rand.Rand) []float64 {
	Normal(t, rng, 1)
	return widen(t.Float32s())
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// linear returns x W^T + b, and x W^T + b of the absolute values, which error
// bounds are made of.
func linear(x, w, b []float64, in, out int) (y, size []float64) {
	for r := 0; r < len(x); r += in {
		for j := range out {
			sum, abs := b[j], math.Abs(b[j])
			for p := range in {
				sum += x[r+p] * w[j*in+p]
				abs += math.Abs(x[r+p] * w[j*in+p])
			}
			y, size = append(y, sum), append(size, abs)
		}
	}
	return y, size
}

func gelu(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

// compare fails where got is further from want than the bound of the element.
func compare(t *testing.T, got *tensor.Tensor, want []float64, bound func(i int) float64) {
	t.Helper()
	values := got.Float32s()
	if len(values) != len(want) {
		t.Fatalf("%v, want %d values", got, len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(values[i]) - w); !(d <= bound(i)) {
			t.Errorf("element %d is %v, want %v within %.2g", i, values[i], w, bound(i))
			return
		}
	}
}

var sizes = []struct{ rows, in, out int }{{1, 1, 1}, {2, 3, 5}, {7, 16, 33}, {33, 70, 17}}

func TestLinear(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		b := tensor.NewCPU(1)
		rng := rand.New(rand.NewPCG(1, 0))
		for _, s := range sizes {
			l := NewLinear(b, s.in, s.out, nil)
			w, bias := fill(l.Weight, rng), fill(l.Bias, rng)
			x := tensor.New(b, tensor.Float32, s.rows, s.in)
			want, size := linear(fill(x, rng), w, bias, s.in, s.out)
			// A sum of n products is off by at most n roundings of the sum of absolute values.
			bound := func(i int) float64 { return float64(s.in+1) * roundoff * size[i] }
			compare(t, l.Forward(tensor.NewTape(b), x), want, bound)

			l.Bias = nil
			want, size = linear(widen(x.Float32s()), w, make([]float64, s.out), s.in, s.out)
			compare(t, l.Forward(tensor.NewTape(b), x), want, bound)
		}
	})
}

func TestEmbedding(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		b := tensor.NewCPU(1)
		e := NewEmbedding(b, 6, 5, nil)
		table := fill(e.Weight, rand.New(rand.NewPCG(2, 0)))
		ids := []int32{5, 0, 2, 2, 5}
		var want []float64
		for _, id := range ids {
			for _, v := range table[5*id : 5*id+5] {
				want = append(want, 1.75*v)
			}
		}
		got := e.Forward(tensor.NewTape(b), tensor.FromSlice(b, ids, len(ids)), 1.75)
		compare(t, got, want, func(i int) float64 { return roundoff * math.Abs(want[i]) })
	})
}

func TestLayerNorm(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		b := tensor.NewCPU(1)
		rng := rand.New(rand.NewPCG(3, 0))
		for _, s := range sizes {
			l := NewLayerNorm(b, s.in)
			x := tensor.New(b, tensor.Float32, s.rows, s.in)
			for _, affine := range []bool{false, true} {
				// With the smaller values, the variance is about as large as epsilon.
				Normal(x, rng, map[bool]float64{false: 1, true: 0.003}[affine])
				values := widen(x.Float32s())
				gamma, beta := widen(l.Weight.Float32s()), widen(l.Bias.Float32s())
				if affine {
					gamma, beta = fill(l.Weight, rng), fill(l.Bias, rng)
				}
				want := make([]float64, len(values))
				for r := 0; r < len(values); r += s.in {
					row := values[r : r+s.in]
					mean, variance := 0.0, 0.0
					for _, v := range row {
						mean += v / float64(s.in)
					}
					for _, v := range row {
						variance += (v - mean) * (v - mean) / float64(s.in)
					}
					for j, v := range row {
						want[r+j] = (v-mean)/math.Sqrt(variance+1e-5)*gamma[j] + beta[j]
					}
				}
				// Some 8 roundings of numbers that are mostly below 4.
				compare(t, l.Forward(tensor.NewTape(b), x), want, func(int) float64 { return 8 * 4 * roundoff })
			}
		}
	})
}

func TestFeedForward(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		b := tensor.NewCPU(1)
		rng := rand.New(rand.NewPCG(4, 0))
		for _, s := range sizes {
			f := NewFeedForward(b, s.in, s.out, nil)
			w1, b1 := fill(f.FC1.Weight, rng), fill(f.FC1.Bias, rng)
			w2, b2 := fill(f.FC2.Weight, rng), fill(f.FC2.Bias, rng)
			x := tensor.New(b, tensor.Float32, s.rows, s.in)
			h, size1 := linear(fill(x, rng), w1, b1, s.in, s.out)
			// How far off the hidden values are: GELU is steeper than 1.13 nowhere, and
			// is itself computed within 8 roundings of its argument.
			off := make([]float64, len(h))
			for i := range h {
				off[i] = (1.13*float64(s.in+1) + 8) * roundoff * size1[i]
				h[i] = gelu(h[i])
			}
			want, size2 := linear(h, w2, b2, s.out, s.in)
			absW2 := make([]float64, len(w2))
			for i, v := range w2 {
				absW2[i] = math.Abs(v)
			}
			carried, _ := linear(off, absW2, make([]float64, s.in), s.out, s.in)
			bound := func(i int) float64 { return carried[i] + float64(s.out+1)*roundoff*size2[i] }
			compare(t, f.Forward(tensor.NewTape(b), x), want, bound)

			f.Dropout = 0.5 // is for training only
			compare(t, f.Forward(tensor.NewTape(b), x), want, bound)
		}
	})
}

func TestFeedForwardDropout(t *testing.T) {
	b := tensor.NewCPU(1)
	f := NewFeedForward(b, 1, 1000, nil)
	Constant(f.FC1.Bias, 1) // hidden values are all GELU(1)
	Constant(f.FC2.Weight, 1)
	f.Dropout = 0.25
	x := tensor.New(b, tensor.Float32, 1, 1)
	tp := tensor.NewTape(b)
	sum := func(seed uint64) float64 {
		tp.Reset(tensor.Training, seed)
		return float64(f.Forward(tp, x).Float32s()[0]) / gelu(1) * 0.75
	}
	kept := sum(1)
	if math.Abs(kept-math.Round(kept)) > 1e-2 {
		t.Errorf("%v hidden values were kept, want a whole number", kept)
	}
	// 5 standard deviations of the binomial distribution
	if math.Abs(kept-750) > 5*math.Sqrt(1000*0.25*0.75) {
		t.Errorf("%v of 1000 hidden values were kept, want about 750", kept)
	}
	if again := sum(1); again != kept {
		t.Errorf("the same seed keeps %v values, then %v", kept, again)
	}
	if n := sum(2) + sum(3) + sum(4); n == 3*kept {
		t.Error("the seed does not matter")
	}
}

func TestParameters(t *testing.T) {
	b := tensor.NewCPU(1)
	for _, c := range []struct {
		layer Layer
		want  string
	}{
		{NewLinear(b, 3, 2, nil), "p.weight[2 3] p.bias[2]"},
		{&Linear{Weight: NewParameter(b, 2, 3)}, "p.weight[2 3]"},
		{NewEmbedding(b, 7, 4, nil), "p.weight[7 4]"},
		{NewLayerNorm(b, 4), "p.weight[4] p.bias[4]"},
		{NewRMSNorm(b, 4, 1e-6), "p.weight[4]"},
		{NewSwiGLU(b, 2, 5, nil), "p.gate_proj.weight[5 2] p.up_proj.weight[5 2] p.down_proj.weight[2 5]"},
		{Sequential{NewRMSNorm(b, 2, 1e-6), Dropout(0.5), NewLinear(b, 2, 3, nil)},
			"p.0.weight[2] p.2.weight[3 2] p.2.bias[3]"},
		{NewGRU(b, 3, 2, 1, nil),
			"p.weight_ih_l0[6 3] p.weight_hh_l0[6 2] p.bias_ih_l0[6] p.bias_hh_l0[6]"},
		{NewFeedForward(b, 2, 5, nil), "p.fc1.weight[5 2] p.fc1.bias[5] p.fc2.weight[2 5] p.fc2.bias[2]"},
	} {
		before := Parameter{"before", NewParameter(b, 1)}
		list := c.layer.Parameters([]Parameter{before}, "p.")
		var got []string
		for _, p := range list {
			got = append(got, fmt.Sprint(p.Name, p.Shape()))
			if !p.RequiresGrad() {
				t.Errorf("%T: %s takes no gradient", c.layer, p.Name)
			}
		}
		if list[0] != before {
			t.Errorf("%T: the list does not begin with what it held", c.layer)
		}
		if s := strings.Join(got[1:], " "); s != c.want {
			t.Errorf("%T: %s, want %s", c.layer, s, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	b := tensor.NewCPU(1)
	if n := Count(NewFeedForward(b, 3, 5, nil).Parameters(nil, "")); n != 3*5+5+5*3+3 {
		t.Errorf("%d values, want 38", n)
	}
	if n := Count(nil); n != 0 {
		t.Errorf("%d values of no parameters", n)
	}
}

func TestZeroGrad(t *testing.T) {
	b := tensor.NewCPU(1)
	l := NewLinear(b, 3, 1, nil)
	params := l.Parameters(nil, "")
	x := tensor.FromSlice(b, []float32{1, 2, 4}, 1, 3)
	tp := tensor.NewTape(b)
	backward := func() {
		tp.Reset(tensor.Gradient, 0)
		tp.Backward(l.Forward(tp, x))
	}
	check := func(when string, weight, bias []float32) {
		t.Helper()
		if g := l.Weight.Grad().Float32s(); !slices.Equal(g, weight) {
			t.Errorf("%s: gradient of the weight is %v, want %v", when, g, weight)
		}
		if g := l.Bias.Grad().Float32s(); !slices.Equal(g, bias) {
			t.Errorf("%s: gradient of the bias is %v, want %v", when, g, bias)
		}
	}
	backward()
	backward()
	check("after two backward passes", []float32{2, 4, 8}, []float32{2})
	ZeroGrad(params)
	check("after ZeroGrad", []float32{0, 0, 0}, []float32{0})
	ZeroGrad(params)
	backward()
	check("after ZeroGrad and a backward pass", []float32{1, 2, 4}, []float32{1})
}

func TestNormal(t *testing.T) {
	b := tensor.NewCPU(1)
	draw := func(seed uint64) []float32 {
		x := tensor.New(b, tensor.Float32, 100, 200)
		Normal(x, rand.New(rand.NewPCG(seed, 0)), 0.5)
		return x.Float32s()
	}
	x := draw(1)
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / float64(len(x))
		square += float64(v) * float64(v) / float64(len(x))
	}
	// 5 standard deviations of the two estimates
	n := float64(len(x))
	if math.Abs(mean) > 5*0.5/math.Sqrt(n) {
		t.Errorf("mean %v, want 0", mean)
	}
	if math.Abs(square-0.25) > 5*0.25*math.Sqrt(2/n) {
		t.Errorf("variance %v, want 0.25", square)
	}
	if !slices.Equal(x, draw(1)) {
		t.Error("the same seed gives different values")
	}
	if slices.Equal(x, draw(2)) {
		t.Error("another seed gives the same values")
	}
}

func TestConstant(t *testing.T) {
	x := NewParameter(tensor.NewCPU(1), 2, 3)
	Constant(x, -1.5)
	if got := x.Float32s(); slices.ContainsFunc(got, func(v float32) bool { return v != -1.5 }) {
		t.Errorf("%v, want -1.5 everywhere", got)
	}
}

func TestAddIdentity(t *testing.T) {
	x := tensor.FromSlice(tensor.NewCPU(1), []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3)
	AddIdentity(x, 10)
	if want := []float32{11, 2, 3, 4, 15, 6, 7, 8, 19}; !slices.Equal(x.Float32s(), want) {
		t.Errorf("%v, want %v", x.Float32s(), want)
	}
}

func TestPanics(t *testing.T) {
	b := tensor.NewCPU(1)
	x := tensor.New(b, tensor.Float32, 4, 3)
	identity := func(shape ...int) func(tp *tensor.Tape) {
		return func(*tensor.Tape) { AddIdentity(NewParameter(b, shape...), 1) }
	}
	for _, c := range []struct {
		name string
		call func(tp *tensor.Tape)
		want []string // parts of the message
	}{
		{"AddIdentity of a wide matrix", identity(2, 3), []string{"AddIdentity", "[2 3]", "square"}},
		{"AddIdentity of a vector", identity(3), []string{"AddIdentity", "[3]", "square"}},
		{"AddIdentity of a stack", identity(2, 2, 2), []string{"AddIdentity", "[2 2 2]", "square"}},
		{"Linear of other width", func(tp *tensor.Tape) { NewLinear(b, 5, 2, nil).Forward(tp, x) },
			[]string{"linear", "[2 5]", "3"}},
		{"LayerNorm of other width", func(tp *tensor.Tape) { NewLayerNorm(b, 4).Forward(tp, x) },
			[]string{"layernorm", "[4]", "[3]"}},
		{"Embedding of floats", func(tp *tensor.Tape) { NewEmbedding(b, 4, 3, nil).Forward(tp, x, 1) },
			[]string{"gather", "int32"}},
		{"FeedForward of other width", func(tp *tensor.Tape) { NewFeedForward(b, 4, 8, nil).Forward(tp, x) },
			[]string{"feedforward", "[8 4]", "3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				message, ok := recover().(string)
				if !ok {
					t.Fatal("no panic with a message")
				}
				for _, part := range c.want {
					if !strings.Contains(message, part) {
						t.Errorf("%q does not tell %q", message, part)
					}
				}
			}()
			c.call(tensor.NewTape(b))
		})
	}
}

func TestSequential(t *testing.T) {
	b := tensor.NewCPU(1)
	l := NewLinear(b, 2, 2, nil)
	AddIdentity(l.Weight, 2)
	Constant(l.Bias, 1)
	s := Sequential{l, Dropout(0.5), Func((*tensor.Tape).ReLU)}
	tp := tensor.NewTape(b)
	x := tp.Floats([]float32{1, -1}, 1, 2)
	if y := s.Forward(tp, x); !slices.Equal(y.Float32s(), []float32{3, 0}) {
		t.Errorf("%v, want 3 and 0", y.Float32s())
	}
	tp.Reset(tensor.Training, 1)
	x = tp.Floats(make([]float32, 2000), 1000, 2)
	kept := 0
	for _, v := range s.Forward(tp, x).Float32s() {
		if v == 2 { // 1, scaled
			kept++
		} else if v != 0 {
			t.Fatalf("%v after dropout, want 0 or 2", v)
		}
	}
	if math.Abs(float64(kept)-1000) > 5*math.Sqrt(500) { // 5 standard deviations
		t.Errorf("%d of 2000 values were kept, want about half", kept)
	}
}

// The vector of padding is zero whatever it was.
func TestPadding(t *testing.T) {
	b := tensor.NewCPU(1)
	e := NewEmbedding(b, 3, 2, rand.New(rand.NewPCG(1, 0)))
	e.SetPadding(1)
	tp := tensor.NewTape(b)
	y := e.Forward(tp, tp.Ints([]int32{1, 0}), 2).Float32s()
	w := e.Weight.Float32s()
	if !slices.Equal(y, []float32{0, 0, 2 * w[0], 2 * w[1]}) || w[0] == 0 {
		t.Errorf("%v of the table %v", y, w)
	}
	defer func() {
		if got, _ := recover().(string); !strings.Contains(got, "padding 3 of an embedding of 3 ids") {
			t.Errorf("panic %q", got)
		}
	}()
	e.SetPadding(3)
}

// Layers take more dimensions than two, or one.
func TestLeadingDimensions(t *testing.T) {
	b := tensor.NewCPU(1)
	rng := rand.New(rand.NewPCG(1, 0))
	dropping := NewFeedForward(b, 4, 6, rng)
	dropping.Dropout = 0.5
	tp := tensor.NewTape(b)
	x := tensor.New(b, tensor.Float32, 2, 3, 4)
	Normal(x, rng, 1)
	for _, m := range []Module{NewLinear(b, 4, 5, rng), NewLayerNorm(b, 4), NewRMSNorm(b, 4, 1e-6),
		NewSwiGLU(b, 4, 6, rng), NewFeedForward(b, 4, 6, rng), dropping} {
		want := m.Forward(tp, tp.Reshape(x, 6, 4))
		got := m.Forward(tp, x)
		if !slices.Equal(got.Shape(), []int{2, 3, want.Dim(1)}) || !slices.Equal(got.Float32s(), want.Float32s()) {
			t.Errorf("%T of %v is %v, want the values of %v", m, x, got, want)
		}
		one := m.Forward(tp, tp.Reshape(tp.Rows(x, 0, 1), 3, 4))
		row := m.Forward(tp, tp.Reshape(tp.Rows(tp.Reshape(x, 6, 4), 2, 3), 4))
		if !slices.Equal(row.Shape(), []int{want.Dim(1)}) || row.Float32s()[0] != one.Float32s()[2*want.Dim(1)] {
			t.Errorf("%T of one row is %v", m, row)
		}
		if none := m.Forward(tp, tp.New(2, 0, 4)); !slices.Equal(none.Shape(), []int{2, 0, want.Dim(1)}) {
			t.Errorf("%T of no rows is %v", m, none)
		}
	}
	e := NewEmbedding(b, 9, 4, rng)
	e.SetPadding(1)
	ids := tensor.FromSlice(b, []int32{3, 1, 4, 8, 0, 2}, 3, 2)
	got, want := e.Forward(tp, ids, 1), e.Forward(tp, tp.Ints(ids.Int32s()), 1)
	if !slices.Equal(got.Shape(), []int{3, 2, 4}) || !slices.Equal(got.Float32s(), want.Float32s()) {
		t.Errorf("the embedding of %v is %v", ids, got)
	}
}
