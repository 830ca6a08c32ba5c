//go:build cuda

package gpu

import (
	"math"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Losses of logits that are far apart, infinite or no numbers are those of the processor.
func TestCrossEntropyExtremes(t *testing.T) {
	b := open(t)
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, logits := range [][]float32{
		{-2000, 0, 1}, {2000, 0, -1}, {3e38, 0, -3e38}, {0, 90, -90}, {-inf, 0, 1}, {1, -inf, 1}, {-inf, -inf, -inf},
		{inf, 0, 0}, {0, inf, 0}, {nan, 0, 0}, {0, 0, nan},
	} {
		for _, smoothing := range []float32{0, 0.25} {
			results := func(b tensor.Backend) (all []float32) {
				one, table := tensor.FromSlice(b, []float32{1}, 1, 1), tensor.FromSlice(b, logits, 3, 1)
				target := tensor.FromSlice(b, []int32{0}, 1)
				work := tensor.New(b, tensor.Float32, 1, 3)
				out := []*tensor.Tensor{
					tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 3, 1),
				}
				dhidden := tensor.New(b, tensor.Float32, 1, 1)
				b.CrossEntropy(out[0], out[1], dhidden, out[2], one, table, target, work, smoothing, 0.5)
				for _, x := range out {
					v := make([]float32, x.Len())
					x.CopyTo(v)
					all = append(all, v...)
				}
				return all
			}
			got, want := results(b), results(cpu)
			for i, v := range want {
				if logits[0] == -inf && logits[1] > -inf && smoothing > 0 && i < 2 {
					v = inf // of which the processor makes NaN
				}
				if !(math.Abs(float64(got[i]-v)) <= 1e-6*math.Abs(float64(v))+1e-7) && got[i] != v && (got[i] == got[i] || v == v) {
					t.Errorf("logits %v, smoothing %v: result %d is %v, want %v", logits, smoothing, i, got[i], v)
				}
			}
		}
	}
}
