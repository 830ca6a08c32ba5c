package tensor

import (
	"math"
	"testing"
)

// Rows of any size get unit length, and right gradients as far as float32 holds
// them.
func TestNormalizeOfAnySize(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	row, weights := []float64{1, -0.5, 0.25, 0.75, 0.125}, []float64{3, 1, -2, 0.5, 4}
	smallest := math.SmallestNonzeroFloat32
	for _, size := range []float64{
		3e38, 1e38, 1e30, 1e20, 1, 1e-20, 1e-22, 1e-30, 2e-38, 1e-38, 1e-40, 64 * smallest, 8 * smallest,
	} {
		x, w := New(b, Float32, 1, 5), New(b, Float32, 1, 5)
		x.SetRequiresGrad(true)
		for i := range row {
			x.Float32s()[i] = float32(size * row[i])
			w.Float32s()[i] = float32(math.Min(size, 1) * weights[i]) // the gradient is of size 1 or 1/size
		}
		x64, w64 := widen(x.Float32s()), widen(w.Float32s())
		norm, dot := 0.0, 0.0
		for i, v := range x64 {
			norm += v * v
			dot += v * w64[i]
		}
		norm = math.Sqrt(norm)
		y, gradient := make([]float64, 5), make([]float64, 5)
		for i, v := range x64 {
			y[i] = v / norm
			gradient[i] = (w64[i] - v/norm*dot/norm) / norm
		}
		tp := NewTape(b)
		tp.Reset(Gradient, 0)
		out := tp.Normalize(x)
		tp.Backward(tp.Dot(out, w))
		largest := 0.0
		for i := range y {
			if d := math.Abs(float64(out.Float32s()[i]) - y[i]); !(d <= 3e-7) {
				t.Errorf("size %g: [%d] is %v, want %v", size, i, out.Float32s()[i], y[i])
			}
			largest = max(largest, math.Abs(gradient[i]))
		}
		for i, want := range gradient {
			// A subnormal result is rounded to a multiple of the smallest number.
			if d := math.Abs(float64(x.Grad().Float32s()[i]) - want); !(d <= 1e-6*largest+smallest) {
				t.Errorf("size %g: gradient [%d] is %g, want %g", size, i, x.Grad().Float32s()[i], want)
			}
		}
	}
}

// A zero row stays zero and has no gradient; what is not finite shows.
func TestNormalizeOfZeroAndNotFinite(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	inf := float32(math.Inf(1))
	x := FromSlice(b, []float32{0, 0, 3, 4, nan, 1, inf, 1}, 4, 2)
	x.SetRequiresGrad(true)
	tp := NewTape(b)
	tp.Poison()
	tp.Reset(Gradient, 0)
	out := tp.Normalize(x)
	loss := tp.Dot(tp.Rows(out, 0, 2), tp.Floats([]float32{1, 2, 1, 0}, 2, 2))
	tp.Backward(loss)
	got, grad := out.Float32s(), x.Grad().Float32s()
	for i, want := range []float32{0, 0, 0.6, 0.8} {
		if math.Abs(float64(got[i]-want)) > 1e-7 {
			t.Errorf("[%d] is %v, want %v", i, got[i], want)
		}
	}
	for i, want := range []float32{0, 0, 0.128, -0.096} {
		if math.Abs(float64(grad[i]-want)) > 1e-7 {
			t.Errorf("gradient [%d] is %v, want %v", i, grad[i], want)
		}
	}
	for _, i := range []int{4, 5, 6} {
		if got[i] == got[i] {
			t.Errorf("[%d] is %v, want NaN", i, got[i])
		}
	}
}
