package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/ceil"
)

// nanOp is a kernel with its inputs, of which each in turn gets a NaN. run
// returns all outputs.
type nanOp struct {
	name   string
	inputs int
	run    func(in [][]float32) [][]float32
}

// each wraps a function of one slice.
func each(name string, f func(dst, x []float32)) nanOp {
	return nanOp{name, 1, func(in [][]float32) [][]float32 {
		f(in[0], in[0])
		return in
	}}
}

// reduction wraps a function that returns a number.
func reduction(name string, inputs int, f func(in [][]float32) float64) nanOp {
	return nanOp{name, inputs, func(in [][]float32) [][]float32 { return [][]float32{{float32(f(in))}} }}
}

// oneRow returns the reduction of x as a row.
func oneRow(f func(dst, x []float32, cols, ld int), x []float32) float32 {
	var dst [1]float32
	f(dst[:], x, len(x), len(x))
	return dst[0]
}

var nanOps = []nanOp{
	each("Exp", Exp), each("Sigmoid", Sigmoid), each("Erf", Erf), each("Tanh", Tanh), each("GELU", GELU),
	each("GELUStream", GELUStream),
	each("Scale", func(dst, x []float32) { Scale(dst, 0.5, x) }),
	each("Dropout", func(dst, x []float32) { Dropout(dst, x, 0.25, 1, 2) }),
	each("bfloat16", func(dst, x []float32) {
		half := make([]uint16, len(x))
		ToBF16(half, x)
		FromBF16(dst, half)
	}),
	{"Add", 2, func(in [][]float32) [][]float32 { Add(in[0], in[0], in[1]); return in }},
	{"Mul", 2, func(in [][]float32) [][]float32 { Mul(in[0], in[0], in[1]); return in }},
	{"Sub", 2, func(in [][]float32) [][]float32 { Sub(in[0], in[0], in[1]); return in }},
	{"Div", 2, func(in [][]float32) [][]float32 { Div(in[0], in[0], in[1]); return in }},
	{"Maximum", 2, func(in [][]float32) [][]float32 { Maximum(in[0], in[0], in[1]); return in }},
	{"Minimum", 2, func(in [][]float32) [][]float32 { Minimum(in[0], in[0], in[1]); return in }},
	{"Less", 2, func(in [][]float32) [][]float32 { Less(in[0], in[0], in[1]); return in }},
	{"Equal", 2, func(in [][]float32) [][]float32 { Equal(in[0], in[0], in[1]); return in }},
	{"Where", 3, func(in [][]float32) [][]float32 { Where(in[0], in[0], in[1], in[2]); return in }},
	each("Clamp", func(dst, x []float32) { Clamp(dst, x, -1, 1) }),
	each("Affine", func(dst, x []float32) { Affine(dst, 0.5, x, 2) }),
	each("Abs", Abs), each("Sqrt", Sqrt), each("Log", Log), each("Log1p", Log1p), each("Sin", Sin), each("Cos", Cos),
	{"Axpy", 2, func(in [][]float32) [][]float32 { Axpy(0.5, in[0], in[1]); return in }},
	{"AxpyFetch", 2, func(in [][]float32) [][]float32 { AxpyFetch(0.5, in[0], in[1], in[0], in[1]); return in }},
	{"AddRows", 2, func(in [][]float32) [][]float32 {
		n := len(in[1])
		AddRows(in[0], slices.Repeat(in[1], 5), 5, n, n)
		return in
	}},
	reduction("Sum", 1, func(in [][]float32) float64 { return Sum(in[0]) }),
	reduction("SumSquares", 1, func(in [][]float32) float64 { return SumSquares(in[0]) }),
	reduction("Dot", 2, func(in [][]float32) float64 { return float64(Dot(in[0], in[1])) }),
	reduction("SumRows", 1, func(in [][]float32) float64 { return float64(oneRow(SumRows, in[0])) }),
	reduction("MaxRows", 1, func(in [][]float32) float64 { return float64(oneRow(MaxRows, in[0])) }),
	reduction("MinRows", 1, func(in [][]float32) float64 { return float64(oneRow(MinRows, in[0])) }),
	reduction("Max", 1, func(in [][]float32) float64 { return float64(maxScaled(in[0], 1)) }),
	reduction("MaxElement", 1, func(in [][]float32) float64 { return float64(MaxElement(in[0])) }),
	reduction("MinElement", 1, func(in [][]float32) float64 { return float64(MinElement(in[0])) }),
	reduction("ArgMax", 1, func(in [][]float32) float64 { return float64(ArgMax(in[0])) }),
	reduction("LogSumExp", 1, func(in [][]float32) float64 { return LogSumExp(in[0]) }),
	reduction("CrossEntropy", 1, func(in [][]float32) float64 { return float64(CrossEntropy(in[0], 0, 0)) }),
	reduction("CrossEntropy smoothed", 1, func(in [][]float32) float64 { return float64(CrossEntropy(in[0], 0, 0.1)) }),
	{"CrossEntropyGradient", 1, func(in [][]float32) [][]float32 {
		return append(in, []float32{CrossEntropyGradient(in[0], len(in[0])-1, 0.1, 1)})
	}},
	{"Softmax", 1, func(in [][]float32) [][]float32 {
		return append(in, []float32{Softmax(in[0], in[0], 0.5, nil, nil)})
	}},
	{"SoftmaxStream", 1, func(in [][]float32) [][]float32 {
		cols := max(16, len(in[0])/16*16) // a row before, the row with NaN, a row behind
		x := slices.Concat(make([]float32, cols), in[0], make([]float32, 2*cols))[:3*cols]
		y := make([]float32, len(x))
		SoftmaxStream(y, make([]float32, cols), x, 3, cols, 0.5)
		return [][]float32{y}
	}},
	{"LayerNorm", 3, func(in [][]float32) [][]float32 {
		mean, rstd := make([]float32, 1), make([]float32, 1)
		LayerNorm(in[0], mean, rstd, in[0], in[1], in[2], 1, len(in[0]), 1e-5)
		return append(in, mean, rstd)
	}},
	{"LayerNormBackward", 5, func(in [][]float32) [][]float32 {
		LayerNormBackward(in[0], in[3], in[4], in[0], in[1], in[2], []float32{0.1}, []float32{1.5}, 1, len(in[0]), false)
		return in
	}},
	{"GELUBackward", 3, func(in [][]float32) [][]float32 { GELUBackward(in[0], in[1], in[2], true); return in }},
	{"AdamW", 4, func(in [][]float32) [][]float32 {
		for i, v := range in[3] {
			in[3][i] = v * v
		}
		AdamW(in[0], in[1], in[2], in[3], &AdamWParams{LR: 0.1, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, Step: 2, GradScale: 1})
		return in
	}},
	{"ColumnMax", 1, func(in [][]float32) [][]float32 {
		y, rows := make([]float32, 1), make([]int32, 1)
		ColumnMax(y, rows, in[0], len(in[0]), 1, 0)
		return [][]float32{y, {float32(rows[0])}}
	}},
	{"ColumnMax of one row", 1, func(in [][]float32) [][]float32 {
		ColumnMax(in[0], make([]int32, len(in[0])), slices.Clone(in[0]), 1, len(in[0]), 0)
		return in
	}},
	{"Above", 2, func(in [][]float32) [][]float32 {
		bits := make([]uint64, ceil.Div(len(in[0]), 64))
		Above(bits, in[0], in[1])
		y := make([]float32, len(in[0]))
		for i := range y {
			y[i] = float32(bits[i/64] >> (i % 64) & 1)
		}
		return [][]float32{y}
	}},
}

