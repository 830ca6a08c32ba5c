package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/tensor"
)

// exprs have every operation of expressions.
var exprs = func() []*tensor.Expr {
	one := func(name string, f func(x tensor.Value) tensor.Value) *tensor.Expr {
		return tensor.NewExpr(name, 1, func(in []tensor.Value) tensor.Value { return f(in[0]) })
	}
	two := func(name string, f func(x, y tensor.Value) tensor.Value) *tensor.Expr {
		return tensor.NewExpr(name, 2, func(in []tensor.Value) tensor.Value { return f(in[0], in[1]) })
	}
	return []*tensor.Expr{
		one("copy", func(x tensor.Value) tensor.Value { return x }),
		two("add", tensor.Value.Add), two("sub", tensor.Value.Sub), two("mul", tensor.Value.Mul),
		two("div", tensor.Value.Div),
		two("max", tensor.Value.Max), two("min", tensor.Value.Min), two("less", tensor.Value.Less),
		two("equal", tensor.Value.Equal), one("neg", tensor.Value.Neg), one("abs", tensor.Value.Abs),
		one("exp", tensor.Value.Exp), one("tanh", tensor.Value.Tanh), one("erf", tensor.Value.Erf),
		one("sin", tensor.Value.Sin), one("cos", tensor.Value.Cos),
		one("sqrt, log", func(x tensor.Value) tensor.Value { return x.Abs().Sqrt().Log() }),
		one("log1p", func(x tensor.Value) tensor.Value { return x.Mul(x).Log1p() }),
		two("pow", func(x, y tensor.Value) tensor.Value { return x.Abs().Pow(y) }),
		tensor.NewExpr("where", 3, func(in []tensor.Value) tensor.Value {
			return in[0].Less(tensor.Const(0.25)).Where(in[1], in[2].Mul(tensor.Const(-3)))
		}),
		tensor.NewExpr("six", tensor.MaxExprInputs, func(in []tensor.Value) tensor.Value {
			y := in[0].Add(tensor.Const(1.5))
			for _, x := range in[1:] {
				y = y.Mul(x).Sub(in[0])
			}
			return y
		}),
	}
}()

// arrays are the shapes of dst and what inputs are broadcast from.
var arrays = []struct {
	shape  []int
	inputs [][]int
}{
	{[]int{}, [][]int{{}}},
	{[]int{1}, [][]int{{1}, {}}},
	{[]int{0, 3}, [][]int{{0, 3}, {3}, {1, 1}}},
	{[]int{1000}, [][]int{{1000}, {1}, {}}},
	{[]int{5, 7}, [][]int{{5, 7}, {7}, {5, 1}}},
	{[]int{3, 600}, [][]int{{3, 600}, {600}, {3, 1}, {1, 1}}},
	{[]int{2, 3, 4, 5, 6}, [][]int{{2, 3, 4, 5, 6}, {3, 1, 5, 1}, {2, 1, 1, 1, 6}, {4, 1, 1}}},
	{[]int{300, 200}, [][]int{{300, 200}, {300, 1}, {200}}},
}

// view returns a tensor of the given values as a view of kind: 0 contiguous, 1 with
// axes in reverse order in memory, 2 a part of a larger tensor that holds NaN
// elsewhere. whole is that tensor.
func (s *suite) view(kind int, values []float32, shape []int) (view, whole *tensor.Tensor) {
	tp := tensor.NewTape(s.b)
	rank := len(shape)
	switch {
	case kind == 1 && rank > 0:
		reversed, axes := slices.Clone(shape), make([]int, rank)
		slices.Reverse(reversed)
		for i := range axes {
			axes[i] = rank - 1 - i
		}
		moved := make([]float32, len(values))
		eachIndex(shape, func(i int, index []int) {
			at := 0
			for d := rank - 1; d >= 0; d-- {
				at = at*shape[d] + index[d]
			}
			moved[at] = values[i]
		})
		whole = s.tensor(moved, reversed...)
		return tp.Permute(whole, axes...), whole
	case kind == 2 && rank > 0:
		larger := slices.Clone(shape)
		for d := range larger {
			larger[d] += 2
		}
		all := make([]float32, product(larger))
		for i := range all {
			all[i] = nan
		}
		eachIndex(shape, func(i int, index []int) {
			at := 0
			for d, n := range larger {
				at = at*n + index[d] + 1
			}
			all[at] = values[i]
		})
		whole = s.tensor(all, larger...)
		view = whole
		for d := range shape {
			view = tp.Slice(view, d, 1, 1+shape[d])
		}
		return view, whole
	}
	whole = s.tensor(values, shape...)
	return whole, whole
}

