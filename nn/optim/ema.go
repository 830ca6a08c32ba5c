package optim

import (
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// EMA is an exponential moving average of parameters: after each update of a
// training it becomes decay*average + (1-decay)*parameter. Models are often better
// with it than with the last parameters.
type EMA struct {
	parameterSet
	average []*tensor.Tensor
	update  *tensor.Expr
}

// NewEMA returns an average that has the present values of the parameters.
func NewEMA(params []nn.Parameter, decay float32) *EMA {
	e := &EMA{parameterSet: newParameters(params, nil)}
	e.average = e.zeros()
	e.update = tensor.NewExpr("moving average", 2, func(in []tensor.Value) tensor.Value {
		return in[0].Add(in[1].Sub(in[0]).Mul(tensor.Const(1 - decay)))
	})
	for i, p := range params {
		p.Backend().Scale(e.average[i], 1, p.Tensor)
	}
	return e
}

// Update takes the present values of the parameters into the average.
func (e *EMA) Update() {
	operands := make([]*tensor.Tensor, 2)
	for i, p := range e.list {
		operands[0], operands[1] = e.average[i], p.Tensor
		p.Backend().Map(e.average[i], e.update, operands, false)
	}
}

// Swap exchanges the average and the parameters: once before an evaluation, and
// once after.
func (e *EMA) Swap() {
	for i, p := range e.list {
		b := p.Backend()
		old := tensor.New(b, tensor.Float32, p.Shape()...)
		b.Scale(old, 1, p.Tensor)
		b.Scale(p.Tensor, 1, e.average[i])
		b.Scale(e.average[i], 1, old)
	}
}

// State returns the average, named "ema." before the name of the parameter, for
// checkpoints. Writing to the tensors changes it.
func (e *EMA) State() []nn.Parameter { return e.named("ema.", e.average) }