// checkSameNaN reports the first output that is NaN on one side only, or differs
// by more than rounding.
func checkSameNaN(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for k := range want {
		for i, w := range want[k] {
			g := got[k][i]
			if (g != g) != (w != w) || w == w && g != w && !(math.Abs(float64(g)-float64(w)) <= 1e-3*(1+math.Abs(float64(w)))) {
				t.Fatalf("%s: output %d[%d] is %v, portable version %v", what, k, i, g, w)
			}
		}
	}
}

// A NaN at any place of any input gives what the portable version gives, and the
// operations that reduce or normalise a row do not lose it.
func TestNaNPropagates(t *testing.T) {
	nan := float32(math.NaN())
	forEachISA(t, func(t *testing.T) {
		used := isa
		for _, op := range nanOps {
			for _, n := range []int{1, 5, 16, 37, 80, 2*lossBlock + 5} {
				for input := range op.inputs {
					for _, at := range []int{0, n / 2, n - 1} {
						for _, rest := range []float32{1, negInf} { // NaN among finite numbers, and among -Inf
							fill := func() [][]float32 {
								rng := rand.New(rand.NewPCG(51, 52))
								in := make([][]float32, op.inputs)
								for k := range in {
									in[k] = randomFloats(rng, n)
								}
								if rest == negInf {
									for i := range in[input] {
										in[input][i] = negInf
									}
								}
								in[input][at] = nan
								return in
							}
							isa = Generic
							want := op.run(fill())
							isa = used
							got := op.run(fill())
							what := fmt.Sprintf("%s of %d, NaN at %d of input %d among %v", op.name, n, at, input, rest)
							checkSameNaN(t, what, got, want)
						}
					}
				}
			}
		}
		for _, op := range nanOps {
			x := randomFloats(rand.New(rand.NewPCG(53, 54)), 300)
			x[200] = nan
			switch op.name {
			case "Sum", "SumSquares", "Max", "MaxElement", "MinElement", "LogSumExp", "CrossEntropy", "CrossEntropy smoothed",
				"CrossEntropyGradient", "Softmax":
				for k, out := range op.run([][]float32{x}) {
					if out[0] == out[0] {
						t.Errorf("%s loses NaN: output %d begins with %v", op.name, k, out[0])
					}
				}
			}
		}
	})
}

