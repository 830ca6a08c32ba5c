package attention

import (
	"math"

	"github.com/marge-go/marge/tensor"
)

// masked is the scores times scale where lo < key <= hi, else -Inf: of the scores,
// the positions hi and lo of each query, those of the keys, and the scale.
var masked = tensor.NewExpr("attention window", 5, func(in []tensor.Value) tensor.Value {
	hidden := tensor.Const(float32(math.Inf(-1)))
	return in[1].Less(in[3]).Where(hidden, in[2].Less(in[3]).Where(in[0].Mul(in[4]), hidden))
})

// windowBlock is the least number of queries whose scores are one matrix.
const windowBlock = 64

// windowed is causal attention by the options o, in which each query sees the last
// window keys up to its own. The kernel of tensor.Attention has no window, so the
// scores are matrix products, block by block of queries: for n tokens it takes time
// and, on a recording tape, memory for about 2*n*window numbers a head. Single
// queries, as in generation, take the kernel.
func windowed(tp *tensor.Tape, q, k, v *tensor.Tensor, o tensor.AttentionOptions, window int) *tensor.Tensor {
	if single(o.QOffsets) {
		return tp.Attention(q, k, v, nil, lastKeys(o, window))
	}
	var blocks []*tensor.Tensor
	size := max(window, windowBlock)
	scale := tp.Floats([]float32{o.Scale}, 1)
	for i := range len(o.QOffsets) - 1 {
		lo, hi := int(o.QOffsets[i]), int(o.QOffsets[i+1])
		base := int(o.KOffsets[i])
		keys := int(o.KOffsets[i+1]) - base
		if o.KLengths != nil {
			keys = int(o.KLengths[i])
		}
		past := keys - (hi - lo) // the position of the first query
		for from := lo; from < hi; from += size {
			to := min(from+size, hi)
			first, last := max(0, past+from-lo-window+1), past+to-lo
			seen, hidden, positions := make([]float32, to-from), make([]float32, to-from), make([]float32, last-first)
			for j := range seen {
				seen[j] = float32(past + from - lo + j)
				hidden[j] = seen[j] - float32(window)
			}
			for j := range positions {
				positions[j] = float32(first + j)
			}
			block := blockOf{
				q: tp.Rows(q, from, to), k: tp.Rows(k, base+first, base+last), v: tp.Rows(v, base+first, base+last),
				seen: tp.Floats(seen, to-from, 1), hidden: tp.Floats(hidden, to-from, 1),
				positions: tp.Floats(positions, 1, last-first), scale: scale,
			}
			blocks = append(blocks, block.attend(tp, &o))
		}
	}
	if len(blocks) == 0 {
		return tp.New(q.Shape()...)
	}
	return tp.Concat(0, blocks...)
}

// single reports whether no segment has more than one row.
func single(offsets []int32) bool {
	for i := range len(offsets) - 1 {
		if offsets[i+1]-offsets[i] > 1 {
			return false
		}
	}
	return true
}

// lastKeys returns the options of attention to the last window keys of each
// segment: the keys before them become a segment without queries.
func lastKeys(o tensor.AttentionOptions, window int) tensor.AttentionOptions {
	split := o
	split.QOffsets, split.KOffsets, split.KLengths = []int32{0}, []int32{0}, nil
	for i := range len(o.QOffsets) - 1 {
		lo, hi := o.KOffsets[i], o.KOffsets[i+1]
		keys := hi - lo
		if o.KLengths != nil {
			keys = o.KLengths[i]
		}
		hidden := max(0, keys-int32(window))
		split.QOffsets = append(split.QOffsets, o.QOffsets[i], o.QOffsets[i+1])
		split.KOffsets = append(split.KOffsets, lo+hidden, hi)
		split.KLengths = append(split.KLengths, hidden, keys-hidden)
	}
	return split
}

// blockOf is a block of queries, and the keys and values that they may see.
type blockOf struct{ q, k, v, seen, hidden, positions, scale *tensor.Tensor }

func (b *blockOf) attend(tp *tensor.Tape, o *tensor.AttentionOptions) *tensor.Tensor {
	n, d := b.q.Dim(0), b.q.Dim(1)
	heads := func(x *tensor.Tensor) *tensor.Tensor { // [heads, rows, width of a head]
		return tp.Transpose(tp.Reshape(x, x.Dim(0), o.Heads, d/o.Heads), 0, 1)
	}
	scores := tp.Map(masked, tp.MatMul(heads(b.q), heads(b.k), true), b.seen, b.hidden, b.positions, b.scale)
	weights := tp.Dropout(tp.Softmax(scores, -1), o.Dropout)
	return tp.Reshape(tp.Transpose(tp.MatMul(weights, heads(b.v), false), 0, 1), n, d)
}
