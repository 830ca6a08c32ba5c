package tensor

import "slices"

// parameterUses are the parameters that the records of a tape read.
type parameterUses struct {
	list  []parameterUse   // in the order in which Backward completes their gradients
	open  map[*Tensor]bool // those whose gradients are not complete
	calls int              // of done
}

type parameterUse struct {
	parameter *Tensor
	record    int // the first that reads it: Backward comes there last
}

// Parameters returns the parameters that operations recorded so far have read, in the
// order in which [Tape.BackwardEach] completes their gradients. What operations inside
// of a Checkpoint read is not among them.
func (tp *Tape) Parameters() []*Tensor {
	tp.findParameters()
	list := make([]*Tensor, len(tp.uses.list))
	for i, u := range tp.uses.list {
		list[i] = u.parameter
	}
	return list
}

func (tp *Tape) findParameters() {
	u := &tp.uses
	if u.open == nil {
		u.open = map[*Tensor]bool{}
	}
	clear(u.open)
	u.list, u.calls = u.list[:0], 0
	for i := range tp.records {
		r := &tp.records[i]
		for _, tensors := range [][]*Tensor{r.in[:], r.saved[:], r.list} {
			for _, t := range tensors {
				if t != nil && t.base != nil {
					t = t.base
				}
				if t != nil && t.tape == nil && t.requiresGrad && !u.open[t] {
					u.open[t] = true
					u.list = append(u.list, parameterUse{t, i})
				}
			}
		}
	}
	slices.Reverse(u.list)
}

// BackwardEach is Backward that calls done with each parameter of [Tape.Parameters] as
// soon as its gradient is complete, whether it has one or not, so that the gradient can
// be used while Backward goes on. A parameter without memory for a gradient gets some of
// the tape's, until [Tape.ReleaseGradient] or Reset take it back: gradients that are
// released soon never need memory all at once.
//
// It panics after a Checkpoint, of which it is not known what it reads.
func (tp *Tape) BackwardEach(done func(p *Tensor), losses ...*Tensor) {
	tp.checkLosses(losses)
	if slices.ContainsFunc(tp.records, func(r record) bool { return r.checkpoint != nil }) {
		panic("backwardeach: it is not known which parameters a Checkpoint reads")
	}
	tp.findParameters()
	tp.done = done
	defer func() { tp.done = nil }()
	tp.Backward(losses...)
}

// complete calls done with the parameters whose gradients are complete when Backward
// has gone back through a record.
func (tp *Tape) complete(record int) {
	if tp.done == nil {
		return
	}
	u := &tp.uses
	for u.calls < len(u.list) && u.list[u.calls].record == record {
		p := u.list[u.calls].parameter
		u.calls++
		delete(u.open, p)
		tp.done(p)
	}
}

// ReleaseGradient clears the gradient of a parameter, as ZeroGrad does, and takes back
// its memory if it is the tape's.
func (tp *Tape) ReleaseGradient(p *Tensor) {
	gradients.Lock()
	defer gradients.Unlock()
	p.gradSet = false
	if i := slices.Index(tp.lent, p); i >= 0 {
		tp.lent = slices.Delete(tp.lent, i, i+1)
		tp.release(p.grad)
		p.grad = nil
	}
}

// takeGradientsBack takes back the memory of all gradients that is the tape's.
func (tp *Tape) takeGradientsBack() {
	gradients.Lock()
	defer gradients.Unlock()
	for _, p := range tp.lent {
		p.grad, p.gradSet = nil, false
	}
	clear(tp.lent)
	tp.lent = tp.lent[:0]
}
