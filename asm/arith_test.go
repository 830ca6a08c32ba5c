package asm

import (
	"math"
	"testing"
)

// arithmetic are the tests of the operations of arith.go.
var arithmetic = []operation{
	binaryTest("Add", Add, AddStream, func(a, b float64) float64 { return float64(float32(a + b)) }),
	binaryTest("Sub", Sub, SubStream, func(a, b float64) float64 { return float64(float32(a - b)) }),
	binaryTest("Mul", Mul, MulStream, func(a, b float64) float64 { return float64(float32(a * b)) }),
	binaryTest("Div", Div, DivStream, func(a, b float64) float64 { return float64(float32(a / b)) }),
	binaryTest("Maximum", Maximum, MaximumStream, func(a, b float64) float64 { return max(a, b) }),
	binaryTest("Minimum", Minimum, MinimumStream, func(a, b float64) float64 { return min(a, b) }),
	binaryTest("Less", Less, LessStream, func(a, b float64) float64 { return one(a < b) }),
	binaryTest("Equal", Equal, EqualStream, func(a, b float64) float64 { return one(a == b) }),
	{"Where", func(e *env, n int) {
		mask, a, b, dst := e.special(n), e.normal(n, 0, 1), e.normal(n, 0, 1), e.place(n)
		Where(dst, mask, a, b)
		for i := range dst {
			want := a[i]
			if mask[i] == 0 {
				want = b[i]
			}
			e.near(at("choice", n, i), dst[i], float64(want), 0)
		}
		streamed := e.place(n)
		WhereStream(streamed, mask, a, b)
		e.same("WhereStream", streamed, dst)
		Where(mask, mask, a, b)
		for i := range dst {
			e.near(at("in place", n, i), mask[i], float64(dst[i]), 0)
		}
	}},
	unaryTest("Abs", Abs, math.Abs, 0),
	unaryTest("Sqrt", Sqrt, math.Sqrt, 0.5),
	streamTest("AbsStream", Abs, AbsStream),
	streamTest("SqrtStream", Sqrt, SqrtStream),
	streamTest("ScaleStream", func(dst, x []float32) { Scale(dst, -0.3, x) },
		func(dst, x []float32) { ScaleStream(dst, -0.3, x) }),
	streamTest("AffineStream", func(dst, x []float32) { Affine(dst, 1.7, x, -0.3) },
		func(dst, x []float32) { AffineStream(dst, 1.7, x, -0.3) }),
	streamTest("ClampStream", func(dst, x []float32) { Clamp(dst, x, -0.5, 1) },
		func(dst, x []float32) { ClampStream(dst, x, -0.5, 1) }),
	{"Clamp", func(e *env, n int) {
		for _, bounds := range [][2]float32{{-0.5, 1}, {0, -negInf}, {negInf, 0.25}, {1, -1}} {
			lo, hi := bounds[0], bounds[1]
			x, dst := e.special(n), e.place(n)
			Clamp(dst, x, lo, hi)
			for i := range dst {
				e.near(at("clamp", n, i), dst[i], math.Min(math.Max(float64(x[i]), float64(lo)), float64(hi)), 0)
			}
			Clamp(x, x, lo, hi)
			e.same("clamp in place", x, dst)
		}
	}},
	unaryTest("Log", Log, math.Log, logULP),
	unaryTest("Log1p", Log1p, math.Log1p, log1pULP),
	unaryTest("Sin", Sin, math.Sin, trigULP),
	unaryTest("Cos", Cos, math.Cos, trigULP),
	{"Sigmoid", func(e *env, n int) {
		for _, x := range [][]float32{e.normal(n, 0, 8), e.special(n)} {
			dst := e.place(n)
			Sigmoid(dst, x)
			for i, v := range x {
				want := 1 / (1 + math.Exp(-float64(v)))
				if u := ulps(dst[i], want); u > 2.5 && (want > 0x1p-126 || dst[i] < 0 || dst[i] > 0x1p-126) {
					e.t.Fatalf("%s: %v of %v, want %v: %.2f ULP", at("sigmoid", n, i), dst[i], v, want, u)
				}
			}
			Sigmoid(x, x)
			e.same("sigmoid in place", x, dst)
		}
	}},
	{"Affine", func(e *env, n int) {
		x, dst, alpha, beta := e.normal(n, 0, 1), e.place(n), float32(1.7), float32(-0.3)
		Affine(dst, alpha, x, beta)
		for i := range dst {
			want := float64(alpha)*float64(x[i]) + float64(beta)
			e.near(at("affine", n, i), dst[i], want, 2*eps*(math.Abs(float64(alpha*x[i]))+float64(-beta)))
		}
	}},
	{"Extremes", func(e *env, n int) {
		x := e.normal(n, 0, 1)
		least, greatest := math.Inf(1), math.Inf(-1)
		for _, v := range x {
			least, greatest = min(least, float64(v)), max(greatest, float64(v))
		}
		e.near(at("least", n, 0), MinElement(x), least, 0)
		e.near(at("greatest", n, 0), MaxElement(x), greatest, 0)
	}},
}

