package nn

import (
	"math/rand/v2"

	"github.com/marge-go/marge/tensor"
)

var (
	lstmCell = tensor.NewExpr("lstm cell", 4, func(in []tensor.Value) tensor.Value {
		return in[1].Sigmoid().Mul(in[3]).Add(in[0].Sigmoid().Mul(in[2].Tanh()))
	})
	lstmOutput = tensor.NewExpr("lstm output", 2, func(in []tensor.Value) tensor.Value {
		return in[0].Sigmoid().Mul(in[1].Tanh())
	})
	// Of the sums for the reset and the update gate, x and h times the weights of the
	// new state, and the state h.
	gruCell = tensor.NewExpr("gru cell", 5, func(in []tensor.Value) tensor.Value {
		update := in[1].Sigmoid()
		candidate := in[2].Add(in[0].Sigmoid().Mul(in[3])).Tanh()
		return candidate.Add(update.Mul(in[4].Sub(candidate)))
	})
	sum = tensor.NewExpr("sum", 2, func(in []tensor.Value) tensor.Value { return in[0].Add(in[1]) })
)

// LSTM is a recurrent network of long short-term memory (Hochreiter and
// Schmidhuber 1997), of one layer or several. Gates are in PyTorch's order: input,
// forget, cell, output.
type LSTM struct{ recurrence }

// LSTMState is the state of a layer of an LSTM after documents, or before.
type LSTMState struct {
	H, C *tensor.Tensor // [documents, hidden]: output and cell
}

// NewLSTM returns an LSTM with all weights drawn uniformly between
// -1/sqrt(hidden) and 1/sqrt(hidden), or zeros if rng is nil.
func NewLSTM(b tensor.Backend, in, hidden, layers int, rng *rand.Rand) *LSTM {
	return &LSTM{newRecurrence(b, in, hidden, layers, 4, rng)}
}

// Forward returns the outputs y [n, hidden] of the last layer for packed documents
// x [n, in], document i being the rows offsets[i]:offsets[i+1], and the states of
// each layer after the last row of each document. initial has the states before
// the first row, nil standing for zeros.
func (l *LSTM) Forward(
	tp *tensor.Tape, x *tensor.Tensor, offsets []int32, initial []LSTMState,
) (y *tensor.Tensor, final []LSTMState) {
	var before [][]*tensor.Tensor
	for _, s := range initial {
		before = append(before, []*tensor.Tensor{s.H, s.C})
	}
	y, after := l.forward(tp, x, offsets, before, 2, l.layer)
	for _, s := range after {
		final = append(final, LSTMState{s[0], s[1]})
	}
	return y, final
}

// layer adds up the biases. It transposes weight_hh once, which a product of few rows
// would do in every step, and takes the gradient of weight_hh for all steps at once:
// that of the sums for the gates is that of what is projected.
func (l *LSTM) layer(tp *tensor.Tape, layer int, x *tensor.Tensor) (*tensor.Tensor, step) {
	var before []*tensor.Tensor // the outputs that each step begins with
	gates := func(tp *tensor.Tape, in []*tensor.Tensor) (*tensor.Tensor, func(d *tensor.Tensor) []*tensor.Tensor) {
		return in[0], func(d *tensor.Tensor) []*tensor.Tensor {
			if len(before) == 0 {
				return []*tensor.Tensor{d, nil}
			}
			return []*tensor.Tensor{d, tp.MatMul(tp.Transpose(d, 0, 1), tp.Concat(0, before...), false)}
		}
	}
	projected := tp.Linear(x, l.WeightIH[layer], tp.Add(l.BiasIH[layer], l.BiasHH[layer]))
	projected = tp.Apply(gates, projected, l.WeightHH[layer])
	weight := tp.Contiguous(tp.Transpose(tp.Detach(l.WeightHH[layer]), 0, 1))
	return projected, func(x *tensor.Tensor, states []*tensor.Tensor) {
		before = append(before, states[0])
		sums := tp.AddInto(tp.MatMul(states[0], weight, false), x)
		gate := func(i int) *tensor.Tensor { return tp.Columns(sums, i*l.hidden, (i+1)*l.hidden) }
		states[1] = tp.Map(lstmCell, gate(0), gate(1), gate(2), states[1])
		states[0] = tp.Map(lstmOutput, gate(3), states[1])
	}
}

// GRU is a gated recurrent network (Cho et al. 2014), of one layer or several, with
// PyTorch's formula and order of gates: reset, update, new.
type GRU struct{ recurrence }

// NewGRU returns a GRU with weights as NewLSTM draws them.
func NewGRU(b tensor.Backend, in, hidden, layers int, rng *rand.Rand) *GRU {
	return &GRU{newRecurrence(b, in, hidden, layers, 3, rng)}
}

// Forward returns outputs and states [documents, hidden] as LSTM.Forward does.
func (g *GRU) Forward(
	tp *tensor.Tape, x *tensor.Tensor, offsets []int32, initial []*tensor.Tensor,
) (y *tensor.Tensor, final []*tensor.Tensor) {
	var before [][]*tensor.Tensor
	for _, h := range initial {
		before = append(before, []*tensor.Tensor{h})
	}
	y, after := g.forward(tp, x, offsets, before, 1, g.layer)
	for _, s := range after {
		final = append(final, s[0])
	}
	return y, final
}

func (g *GRU) layer(tp *tensor.Tape, layer int, x *tensor.Tensor) (*tensor.Tensor, step) {
	projected := tp.Linear(x, g.WeightIH[layer], g.BiasIH[layer])
	return projected, func(x *tensor.Tensor, states []*tensor.Tensor) {
		h := states[0]
		hidden := tp.Linear(h, g.WeightHH[layer], g.BiasHH[layer])
		n := g.hidden
		gates := tp.Map(sum, tp.Columns(x, 0, 2*n), tp.Columns(hidden, 0, 2*n))
		states[0] = tp.Map(gruCell, tp.Columns(gates, 0, n), tp.Columns(gates, n, 2*n),
			tp.Columns(x, 2*n, 3*n), tp.Columns(hidden, 2*n, 3*n), h)
	}
}
