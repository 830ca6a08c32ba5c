package optim

import (
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// SGD is stochastic gradient descent with momentum, as in PyTorch:
//
//	g = g + weight_decay*p
//	b = momentum*b + g
//	p = p - lr*b, or p - lr*(g + momentum*b) with Nesterov
type SGD struct {
	Momentum    float32 // 0 is plain gradient descent
	Nesterov    bool
	WeightDecay float32 // of matrices; vectors and scalars are decayed in a Group with its own decay only

	parameterSet
	momentum []*tensor.Tensor
	scalars  scalars
	operands []*tensor.Tensor
}

var (
	// Of b, g and p, and the factors of each.
	sgdMomentum = tensor.NewExpr("sgd momentum", 6, func(in []tensor.Value) tensor.Value {
		return in[0].Mul(in[3]).Add(in[1].Mul(in[4]).Add(in[2].Mul(in[5])))
	})
	// Of p, b and g, and the factors of each.
	sgdUpdate = tensor.NewExpr("sgd", 6, func(in []tensor.Value) tensor.Value {
		return in[0].Sub(in[0].Mul(in[3]).Add(in[1].Mul(in[4])).Add(in[2].Mul(in[5])))
	})
)

// NewSGD returns an optimiser of the parameters without momentum or weight decay.
// It panics if a group names no parameter.
func NewSGD(params []nn.Parameter, groups ...Group) *SGD {
	o := &SGD{parameterSet: newParameters(params, groups)}
	o.momentum = o.zeros()
	return o
}

// State returns the momentum, named "momentum_buffer." before the name of the
// parameter, for checkpoints. Writing to the tensors changes the optimiser.
func (o *SGD) State() []nn.Parameter { return o.named("momentum_buffer.", o.momentum) }

// Step updates every parameter that has a gradient with it, times gradScale,
// at learning rate lr.
func (o *SGD) Step(lr float64, gradScale float32) {
	o.scalars.reset()
	for i, p := range o.list {
		if !o.next(i) {
			continue
		}
		b, g, m := p.Backend(), p.Grad(), o.momentum[i]
		rate, decay := o.settings(i, lr, o.WeightDecay)
		o.operands = o.scalars.on(b, append(o.operands[:0], m, g, p.Tensor), o.Momentum, gradScale, decay)
		b.Map(m, sgdMomentum, o.operands, false)
		factors := [3]float32{0, rate, 0}
		if o.Nesterov {
			factors = [3]float32{rate * decay, rate * o.Momentum, rate * gradScale}
		}
		o.operands = o.scalars.on(b, append(o.operands[:0], p.Tensor, m, g), factors[:]...)
		b.Map(p.Tensor, sgdUpdate, o.operands, false)
	}
}
