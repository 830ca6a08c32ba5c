package tensor

import (
	"slices"
	"sync"
)

// gradients guards which memory holds the gradient of a parameter and whether
// it counts, so that tapes which share parameters may record at the same time.
var gradients sync.Mutex

// loan is memory of a parameter's gradient that a tape computes in before
// Backward. Until then the parameter is as if it had none.
type loan struct{ parameter, grad *Tensor }

// borrow returns a tensor of the shape of t for a gradient that Backward shall
// add to that of t: where that is kept, if t is a parameter without gradient,
// so that adopt can do without a copy.
func (tp *Tape) borrow(t *Tensor) *Tensor {
	if t.base != nil || t.inTape(tp) || slices.ContainsFunc(tp.loans, func(l loan) bool { return l.parameter == t }) {
		return tp.New(t.Shape()...)
	}
	gradients.Lock()
	defer gradients.Unlock()
	if t.gradSet {
		return tp.New(t.Shape()...)
	}
	g := t.grad
	if t.grad = nil; g == nil {
		g = New(t.backend, Float32, t.Shape()...)
	}
	tp.loans = append(tp.loans, loan{t, g})
	return g
}

// adopt makes g, of borrow or of New, the gradient of t, if t has none yet and
// may keep it. Its content is then the caller's to complete.
func (tp *Tape) adopt(t, g *Tensor) bool {
	if !t.requiresGrad || t.base != nil {
		return false
	}
	if t.inTape(tp) {
		if t.grad != nil {
			return false
		}
		t.grad, t.gradSet = g, true
		return true
	}
	i := slices.IndexFunc(tp.loans, func(l loan) bool { return l.grad == g })
	gradients.Lock()
	defer gradients.Unlock()
	if i < 0 || t.gradSet {
		return false
	}
	t.grad, t.gradSet = g, true
	tp.loans = slices.Delete(tp.loans, i, i+1)
	return true
}

// settle gives back what adopt did not take.
func (tp *Tape) settle() {
	gradients.Lock()
	defer gradients.Unlock()
	for _, l := range tp.loans {
		if l.parameter.grad == nil {
			l.parameter.grad = l.grad
		}
	}
	clear(tp.loans)
	tp.loans = tp.loans[:0]
}
