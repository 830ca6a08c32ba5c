package tensor

import (
	"slices"
	"strings"
	"testing"
)

// forgetting makes a tape with a LayerNorm and a Linear of it.
func forgetting(mode Mode) (tp *Tape, x, h, y *Tensor) {
	b := NewCPU(1)
	tp = NewTape(b)
	tp.Poison()
	tp.Reset(mode, 1)
	parameter := func(shape ...int) *Tensor {
		p := New(b, Float32, shape...)
		p.SetRequiresGrad(true)
		for i := range p.Float32s() {
			p.Float32s()[i] = float32(i%5) - 1.5
		}
		return p
	}
	x = tp.Scale(1, parameter(4, 3))
	h = tp.LayerNorm(x, parameter(3), parameter(3), 1e-5)
	return tp, x, h, tp.Linear(h, parameter(2, 3), nil)
}

// What is forgotten is not kept: the next tensor of its size takes its memory.
func TestForgetGivesMemoryBack(t *testing.T) {
	for _, mode := range []Mode{Inference, Gradient} {
		tp, _, h, y := forgetting(mode)
		store, at := h.Storage()
		want := slices.Clone(y.Float32s())
		tp.Forget(h)
		if s, o := tp.New(4, 3).Storage(); s != store || o != at {
			t.Errorf("mode %v: the next tensor is at %d, not where the forgotten one was, at %d", mode, o, at)
		}
		if !slices.Equal(y.Float32s(), want) {
			t.Errorf("mode %v: the result changed from %v to %v", mode, want, y.Float32s())
		}
	}
}

func TestForgetPanics(t *testing.T) {
	for _, c := range []struct {
		name, want string
		forget     func(tp *Tape, x, h *Tensor)
	}{
		{"no LayerNorm", "no result of LayerNorm", func(tp *Tape, x, h *Tensor) { tp.Forget(x) }},
		{"view taken", "has views", func(tp *Tape, x, h *Tensor) { tp.Rows(h, 0, 1); tp.Forget(h) }},
		{"view", "has views", func(tp *Tape, x, h *Tensor) { tp.Forget(tp.Rows(h, 0, 1)) }},
		{"sum with dropout in the memory of a LayerNorm", "adddropout:", func(tp *Tape, x, h *Tensor) { tp.AddDropout(x, h, 0.5) }},
		{"embedding in the memory of a LayerNorm", "addgather:", func(tp *Tape, x, h *Tensor) { tp.AddGather(h, x, tp.Ints(make([]int32, 4)), 1) }},
		{"two sums in the same memory", "addinto:", func(tp *Tape, x, h *Tensor) {
			y := tp.Linear(h, h, nil)
			tp.AddInto(y, y)
			tp.AddInto(y, y)
		}},
		{"sum in the memory of a LayerNorm", "addinto:", func(tp *Tape, x, h *Tensor) { tp.AddInto(h, x) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, c.want) {
					t.Errorf("panic %q, want %q", got, c.want)
				}
			}()
			tp, x, h, _ := forgetting(Training)
			c.forget(tp, x, h)
		})
	}
}
