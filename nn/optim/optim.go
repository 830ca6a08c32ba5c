// Package optim holds optimisers, learning rate schedules, clipping of gradients,
// and a moving average of parameters.
package optim

import (
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// Optimizer updates parameters by their gradients. All optimisers of this package
// are such; a checkpoint of one consists of State and Steps.
type Optimizer interface {
	// Step updates every parameter that has a gradient with it, times gradScale, at
	// learning rate lr.
	Step(lr float64, gradScale float32)
	// State returns what the optimiser keeps for each parameter, named "m." or the
	// like before the name of the parameter. Writing to the tensors changes the
	// optimiser.
	State() []nn.Parameter
	// Steps returns the number of updates of each parameter.
	Steps() []int32
	// SetSteps sets the number of updates of each parameter. Unless there is one
	// number for each, none negative, it returns an error and changes nothing.
	SetSteps(steps []int32) error
}

// Group is parameters with settings of their own. A parameter is in the first
// group that names it.
type Group struct {
	// Names are names of parameters, or patterns as path.Match has them, where *
	// stands for any characters: "encoder.*", "*.bias".
	Names []string
	// Rate multiplies the learning rate (1).
	Rate float64
	// WeightDecay, if not 0, replaces that of the optimiser, for vectors and scalars
	// too; negative stands for none.
	WeightDecay float64
	// Frozen parameters are not updated, and updates of them are not counted.
	Frozen bool
}

// parameterSet is what an optimiser updates.
type parameterSet struct {
	list   []nn.Parameter
	groups []*Group // of each parameter, or nil
	steps  []int32  // updates of each parameter
}

// newParameters panics if a pattern is malformed or names no parameter.
func newParameters(list []nn.Parameter, groups []Group) parameterSet {
	p := parameterSet{list: list, groups: make([]*Group, len(list)), steps: make([]int32, len(list))}
	for _, g := range groups {
		for _, pattern := range g.Names {
			matched := false
			for i, parameter := range list {
				ok, err := path.Match(pattern, parameter.Name)
				if err != nil {
					panic(fmt.Sprintf("optim: pattern %q of a group: %v", pattern, err))
				}
				matched = matched || ok
				if ok && p.groups[i] == nil {
					p.groups[i] = &g
				}
			}
			if !matched {
				panic(fmt.Sprintf("optim: no parameter has a name like %q, which a group has", pattern))
			}
		}
	}
	return p
}

// next counts an update of parameter i, unless it has no gradient or is frozen.
func (p *parameterSet) next(i int) bool { return p.list[i].HasGrad() && p.count(i) }

// count counts an update of parameter i, unless it is frozen.
func (p *parameterSet) count(i int) bool {
	if p.groups[i] != nil && p.groups[i].Frozen {
		return false
	}
	p.steps[i]++
	return true
}

// settings returns learning rate and weight decay of parameter i.
func (p *parameterSet) settings(i int, lr float64, decay float32) (rate, weightDecay float32) {
	rate = float32(lr)
	if len(p.list[i].Shape()) > 1 {
		weightDecay = decay
	}
	if g := p.groups[i]; g != nil {
		if g.Rate != 0 {
			rate *= float32(g.Rate)
		}
		if g.WeightDecay != 0 {
			weightDecay = float32(max(g.WeightDecay, 0))
		}
	}
	return rate, weightDecay
}

// zeros returns tensors of the shapes of all parameters.
func (p *parameterSet) zeros() []*tensor.Tensor {
	var list []*tensor.Tensor
	for _, t := range p.list {
		list = append(list, tensor.New(t.Backend(), tensor.Float32, t.Shape()...))
	}
	return list
}

// named returns one tensor for each parameter with its name after a prefix.
func (p *parameterSet) named(prefix string, tensors []*tensor.Tensor) []nn.Parameter {
	var list []nn.Parameter
	for i, t := range tensors {
		list = append(list, nn.Parameter{Name: prefix + p.list[i].Name, Tensor: t})
	}
	return list
}

// Steps returns the number of updates of each parameter, for checkpoints.
func (p *parameterSet) Steps() []int32 { return slices.Clone(p.steps) }

// SetSteps sets the number of updates of each parameter, for resuming. Unless
// there is one number for each parameter, none negative, it returns an error and
// changes nothing.
func (p *parameterSet) SetSteps(steps []int32) error {
	if len(steps) != len(p.list) {
		return fmt.Errorf("optim: step counts of %d parameters for %d", len(steps), len(p.list))
	}
	for i, n := range steps {
		if n < 0 {
			return fmt.Errorf("optim: step count of %s is %d", p.list[i].Name, n)
		}
	}
	copy(p.steps, steps)
	return nil
}

// scalars gives numbers to the expressions of updates.
type scalars struct {
	tapes map[tensor.Backend]*tensor.Tape
}

// reset makes the memory of all numbers free.
func (s *scalars) reset() {
	for _, tape := range s.tapes {
		tape.Reset(tensor.Inference, 0)
	}
}

// on appends to operands one tensor of one element for each number.
func (s *scalars) on(b tensor.Backend, operands []*tensor.Tensor, numbers ...float32) []*tensor.Tensor {
	tape := s.tapes[b]
	if tape == nil {
		tape = tensor.NewTape(b)
		if s.tapes == nil {
			s.tapes = map[tensor.Backend]*tensor.Tape{}
		}
		s.tapes[b] = tape
	}
	all := tape.Floats(numbers, len(numbers))
	for i := range numbers {
		operands = append(operands, tape.Rows(all, i, i+1))
	}
	return operands
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

// ClippedStep updates parameters by their gradients, scaled so that their norm is
// at most limit (0: no limit), and returns the norm before. If the norm is not
// finite, it returns an error and updates nothing.
func ClippedStep(o Optimizer, params []nn.Parameter, lr, limit float64) (norm float64, err error) {
	norm, err = GradNorm(params)
	if err == nil {
		o.Step(lr, ClipScale(norm, limit))
	}
	return norm, err
}