func one(b bool) float64 { return float64(oneIf(b)) }

// special returns n values, every third of which is one at which comparisons
// differ, of which there are as many pairs as the length allows.
func (e *env) special(n int) []float32 {
	values := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), negInf, 1,
		math.SmallestNonzeroFloat32, math.MaxFloat32, 1 << 17, 1e9}
	x := e.normal(n, 0, 1)
	for i := range x {
		if i%3 == 0 {
			x[i] = values[e.rng.IntN(len(values))]
		}
	}
	return x
}

// same fails the test if two results differ.
func (e *env) same(what string, got, want []float32) {
	e.t.Helper()
	for i := range want {
		e.near(at(what, len(want), i), got[i], float64(want[i]), 0)
	}
}

// streamTest compares a function that streams with the one that does not.
func streamTest(name string, f, stream func(dst, x []float32)) operation {
	return operation{name, func(e *env, n int) {
		x, want, got := e.special(n), e.place(n), e.place(n)
		f(want, x)
		stream(got, x)
		e.same(name, got, want)
	}}
}

func binaryTest(name string, f, stream func(dst, a, b []float32), ref func(a, b float64) float64) operation {
	return operation{name, func(e *env, n int) {
		for range 4 {
			a, b, dst := e.special(n), e.special(n), e.place(n)
			for i := range b {
				if e.rng.IntN(4) == 0 {
					b[i] = a[i]
				}
			}
			f(dst, a, b)
			for i := range dst {
				e.near(at(name, n, i), dst[i], ref(float64(a[i]), float64(b[i])), 0)
			}
			streamed := e.place(n)
			stream(streamed, a, b)
			e.same(name+"Stream", streamed, dst)
			a0 := e.put(a)
			f(a, a, b)
			f(b, a0, b)
			for i := range dst {
				e.near(at(name+" in the place of a", n, i), a[i], float64(dst[i]), 0)
				e.near(at(name+" in the place of b", n, i), b[i], float64(dst[i]), 0)
			}
		}
	}}
}

func unaryTest(name string, f func(dst, x []float32), ref func(float64) float64, bound float64) operation {
	return operation{name, func(e *env, n int) {
		e.function(n, f, ref, bound)
		x, dst := e.special(n), e.place(n)
		f(dst, x)
		for i, v := range x {
			if u := ulps(dst[i], ref(float64(v))); u > bound {
				e.t.Fatalf("%s: %v of %v, want %v: %.2f ULP", at(name, n, i), dst[i], v, ref(float64(v)), u)
			}
		}
	}}
}

// Any bits: arithmetic and comparisons give what the portable version gives.
func FuzzArithmetic(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		x := floatsOf(data)
		n := len(x) / 2
		a, b := x[:n], x[n:2*n]
		got, want := make([]float32, n), make([]float32, n)
		forEachISA(t, func(t *testing.T) {
			for _, c := range []struct {
				name        string
				f, portable func(dst, a, b []float32)
			}{
				{"sub", Sub, subGeneric}, {"mul", Mul, mulGeneric}, {"div", Div, divGeneric},
				{"maximum", Maximum, maximumGeneric}, {"minimum", Minimum, minimumGeneric},
				{"less", Less, lessGeneric}, {"equal", Equal, equalGeneric},
				{"clamp", func(dst, a, _ []float32) { Clamp(dst, a, -1, 2) },
					func(dst, a, _ []float32) { clampGeneric(dst, a, -1, 2) }},
				{"abs", func(dst, a, _ []float32) { Abs(dst, a) }, func(dst, a, _ []float32) { absGeneric(dst, a) }},
				{"where", func(dst, a, b []float32) { Where(dst, a, b, a) },
					func(dst, a, b []float32) { whereGeneric(dst, a, b, a) }},
			} {
				c.f(got, a, b)
				c.portable(want, a, b)
				for i := range got {
					if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
						t.Fatalf("%v: %s of %v and %v is %v, portable %v", Current(), c.name, a[i], b[i], got[i], want[i])
					}
				}
			}
		})
	})
}
