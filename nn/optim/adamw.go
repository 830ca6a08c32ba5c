// Package optim holds optimisers and learning rate schedules.
package optim

import (
	"fmt"
	"math"
	"slices"

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
	WeightDecay       float32 // of matrices; vectors and scalars are never decayed
	// LRScale, if not nil, multiplies the learning rate of a parameter.
	LRScale func(name string) float32

	params []nn.Parameter
	m, v   []*tensor.Tensor
	steps  []int32            // of each parameter
	calls  []tensor.AdamWCall // of the last Step; the memory is reused
}

// NewAdamW returns an optimiser of the parameters with beta1 0.9, beta2 0.98,
// eps 1e-6 and weight decay 0.01.
func NewAdamW(params []nn.Parameter) *AdamW {
	o := &AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, params: params, steps: make([]int32, len(params))}
	for _, p := range params {
		o.m = append(o.m, tensor.New(p.Backend(), tensor.Float32, p.Shape()...))
		o.v = append(o.v, tensor.New(p.Backend(), tensor.Float32, p.Shape()...))
	}
	return o
}

// Steps returns the number of updates of each parameter, for checkpoints.
func (o *AdamW) Steps() []int32 { return slices.Clone(o.steps) }

// SetSteps sets the number of updates of each parameter, for resuming. Unless
// there is one number for each parameter, none negative, it returns an error and
// changes nothing.
func (o *AdamW) SetSteps(steps []int32) error {
	if len(steps) != len(o.params) {
		return fmt.Errorf("optim: step counts of %d parameters for %d", len(steps), len(o.params))
	}
	for i, n := range steps {
		if n < 0 {
			return fmt.Errorf("optim: step count of %s is %d", o.params[i].Name, n)
		}
	}
	copy(o.steps, steps)
	return nil
}

// State returns the moments, named "m." and "v." before the name of their
// parameter, for checkpoints. Writing to the tensors changes the optimiser.
func (o *AdamW) State() []nn.Parameter {
	var list []nn.Parameter
	for i, p := range o.params {
		list = append(list,
			nn.Parameter{Name: "m." + p.Name, Tensor: o.m[i]}, nn.Parameter{Name: "v." + p.Name, Tensor: o.v[i]})
	}
	return list
}

// Step updates every parameter that has a gradient with it, times gradScale,
// at learning rate lr.
func (o *AdamW) Step(lr float64, gradScale float32) {
	calls := o.calls[:0]
	for i, p := range o.params {
		if !p.HasGrad() {
			continue
		}
		o.steps[i]++
		opt := tensor.AdamWOptions{
			LR: float32(lr), Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps,
			Step: int(o.steps[i]), GradScale: gradScale,
		}
		if len(p.Shape()) > 1 {
			opt.WeightDecay = o.WeightDecay
		}
		if o.LRScale != nil {
			opt.LR *= o.LRScale(p.Name)
		}
		calls = append(calls, tensor.AdamWCall{P: p.Tensor, G: p.Grad(), M: o.m[i], V: o.v[i], Options: opt})
	}
	tensor.AdamWAll(calls)
	o.calls = calls
}

// GradNorm returns the Euclidean norm of all gradients together. It is an
// error if it is not finite; the error names the first parameter at fault.
func GradNorm(params []nn.Parameter) (float64, error) {
	grads, names := make([]*tensor.Tensor, 0, len(params)), make([]string, 0, len(params))
	for _, p := range params {
		if p.HasGrad() {
			grads, names = append(grads, p.Grad()), append(names, p.Name)
		}
	}
	sum := 0.0
	for i, s := range tensor.SumSquaresAll(grads) {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return math.NaN(), fmt.Errorf("optim: gradient of %s is not finite", names[i])
		}
		sum += s
	}
	return math.Sqrt(sum), nil
}

// ClipScale returns what to multiply gradients of the given norm with so that
// the norm is at most limit; no limit if limit is 0.
func ClipScale(norm, limit float64) float32 {
	if limit <= 0 || norm <= limit {
		return 1
	}
	return float32(limit / norm)
}
