package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

var (
	backend = tensor.NewCPU(1)
	negInf  = float32(math.Inf(-1))
)

// layer returns attention with random weights that keep the size of vectors.
func layer(width, heads int) *MultiHead {
	a := NewMultiHead(backend, width, heads, nil)
	rng := rand.New(rand.NewPCG(1, 0))
	for _, p := range a.Parameters(nil, "") {
		nn.Normal(p.Tensor, rng, 1/math.Sqrt(float64(width)))
	}
	return a
}

func random(seed uint64, shape ...int) *tensor.Tensor {
	x := tensor.New(backend, tensor.Float32, shape...)
	nn.Normal(x, rand.New(rand.NewPCG(seed, 0)), 1)
	return x
}

func clone(x *tensor.Tensor) *tensor.Tensor {
	return tensor.FromSlice(backend, x.Float32s(), x.Shape()...)
}

// run calls forward on an inference tape and returns a copy of its result.
func run(forward func(tp *tensor.Tape) *tensor.Tensor) []float32 {
	return slices.Clone(forward(tensor.NewTape(backend)).Float32s())
}

func (a *MultiHead) self(x *tensor.Tensor, offsets []int32, causal bool) []float32 {
	return run(func(tp *tensor.Tape) *tensor.Tensor { return a.Self(tp, x, offsets, causal) })
}

func (a *MultiHead) cross(
	x *tensor.Tensor, offsets []int32, z *tensor.Tensor, zOffsets []int32, bias *tensor.Tensor,
) []float32 {
	return run(func(tp *tensor.Tape) *tensor.Tensor {
		return a.Cross(tp, x, offsets, a.Project(tp, z, zOffsets), bias)
	})
}

// matrix is a matrix in float64.
type matrix [][]float64

func wide(t *tensor.Tensor) matrix {
	m := make(matrix, t.Rows())
	for i, v := range t.Float32s() {
		r := i / t.Dim(-1)
		m[r] = append(m[r], float64(v))
	}
	return m
}

func project(l *nn.Linear, x matrix) matrix {
	w, b := wide(l.Weight), l.Bias.Float32s()
	y := make(matrix, len(x))
	for i := range x {
		for o := range w {
			sum := float64(b[o])
			for c, v := range x[i] {
				sum += v * w[o][c]
			}
			y[i] = append(y[i], sum)
		}
	}
	return y
}

// reference is attention in float64, of one query at a time. score adds to the
// score of query i and key j, -Inf hiding the key.
func (a *MultiHead) reference(x, z matrix, score func(i, j int) float64) matrix {
	q, k, v := project(a.Q, x), project(a.K, z), project(a.V, z)
	width := a.Q.Weight.Dim(0) / a.Heads
	y := make(matrix, len(x))
	for i := range x {
		y[i] = make([]float64, width*a.Heads)
		for h := range a.Heads {
			weights, sum := make([]float64, len(z)), 0.0
			for j := range z {
				s := 0.0
				for c := h * width; c < (h+1)*width; c++ {
					s += q[i][c] * k[j][c]
				}
				weights[j] = math.Exp(s/math.Sqrt(float64(width)) + score(i, j))
				sum += weights[j]
			}
			for j := range z {
				for c := h * width; c < (h+1)*width && sum > 0; c++ {
					y[i][c] += weights[j] / sum * v[j][c]
				}
			}
		}
	}
	return project(a.Out, y)
}

// document returns which of the packed documents a row belongs to.
func document(offsets []int32, row int) int {
	d := 0
	for int(offsets[d+1]) <= row {
		d++
	}
	return d
}

// compare fails where a result is off by more than rounding. Vectors have
// elements up to about 4; they go through three products of the given width,
// whose roundings partly cancel, and through the exponential.
func compare(t *testing.T, got []float32, want matrix) {
	t.Helper()
	width := len(want[0])
	bound := 4 * (3*math.Sqrt(float64(width)) + 8) / (1 << 24)
	if len(got) != len(want)*width {
		t.Fatalf("%d values, want %d", len(got), len(want)*width)
	}
	for i, v := range got {
		if w := want[i/width][i%width]; !(math.Abs(float64(v)-w) <= bound) {
			t.Fatalf("row %d, column %d is %v, want %v within %.2g", i/width, i%width, v, w, bound)
		}
	}
}

