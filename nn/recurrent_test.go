package nn

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Without initial states a network starts from zeros, and a document cut in two
// goes on from the states of its first part.
func TestRecurrentStates(t *testing.T) {
	b := tensor.NewCPU(1)
	rng := rand.New(rand.NewPCG(1, 0))
	l, g := NewLSTM(b, 3, 4, 2, rng), NewGRU(b, 3, 4, 2, rng)
	tp := tensor.NewTape(b)
	tp.Poison()
	x := tensor.New(b, tensor.Float32, 9, 3)
	Normal(x, rng, 1)
	offsets, first, second := []int32{0, 5, 9}, []int32{0, 2, 6}, []int32{0, 3, 3}
	part := func(lo, hi int) *tensor.Tensor { return tp.Rows(x, lo, hi) }
	head, tail := tp.Concat(0, part(0, 2), part(5, 9)), part(2, 5) // the second document ends with its first part

	want, _ := l.Forward(tp, x, offsets, nil)
	y1, states := l.Forward(tp, head, first, nil)
	y2, _ := l.Forward(tp, tail, second, states)
	got := tp.Concat(0, tp.Rows(y1, 0, 2), y2, tp.Rows(y1, 2, 6))
	if !slices.Equal(got.Float32s(), want.Float32s()) {
		t.Error("LSTM: other outputs in two parts")
	}
	zero := tp.Floats(make([]float32, 8), 2, 4)
	from, _ := l.Forward(tp, x, offsets, []LSTMState{{zero, zero}, {zero, zero}})
	if !slices.Equal(from.Float32s(), want.Float32s()) {
		t.Error("LSTM: other outputs from states of zeros")
	}

	want, _ = g.Forward(tp, x, offsets, nil)
	y1, hidden := g.Forward(tp, head, first, nil)
	y2, _ = g.Forward(tp, tail, second, hidden)
	got = tp.Concat(0, tp.Rows(y1, 0, 2), y2, tp.Rows(y1, 2, 6))
	if !slices.Equal(got.Float32s(), want.Float32s()) {
		t.Error("GRU: other outputs in two parts")
	}
}

func TestRecurrentOfNothing(t *testing.T) {
	b := tensor.NewCPU(1)
	l := NewLSTM(b, 3, 4, 1, nil)
	for docs := range 3 {
		tp := tensor.NewTape(b)
		y, final := l.Forward(tp, tp.New(0, 3), make([]int32, docs+1), nil)
		if y.Dim(0) != 0 || y.Dim(1) != 4 || final[0].H.Dim(0) != docs || final[0].C.Dim(0) != docs {
			t.Errorf("%d empty documents: outputs %v, states %v, %v", docs, y, final[0].H, final[0].C)
		}
	}
}

func TestRecurrentPanics(t *testing.T) {
	b := tensor.NewCPU(1)
	l := NewLSTM(b, 3, 4, 2, nil)
	tp := tensor.NewTape(b)
	x := tp.New(4, 3)
	for want, f := range map[string]func(){
		"recurrent network do not rise from 0 to 4": func() { l.Forward(tp, x, []int32{0, 3}, nil) },
		"states of 1 layers for 2":                  func() { l.Forward(tp, x, []int32{0, 4}, make([]LSTMState, 1)) },
		"state of a recurrent network is float32[1 4], want [2 4]": func() {
			s := LSTMState{tp.New(2, 4), tp.New(1, 4)}
			l.Forward(tp, x, []int32{0, 1, 4}, []LSTMState{s, s})
		},
		"input width 3, width 0, 2 layers": func() { NewGRU(b, 3, 0, 2, nil) },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q in it", got, want)
				}
			}()
			f()
		})
	}
}

// Between layers there is dropout on training tapes.
func TestRecurrentDropout(t *testing.T) {
	b := tensor.NewCPU(1)
	l := NewLSTM(b, 3, 4, 2, rand.New(rand.NewPCG(1, 0)))
	x := tensor.New(b, tensor.Float32, 5, 3)
	Constant(x, 1)
	tp := tensor.NewTape(b)
	run := func(mode tensor.Mode) []float32 {
		tp.Reset(mode, 7)
		y, _ := l.Forward(tp, x, []int32{0, 5}, nil)
		return slices.Clone(y.Float32s())
	}
	plain := run(tensor.Training)
	l.Dropout = 0.5
	if !slices.Equal(run(tensor.Inference), plain) {
		t.Error("dropout outside of training")
	}
	if slices.Equal(run(tensor.Training), plain) {
		t.Error("no dropout in training")
	}
}
