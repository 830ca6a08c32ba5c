package optim

import (
	"slices"
	"testing"
)

// The settings of a new optimiser are those that its documentation gives.
func TestDefaults(t *testing.T) {
	o := NewAdamW(nil)
	if o.Beta1 != 0.9 || o.Beta2 != 0.98 || o.Eps != 1e-6 || o.WeightDecay != 0.01 {
		t.Errorf("beta1 %v, beta2 %v, eps %v, weight decay %v", o.Beta1, o.Beta2, o.Eps, o.WeightDecay)
	}
}

// A parameter that had no update yet has made 0.
func TestSetStepsOfZero(t *testing.T) {
	o := NewAdamW(parameters(1))
	want := []int32{0, 3, 0}
	if err := o.SetSteps(want); err != nil || !slices.Equal(o.Steps(), want) {
		t.Errorf("steps %v, error %v", o.Steps(), err)
	}
}

// However short a training is, the rate never falls below zero.
func TestShortLinearDecay(t *testing.T) {
	for total := 1; total < 4; total++ {
		for step := 1; step < 6; step++ {
			want := max(0, float64(total-step)/float64(total))
			if got := (LinearDecay{Peak: 1, Total: total}).LR(step); got != want {
				t.Errorf("Total %d: rate %v at step %d, want %v", total, got, step, want)
			}
		}
	}
}
