package asm

import (
	"math"
	"testing"
)

// edgeLengths are the lengths at which kernels change what they do.
var edgeLengths = []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1000}

// The errors that the documentation states. Over every fourth float32 of the
// ranges in which they are not constant, 0.90, 1.10 and 2.61 were measured, and
// for GELU 5.25 over all from -14.5 to -0.01. For log, log1p, sin and cos 0.87, 1.43
// and 1.47 were measured.
const (
	expULP  = 1
	erfULP  = 1.25
	tanhULP = 3
	geluULP = 5.5

	logULP   = 1
	log1pULP = 1.5
	trigULP  = 1.6
)

// ulps returns the error of got in units in the last place of float32 at want.
func ulps(got float32, want float64) float64 {
	rounded := float32(want)
	switch {
	case math.IsNaN(want):
		if got != got {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(float64(rounded), 0) || math.IsInf(float64(got), 0):
		if got == rounded {
			return 0
		}
		return math.Inf(1)
	case got != got:
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	unit := math.Ldexp(1, max(e-24, -149))
	return math.Abs(float64(got)-want) / unit
}

// floatGrid returns every stride-th float32, both signs, infinities and NaN.
func floatGrid(stride uint32) []float32 {
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), negInf, float32(math.NaN()),
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32}
	grid := special
	for u := uint64(0); u < 1<<32; u += uint64(stride) {
		grid = append(grid, math.Float32frombits(uint32(u)))
	}
	return grid
}

// lineGrid returns n values from lo to hi, evenly spaced.
func lineGrid(lo, hi float64, n int) []float32 {
	grid := make([]float32, n)
	for i := range grid {
		grid[i] = float32(lo + (hi-lo)*float64(i)/float64(n-1))
	}
	return grid
}

// checkFunction compares a vector function with its float64 reference on x and
// reports the greatest error, which must not exceed bound ULP.
func checkFunction(t *testing.T, f func(dst, x []float32), ref func(float64) float64, x []float32, bound float64) {
	t.Helper()
	got := make([]float32, len(x))
	f(got, x)
	worst, at := -1.0, 0
	for i, v := range x {
		if e := ulps(got[i], ref(float64(v))); e > worst {
			worst, at = e, i
		}
	}
	v := float64(x[at])
	t.Logf("greatest error %.3f ULP at %g (%#08x): %g, want %g", worst, v, math.Float32bits(x[at]), got[at], ref(v))
	if worst > bound {
		t.Errorf("error %.3f ULP at %g: %g, want %g; bound %g", worst, v, got[at], ref(v), bound)
	}
}

func refGELU(x float64) float64 {
	if math.IsInf(x, -1) {
		return 0
	}
	return x * 0.5 * math.Erfc(-x/math.Sqrt2)
}

func TestFunctionErrors(t *testing.T) {
	stride := uint32(20011)
	if testing.Short() {
		stride = 200003
	}
	grid := append(floatGrid(stride), lineGrid(-20, 20, 200_000)...)
	grid = append(grid, lineGrid(-105, -86, 50_000)...)
	grid = append(grid, lineGrid(86, 89, 50_000)...)
	grid = append(grid, lineGrid(-1, 1, 50_000)...)
	grid = append(grid, lineGrid(-1<<17, 1<<17, 50_000)...)
	grid = append(grid, lineGrid(-16, 16, 32<<10+1)...) // multiples of 1/1024, where intervals meet
	for _, c := range []struct {
		name  string
		f     func(dst, x []float32)
		ref   func(float64) float64
		bound float64
	}{
		{"Exp", Exp, math.Exp, expULP},
		{"Erf", Erf, math.Erf, erfULP},
		{"Tanh", Tanh, math.Tanh, tanhULP},
		{"GELU", GELU, refGELU, geluULP},
		{"Log", Log, math.Log, logULP},
		{"Log1p", Log1p, math.Log1p, log1pULP},
		{"Sin", Sin, math.Sin, trigULP},
		{"Cos", Cos, math.Cos, trigULP},
		{"Sqrt", Sqrt, math.Sqrt, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachISA(t, func(t *testing.T) { checkFunction(t, c.f, c.ref, grid, c.bound) })
		})
	}
}

// A lane that is NaN does not change what another is, wherever it takes its
// value from.
func TestGELUBesideNaN(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		nan := float32(math.NaN())
		for n := range 48 {
			for _, v := range []float32{-10, -5, -3.7, -1, 1, 3.9, 10} {
				x, y := make([]float32, 48), make([]float32, 48)
				for i := range x {
					x[i] = nan
				}
				x[n] = v
				GELU(y, x)
				for i := range y {
					if i != n && y[i] == y[i] {
						t.Fatalf("GELU(NaN) beside %v is %v", v, y[i])
					}
				}
				if u := ulps(y[n], refGELU(float64(v))); u > geluULP {
					t.Fatalf("GELU(%v) among NaN at %d is %v: %.1f ULP", v, n, y[n], u)
				}
			}
		}
	})
}
