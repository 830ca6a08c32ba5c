package tensor

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/race"
)

// cube is x*x*x, with the square kept for the backward pass.
func cube(tp *Tape, in []*Tensor) (*Tensor, func(dout *Tensor) []*Tensor) {
	square := tp.Mul(in[0], in[0])
	return tp.Mul(square, in[0]), func(dout *Tensor) []*Tensor {
		return []*Tensor{tp.Mul(dout, tp.Scale(3, square))}
	}
}

func TestApply(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w := ramp(b, 3, 4), ramp(b, 4, 3)
	for _, c := range []struct {
		name string
		op   func(tp *Tape) *Tensor
		want func(x float64) float64 // the gradient of the sum of op times w by x
	}{
		{"cube", func(tp *Tape) *Tensor { return tp.Apply(cube, x) },
			func(x float64) float64 { return 3 * x * x }},
		{"of a result that Recompute may take", func(tp *Tape) *Tensor {
			h := tp.Tanh(x)
			return tp.Apply(cube, tp.AddInto(h, Full(b, 1, 3, 4)))
		}, func(x float64) float64 {
			tanh := math.Tanh(x)
			return 3 * (tanh + 1) * (tanh + 1) * (1 - tanh*tanh)
		}},
		{"of a view", func(tp *Tape) *Tensor {
			return tp.Transpose(tp.Apply(cube, tp.Transpose(x, 0, 1)), 0, 1)
		}, func(x float64) float64 { return 3 * x * x }},
		{"reversed gradient", func(tp *Tape) *Tensor {
			return tp.Apply(func(tp *Tape, in []*Tensor) (*Tensor, func(dout *Tensor) []*Tensor) {
				return in[0], func(dout *Tensor) []*Tensor { return []*Tensor{tp.Neg(dout)} }
			}, x)
		}, func(float64) float64 { return -1 }},
		{"no gradient of one input", func(tp *Tape) *Tensor {
			return tp.Apply(func(tp *Tape, in []*Tensor) (*Tensor, func(dout *Tensor) []*Tensor) {
				return tp.Add(in[0], in[1]), func(dout *Tensor) []*Tensor { return []*Tensor{nil, dout} }
			}, x, x)
		}, func(float64) float64 { return 1 }},
		{"beside another use", func(tp *Tape) *Tensor { return tp.Add(tp.Apply(cube, x), tp.Mul(x, x)) },
			func(x float64) float64 { return 3*x*x + 2*x }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x.ZeroGrad()
			tp := NewTape(b)
			tp.Poison()
			tp.Reset(Gradient, 0)
			y := c.op(tp)
			tp.Backward(tp.Sum(tp.Mul(y, tp.Transpose(w, 0, 1)), false))
			want := make([]float64, 12)
			for i := range want {
				want[i] = c.want(float64(x.Float32s()[i])) * float64(w.Float32s()[i%4*3+i/4])
			}
			compare(t, "gradient", x.Grad().Float32s(), want, 1e-6)
		})
	}
	tp := NewTape(b)
	if y := tp.Apply(cube, x); !slices.Equal(y.Float32s(), tp.Mul(tp.Mul(x, x), x).Float32s()) || y.RequiresGrad() {
		t.Errorf("without recording: %v, requires a gradient: %v", y.Float32s(), y.RequiresGrad())
	}
}

