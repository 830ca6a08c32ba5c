// Package attention holds multi-head attention over packed documents: within
// each document, causal or not, token by token with a cache of keys and values,
// and from target documents to evidence documents with a relevance bias.
package attention

import (
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
	Dropout      float32 // of the attention weights
}

// NewMultiHead returns attention of the given width, its projections made by
// nn.NewLinear: zeros if rng is nil.
func NewMultiHead(b tensor.Backend, width, heads int, rng *rand.Rand) *MultiHead {
	return &MultiHead{
		Q: nn.NewLinear(b, width, width, rng), K: nn.NewLinear(b, width, width, rng),
		V: nn.NewLinear(b, width, width, rng), Out: nn.NewLinear(b, width, width, rng),
		Heads: heads,
	}
}

// Self returns the attention of the tokens x [n, width] of packed documents,
// document i being the rows offsets[i]:offsets[i+1], each to the tokens of its
// own document, or, if causal, to those up to itself.
func (a *MultiHead) Self(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	o := tensor.AttentionOptions{QOffsets: offsets, KOffsets: offsets, Causal: causal}
	return a.attend(tp, x, a.K.Forward(tp, x), a.V.Forward(tp, x), nil, o)
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
	return a.attend(tp, x, z.K, z.V, bias, tensor.AttentionOptions{QOffsets: offsets, KOffsets: z.Offsets})
}

// attend completes the options with what does not depend on the kind of attention.
func (a *MultiHead) attend(tp *tensor.Tape, x, k, v, bias *tensor.Tensor, o tensor.AttentionOptions) *tensor.Tensor {
	q := a.Q.Forward(tp, x)
	o.Heads, o.Dropout = a.Heads, a.Dropout
	o.Scale = float32(1 / math.Sqrt(float64(q.Dim(1)/a.Heads)))
	return a.Out.Forward(tp, tp.Attention(q, k, v, bias, o))
}

// Parameters implements nn.Layer: q_proj, k_proj, v_proj, out_proj.
func (a *MultiHead) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = a.Q.Parameters(list, prefix+"q_proj.")
	list = a.K.Parameters(list, prefix+"k_proj.")
	list = a.V.Parameters(list, prefix+"v_proj.")
	return a.Out.Parameters(list, prefix+"out_proj.")
}
