package optim

import (
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019):
//
//	p -= lr * weight_decay * p
//	m  = beta1*m + (1-beta1)*g
//	v  = beta2*v + (1-beta2)*g*g
//	p -= lr * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
//
// As in PyTorch, t counts the updates of each parameter on its own: a parameter
// without gradient is skipped, and its count stays.
type AdamW struct {
	Beta1, Beta2, Eps float32
	WeightDecay       float32 // of matrices; vectors and scalars are decayed in a Group with its own decay only

	parameterSet
	m, v  []*tensor.Tensor
	calls []tensor.AdamWCall // of the last Step; the memory is reused
}

// NewAdamW returns an optimiser of the parameters with beta1 0.9, beta2 0.98,
// eps 1e-6 and weight decay 0.01. It panics if a group names no parameter.
func NewAdamW(params []nn.Parameter, groups ...Group) *AdamW {
	o := &AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, parameterSet: newParameters(params, groups)}
	o.m, o.v = o.zeros(), o.zeros()
	return o
}

// State returns the moments, named "m." and "v." before the name of their
// parameter, for checkpoints. Writing to the tensors changes the optimiser.
func (o *AdamW) State() []nn.Parameter {
	m, v := o.named("m.", o.m), o.named("v.", o.v)
	var list []nn.Parameter
	for i := range m {
		list = append(list, m[i], v[i])
	}
	return list
}

// Step updates every parameter that has a gradient with it, times gradScale,
// at learning rate lr.
func (o *AdamW) Step(lr float64, gradScale float32) {
	o.step(lr, gradScale, func(i int) (p, g *tensor.Tensor) {
		if p := o.list[i]; p.HasGrad() {
			return p.Tensor, p.Grad()
		}
		return nil, nil
	})
}

func (o *AdamW) step(lr float64, gradScale float32, operands func(i int) (p, g *tensor.Tensor)) {
	calls := o.calls[:0]
	for i := range o.list {
		p, g := operands(i)
		if g == nil || !o.count(i) {
			continue
		}
		opt := tensor.AdamWOptions{
			Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Step: int(o.steps[i]), GradScale: gradScale,
		}
		opt.LR, opt.WeightDecay = o.settings(i, lr, o.WeightDecay)
		calls = append(calls, tensor.AdamWCall{P: p, G: g, M: o.m[i], V: o.v[i], Options: opt})
	}
	tensor.AdamWAll(calls)
	o.calls = calls
}