// Documents shorter and longer than the blocks of queries that attention is
// computed in, and an empty one.
var packs = [][]int32{{0, 1}, {0, 3, 4, 9}, {0, 5, 5, 17}, {0, 70, 73, 203}}

func TestSelf(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		for _, heads := range []int{1, 3} {
			a := layer(24, heads)
			for _, offsets := range packs {
				n := int(offsets[len(offsets)-1])
				x := random(2, n, 24)
				for _, causal := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d heads, documents %v, causal %v", heads, offsets, causal), func(t *testing.T) {
						compare(t, a.self(x, offsets, causal), a.reference(wide(x), wide(x), func(i, j int) float64 {
							if document(offsets, i) != document(offsets, j) || causal && j > i {
								return math.Inf(-1)
							}
							return 0
						}))
					})
				}
			}
		}
	})
}

func TestCross(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		for _, heads := range []int{1, 3} {
			a := layer(24, heads)
			for _, offsets := range packs {
				for _, zOffsets := range packs {
					targets, evidence := len(offsets)-1, len(zOffsets)-1
					x, z := random(3, int(offsets[targets]), 24), random(4, int(zOffsets[evidence]), 24)
					bias := random(5, targets, evidence)
					if evidence > 1 { // the last target must not see the first document
						bias.Float32s()[(targets-1)*evidence] = negInf
					}
					t.Run(fmt.Sprintf("%d heads, %v to %v", heads, offsets, zOffsets), func(t *testing.T) {
						b := wide(bias)
						compare(t, a.cross(x, offsets, z, zOffsets, bias), a.reference(wide(x), wide(z), func(i, j int) float64 {
							return b[document(offsets, i)][document(zOffsets, j)]
						}))
					})
				}
			}
		}
	})
}

// Changing one document changes its own rows and no bit of the others'.
func TestDocumentsDoNotInfluenceEachOther(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		a := layer(32, 4)
		offsets := []int32{0, 30, 101, 120}
		x := random(6, 120, 32)
		changed := clone(x)
		copy(changed.Float32s()[30*32:101*32], random(7, 71, 32).Float32s())
		for _, causal := range []bool{false, true} {
			before, after := a.self(x, offsets, causal), a.self(changed, offsets, causal)
			for i := range 120 {
				same := slices.Equal(before[i*32:(i+1)*32], after[i*32:(i+1)*32])
				if own := i >= 30 && i < 101; same == own {
					t.Errorf("causal %v: row %d is the same: %v", causal, i, same)
				}
			}
		}
	})
}

// Changing one token changes no bit of the rows before it, and all after it.
func TestLaterTokensDoNotInfluenceEarlierOnes(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		a := layer(32, 4)
		offsets := []int32{0, 100}
		x := random(8, 100, 32)
		before := a.self(x, offsets, true)
		for _, at := range []int{0, 1, 63, 64, 70, 99} {
			changed := clone(x)
			copy(changed.Float32s()[at*32:], random(9, 1, 32).Float32s())
			after := a.self(changed, offsets, true)
			for i := range 100 {
				same := slices.Equal(before[i*32:(i+1)*32], after[i*32:(i+1)*32])
				if same != (i < at) {
					t.Errorf("token %d changed: row %d is the same: %v", at, i, same)
				}
			}
		}
	})
}