// The backward pass of a function reads what Recompute freed and operations in place marked.
func TestApplyAfterRecompute(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, gamma, beta := ramp(b, 3, 4), ramp(b, 4), ramp(b, 4)
	run := func(save bool) []float32 {
		x.ZeroGrad()
		tp := NewTape(b)
		tp.Poison()
		tp.Reset(Gradient, 0)
		h := tp.LayerNorm(x, gamma, beta, 1e-5)
		y := tp.Apply(func(tp *Tape, in []*Tensor) (*Tensor, func(dout *Tensor) []*Tensor) {
			return tp.Mul(in[0], in[0]), func(dout *Tensor) []*Tensor {
				return []*Tensor{tp.Scale(2, tp.Mul(dout, in[0]))}
			}
		}, h)
		if save {
			tp.Recompute(h)
			tp.New(3, 4)
		}
		tp.Backward(tp.Dot(y, y))
		return slices.Clone(x.Grad().Float32s())
	}
	if got, want := run(true), run(false); !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

func TestApplyPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x := ramp(b, 3, 4)
	for _, c := range []struct {
		name, want string
		out        func(tp *Tape, x *Tensor) *Tensor
		backward   func(dout *Tensor) []*Tensor
	}{
		{"no result", "apply: the result of the function is nil, want float32",
			func(tp *Tape, x *Tensor) *Tensor { return nil }, nil},
		{"no backward pass", "apply: the function returned nothing for the backward pass",
			func(tp *Tape, x *Tensor) *Tensor { return x }, nil},
		{"too few gradients", "apply: 0 gradients of 1 inputs",
			func(tp *Tape, x *Tensor) *Tensor { return x }, func(dout *Tensor) []*Tensor { return nil }},
		{"gradient of another shape", "apply: the gradient of input 0, float32[3 4], is float32[2]",
			func(tp *Tape, x *Tensor) *Tensor { return x },
			func(dout *Tensor) []*Tensor { return []*Tensor{Zeros(b, 2)} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := NewTape(b)
			tp.Reset(Gradient, 0)
			mustPanic(t, c.want, func() {
				y := tp.Apply(func(tp *Tape, in []*Tensor) (*Tensor, func(dout *Tensor) []*Tensor) {
					return c.out(tp, in[0]), c.backward
				}, x)
				tp.Backward(tp.Sum(y, false))
			})
		})
	}
}

func TestNoGrad(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x := ramp(b, 3)
	tp := NewTape(b)
	tp.Reset(Training, 0)
	var c, view *Tensor
	tp.NoGrad(func() {
		c, view = tp.Tanh(x), tp.Slice(x, 0, 0, 3)
		if dropped := tp.Dropout(Ones(b, 1000), 0.5); !slices.Contains(dropped.Float32s(), 0) {
			t.Error("NoGrad turns dropout off")
		}
	})
	mustPanic(t, "stop", func() { tp.NoGrad(func() { panic("stop") }) })
	tp.Backward(tp.Dot(tp.Mul(c, view), x))
	want := make([]float64, 3)
	for i, v := range x.Float32s() {
		want[i] = math.Tanh(float64(v)) * float64(v)
	}
	compare(t, "gradient", x.Grad().Float32s(), want, 1e-6)
}

func TestBackwardOfSeveralLosses(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, table := ramp(b, 3, 4), ramp(b, 5, 4)
	losses := func(tp *Tape) []*Tensor {
		a := tp.Sum(tp.Mul(x, x), false) // a view
		c, _ := tp.CrossEntropy(x, table, tp.Ints([]int32{1, 0, 4}), 0, 1)
		return []*Tensor{a, c, tp.Tanh(c), a, c, tp.Exp(tp.Scale(0.1, a))}
	}
	run := func(backward func(tp *Tape, losses []*Tensor)) [][]float32 {
		x.ZeroGrad()
		table.ZeroGrad()
		tp := NewTape(b)
		tp.Poison()
		tp.Reset(Gradient, 0)
		backward(tp, losses(tp))
		return [][]float32{slices.Clone(x.Grad().Float32s()), slices.Clone(table.Grad().Float32s())}
	}
	want := run(func(tp *Tape, losses []*Tensor) {
		total := tp.Reshape(losses[0], 1)
		for _, l := range losses[1:] {
			total = tp.Add(total, l)
		}
		tp.Backward(total)
	})
	got := run(func(tp *Tape, losses []*Tensor) { tp.Backward(losses...) })
	for i := range want {
		compare(t, fmt.Sprint("gradient ", i), got[i], widen(want[i]), 1e-6)
	}
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	mustPanic(t, "backward: no loss", func() { tp.Backward() })
	loss := tp.Dot(x, x)
	mustPanic(t, "backward: from float32[3 4], want one element", func() { tp.Backward(loss, tp.Tanh(x)) })
	tp.Backward(loss) // the call that panicked changed nothing
}

// checkpointed is a block of a network, with dropout of every kind.
func checkpointed(w, gamma, beta, table *Tensor) func(tp *Tape, in []*Tensor) *Tensor {
	return func(tp *Tape, in []*Tensor) *Tensor {
		h := tp.LayerNorm(tp.Dropout(in[0], 0.2), gamma, beta, 1e-5)
		docs := []int32{0, 3}
		h2 := tp.Attention(tp.Linear(h, w, nil), h, h, nil, AttentionOptions{
			Heads: 2, QOffsets: docs, KOffsets: docs, Scale: 0.5, Dropout: 0.3,
		})
		tp.Recompute(h)
		y := tp.AddDropout(in[0], tp.FeedForward(h2, w, nil, w, nil), 0.25)
		loss, _ := tp.CrossEntropy(y, table, tp.Ints([]int32{1, 0, 4}), 0, 0.5)
		return tp.MulScalar(y, loss)
	}
}

