package tensor

import "fmt"

// Backward adds the gradients of the sum of losses, each a tensor of one element
// made by CrossEntropy or another operation of this tape, to the gradients of all
// parameters that they depend on. It can be called once between two Resets, and
// no operation can follow it. The host can still read results, but not their
// gradients.
func (tp *Tape) Backward(losses ...*Tensor) {
	tp.checkLosses(losses)
	for _, loss := range losses {
		if g, accumulate := tp.gradient(loss); accumulate {
			tp.mapInto(g, exprIncrement, false, g)
		} else {
			tp.backend.Fill(g, 1)
		}
	}
	tp.backward()
}

func (tp *Tape) checkLosses(losses []*Tensor) {
	if !tp.recording {
		panic("backward: the tape does not record")
	}
	if len(losses) == 0 {
		panic("backward: no loss")
	}
	for _, loss := range losses {
		tp.mustBeLoss(loss)
	}
}

var exprIncrement = unaryExpr("increment", func(x Value) Value { return x.Add(Const(1)) })

// mustBeLoss panics unless Backward can go back from loss.
func (tp *Tape) mustBeLoss(loss *Tensor) {
	tp.mustUse("backward", loss)
	if loss.Len() != 1 {
		panic(fmt.Sprintf("backward: from %v, want one element", loss))
	}
	if !loss.requiresGrad {
		panic("backward: the loss depends on no parameter")
	}
	if h := loss.holder(); h.tape != tp || h.base != nil && h.base.tape != tp {
		panic(fmt.Sprintf("backward: %v is no result of an operation on this tape", loss))
	}
}

// backward goes back through all records from the gradients that are set.
func (tp *Tape) backward() {
	tp.spent = true
	for i := len(tp.records) - 1; i >= 0; i-- {
		r := &tp.records[i]
		if r.out.gradSet {
			for _, in := range r.in {
				tp.recompute(in)
			}
			for _, in := range r.list {
				tp.recompute(in)
			}
			r.backward(tp, r)
			tp.release(r.out.grad)
			r.out.grad = nil
		}
		tp.complete(i)
		tp.drop(i)
	}
}

// gradient returns the tensor that collects the gradient of t, or nil if t
// needs none, and whether it must be added to (else it is to be overwritten).
func (tp *Tape) gradient(t *Tensor) (g *Tensor, accumulate bool) {
	if t == nil || !t.requiresGrad {
		return nil, false
	}
	t = t.holder()
	if t.base != nil {
		all := tp.sum(t.base)
		g = tp.tensors.get()
		*g = *all
		// The gradient has the layout of base, which is contiguous.
		g.rank, g.shape, g.strides = t.rank, t.shape, t.strides
		g.offset = all.offset + t.offset - t.base.offset
		return g, true
	}
	if t.tape != nil {
		if t.grad == nil {
			t.grad = tp.New(t.Shape()...)
		}
	} else {
		if tp.done != nil && !tp.uses.open[t] {
			panic(fmt.Sprintf("backwardeach: the gradient of %v was complete, and is added to", t))
		}
		gradients.Lock()
		defer gradients.Unlock()
		if t.grad == nil {
			t.grad = tp.reclaim(t)
		}
		if t.grad == nil && tp.done != nil {
			t.grad = tp.New(t.Shape()...)
			tp.lent = append(tp.lent, t)
		}
		if t.grad == nil {
			t.grad = New(t.backend, Float32, t.Shape()...)
		}
	}
	accumulate = t.gradSet
	t.gradSet = true
	return t.grad, accumulate
}

// holder returns the tensor that holds the gradient of t: t itself, or the tensor
// that t is an alias of.
func (t *Tensor) holder() *Tensor {
	if t.whole {
		return t.base
	}
	return t
}

// sum is gradient for operations that can only add.
func (tp *Tape) sum(t *Tensor) *Tensor {
	g, accumulate := tp.gradient(t)
	if g != nil && !accumulate {
		tp.backend.Fill(g, 0)
	}
	return g
}

// pass adds dy, the gradient of r's output, to the gradient of t. If t has none
// yet, dy becomes its gradient, as nothing else reads dy.
func (tp *Tape) pass(t *Tensor, r *record, dy *Tensor) {
	if r.out.grad != nil && t.requiresGrad {
		if h := t.holder(); h.tape == tp && h.base == nil && !h.gradSet {
			h.grad, h.gradSet = dy, true
			r.out.grad = nil
			return
		}
	}
	if g, accumulate := tp.gradient(t); g != nil {
		tp.copyInto(g, accumulate, dy)
	}
}

// copyInto sets (adds) dst = x, of equal shapes and any strides.
func (tp *Tape) copyInto(dst *Tensor, accumulate bool, x *Tensor) {
	switch {
	case !dst.Contiguous() || !x.Contiguous():
		tp.mapInto(dst, exprCopy, accumulate, x)
	case accumulate:
		tp.backend.Axpy(1, x, dst)
	default:
		tp.backend.Scale(dst, 1, x)
	}
}
