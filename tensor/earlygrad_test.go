package tensor

import (
	"slices"
	"sync"
	"testing"
)

// tiedLoss has a table, the output layer of losses.
type tiedLoss struct {
	b         *CPU
	tp        *Tape
	in, table *Tensor
}

func newTiedLoss() *tiedLoss {
	b := NewCPU(1)
	l := &tiedLoss{b: b, tp: NewTape(b), in: New(b, Float32, 4, 3), table: New(b, Float32, 5, 3)}
	for _, p := range []*Tensor{l.in, l.table} {
		p.SetRequiresGrad(true)
		for i := range p.Float32s() {
			p.Float32s()[i] = float32(i%7)/4 - 0.7
		}
	}
	return l
}

// loss records a loss on a tape, after a Reset.
func (l *tiedLoss) loss(tp *Tape) *Tensor {
	tp.Reset(Gradient, 1)
	return l.again(tp)
}

func (l *tiedLoss) again(tp *Tape) *Tensor {
	loss, _ := tp.CrossEntropy(l.in, l.table, tp.Ints([]int32{1, 4, 0, 1}), 0, 1)
	return loss
}

// gradient is that of the table after one Backward.
func (l *tiedLoss) gradient(times float32) []float32 {
	fresh := newTiedLoss()
	fresh.tp.Backward(fresh.loss(fresh.tp))
	g := slices.Clone(fresh.table.Grad().Float32s())
	for i := range g {
		g[i] *= times
	}
	return g
}

func (l *tiedLoss) check(t *testing.T, times float32) {
	t.Helper()
	if got, want := l.table.Grad().Float32s(), l.gradient(times); !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

func TestLossWithoutBackwardLeavesNoGradient(t *testing.T) {
	l := newTiedLoss()
	l.loss(l.tp)
	if l.table.HasGrad() {
		t.Error("a recorded loss left a gradient")
	}
	l.check(t, 0)
	l.table.ZeroGrad()
	l.loss(l.tp)
	l.tp.Reset(Inference, 0)
	if l.table.HasGrad() {
		t.Error("a loss that was reset left a gradient")
	}
	l.check(t, 0)
}

func TestGradientsAddUp(t *testing.T) {
	l := newTiedLoss()
	for i := range 3 {
		l.tp.Backward(l.loss(l.tp))
		l.check(t, float32(i+1))
	}
	l.table.ZeroGrad()
	l.tp.Backward(l.loss(l.tp))
	l.check(t, 1)
}

// A gradient asked for between loss and Backward is zero, and adds up later.
func TestGradBetweenLossAndBackward(t *testing.T) {
	l := newTiedLoss()
	loss := l.loss(l.tp)
	g := l.table.Grad()
	for _, v := range g.Float32s() {
		if v != 0 {
			t.Errorf("gradient %v before Backward", g.Float32s())
		}
	}
	l.tp.Backward(loss)
	l.check(t, 1)
	if l.table.Grad() != g {
		t.Error("Backward put the gradient elsewhere")
	}
}

func TestTwoLossesOfOneTable(t *testing.T) {
	l := newTiedLoss()
	l.tp.Reset(Gradient, 1)
	l.tp.Backward(l.tp.Add(l.again(l.tp), l.again(l.tp)))
	l.check(t, 2)
}

// Several losses of one table, with another use of it between them, take no new memory for its
// gradient in later steps, and their gradients add up.
func TestSeveralLossesKeepTheGradientInItsMemory(t *testing.T) {
	l := newTiedLoss()
	l.tp.Poison()
	step := func() *Tensor {
		l.table.ZeroGrad()
		l.in.ZeroGrad()
		l.tp.Reset(Gradient, 1)
		loss := l.tp.Scale(0.5, l.again(l.tp))
		h := l.tp.Gather(l.table, l.tp.Ints([]int32{1, 1}), 1)
		loss = l.tp.Add(loss, l.tp.Add(l.again(l.tp), l.tp.Dot(h, h)))
		l.tp.Backward(loss)
		return l.table.Grad()
	}
	g := step()
	want := l.gradient(1.5)
	for i := range 3 {
		want[3+i] += 2 * 2 * l.table.Float32s()[3+i]
	}
	for range 3 {
		compare(t, "gradient", g.Float32s(), widen(want), 1e-6)
		if next := step(); next != g {
			t.Fatal("the gradient moved")
		}
	}
}

// The memory of a gradient is the same in all steps.
func TestGradientStaysInItsMemory(t *testing.T) {
	l := newTiedLoss()
	l.tp.Backward(l.loss(l.tp))
	g := l.table.Grad()
	for step := range 4 {
		l.table.ZeroGrad()
		loss := l.loss(l.tp)
		if step%2 == 0 {
			l.tp.Backward(loss)
		} else {
			l.tp.Reset(Gradient, 1)
		}
		if l.table.Grad() != g {
			t.Fatalf("step %d: the gradient moved", step)
		}
	}
}

// Tapes that share parameters may record at the same time, while one of them
// goes back.
func TestTapesShareParameters(t *testing.T) {
	l := newTiedLoss()
	var wg sync.WaitGroup
	var backward sync.Mutex
	const tapes, steps = 3, 20
	for range tapes {
		wg.Go(func() {
			tp := NewTape(l.b)
			for range steps {
				loss := l.loss(tp)
				backward.Lock()
				tp.Backward(loss)
				backward.Unlock()
			}
		})
	}
	wg.Wait()
	got, want := l.table.Grad().Float32s(), l.gradient(tapes*steps)
	for i := range want {
		if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
			t.Fatalf("gradient %v, want %v", got, want)
		}
	}
}