// With Checkpoint a network computes what it does without, dropout included.
func TestCheckpoint(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	params := []*Tensor{ramp(b, 3, 4), ramp(b, 4, 4), ramp(b, 4), ramp(b, 4), ramp(b, 5, 4)}
	x := params[0]
	tp := NewTape(b)
	tp.Poison()
	block := checkpointed(params[1], params[2], params[3], params[4])
	twice := func(tp *Tape, in []*Tensor) *Tensor {
		return tp.Checkpoint(block, tp.Checkpoint(block, in...))
	}
	type function = func(tp *Tape, in []*Tensor) *Tensor
	run := func(mode Mode, frozen bool, apply func(f function, x *Tensor) *Tensor) (results [][]float32) {
		for _, p := range params {
			p.ZeroGrad()
		}
		x.SetRequiresGrad(!frozen)
		tp.Reset(mode, 7)
		h := tp.Dropout(tp.Tanh(x), 0.1)
		h = apply(block, h)
		h = apply(twice, tp.Transpose(tp.Contiguous(tp.Transpose(h, 0, 1)), 0, 1))
		h = tp.Dropout(h, 0.5)
		loss := tp.Dot(h, tp.Dropout(h, 0.5))
		results = append(results, slices.Clone(h.Float32s()))
		if mode != Inference {
			tp.Backward(loss)
			for _, p := range params {
				if p.RequiresGrad() {
					results = append(results, slices.Clone(p.Grad().Float32s()))
				}
			}
		}
		return results
	}
	for _, mode := range []Mode{Training, Gradient, Inference} {
		for _, frozen := range []bool{false, true} {
			want := run(mode, frozen, func(f function, x *Tensor) *Tensor {
				return f(tp, []*Tensor{x})
			})
			got := run(mode, frozen, func(f function, x *Tensor) *Tensor {
				return tp.Checkpoint(f, x)
			})
			for i := range want {
				compare(t, fmt.Sprintf("mode %v, frozen %v: result %d", mode, frozen, i), got[i], widen(want[i]), 1e-5)
			}
		}
	}
}

// What a checkpointed function computes takes memory once, however often it is called.
func TestCheckpointKeepsNothing(t *testing.T) {
	const n, blocks, layers = 1 << 10, 20, 50
	b := NewCPU(1)
	defer b.Close()
	w := ramp(b, n)
	tp := NewTape(b)
	step := func() {
		tp.Reset(Gradient, 0)
		x := tp.Tanh(w)
		for range blocks {
			x = tp.Checkpoint(func(tp *Tape, in []*Tensor) *Tensor {
				y := in[0]
				for range layers {
					y = tp.Tanh(tp.Mul(y, w))
				}
				return y
			}, x)
		}
		tp.Backward(tp.Sum(x, false))
	}
	step()
	if kept := tp.floats.used / n; kept > 3*blocks {
		t.Errorf("%d blocks of %d layers keep %d results", blocks, layers, kept)
	}
	if kept := tp.child.floats.used; kept != 0 {
		t.Errorf("after Backward %d elements are in use", kept)
	}
	if n := testing.AllocsPerRun(3, step); n > 5*blocks && !race.Enabled {
		t.Errorf("a step allocates %v times", n)
	}
}

func TestCheckpointPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x := ramp(b, 3, 4)
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	h := tp.Tanh(x)
	mustPanic(t, "mul: float32[3 4] is a result of another tape", func() {
		tp.Checkpoint(func(tp *Tape, in []*Tensor) *Tensor { return tp.Mul(in[0], h) }, x)
	})
	mustPanic(t, "tanh: float32[3 4] is a result of another tape", func() {
		tp.Checkpoint(func(_ *Tape, in []*Tensor) *Tensor { return tp.Tanh(in[0]) }, x)
	})
	mustPanic(t, "checkpoint: the result of the function is nil, want float32", func() {
		tp.Checkpoint(func(*Tape, []*Tensor) *Tensor { return nil }, x)
	})
	calls := 0
	y := tp.Checkpoint(func(tp *Tape, in []*Tensor) *Tensor {
		calls++
		return tp.Slice(in[0], 0, 0, calls)
	}, x)
	loss := tp.Sum(y, false)
	mustPanic(t, "checkpoint: the function returned float32[1 4], and float32[2 4] when called again", func() {
		tp.Backward(loss)
	})
}
