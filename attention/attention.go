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
// is computed without keeping a matrix of scores. Where K and V are narrower than Q,
// they have fewer heads, and groups of heads of queries share one (Ainslie et al.
// 2023, arXiv:2305.13245).
type MultiHead struct {
	Q, K, V, Out *nn.Linear
	Heads        int     // of queries
	Dropout      float32 // of the attention weights

	// Of self-attention:
	Rotary *Rotary // positions of the tokens in their documents, or nil
	Window int     // tokens see as many, up to themselves; 0: all. Causal only
}

// NewMultiHead returns attention of the given width, its projections made by
// nn.NewLinear: zeros if rng is nil.
func NewMultiHead(b tensor.Backend, width, heads int, rng *rand.Rand) *MultiHead {
	return NewGroupedQuery(b, width, heads, heads, rng)
}

// NewGroupedQuery returns attention with fewer heads of keys and values, a divisor
// of heads.
func NewGroupedQuery(b tensor.Backend, width, heads, kvHeads int, rng *rand.Rand) *MultiHead {
	if heads < 1 || kvHeads < 1 || heads%kvHeads != 0 || width%heads != 0 {
		panic(fmt.Sprintf("attention: width %d in %d heads, %d of keys and values", width, heads, kvHeads))
	}
	kvWidth := width / heads * kvHeads
	return &MultiHead{
		Q: nn.NewLinear(b, width, width, rng), K: nn.NewLinear(b, width, kvWidth, rng),
		V: nn.NewLinear(b, width, kvWidth, rng), Out: nn.NewLinear(b, width, width, rng),
		Heads: heads,
	}
}

// Self returns the attention of the tokens x [n, width] of packed documents,
// document i being the rows offsets[i]:offsets[i+1], each to the tokens of its
// own document, or, if causal, to those up to itself.
func (a *MultiHead) Self(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	rotate := a.rotation(tp, offsets, nil)
	k, v := rotate(a.K.Forward(tp, x)), a.V.Forward(tp, x)
	o := tensor.AttentionOptions{QOffsets: offsets, KOffsets: offsets, Causal: causal, Window: a.Window}
	y := a.attend(tp, rotate(a.Q.Forward(tp, x)), k, v, nil, o)
	tp.Compress(k)
	tp.Compress(v)
	return y
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

// attend completes the options with what does not depend on the kind of attention. It
// takes the memory of q.
func (a *MultiHead) attend(tp *tensor.Tape, q, k, v, bias *tensor.Tensor, o tensor.AttentionOptions) *tensor.Tensor {
	o.Heads, o.Dropout = a.Heads, a.Dropout
	o.Scale = float32(1 / math.Sqrt(float64(q.Dim(1)/a.Heads)))
	heads := tp.Attention(q, k, v, bias, o)
	tp.Compress(q)
	y := a.Out.Forward(tp, heads)
	tp.Compress(heads)
	return y
}

// Parameters implements nn.Layer: q_proj, k_proj, v_proj, out_proj.
func (a *MultiHead) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = a.Q.Parameters(list, prefix+"q_proj.")
	list = a.K.Parameters(list, prefix+"k_proj.")
	list = a.V.Parameters(list, prefix+"v_proj.")
	return a.Out.Parameters(list, prefix+"out_proj.")
}
