package tensor

import (
	"slices"
	"testing"
)

// eachModel is a loss that reads parameters once, several times, as views, and in
// operations that keep them in different places.
type eachModel struct {
	b      *CPU
	params map[string]*Tensor
}

func newEachModel(t *testing.T) *eachModel {
	b := NewCPU(1)
	t.Cleanup(func() { b.Close() })
	m := &eachModel{b, map[string]*Tensor{}}
	for name, shape := range map[string][]int{
		"table": {7, 4}, "positions": {3, 4}, "w1": {6, 4}, "b1": {6}, "w2": {4, 6}, "b2": {4}, "gamma": {4}, "beta": {4},
		"scale": {1}, "twice": {4, 4}, "unread": {2}, "detached": {4, 4},
	} {
		m.params[name] = ramp(b, shape...)
	}
	return m
}

func (m *eachModel) loss(tp *Tape) *Tensor {
	p := m.params
	x := tp.Gather(p["table"], tp.Ints([]int32{2, 5, 2}), 1)
	x = tp.Add(x, tp.Rows(p["positions"], 0, 3))
	x = tp.Linear(tp.Linear(x, p["twice"], nil), p["twice"], nil)
	h := tp.LayerNorm(x, p["gamma"], p["beta"], 1e-5)
	x = tp.Add(x, tp.FeedForward(h, p["w1"], p["b1"], p["w2"], p["b2"]))
	x = tp.Add(x, tp.Detach(tp.Linear(x, p["detached"], nil)))
	x = tp.Map(NewExpr("scaled", 2, func(in []Value) Value { return in[0].Mul(in[1]) }), x, p["scale"])
	loss, _ := tp.CrossEntropy(x, p["table"], tp.Ints([]int32{1, 4, 0}), 0, 1)
	return loss
}

// gradients returns the gradients of all parameters by Backward.
func (m *eachModel) gradients(times int) map[string][]float32 {
	tp, all := NewTape(m.b), map[string][]float32{}
	for _, p := range m.params {
		p.ZeroGrad()
	}
	for range times {
		tp.Reset(Gradient, 0)
		tp.Backward(m.loss(tp))
	}
	for name, p := range m.params {
		if p.HasGrad() {
			all[name] = slices.Clone(p.Grad().Float32s())
		}
		p.grad, p.gradSet = nil, false
	}
	return all
}

// When a parameter is told of, its gradient is what Backward makes of it, and no later
// operation adds to it, though its memory is gone.
func TestBackwardEach(t *testing.T) {
	m := newEachModel(t)
	names := map[*Tensor]string{}
	for name, p := range m.params {
		names[p] = name
	}
	for _, release := range []bool{true, false} {
		for _, before := range []int{0, 1} { // gradients of earlier losses, that this one is added to
			want := m.gradients(before + 1)
			tp := NewTape(m.b)
			tp.Poison()
			for step := range 3 {
				for range before {
					tp.Reset(Gradient, 0)
					tp.Backward(m.loss(tp))
				}
				tp.Reset(Gradient, 0)
				loss := m.loss(tp)
				order := tp.Parameters()
				if slices.Contains(order, m.params["unread"]) || len(order) != len(m.params)-1 {
					t.Errorf("%d parameters are read, want all but one of %d", len(order), len(m.params))
				}
				var told []*Tensor
				tp.BackwardEach(func(p *Tensor) {
					told = append(told, p)
					name := names[p]
					if p.HasGrad() != (want[name] != nil) {
						t.Errorf("%s has a gradient: %t", name, p.HasGrad())
					} else if p.HasGrad() && !slices.Equal(p.Grad().Float32s(), want[name]) {
						t.Errorf("step %d: gradient of %s is %v, want %v", step, name, p.Grad().Float32s(), want[name])
					}
					if release {
						tp.ReleaseGradient(p)
					}
				}, loss)
				if !slices.Equal(told, order) {
					t.Errorf("told of %d parameters in another order than that of Parameters", len(told))
				}
				for name, p := range m.params {
					if p.HasGrad() == (release || want[name] == nil) {
						t.Errorf("afterwards %s has a gradient: %t", name, p.HasGrad())
					}
					p.ZeroGrad()
				}
			}
			tp.Reset(Gradient, 0)
			// The output layer computes its gradient in memory of its own, before Backward.
			if p := m.params["twice"]; (p.grad == nil) != (before == 0) || p.HasGrad() {
				t.Errorf("%d earlier losses: the gradient has memory of its own: %t", before, p.grad != nil)
			}
			for _, p := range m.params {
				p.grad, p.gradSet = nil, false
			}
		}
	}
}

// Gradients that are released when they are complete use the memory of others.
func TestReleasedGradientsShareMemory(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	const layers, d = 40, 256
	var params []*Tensor
	for range layers {
		params = append(params, ramp(b, d, d))
	}
	tp := NewTape(b)
	for range 2 {
		tp.Reset(Gradient, 0)
		x := ramp(b, 1, d)
		for _, p := range params {
			x = tp.Linear(x, p, nil)
		}
		tp.BackwardEach(tp.ReleaseGradient, tp.Dot(x, x))
	}
	if got, all := tp.Bytes(), 4*layers*d*d; got >= all {
		t.Errorf("the tape has %d bytes, and all gradients together %d", got, all)
	}
}

func TestBackwardEachPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	x := ramp(b, 2, 2)
	y := tp.Checkpoint(func(tp *Tape, in []*Tensor) *Tensor { return tp.Linear(in[0], in[0], nil) }, x)
	mustPanic(t, "backwardeach: it is not known which parameters a Checkpoint reads", func() {
		tp.BackwardEach(func(*Tensor) {}, tp.Dot(y, y))
	})
}
