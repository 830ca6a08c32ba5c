package tensor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

func TestAttentionRowsPanics(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	tp := tensor.NewTape(b)
	q, k := tensor.New(b, tensor.Float32, 2, 8), tensor.New(b, tensor.Float32, 5, 4)
	attend := func(change func(o *tensor.AttentionRowsOptions)) func() {
		return func() {
			o := tensor.AttentionRowsOptions{
				Heads: 4, KVHeads: 2, Rows: []int32{0, 4}, Offsets: []int32{0, 1, 2}, Seen: []int32{0, 1, 0, 2},
			}
			change(&o)
			tp.AttentionRows(q, k, k, true, o)
		}
	}
	for want, f := range map[string]func(){
		"width 8 in 3 heads":                    attend(func(o *tensor.AttentionRowsOptions) { o.Heads = 3 }),
		"width 8 in 4 heads, 3 of keys":         attend(func(o *tensor.AttentionRowsOptions) { o.KVHeads = 3 }),
		"k is float32[5 4], want float32[-1 8]": attend(func(o *tensor.AttentionRowsOptions) { o.KVHeads = 4 }),
		"row 5 of 5 keys":                       attend(func(o *tensor.AttentionRowsOptions) { o.Rows[1] = 5 }),
		"row -1 of 5 keys":                      attend(func(o *tensor.AttentionRowsOptions) { o.Rows[1] = -1 }),
		"offsets do not rise from 0 to 2":       attend(func(o *tensor.AttentionRowsOptions) { o.Offsets[2] = 1 }),
		"bias of 1 segments for 2": attend(func(o *tensor.AttentionRowsOptions) {
			o.Bias = make([]float32, 1)
		}),
		"2 bounds of segments for 2 queries":    attend(func(o *tensor.AttentionRowsOptions) { o.Seen = o.Seen[:2] }),
		"query 1 sees the segments 0 to 3 of 2": attend(func(o *tensor.AttentionRowsOptions) { o.Seen[3] = 3 }),
		"query 0 sees the segments 1 to 0 of 2": attend(func(o *tensor.AttentionRowsOptions) {
			o.Seen[0], o.Seen[1] = 1, 0
		}),
		"attentionrows: on a tape that records":   func() { recordAttentionRows(b) },
		"v is float32[4 4], want float32[5 4]":    func() { attendRowsOf(tp, q, k, tensor.New(b, tensor.Float32, 4, 4)) },
		"query 1 sees the segments -1 to 2 of 2":  attend(func(o *tensor.AttentionRowsOptions) { o.Seen[2] = -1 }),
		"attentionrows: width 8 in 0 heads, 2 of": attend(func(o *tensor.AttentionRowsOptions) { o.Heads = 0 }),
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) {
					t.Errorf("panicked with %q, want %q in it", msg, want)
				}
			}()
			f()
		}()
	}
}

func recordAttentionRows(b tensor.Backend) {
	tp := tensor.NewTape(b)
	tp.Reset(tensor.Gradient, 0)
	q := nn.NewParameter(b, 2, 8)
	attendRowsOf(tp, q, q, q)
}

func attendRowsOf(tp *tensor.Tape, q, k, v *tensor.Tensor) {
	heads := q.Dim(1) / 2
	tp.AttentionRows(q, k, v, false, tensor.AttentionRowsOptions{
		Heads: heads, KVHeads: k.Dim(1) / 2, Rows: []int32{0}, Offsets: []int32{0, 1}, Seen: []int32{0, 1, 0, 1},
	})
}

// On a tape of the mode Generation layers give a row the same bits alone as among
// others; the kernels for few rows round otherwise on other tapes.
func TestGenerationIsRowwise(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	ffn := nn.NewFeedForward(b, 256, 300, rand.New(rand.NewPCG(1, 2)))
	x := tensor.New(b, tensor.Float32, 30, 256)
	nn.Normal(x, rand.New(rand.NewPCG(3, 4)), 1)
	tp := tensor.NewTape(b)
	first := func(mode tensor.Mode, rows int) []float32 {
		tp.Reset(mode, 0)
		y := make([]float32, 256)
		tp.Rows(ffn.Forward(tp, tp.Rows(x, 0, rows)), 0, 1).CopyTo(y)
		return y
	}
	if !slices.Equal(first(tensor.Generation, 1), first(tensor.Generation, 30)) {
		t.Error("a row has other bits among 30")
	}
	// The portable kernel adds up rows alike, however many there are.
	if asm.Current() != asm.Generic && slices.Equal(first(tensor.Inference, 1), first(tensor.Inference, 30)) {
		t.Error("a row has the same bits among 30 on any tape: the test is of no use")
	}
}
