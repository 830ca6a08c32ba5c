package asm

import (
	"math"
	"slices"
	"testing"
)

// Logits that rise from block to block change what the exponentials are
// relative to, also after blocks of -Inf.
func TestCrossEntropyGradientRises(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, rise := range []float32{5, lossSlack - 1, lossSlack + 1, 60, 200} {
			for _, masked := range []int{0, 2 * lossBlock} {
				n := 6*lossBlock + 7
				x := make([]float32, n)
				for i := range x {
					x[i] = rise*float32(i/lossBlock) + float32(i%11)/4
					if i < masked {
						x[i] = negInf
					}
				}
				target := n - 1
				top, sum := math.Inf(-1), 0.0
				for _, v := range x {
					top = max(top, float64(v))
				}
				for _, v := range x {
					sum += math.Exp(float64(v) - top)
				}
				lse := top + math.Log(sum)
				if masked == 0 {
					mean := 0.0
					for _, v := range x {
						mean += (lse - float64(v)) / float64(n)
					}
					want := 0.9*(lse-float64(x[target])) + 0.1*mean
					with := CrossEntropyGradient(slices.Clone(x), target, 0.1, 1)
					for _, got := range []float32{CrossEntropy(x, target, 0.1), with} {
						if math.Abs(float64(got)-want) > 1e-5*want {
							t.Errorf("rise %v: smoothed loss %v, want %v", rise, got, want)
						}
					}
				}
				got := append([]float32(nil), x...)
				loss := CrossEntropyGradient(got, target, 0, 2)
				if want := lse - float64(x[target]); math.Abs(float64(loss)-want) > 1e-5*(1+math.Abs(want)) {
					t.Errorf("rise %v, masked %d: loss %v, want %v", rise, masked, loss, want)
				}
				for i, v := range x {
					want := 2 * math.Exp(float64(v)-lse)
					if i == target {
						want -= 2
					}
					if math.Abs(float64(got[i])-want) > 2e-5*math.Abs(want)+1e-30 {
						t.Fatalf("rise %v, masked %d: gradient %d is %v, want %v", rise, masked, i, got[i], want)
					}
				}
			}
		}
	})
}

// Smoothing takes the mean over the classes, which has an error of its own: that
// of float32 sums shows where it is most of the loss.
func TestCrossEntropyOfSmoothedMean(t *testing.T) {
	x := make([]float32, 3*sumBlock+5)
	for i := range x {
		x[i] = -85.3 - float32(i%13)/7
	}
	x[7] = 0
	lse, _ := refLSE(to64(x))
	mean := 0.0
	for _, v := range x {
		mean += (lse - float64(v)) / float64(len(x))
	}
	const smoothing = 0.875
	want := (1-smoothing)*lse + smoothing*mean
	forEachISA(t, func(t *testing.T) {
		for _, got := range []float32{CrossEntropy(x, 7, smoothing), CrossEntropyGradient(slices.Clone(x), 7, smoothing, 1)} {
			if got != float32(want) {
				t.Errorf("loss %v, want %v", got, want)
			}
		}
	})
}

// A class that is ruled out has a loss of infinity: as the target, and by smoothing.
func TestCrossEntropyOfMaskedClasses(t *testing.T) {
	x := []float32{1, negInf, 3, 0.5}
	forEachISA(t, func(t *testing.T) {
		for target := range 3 {
			for _, got := range []float32{
				CrossEntropy(x, target, 0.1), CrossEntropyGradient(slices.Clone(x), target, 0.1, 1),
			} {
				if !math.IsInf(float64(got), 1) {
					t.Errorf("target %d: loss %v, want +Inf", target, got)
				}
			}
		}
		if got := CrossEntropy(x, 1, 0); !math.IsInf(float64(got), 1) {
			t.Errorf("without smoothing: loss %v, want +Inf", got)
		}
	})
}