// attentionOutputs are all results of a forward and a backward pass.
func attentionOutputs(a *AttentionArgs, g *AttentionGradients) [][]float32 {
	Attention(a)
	AttentionBackward(a, g)
	return [][]float32{a.Out, a.LSE, g.DQ, g.DK, g.DV, g.DBias}
}

// A NaN in attention reaches all results that depend on it, on every instruction
// set those of the portable version.
func TestAttentionNaN(t *testing.T) {
	nan := float32(math.NaN())
	segmented := attentionCase{queries: 70, keys: 300, width: 20, bias: []float32{1, 2, 0, -3},
		qOffsets: []int32{0, 9, 70}, kOffsets: []int32{0, 40, 300}}
	cases := []attentionCase{
		{queries: 8, keys: 8, width: 32}, {queries: 1, keys: 1, width: 1}, {queries: 70, keys: 300, width: 20},
		{queries: 70, keys: 300, width: 20, dropout: 0.25}, segmented,
	}
	forEachISA(t, func(t *testing.T) {
		used := isa
		check := func(c attentionCase, input string, end bool) {
			run := func(set ISA) [][]float32 {
				isa = set
				defer func() { isa = used }()
				c := c
				c.bias = slices.Clone(c.bias)
				a, g := c.data(rand.New(rand.NewPCG(55, 56)), onHeap)
				x := map[string][]float32{"q": a.Q, "k": a.K, "v": a.V, "bias": a.Bias, "dout": g.DOut}[input]
				if end {
					x[len(x)-1] = nan
				} else {
					x[0] = nan
				}
				return attentionOutputs(a, g)
			}
			got := run(used)
			checkSameNaN(t, fmt.Sprintf("%v, NaN in %s", c, input), got, run(Generic))
			if input != "dout" && !slices.ContainsFunc(got[0], func(v float32) bool { return v != v }) {
				t.Errorf("%v: a NaN in %s does not reach the output", c, input)
			}
		}
		for _, c := range inBF16(cases) {
			for _, input := range []string{"q", "k", "v", "bias", "dout"} {
				for _, end := range []bool{false, true} {
					if input != "bias" || c.bias != nil {
						check(c, input, end)
					}
				}
			}
		}
	})
}

// Where keys are hidden, a NaN reaches the queries that see it and no others.
func TestAttentionNaNBehindMask(t *testing.T) {
	nan := float32(math.NaN())
	forEachISA(t, func(t *testing.T) {
		for _, c := range inBF16([]attentionCase{
			{queries: 150, keys: 150, width: 16, causal: true},
			{queries: 150, keys: 150, width: 16, bias: []float32{0, negInf, negInf, 1},
				qOffsets: []int32{0, 70, 150}, kOffsets: []int32{0, 60, 150}},
		}) {
			sees := func(i, j int) bool {
				if c.causal {
					return j <= i
				}
				return (i < 70) == (j < 60)
			}
			check := func(what string, a *AttentionArgs, spoilt func(i int) bool) {
				t.Helper()
				for i, lse := range a.LSE {
					for _, v := range append([]float32{lse}, a.Out[i*c.width:(i+1)*c.width]...) {
						if (v != v) != spoilt(i) {
							t.Fatalf("%v: %s: query %d has %v", c, what, i, v)
						}
					}
				}
			}
			for _, at := range []int{0, 59, 75, 149} {
				a, g := c.data(rand.New(rand.NewPCG(57, 58)), onHeap)
				a.Q[at*c.width+3] = nan
				attentionOutputs(a, g)
				check(fmt.Sprintf("NaN in query %d", at), a, func(i int) bool { return i == at })
				for j := range c.keys {
					if sees(at, j) && (g.DK[j*c.width] == g.DK[j*c.width] || g.DV[j*c.width] == g.DV[j*c.width]) {
						t.Fatalf("%v: the NaN in query %d does not reach the gradients of key %d", c, at, j)
					}
				}
				a, g = c.data(rand.New(rand.NewPCG(57, 58)), onHeap)
				a.K[at*c.width+3] = nan
				attentionOutputs(a, g)
				check(fmt.Sprintf("NaN in key %d", at), a, func(i int) bool { return sees(i, at) })
				for i := range c.queries {
					if sees(i, at) && g.DQ[i*c.width] == g.DQ[i*c.width] {
						t.Fatalf("%v: the NaN in key %d does not reach the gradient of query %d", c, at, i)
					}
				}
			}
		}
	})
}