// What a masked document says changes no bit of the output and of any gradient.
func TestMaskedEvidenceIsIgnored(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		a := layer(32, 4)
		offsets, zOffsets := []int32{0, 70, 80}, []int32{0, 9, 50, 61}
		x := random(10, 80, 32)
		bias := random(11, 2, 3)
		bias.Float32s()[0*3+1], bias.Float32s()[1*3+1] = negInf, negInf
		type outcome struct{ out, dz, params []float32 }
		attend := func(z *tensor.Tensor) outcome {
			nn.ZeroGrad(a.Parameters(nil, ""))
			z.SetRequiresGrad(true)
			tp := tensor.NewTape(backend)
			tp.Reset(tensor.Gradient, 0)
			y := a.Cross(tp, x, offsets, a.Project(tp, z, zOffsets), bias)
			out := slices.Clone(y.Float32s())
			tp.Backward(total(tp, y))
			var params []float32
			for _, p := range a.Parameters(nil, "") {
				params = append(params, p.Grad().Float32s()...)
			}
			return outcome{out, z.Grad().Float32s(), params}
		}
		z := random(12, 61, 32)
		changed := clone(z)
		nn.Normal(changed, rand.New(rand.NewPCG(13, 0)), 100)
		copy(changed.Float32s()[:9*32], z.Float32s()[:9*32])
		copy(changed.Float32s()[50*32:], z.Float32s()[50*32:])
		before, after := attend(z), attend(changed)
		if !slices.Equal(before.out, after.out) {
			t.Error("the output changes with a masked document")
		}
		if !slices.Equal(before.dz, after.dz) || !slices.Equal(before.params, after.params) {
			t.Error("a gradient changes with a masked document")
		}
		if slices.ContainsFunc(before.dz[9*32:50*32], func(g float32) bool { return g != 0 }) {
			t.Error("a masked document has a gradient")
		}
		bias.Float32s()[0*3+1] = 0
		if slices.Equal(attend(z).out, attend(changed).out) {
			t.Error("the output does not change with a document that is not masked")
		}
	})
}

// total returns a loss that weighs the elements of y [n, d] differently.
func total(tp *tensor.Tape, y *tensor.Tensor) *tensor.Tensor {
	u, w := random(20, 1, y.Dim(0)), random(21, 1, y.Dim(1))
	return tp.Linear(tp.MatMul(u, y, false), w, nil)
}

// Where there is no evidence, or none to be seen, the output is what Out makes
// of zeros, its bias, and gradients are finite.
func TestNoEvidence(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		a := layer(32, 4)
		x := random(14, 5, 32)
		x.SetRequiresGrad(true)
		square := func(values ...float32) *tensor.Tensor { return tensor.FromSlice(backend, values, 2, 2) }
		for name, c := range map[string]struct {
			z        *tensor.Tensor
			zOffsets []int32
			bias     *tensor.Tensor
			seen     int // the first rows, which see evidence
		}{
			"no document":        {random(15, 0, 32), []int32{0}, tensor.New(backend, tensor.Float32, 2, 0), 0},
			"an empty document":  {random(15, 0, 32), []int32{0, 0}, random(16, 2, 1), 0},
			"all masked":         {random(15, 7, 32), []int32{0, 3, 7}, square(negInf, negInf, negInf, negInf), 0},
			"masked for the 2nd": {random(15, 7, 32), []int32{0, 3, 7}, square(1, 0, negInf, negInf), 3},
		} {
			nn.ZeroGrad(a.Parameters(nil, ""))
			tp := tensor.NewTape(backend)
			tp.Poison()
			tp.Reset(tensor.Gradient, 0)
			y := a.Cross(tp, x, []int32{0, 3, 5}, a.Project(tp, c.z, c.zOffsets), c.bias)
			for i := range 5 {
				same := slices.Equal(y.Float32s()[i*32:(i+1)*32], a.Out.Bias.Float32s())
				if same != (i >= c.seen) {
					t.Errorf("%s: row %d is Out of zeros: %v", name, i, same)
				}
			}
			tp.Backward(total(tp, y))
			for _, p := range a.Parameters([]nn.Parameter{{Name: "x", Tensor: x}}, "") {
				if s := backend.SumSquares(p.Grad()); math.IsNaN(s) || math.IsInf(s, 0) {
					t.Errorf("%s: gradient of %s is not finite", name, p.Name)
				}
			}
			x.ZeroGrad()
		}
	})
}

// Evidence that is projected once serves several targets.
func TestProjectOnce(t *testing.T) {
	a := layer(32, 4)
	x, z := random(17, 8, 32), random(18, 6, 32)
	offsets, zOffsets := []int32{0, 5, 8}, []int32{0, 2, 6}
	bias := random(19, 2, 2)
	whole := a.cross(x, offsets, z, zOffsets, bias)
	tp := tensor.NewTape(backend)
	evidence := a.Project(tp, z, zOffsets)
	first := a.Cross(tp, tp.Rows(x, 0, 5), []int32{0, 5}, evidence, tp.Rows(bias, 0, 1))
	second := a.Cross(tp, tp.Rows(x, 5, 8), []int32{0, 3}, evidence, tp.Rows(bias, 1, 2))
	if !slices.Equal(whole, slices.Concat(first.Float32s(), second.Float32s())) {
		t.Error("targets one by one differ from all together")
	}
}

