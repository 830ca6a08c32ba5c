package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/marge-go/marge/tensor"
)

// steps is how a recurrent network goes through packed documents: all advance
// together, the longest first, so that the documents of a step are the first of
// those of the step before.
type steps struct {
	sizes  []int   // documents of each step
	rows   []int32 // the row of the packed documents for each row in the order of the steps
	back   []int32 // the inverse
	order  []int32 // the documents by length
	places []int32 // of each document in the order in which they end, see final
}

func newSteps(offsets []int32) *steps {
	docs := len(offsets) - 1
	length := func(doc int32) int { return int(offsets[doc+1] - offsets[doc]) }
	s := &steps{order: make([]int32, docs), places: make([]int32, docs)}
	for i := range s.order {
		s.order[i] = int32(i)
	}
	slices.SortStableFunc(s.order, func(a, b int32) int { return length(b) - length(a) })
	n := int(offsets[docs])
	s.rows, s.back = make([]int32, 0, n), make([]int32, n)
	active := docs
	for t := 0; len(s.rows) < n; t++ {
		for active > 0 && length(s.order[active-1]) <= t {
			active--
		}
		for _, doc := range s.order[:active] {
			row := offsets[doc] + int32(t)
			s.back[row] = int32(len(s.rows))
			s.rows = append(s.rows, row)
		}
		s.sizes = append(s.sizes, active)
	}
	// They end in the order of their lengths, those of a step in the order of s.order.
	place := int32(0)
	for hi := docs; hi > 0; {
		lo := hi - 1
		for lo > 0 && length(s.order[lo-1]) == length(s.order[hi-1]) {
			lo--
		}
		for _, doc := range s.order[lo:hi] {
			s.places[doc] = place
			place++
		}
		hi = lo
	}
	return s
}

// recurrence has the weights of a recurrent network of several layers, as
// PyTorch's torch.nn.LSTM and torch.nn.GRU have them.
type recurrence struct {
	WeightIH, WeightHH []*tensor.Tensor // of each layer: [gates*hidden, input width], [gates*hidden, hidden]
	BiasIH, BiasHH     []*tensor.Tensor // [gates*hidden]
	Dropout            float32          // between layers
	hidden             int
}

func newRecurrence(b tensor.Backend, in, hidden, layers, gates int, rng *rand.Rand) recurrence {
	if in < 1 || hidden < 1 || layers < 1 {
		panic(fmt.Sprintf("nn: recurrent network of input width %d, width %d, %d layers", in, hidden, layers))
	}
	r := recurrence{hidden: hidden}
	parameter := func(shape ...int) *tensor.Tensor {
		p := NewParameter(b, shape...)
		if rng != nil {
			Uniform(p, rng, 1/math.Sqrt(float64(hidden)))
		}
		return p
	}
	for range layers {
		r.WeightIH = append(r.WeightIH, parameter(gates*hidden, in))
		r.WeightHH = append(r.WeightHH, parameter(gates*hidden, hidden))
		r.BiasIH = append(r.BiasIH, parameter(gates*hidden))
		r.BiasHH = append(r.BiasHH, parameter(gates*hidden))
		in = hidden
	}
	return r
}

// Parameters implements Layer: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0,
// weight_ih_l1, ...
func (r *recurrence) Parameters(list []Parameter, prefix string) []Parameter {
	for i := range r.WeightIH {
		layer := "_l" + strconv.Itoa(i)
		list = append(list,
			Parameter{prefix + "weight_ih" + layer, r.WeightIH[i]}, Parameter{prefix + "weight_hh" + layer, r.WeightHH[i]},
			Parameter{prefix + "bias_ih" + layer, r.BiasIH[i]}, Parameter{prefix + "bias_hh" + layer, r.BiasHH[i]})
	}
	return list
}

// cell returns what a layer makes of all its inputs x [n, width] at once,
// [n, gates*hidden], and how it advances.
type cell func(tp *tensor.Tape, layer int, x *tensor.Tensor) (projected *tensor.Tensor, next step)

// step replaces the states of the step before, [documents, hidden] each, the first of
// which is the output, by those that follow from rows of what is projected.
type step func(x *tensor.Tensor, states []*tensor.Tensor)

// forward runs all layers on packed documents x [n, in]. initial has the states of
// each layer, [documents, hidden], or nil for zeros; so has final.
func (r *recurrence) forward(
	tp *tensor.Tape, x *tensor.Tensor, offsets []int32, initial [][]*tensor.Tensor, states int, layerOf cell,
) (y *tensor.Tensor, final [][]*tensor.Tensor) {
	if len(offsets) == 0 || offsets[0] != 0 || !slices.IsSorted(offsets) || int(offsets[len(offsets)-1]) != x.Dim(0) {
		panic(fmt.Sprintf("nn: offsets of a recurrent network do not rise from 0 to %d", x.Dim(0)))
	}
	if initial != nil && len(initial) != len(r.WeightIH) {
		panic(fmt.Sprintf("nn: states of %d layers for %d", len(initial), len(r.WeightIH)))
	}
	for _, layer := range initial {
		for _, state := range layer {
			if want := []int{len(offsets) - 1, r.hidden}; !slices.Equal(state.Shape(), want) {
				panic(fmt.Sprintf("nn: a state of a recurrent network is %v, want %v", state, want))
			}
		}
	}
	s := newSteps(offsets)
	order, places := tp.Ints(s.order), tp.Ints(s.places)
	y = tp.Gather(x, tp.Ints(s.rows), 1)
	for layer := range r.WeightIH {
		if layer > 0 {
			y = tp.Dropout(y, r.Dropout)
		}
		current := make([]*tensor.Tensor, states)
		for i := range current {
			if initial != nil {
				current[i] = tp.Gather(initial[layer][i], order, 1)
			} else {
				current[i] = tp.New(len(s.order), r.hidden)
				tp.Backend().Fill(current[i], 0)
			}
		}
		projected, next := layerOf(tp, layer, y)
		outputs := make([]*tensor.Tensor, 0, len(s.sizes))
		ended := make([][]*tensor.Tensor, states) // the states of the documents that ended, the shortest first
		end := func(active int) {
			if n := current[0].Dim(0); active < n {
				for i, state := range current {
					ended[i] = append(ended[i], tp.Rows(state, active, n))
					current[i] = tp.Rows(state, 0, active)
				}
			}
		}
		at := 0
		for _, active := range s.sizes {
			end(active)
			next(tp.Rows(projected, at, at+active), current)
			outputs = append(outputs, current[0])
			at += active
		}
		end(0)
		if len(outputs) > 0 {
			y = tp.Concat(0, outputs...)
		} else {
			y = tp.New(0, r.hidden)
		}
		last := make([]*tensor.Tensor, states)
		for i := range last {
			if len(ended[i]) > 0 {
				last[i] = tp.Gather(tp.Concat(0, ended[i]...), places, 1)
			} else {
				last[i] = tp.New(0, r.hidden)
			}
		}
		final = append(final, last)
	}
	return tp.Gather(y, tp.Ints(s.back), 1), final
}
