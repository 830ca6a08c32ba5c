//go:build cuda

package gpu

import (
	"math"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// one returns the expression of an operation.
func one(name string, op func(x tensor.Value) tensor.Value) *tensor.Expr {
	return tensor.NewExpr(name, 1, func(in []tensor.Value) tensor.Value { return op(in[0]) })
}

// two returns the expression of an operation on two numbers.
func two(name string, op func(x, y tensor.Value) tensor.Value) *tensor.Expr {
	return tensor.NewExpr(name, 2, func(in []tensor.Value) tensor.Value { return op(in[0], in[1]) })
}

// ulps returns the error of got in units in the last place of float32 at want.
func ulps(got float32, want float64) float64 {
	rounded := float32(want)
	switch {
	case math.IsNaN(want) || math.IsInf(float64(rounded), 0) || got != got || math.IsInf(float64(got), 0):
		if got == rounded || got != got && math.IsNaN(want) {
			return 0
		}
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// numbers returns special numbers, numbers of all sizes, and n evenly spaced ones in
// each of some intervals.
func numbers(stride uint64, n int) []float32 {
	inf := float32(math.Inf(1))
	x := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, inf, -inf, float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
	}
	for u := uint64(0); u < 1<<32; u += stride {
		x = append(x, math.Float32frombits(uint32(u)))
	}
	for _, bounds := range [][2]float64{{-20, 20}, {-105, -86}, {86, 89}, {-1, 1}, {-1 << 17, 1 << 17}, {-16, 16}} {
		for i := range n {
			x = append(x, float32(bounds[0]+(bounds[1]-bounds[0])*float64(i)/float64(n-1)))
		}
	}
	return x
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// The functions are as exact as kernels/math.h says.
func TestFunctions(t *testing.T) {
	b := open(t)
	stride, n := uint64(400_009), 4001
	if testing.Short() {
		stride, n = 4_000_037, 401
	}
	x := numbers(stride, n)
	in := tensor.FromSlice(b, x, len(x))
	for _, f := range []struct {
		e    *tensor.Expr
		want func(float64) float64
		ulps float64
	}{
		{one("exp", tensor.Value.Exp), math.Exp, 1},
		{one("log", tensor.Value.Log), math.Log, 1},
		{one("log1p", tensor.Value.Log1p), math.Log1p, 1.5},
		{one("tanh", tensor.Value.Tanh), math.Tanh, 2},
		{one("erf", tensor.Value.Erf), math.Erf, 1.25},
		{one("sigmoid", tensor.Value.Sigmoid), sigmoid64, 2.5},
		{one("sin", tensor.Value.Sin), math.Sin, 1.6},
		{one("cos", tensor.Value.Cos), math.Cos, 1.6},
		{one("sqrt", tensor.Value.Sqrt), math.Sqrt, 0.5},
		{one("abs", tensor.Value.Abs), math.Abs, 0},
		{one("neg", tensor.Value.Neg), func(x float64) float64 { return -x }, 0},
	} {
		out := tensor.New(b, tensor.Float32, len(x))
		b.Map(out, f.e, []*tensor.Tensor{in}, false)
		worst, at, got := -1.0, 0, values(out)
		for i, v := range x {
			if e := ulps(got[i], f.want(float64(v))); e > worst {
				worst, at = e, i
			}
		}
		t.Logf("%s: %.3f ULP at %g", f.e.Name(), worst, x[at])
		if worst > f.ulps {
			t.Errorf("%s(%g) is %g, want %g: error of %.3f ULP, want at most %g",
				f.e.Name(), x[at], got[at], f.want(float64(x[at])), worst, f.ulps)
		}
	}
}

// Operations on two numbers give what they give on the host, for special numbers, too.
func TestPairs(t *testing.T) {
	b := open(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	special := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.5, -2.5, 1e30, -1e30, 1e-40, -1e-40,
		0x1p24, 0x1p23, -0x1p23 - 1, 16777217, 1.0001, 0.9999, math.MaxFloat32, inf, -inf, nan, 100, -100, 127, -149, 1.7, 88,
	}
	var x, y []float32
	for _, v := range special {
		for _, w := range special {
			x, y = append(x, v), append(y, w)
		}
	}
	in := []*tensor.Tensor{tensor.FromSlice(b, x, len(x)), tensor.FromSlice(b, y, len(y))}
	for _, f := range []struct {
		e    *tensor.Expr
		ulps float64
	}{
		{two("add", tensor.Value.Add), 0.5}, {two("sub", tensor.Value.Sub), 0.5}, {two("mul", tensor.Value.Mul), 0.5},
		{two("div", tensor.Value.Div), 0.5}, {two("max", tensor.Value.Max), 0}, {two("min", tensor.Value.Min), 0},
		{two("less", tensor.Value.Less), 0}, {two("equal", tensor.Value.Equal), 0}, {two("pow", tensor.Value.Pow), 0.6},
		{two("where", func(x, y tensor.Value) tensor.Value { return x.Where(y, tensor.Const(7)) }), 0},
	} {
		out := tensor.New(b, tensor.Float32, len(x))
		b.Map(out, f.e, in, false)
		for i, v := range values(out) {
			want := f.e.Eval([]float64{float64(x[i]), float64(y[i])})
			if e := ulps(v, want); e > f.ulps {
				t.Errorf("%s(%g, %g) is %g, want %g: %.2f ULP", f.e.Name(), x[i], y[i], v, want, e)
			}
		}
	}
}
