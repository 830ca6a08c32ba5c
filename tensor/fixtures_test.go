package tensor

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
)

// fixture is a case of testdata/ops.json, which bench/peers/ops_fixture.py writes.
type fixture struct {
	Op     string
	Args   []int
	Values []fixtureNumber
	In     []fixtureTensor
	Out    []fixtureTensor
}

type fixtureTensor struct {
	Shape   []int
	Data    []fixtureNumber
	Permute []int
	Int     bool
	Grad    []fixtureNumber
}

// fixtureNumber is a number, or a string that stands for one that JSON lacks.
type fixtureNumber float64

func (n *fixtureNumber) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	v, err := strconv.ParseFloat(text, 64)
	*n = fixtureNumber(v)
	return err
}

// tensor returns the parameter of an input and the view that the operation takes.
func (x *fixtureTensor) tensor(tp *Tape) (leaf, view *Tensor) {
	if x.Int {
		leaf = New(tp.backend, Int32, x.Shape...)
		for i, v := range x.Data {
			leaf.Int32s()[i] = int32(v)
		}
	} else {
		leaf = New(tp.backend, Float32, x.Shape...)
		for i, v := range x.Data {
			leaf.Float32s()[i] = float32(v)
		}
		leaf.SetRequiresGrad(x.Grad != nil)
	}
	if x.Permute != nil {
		return leaf, tp.Permute(leaf, x.Permute...)
	}
	return leaf, leaf
}

// call carries out the operation on a tape.
func (f *fixture) call(tp *Tape, in []*Tensor) []*Tensor {
	one := func(t *Tensor) []*Tensor { return []*Tensor{t} }
	unary := map[string]func(x *Tensor) *Tensor{
		"neg": tp.Neg, "abs": tp.Abs, "exp": tp.Exp, "log": tp.Log, "log1p": tp.Log1p, "sqrt": tp.Sqrt, "rsqrt": tp.Rsqrt,
		"tanh": tp.Tanh, "erf": tp.Erf, "sin": tp.Sin, "cos": tp.Cos, "sigmoid": tp.Sigmoid, "relu": tp.ReLU,
		"silu": tp.SiLU, "gelutanh": tp.GELUTanh, "softplus": tp.Softplus, "gelu": tp.GELU,
		"scale": func(x *Tensor) *Tensor { return tp.Scale(-2.5, x) },
	}
	binary := map[string]func(x, y *Tensor) *Tensor{
		"add": tp.Add, "sub": tp.Sub, "mul": tp.Mul, "div": tp.Div, "pow": tp.Pow, "maximum": tp.Maximum,
		"minimum": tp.Minimum,
		"less":    tp.Less, "equal": tp.Equal, "outer": tp.Outer,
	}
	reductions := map[string]func(x *Tensor, keep bool, axes ...int) *Tensor{
		"sum": tp.Sum, "mean": tp.Mean, "norm": tp.Norm, "max": tp.Max, "min": tp.Min, "logsumexp": tp.LogSumExp,
		"variance": func(x *Tensor, keep bool, axes ...int) *Tensor { return tp.Variance(x, 1, keep, axes...) },
	}
	if op := unary[f.Op]; op != nil {
		return one(op(in[0]))
	}
	if op := binary[f.Op]; op != nil {
		return one(op(in[0], in[1]))
	}
	x, a := in[0], f.Args
	if op := reductions[f.Op]; op != nil {
		return one(op(x, a[0] == 1, a[1:]...))
	}
	value := func(i int) float32 { return float32(f.Values[i]) }
	switch f.Op {
	case "where":
		return one(tp.Where(x, in[1], in[2]))
	case "clamp":
		return one(tp.Clamp(x, value(0), value(1)))
	case "maskedfill":
		return one(tp.MaskedFill(x, in[1], value(0)))
	case "softmax":
		return one(tp.Softmax(x, a[0]))
	case "logsoftmax":
		return one(tp.LogSoftmax(x, a[0]))
	case "cumsum":
		return one(tp.CumSum(x, a[0]))
	case "argmax":
		return one(tp.ArgMax(x, a[0], a[1] == 1))
	case "argmin":
		return one(tp.ArgMin(x, a[0], a[1] == 1))
	case "reshape":
		return one(tp.Reshape(x, a...))
	case "permute":
		return one(tp.Permute(x, a...))
	case "slice":
		return one(tp.Slice(x, a[0], a[1], a[2]))
	case "concat":
		return one(tp.Concat(a[0], in...))
	case "stack":
		return one(tp.Stack(a[0], in...))
	case "expand":
		return one(tp.Expand(x, a...))
	case "pad":
		return one(tp.Pad(x, a[0], a[1], a[2], value(0)))
	case "repeat":
		return one(tp.Repeat(x, a...))
	case "tril":
		return one(tp.Tril(x, a[0]))
	case "triu":
		return one(tp.Triu(x, a[0]))
	case "matmul":
		return one(tp.MatMul(x, in[1], a[0] == 1))
	case "linear":
		return one(tp.Linear(x, in[1], in[2]))
	case "takealongdim":
		return one(tp.TakeAlongDim(x, a[0], in[1]))
	case "indexselect":
		return one(tp.IndexSelect(x, a[0], in[1]))
	case "indexadd":
		return one(tp.IndexAdd(x, a[0], in[1], in[2]))
	case "scatteradd":
		return one(tp.ScatterAdd(x, a[0], in[1], in[2]))
	case "scatter":
		return one(tp.Scatter(x, a[0], in[1], in[2]))
	case "onehot":
		return one(tp.OneHot(x, a[0]))
	case "topk":
		values, indices := tp.TopK(x, a[0])
		return []*Tensor{values, indices}
	case "crossentropyloss":
		ignore := int32(a[1])
		o := CrossEntropyOptions{Reduction: Reduction(a[0]), IgnoreIndex: &ignore, Smoothing: value(0)}
		if len(in) > 2 {
			o.Weight = in[2]
		}
		return one(tp.CrossEntropyLoss(x, in[1], o))
	case "mse":
		return one(tp.MSE(x, in[1], Reduction(a[0])))
	case "bcewithlogits":
		var weight *Tensor
		if len(in) > 2 {
			weight = in[2]
		}
		return one(tp.BCEWithLogits(x, in[1], weight, Reduction(a[0])))
	case "kldiv":
		return one(tp.KLDiv(x, in[1], a[1] == 1, Reduction(a[0])))
	}
	panic("unknown operation")
}

