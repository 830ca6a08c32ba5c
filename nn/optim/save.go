package optim

import (
	"fmt"
	"slices"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// stepName is the name of the numbers of updates in files. No name of a state lacks
// a dot before the name of its parameter.
const stepName = "step"

// maxSteps is the greatest number that float32 holds with all before it.
const maxSteps = 1 << 24

// Save writes all that an optimiser goes on from to a directory, as nn.Save writes
// parameters: its State, and its Steps as a tensor "step". It is an error if a
// parameter has been updated more than 2^24 times, which float32 does not count.
func Save(dir string, o Optimizer) error {
	state, step, err := stateWithSteps(o)
	if err != nil {
		return fmt.Errorf("optim: save: %w", err)
	}
	values := make([]float32, step.Len())
	for i, n := range o.Steps() {
		if n > maxSteps {
			return fmt.Errorf("optim: save: %d updates, want at most %d", n, maxSteps)
		}
		values[i] = float32(n)
	}
	step.SetFloat32s(values)
	return nn.Save(dir, state, 0)
}

// Load sets an optimiser of the same parameters to what Save wrote to a directory.
// After an error, it is as before.
func Load(dir string, o Optimizer) error {
	state, step, err := stateWithSteps(o)
	if err != nil {
		return fmt.Errorf("optim: load: %w", err)
	}
	// The numbers first: what is wrong with them must be found before anything changes.
	if _, err := nn.Load(dir, []nn.Parameter{{Name: stepName, Tensor: step}}, false); err != nil {
		return err
	}
	values, before := make([]float32, step.Len()), o.Steps()
	step.CopyTo(values)
	steps := make([]int32, len(values))
	for i, v := range values {
		if steps[i] = int32(v); float32(steps[i]) != v {
			return fmt.Errorf("optim: load: %s: %v updates", dir, v)
		}
	}
	if err := o.SetSteps(steps); err != nil {
		return fmt.Errorf("optim: load: %s: %w", dir, err)
	}
	if _, err := nn.Load(dir, state, true); err != nil {
		_ = o.SetSteps(before)
		return err
	}
	return nil
}

// stateWithSteps returns the state and, as the last tensor of it, one for the
// numbers of updates.
func stateWithSteps(o Optimizer) (state []nn.Parameter, step *tensor.Tensor, err error) {
	state = slices.Clone(o.State())
	if len(state) == 0 {
		return nil, nil, fmt.Errorf("an optimiser without parameters")
	}
	step = tensor.Zeros(state[0].Backend(), len(o.Steps()))
	return append(state, nn.Parameter{Name: stepName, Tensor: step}), step, nil
}