// valuesOf returns the elements of a view that view made.
func (s *suite) valuesOf(kind int, whole *tensor.Tensor, shape []int) []float32 {
	all := download(whole)
	if kind == 0 || len(shape) == 0 {
		return all
	}
	out := make([]float32, product(shape))
	eachIndex(shape, func(i int, index []int) {
		at := 0
		for d := range shape {
			if kind == 1 {
				d = len(shape) - 1 - d
				at = at*shape[d] + index[d]
			} else {
				at = at*(shape[d]+2) + index[d] + 1
			}
		}
		out[i] = all[at]
	})
	return out
}

func product(shape []int) int {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return n
}

// eachIndex calls f with the number and the index of each element of a shape.
func eachIndex(shape []int, f func(i int, index []int)) {
	index := make([]int, len(shape))
	for i := range product(shape) {
		rest := i
		for d := len(shape) - 1; d >= 0; d-- {
			index[d] = rest % shape[d]
			rest /= shape[d]
		}
		f(i, index)
	}
}

// broadcastAt returns the number of the element of an array that stands at an
// index of a larger shape.
func broadcastAt(shape, index []int) int {
	at := 0
	for d, n := range shape {
		at *= n
		if n > 1 {
			at += index[len(index)-len(shape)+d]
		}
	}
	return at
}

// checkArray runs a launch on views of every kind, that hold values to add to or
// NaN, twice, and compares the results.
func (s *suite) checkArray(name string, shape []int, want, size []float64, accumulate bool,
	launch func(dst *tensor.Tensor)) {
	s.Helper()
	for kind := range 3 {
		before := s.values(len(want))
		for i := range before {
			if !accumulate {
				before[i] = nan
			}
		}
		var first []float32
		for run := range 2 {
			dst, whole := s.view(kind, before, shape)
			launch(dst)
			got := s.valuesOf(kind, whole, shape)
			if run == 1 {
				if !equalBits(got, first) {
					s.Errorf("%s: differs in a second run", name)
				}
				break
			}
			first = got
			for i, w := range want {
				terms := size[i]
				if accumulate {
					w += float64(before[i])
					terms += math.Abs(float64(before[i]))
				}
				ok := math.Abs(float64(got[i])-w) <= 4*s.tol.Other*max(terms, 1e-30)
				if !ok && !(math.IsNaN(w) && got[i] != got[i]) && float64(got[i]) != w {
					s.Errorf("%s to a view of kind %d: [%d] is %v, want %v", name, kind, i, got[i], w)
					return
				}
			}
		}
	}
}