func TestDropout(t *testing.T) {
	a := layer(32, 4)
	x, offsets := random(22, 20, 32), []int32{0, 8, 20}
	plain := a.self(x, offsets, true)
	a.Dropout = 0.5
	if !slices.Equal(plain, a.self(x, offsets, true)) {
		t.Error("there is dropout at inference")
	}
	tp := tensor.NewTape(backend)
	training := func(seed uint64) []float32 {
		tp.Reset(tensor.Training, seed)
		return slices.Clone(a.Self(tp, x, offsets, true).Float32s())
	}
	if slices.Equal(plain, training(1)) {
		t.Error("there is no dropout in training")
	}
	if !slices.Equal(training(1), training(1)) {
		t.Error("the same seed gives different results")
	}
	if slices.Equal(training(1), training(2)) {
		t.Error("another seed gives the same result")
	}
}

// Nothing of the size of queries times keys is kept.
func TestMemory(t *testing.T) {
	const width, n = 8, 2048
	a := layer(width, 1)
	used := func(n int, forward func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor) int {
		x, offsets := random(23, n, width), []int32{0, int32(n)}
		nn.ZeroGrad(a.Parameters(nil, ""))
		tp := tensor.NewTape(backend)
		tp.Reset(tensor.Gradient, 0)
		tp.Backward(total(tp, forward(tp, x, offsets)))
		return tp.Bytes()
	}
	for name, forward := range map[string]func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor{
		"self": func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
			return a.Self(tp, x, offsets, false)
		},
		"causal": func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
			return a.Self(tp, x, offsets, true)
		},
		"cross": func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
			return a.Cross(tp, x, offsets, a.Project(tp, x, offsets), random(24, 1, 1))
		},
	} {
		short, long := used(n, forward), used(2*n, forward)
		if long > 2*short {
			t.Errorf("%s: twice the length takes %d bytes instead of %d", name, long, short)
		}
		if scores := 4 * n * n; short >= scores {
			t.Errorf("%s: the tape takes %d bytes, the matrix of scores %d", name, short, scores)
		}
	}
}

func TestParameters(t *testing.T) {
	var got []string
	before := []nn.Parameter{{Name: "before", Tensor: random(1, 1)}}
	for _, p := range NewMultiHead(backend, 6, 2, nil).Parameters(before, "p.") {
		got = append(got, fmt.Sprint(p.Name, p.Shape()))
	}
	want := "before[1] p.q_proj.weight[6 6] p.q_proj.bias[6] p.k_proj.weight[6 6] p.k_proj.bias[6] " +
		"p.v_proj.weight[6 6] p.v_proj.bias[6] p.out_proj.weight[6 6] p.out_proj.bias[6]"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
}

func TestPanics(t *testing.T) {
	self := func(heads, width int, end int32) func(tp *tensor.Tape) {
		return func(tp *tensor.Tape) {
			NewMultiHead(backend, 6, heads, nil).Self(tp, random(1, 3, width), []int32{0, end}, true)
		}
	}
	for name, c := range map[string]struct {
		call func(tp *tensor.Tape)
		want []string // parts of the message
	}{
		"heads":   {self(4, 6, 3), []string{"width 6", "4 heads"}},
		"width":   {self(2, 5, 3), []string{"[6 6]", "5"}},
		"offsets": {self(2, 6, 4), []string{"offsets", "3"}},
		"bias": {func(tp *tensor.Tape) {
			a := NewMultiHead(backend, 6, 2, nil)
			z := a.Project(tp, random(1, 3, 6), []int32{0, 1, 3})
			a.Cross(tp, random(1, 3, 6), []int32{0, 3}, z, random(1, 2, 1))
		}, []string{"bias", "[2 1]", "[1 2]"}},
	} {
		t.Run(name, func(t *testing.T) {
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
			c.call(tensor.NewTape(backend))
		})
	}
}
