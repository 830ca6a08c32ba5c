package tensor

import (
	"slices"
	"sync"
)

// gradients guards which memory holds the gradient of a parameter and whether
// it counts, so that tapes which share parameters may record at the same time.
var gradients sync.Mutex

// earlyGradient is a gradient of a parameter that an operation computes together
// with its result, before Backward, in the buffer of the parameter's gradient.
// Until Backward reaches the operation, the parameter has no gradient.
type earlyGradient struct {
	parameter, grad *Tensor
	record          int // the operation, which has grad as saved[1]
}

// earlyGradient returns memory for an early gradient of t: its own buffer if that
// is free, so that Backward need not copy, or else memory of the tape. The next
// record must have it as saved[1].
func (tp *Tape) earlyGradient(t *Tensor) *Tensor {
	isOf := func(e earlyGradient) bool { return e.parameter == t }
	if t.base != nil || t.tape != nil || slices.ContainsFunc(tp.early, isOf) {
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
	tp.early = append(tp.early, earlyGradient{t, g, len(tp.records)})
	return g
}

// install makes g the gradient of t, if t has none yet, and reports whether it
// did. For a parameter, g must be its early gradient; for a result of the tape,
// memory of the tape. The caller completes the values of g.
func (tp *Tape) install(t, g *Tensor) bool {
	if !t.requiresGrad {
		return false
	}
	t = t.holder()
	if t.base != nil {
		return false
	}
	if t.tape != nil {
		if t.gradSet {
			return false
		}
		t.grad, t.gradSet = g, true
		return true
	}
	i := slices.IndexFunc(tp.early, func(e earlyGradient) bool { return e.grad == g })
	gradients.Lock()
	defer gradients.Unlock()
	if i < 0 || t.gradSet || t.grad != nil {
		return false
	}
	t.grad, t.gradSet = g, true
	tp.early = slices.Delete(tp.early, i, i+1)
	return true
}

// reclaim takes the buffer of t's gradient back from an early gradient, whose
// values it moves to memory of the tape, because another operation needs the
// buffer first. It returns nil if no early gradient has the buffer.
func (tp *Tape) reclaim(t *Tensor) *Tensor {
	i := slices.IndexFunc(tp.early, func(e earlyGradient) bool { return e.parameter == t })
	if i < 0 {
		return nil
	}
	e := tp.early[i]
	moved := tp.New(t.Shape()...)
	tp.backend.Scale(moved, 1, e.grad)
	tp.records[e.record].saved[1] = moved
	tp.early = slices.Delete(tp.early, i, i+1)
	return e.grad
}

// returnGradients returns the buffers of early gradients that were not installed.
func (tp *Tape) returnGradients() {
	gradients.Lock()
	defer gradients.Unlock()
	for _, e := range tp.early {
		if e.parameter.grad == nil {
			e.parameter.grad = e.grad
		}
	}
	clear(tp.early)
	tp.early = tp.early[:0]
}