func (s *suite) maps() {
	for _, a := range arrays {
		for n, e := range exprs {
			in, inputs := make([][]float32, e.Inputs()), make([]*tensor.Tensor, e.Inputs())
			shapes := make([][]int, e.Inputs())
			for k := range in {
				shapes[k] = a.inputs[(n+k)%len(a.inputs)]
				in[k] = s.values(product(shapes[k]))
				inputs[k], _ = s.view((n+k)%3, in[k], shapes[k])
			}
			want, size := make([]float64, product(a.shape)), make([]float64, product(a.shape))
			eachIndex(a.shape, func(i int, index []int) {
				x := make([]float64, len(in))
				for k := range in {
					x[k] = float64(in[k][broadcastAt(shapes[k], index)])
				}
				want[i] = e.Eval(x)
				// Differences of larger numbers have their errors.
				size[i] = max(math.Abs(want[i]), 1)
				for _, v := range x {
					size[i] = max(size[i], math.Abs(v))
				}
			})
			for _, accumulate := range []bool{false, true} {
				name := fmt.Sprintf("map %s to %v, accumulate %t", e.Name(), a.shape, accumulate)
				s.checkArray(name, a.shape, want, size, accumulate, func(dst *tensor.Tensor) {
					s.b.Map(dst, e, inputs, accumulate)
				})
			}
		}
	}
	// In place.
	x := s.values(5000)
	t := s.tensor(x, 5000)
	double := exprs[1]
	s.b.Map(t, double, []*tensor.Tensor{t, t}, false)
	for i, v := range download(t) {
		if v != 2*x[i] {
			s.Fatalf("map in place: [%d] is %v, want %v", i, v, 2*x[i])
		}
	}
}

func (s *suite) reductions() {
	for _, c := range []struct {
		x, dst []int
	}{
		{[]int{}, []int{}},
		{[]int{1}, []int{1}},
		{[]int{7}, []int{1}},
		{[]int{0}, []int{1}},
		{[]int{0, 3}, []int{1, 3}},
		{[]int{3, 0}, []int{3, 1}},
		{[]int{5, 7}, []int{5, 1}},
		{[]int{5, 7}, []int{1, 7}},
		{[]int{5, 7}, []int{1, 1}},
		{[]int{5, 7}, []int{5, 7}},
		{[]int{2, 3, 4, 5}, []int{2, 1, 4, 1}},
		{[]int{2, 3, 4, 5}, []int{1, 3, 1, 5}},
		{[]int{2, 3, 4, 5}, []int{1, 1, 4, 5}},
		{[]int{700, 3}, []int{1, 3}},
		{[]int{3, 700}, []int{3, 1}},
		{[]int{200_001}, []int{1}},
		{[]int{300, 700}, []int{1, 1}},
		{[]int{2000, 90}, []int{1, 90}},
		{[]int{20, 1100}, []int{1, 1100}},
	} {
		values := s.values(product(c.x))
		if len(values) > 20 && len(c.x) > 1 {
			values[7] = float32(math.Inf(1))
			values[20] = nan
		}
		for kind := range 3 {
			x, _ := s.view(kind, values, c.x)
			for op, join := range map[tensor.ReduceOp]func(a, b float64) float64{
				tensor.ReduceSum: func(a, b float64) float64 { return a + b },
				tensor.ReduceMax: func(a, b float64) float64 { return max(a, b) },
				tensor.ReduceMin: func(a, b float64) float64 { return min(a, b) },
			} {
				want, size := make([]float64, product(c.dst)), make([]float64, product(c.dst))
				for i := range want {
					switch op {
					case tensor.ReduceMax:
						want[i] = math.Inf(-1)
					case tensor.ReduceMin:
						want[i] = math.Inf(1)
					}
				}
				eachIndex(c.x, func(i int, index []int) {
					at := broadcastAt(c.dst, index)
					want[at] = join(want[at], float64(values[i]))
					size[at] += math.Abs(float64(values[i]))
				})
				for i := range size {
					if math.IsInf(size[i], 0) || math.IsNaN(size[i]) {
						size[i] = 1
					}
				}
				for _, accumulate := range []bool{false, true} {
					name := fmt.Sprintf("reduction %d of %v to %v, from a view of kind %d, accumulate %t",
						op, c.x, c.dst, kind, accumulate)
					s.checkArray(name, c.dst, want, size, accumulate, func(dst *tensor.Tensor) {
						s.b.Reduce(dst, op, x, accumulate)
					})
				}
			}
		}
	}
}
