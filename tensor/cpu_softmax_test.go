package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// plainCPU is a CPU without SoftmaxRows.
type plainCPU struct{ Backend }

// The softmax along the last axis and its gradient are what Map and Reduce make of
// them, with NaN and -Inf, and their bits do not depend on the number of threads.
func TestSoftmaxRows(t *testing.T) {
	inf := math.Inf(1)
	for _, shape := range [][]int{{1}, {3, 1}, {5, 17}, {2, 300, 64}, {130, 130}, {3, 5000}, {2100, 4112}} {
		rng := rand.New(rand.NewPCG(31, 32))
		var results [3][2][]float32
		n := 1
		for _, d := range shape {
			n *= d
		}
		values, weights := make([]float32, n), make([]float32, n)
		for i := range values {
			values[i], weights[i] = float32(rng.NormFloat64()*5), float32(rng.NormFloat64())
		}
		if cols := shape[len(shape)-1]; len(shape) > 1 && cols > 1 {
			values[cols+1] = float32(math.NaN())
			values[0] = float32(-inf)
			for i := range cols { // the last row
				values[n-1-i] = float32(-inf)
			}
		}
		for k, b := range []Backend{NewCPU(1), NewCPU(3), plainCPU{NewCPU(1)}} {
			x := FromSlice(b, values, shape...)
			x.SetRequiresGrad(true)
			tp := NewTape(b)
			tp.Reset(Gradient, 0)
			y := tp.Softmax(x, -1)
			tp.Backward(tp.Add(tp.Sum(tp.Mul(y, tp.Floats(weights, shape...)), false), tp.Sum(x, false)))
			results[k] = [2][]float32{y.Float32s(), x.Grad().Float32s()}
		}
		for k, what := range []string{"result", "gradient"} {
			for i, want := range results[2][k] {
				got, other := results[0][k][i], results[1][k][i]
				if math.Float32bits(got) != math.Float32bits(other) {
					t.Fatalf("%v: %s %d is %v on one thread, %v on three", shape, what, i, got, other)
				}
				if !(math.Abs(float64(got-want)) <= 3e-6*(1+math.Abs(float64(want)))) && (got == got || want == want) {
					t.Fatalf("%v: %s %d is %v, by Map and Reduce %v", shape, what, i, got, want)
				}
			}
		}
	}
}
