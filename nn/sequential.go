package nn

import (
	"strconv"

	"github.com/marge-go/marge/tensor"
)

// Sequential carries out modules one after the other.
type Sequential []Module

// Forward returns the output of the last module.
func (s Sequential) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	for _, m := range s {
		x = m.Forward(tp, x)
	}
	return x
}

// Parameters implements Layer: the names begin with the numbers of the modules,
// from 0.
func (s Sequential) Parameters(list []Parameter, prefix string) []Parameter {
	for i, m := range s {
		list = m.Parameters(list, prefix+strconv.Itoa(i)+".")
	}
	return list
}

// Func is an operation without parameters as a Module, such as
// Func((*tensor.Tape).ReLU).
type Func func(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor

// Forward returns f(tp, x).
func (f Func) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor { return f(tp, x) }

// Parameters implements Layer: none.
func (f Func) Parameters(list []Parameter, prefix string) []Parameter { return list }

// Dropout zeroes elements with the probability that it is, and scales the others
// so that their expectation stays: on training tapes only.
type Dropout float32

// Forward returns x after the dropout.
func (d Dropout) Forward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tp.Dropout(x, float32(d))
}

// Parameters implements Layer: none.
func (d Dropout) Parameters(list []Parameter, prefix string) []Parameter { return list }
