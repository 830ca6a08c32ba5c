// Package attention holds multi-head attention over packed documents: within each
// document, causal or not, token by token with a cache of keys and values, and
// from target documents to evidence documents with a relevance bias. It has rotary
// positions, grouped-query heads, sliding windows, and the blocks of Transformers.
package attention

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// MultiHead is multi-head attention (Vaswani et al. 2017): queries, keys and
// values are projected, split in Heads heads of width/Heads columns, attended
// with scores scaled by 1/sqrt(width/Heads), and projected back. Its gradient
// is computed without keeping a matrix of scores.
type MultiHead struct {
	Q, K, V, Out *nn.Linear
	Heads        int
	// KVHeads is the number of heads of keys and values: 0 or Heads, or a divisor of
	// Heads, where groups of Heads/KVHeads heads of queries share one (Ainslie et al.
	// 2023, arXiv:2305.13245).
	KVHeads int
	Dropout float32 // of the attention weights

	// Of self-attention:
	Rotary *Rotary // positions of the tokens in their documents, or nil
	Window int     // tokens see as many, up to themselves; 0: all. Causal only
}

// NewMultiHead returns attention of the given width, its projections made by
// nn.NewLinear: zeros if rng is nil.
func NewMultiHead(b tensor.Backend, width, heads int, rng *rand.Rand) *MultiHead {
	return NewGroupedQuery(b, width, heads, heads, rng)
}

// NewGroupedQuery returns attention with fewer heads of keys and values.
func NewGroupedQuery(b tensor.Backend, width, heads, kvHeads int, rng *rand.Rand) *MultiHead {
	if heads < 1 || kvHeads < 1 || heads%kvHeads != 0 || width%heads != 0 {
		panic(fmt.Sprintf("attention: width %d in %d heads, %d of keys and values", width, heads, kvHeads))
	}
	kvWidth := width / heads * kvHeads
	return &MultiHead{
		Q: nn.NewLinear(b, width, width, rng), K: nn.NewLinear(b, width, kvWidth, rng),
		V: nn.NewLinear(b, width, kvWidth, rng), Out: nn.NewLinear(b, width, width, rng),
		Heads: heads, KVHeads: kvHeads,
	}
}

// Self returns the attention of the tokens x [n, width] of packed documents,
// document i being the rows offsets[i]:offsets[i+1], each to the tokens of its
// own document, or, if causal, to those up to itself.
func (a *MultiHead) Self(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	if a.Window > 0 && !causal {
		panic("attention: a window of attention that is not causal")
	}
	rotate := a.rotation(tp, offsets, nil)
	k, v := rotate(a.K.Forward(tp, x)), a.V.Forward(tp, x)
	o := tensor.AttentionOptions{QOffsets: offsets, KOffsets: offsets, Causal: causal}
	return a.attend(tp, rotate(a.Q.Forward(tp, x)), k, v, nil, o)
}

// rotation returns what rotates queries and keys of packed documents, of which
// starts gives the positions of the first tokens, nil standing for 0.
func (a *MultiHead) rotation(tp *tensor.Tape, offsets, starts []int32) func(x *tensor.Tensor) *tensor.Tensor {
	if a.Rotary == nil {
		return func(x *tensor.Tensor) *tensor.Tensor { return x }
	}
	positions := make([]int32, 0, offsets[len(offsets)-1])
	for i := range len(offsets) - 1 {
		start := int32(0)
		if starts != nil {
			start = starts[i]
		}
		for row := offsets[i]; row < offsets[i+1]; row++ {
			positions = append(positions, start+row-offsets[i])
		}
	}
	cos, sin := a.Rotary.at(tp, positions)
	return func(x *tensor.Tensor) *tensor.Tensor { return a.Rotary.rotate(tp, x, cos, sin) }
}

// Evidence is a set of evidence documents as a cross-attention layer sees it:
// projected once for all targets, and for all steps of generation.
type Evidence struct {
	K, V    *tensor.Tensor // [tokens, width]
	Offsets []int32        // of the documents
}

// Project returns the keys and values of evidence documents z [tokens, width].
func (a *MultiHead) Project(tp *tensor.Tape, z *tensor.Tensor, offsets []int32) Evidence {
	return Evidence{K: a.K.Forward(tp, z), V: a.V.Forward(tp, z), Offsets: offsets}
}

// Cross returns the attention of target tokens x [n, width], packed by
// offsets, to all tokens of all evidence documents. bias [targets, evidence]
// is added to the scores of every head (arXiv:2006.15020, eq. 4): beta times
// the relevance, or -Inf for a document that the target must not see. A target
// that sees none gets the output of attending to zeros.
func (a *MultiHead) Cross(
	tp *tensor.Tape, x *tensor.Tensor, offsets []int32, z Evidence, bias *tensor.Tensor,
) *tensor.Tensor {
	o := tensor.AttentionOptions{QOffsets: offsets, KOffsets: z.Offsets}
	return a.attend(tp, a.Q.Forward(tp, x), z.K, z.V, bias, o)
}

// attend completes the options with what does not depend on the kind of attention.
func (a *MultiHead) attend(tp *tensor.Tape, q, k, v, bias *tensor.Tensor, o tensor.AttentionOptions) *tensor.Tensor {
	o.Heads, o.Dropout = a.Heads, a.Dropout
	o.Scale = float32(1 / math.Sqrt(float64(q.Dim(1)/a.Heads)))
	k, v = a.repeat(tp, k), a.repeat(tp, v)
	if a.Window == 0 || bias != nil || longest(&o) <= a.Window {
		return a.Out.Forward(tp, tp.Attention(q, k, v, bias, o))
	}
	return a.Out.Forward(tp, windowed(tp, q, k, v, o, a.Window))
}

// repeat returns keys or values with every head as often as heads of queries share
// it, in new memory: the kernel wants as many heads of each.
func (a *MultiHead) repeat(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	if a.KVHeads == 0 || a.KVHeads == a.Heads {
		return x
	}
	n, width, group := x.Dim(0), x.Dim(1)/a.KVHeads, a.Heads/a.KVHeads
	heads := tp.Expand(tp.Reshape(x, n, a.KVHeads, 1, width), n, a.KVHeads, group, width)
	return tp.Reshape(heads, n, a.Heads*width)
}

// longest returns the number of keys of the longest segment.
func longest(o *tensor.AttentionOptions) int {
	n := int32(0)
	for i := range len(o.KOffsets) - 1 {
		if o.KLengths != nil {
			n = max(n, o.KLengths[i])
		} else {
			n = max(n, o.KOffsets[i+1]-o.KOffsets[i])
		}
	}
	return int(n)
}

// Parameters implements nn.Layer: q_proj, k_proj, v_proj, out_proj.
func (a *MultiHead) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = a.Q.Parameters(list, prefix+"q_proj.")
	list = a.K.Parameters(list, prefix+"k_proj.")
	list = a.V.Parameters(list, prefix+"v_proj.")
	return a.Out.Parameters(list, prefix+"out_proj.")
}
