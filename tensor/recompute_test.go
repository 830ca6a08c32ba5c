package tensor

import (
	"slices"
	"testing"
)

// recomputing makes a tape with a LayerNorm of x and a Linear of it.
func recomputing(mode Mode) (tp *Tape, x, h, y *Tensor) {
	b := NewCPU(1)
	tp = NewTape(b)
	tp.Poison()
	tp.Reset(mode, 1)
	x = tp.Scale(1, ramp(b, 4, 3))
	h = tp.LayerNorm(x, ramp(b, 3), ramp(b, 3), 1e-5)
	return tp, x, h, tp.Linear(h, ramp(b, 2, 3), nil)
}

// ramp returns a parameter of small values.
func ramp(b Backend, shape ...int) *Tensor {
	p := New(b, Float32, shape...)
	p.SetRequiresGrad(true)
	values := make([]float32, p.Len())
	for i := range values {
		values[i] = float32(i%5) - 1.5
	}
	p.SetFloat32s(values)
	return p
}

// What is to be computed again is not kept: the next tensor of its size takes its memory.
func TestRecomputeGivesMemoryBack(t *testing.T) {
	for _, mode := range []Mode{Inference, Gradient} {
		tp, _, h, y := recomputing(mode)
		store, at := h.Storage()
		want := slices.Clone(y.Float32s())
		tp.Recompute(h)
		next := tp.New(4, 3)
		if s, o := next.Storage(); s != store || o != at {
			t.Errorf("mode %v: the next tensor is at %d, not where the result was, at %d", mode, o, at)
		}
		if v := next.Float32s()[5]; v == v {
			t.Errorf("mode %v: freed memory holds %v, and not the NaN of Poison", mode, v)
		}
		if !slices.Equal(y.Float32s(), want) {
			t.Errorf("mode %v: the result changed from %v to %v", mode, want, y.Float32s())
		}
	}
}

func TestRecomputePanics(t *testing.T) {
	for _, c := range []struct {
		name, want string
		recompute  func(tp *Tape, x, h *Tensor)
	}{
		{"no LayerNorm", "no result of LayerNorm", func(tp *Tape, x, h *Tensor) { tp.Recompute(x) }},
		{"parameter", "no result of LayerNorm", func(tp *Tape, x, h *Tensor) { tp.Recompute(ramp(tp.backend, 3)) }},
		{"view taken", "has views", func(tp *Tape, x, h *Tensor) { tp.Rows(h, 0, 1); tp.Recompute(h) }},
		{"view", "has views", func(tp *Tape, x, h *Tensor) { tp.Recompute(tp.Rows(h, 0, 1)) }},
		{"twice", "recompute: float32[4 3] was given to Recompute", func(tp *Tape, x, h *Tensor) {
			tp.Recompute(h)
			tp.Recompute(h)
		}},
		{"read", "linear: float32[4 3] was given to Recompute", func(tp *Tape, x, h *Tensor) {
			tp.Recompute(h)
			tp.Linear(h, x, nil)
		}},
		{"view of what was given back", "rows: float32[4 3] was given to Recompute", func(tp *Tape, x, h *Tensor) {
			tp.Recompute(h)
			tp.Rows(h, 0, 1)
		}},
		{"read by the host", "the memory of float32[4 3] was given to Recompute", func(tp *Tape, x, h *Tensor) {
			tp.Recompute(h)
			h.Float32s()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, mode := range []Mode{Training, Inference} { // the same is allowed in both
				tp, x, h, _ := recomputing(mode)
				mustPanic(t, c.want, func() { c.recompute(tp, x, h) })
			}
		})
	}
}

// A LayerNorm without gradient, as of frozen layers under an adapter, and one of another, whose memory was given back,
// too, are computed again; gradients are those without Recompute, bit for bit.
func TestRecomputeFrozenAndChained(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		b := NewCPU(1)
		x, gamma, beta, w := ramp(b, 3, 4), ramp(b, 4), ramp(b, 4), ramp(b, 4, 4)
		for _, p := range []*Tensor{x, gamma, beta} {
			p.SetRequiresGrad(!frozen)
		}
		run := func(recompute bool) []float32 {
			tp := NewTape(b)
			tp.Poison()
			tp.Reset(Gradient, 0)
			w.ZeroGrad()
			h1 := tp.LayerNorm(tp.Scale(2, x), gamma, beta, 1e-5)
			h2 := tp.LayerNorm(h1, gamma, beta, 1e-5)
			y := tp.Linear(h2, w, nil)
			if recompute {
				tp.Recompute(h1)
				tp.Recompute(h2)
				tp.New(3, 4)
				tp.New(3, 4)
			}
			tp.Backward(tp.Dot(y, y))
			if recompute && (h1.store != nil || h2.store != nil) {
				t.Errorf("frozen %v: results that were computed again keep their memory after Backward", frozen)
			}
			return slices.Clone(w.Grad().Float32s())
		}
		if want, got := run(false), run(true); !slices.Equal(got, want) {
			t.Errorf("frozen %v: gradient %v, want %v", frozen, got, want)
		}
	}
}

// The backward pass frees gradients and what it computed again as soon as nothing reads them.
func TestBackwardFreesMemory(t *testing.T) {
	const n, d, layers = 64, 16, 50
	b := NewCPU(1)
	defer b.Close()
	gamma, beta, w := ramp(b, d), ramp(b, d), ramp(b, d, d)
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	x := tp.Scale(1, ramp(b, n, d))
	for range layers {
		h := tp.LayerNorm(x, gamma, beta, 1e-5)
		x = tp.Linear(h, w, nil)
		tp.Recompute(h)
	}
	loss := tp.Dot(x, x)
	before := tp.floats.used
	tp.Backward(loss)
	if grown := (tp.floats.used - before) / (n * d); grown > 4 {
		t.Errorf("%d layers: Backward took memory for %d more results of a layer", layers, grown)
	}
}
