package tensor_test

import (
	"math"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// A Dropout that drops nothing costs no call of the backend, forward or backward.
func TestIdleDropoutLaunchesNothing(t *testing.T) {
	b := backendtest.Opaque(tensor.NewCPU(1))
	defer b.Close()
	w := tensor.New(b, tensor.Float32, 4, 4)
	w.SetRequiresGrad(true)
	launches := func(dropout bool) int64 {
		w.ZeroGrad()
		w.Grad()
		w.ZeroGrad()
		tp := tensor.NewTape(b)
		tp.Reset(tensor.Gradient, 1)
		idle := func(x *tensor.Tensor) *tensor.Tensor {
			if dropout {
				return tp.Dropout(x, 0.5)
			}
			return x
		}
		b.ResetCounts()
		x := idle(tp.Linear(idle(tp.Linear(idle(w), w, nil)), w, nil))
		tp.Backward(tp.Dot(idle(tp.Add(x, x)), x))
		return b.Counts().Launches
	}
	if plain, dropout := launches(false), launches(true); dropout != plain {
		t.Errorf("%d launches, %d without Dropout", dropout, plain)
	}
}

// Poison fills the memory of a device, too.
func TestPoisonOfADevice(t *testing.T) {
	b := backendtest.Opaque(tensor.NewCPU(1))
	defer b.Close()
	tp := tensor.NewTape(b)
	tp.Poison()
	tp.Floats([]float32{1, 2, 3}, 3)
	tp.Reset(tensor.Inference, 0)
	got := make([]float32, 3)
	tp.New(3).CopyTo(got)
	for i, v := range got {
		if !math.IsNaN(float64(v)) {
			t.Errorf("[%d] of memory from before Reset is %v", i, v)
		}
	}
}