// elements returns the elements of a view as numbers.
func elements64(t *Tensor) []float64 {
	return build(t.Shape(), func(index []int) float64 {
		if t.dtype == Int32 {
			return float64(t.store.I32[t.place(index)])
		}
		return float64(t.store.F32[t.place(index)])
	}).data
}

// same fails unless numbers are equal up to rounding; NaN and infinities are equal
// to themselves, and what float32 does not hold is infinite.
func same(t *testing.T, what string, got []float64, want []fixtureNumber) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		w := float64(float32(w))
		if got[i] == w || got[i] != got[i] && w != w {
			continue
		}
		if !(math.Abs(got[i]-w) <= 2e-6*max(1, math.Abs(w))) || math.IsInf(w, 0) {
			t.Errorf("%s: [%d] is %v, want %v", what, i, got[i], w)
		}
	}
}

// All operations compute what PyTorch computes, with broadcasting, views, empty
// shapes and those without dimensions, NaN and infinities, and so are gradients,
// also where functions have kinks.
func TestFixtures(t *testing.T) {
	data, err := os.ReadFile("testdata/ops.json")
	if err != nil {
		t.Fatal(err)
	}
	var fixtures []fixture
	if err := json.Unmarshal(data, &fixtures); err != nil {
		t.Fatal(err)
	}
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	for n, f := range fixtures {
		t.Run(fmt.Sprintf("%d %s", n+2, f.Op), func(t *testing.T) { // its line in the file
			f.check(t, tp)
		})
	}
}

func (f *fixture) check(t *testing.T, tp *Tape) {
	tp.Reset(Gradient, 0)
	var leaves, in []*Tensor
	for i := range f.In {
		leaf, view := f.In[i].tensor(tp)
		leaves, in = append(leaves, leaf), append(in, view)
	}
	out := f.call(tp, in)
	if len(out) != len(f.Out) {
		t.Fatalf("%d results, want %d", len(out), len(f.Out))
	}
	for i, y := range out {
		if !slices.Equal(y.Shape(), f.Out[i].Shape) {
			t.Fatalf("result %v, want shape %v", y, f.Out[i].Shape)
		}
		same(t, "result", elements64(y), f.Out[i].Data)
	}
	if !slices.ContainsFunc(f.In, func(x fixtureTensor) bool { return x.Grad != nil }) {
		return
	}
	y := tp.Contiguous(out[0])
	w := make([]float32, y.Len())
	for i := range w {
		w[i] = 0.25 + 0.5*float32(i%5-2)
	}
	tp.backwardFrom(y, w)
	for i, x := range f.In {
		if x.Grad != nil {
			same(t, fmt.Sprintf("gradient of input %d", i), elements64(leaves[i].Grad()), x.Grad)
		}
	}
}
