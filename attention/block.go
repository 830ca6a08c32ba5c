package attention

import (
	"math/rand/v2"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// BlockOptions describe a TransformerBlock. The zero values of all but the sizes
// give the block of GPT-2 without a mask; that of Llama has Causal, KVHeads, Rotary,
// RMSNorm, SwiGLU and NoBias.
type BlockOptions struct {
	Width, Heads, Hidden int     // of the tokens; of the attention; width of the feed-forward network
	KVHeads              int     // of keys and values, if fewer than Heads
	Causal               bool    // tokens see those up to themselves
	Window               int     // how many of these they see; 0: all
	Rotary               *Rotary // positions, or nil
	PostNorm             bool    // normalise sums (Vaswani et al. 2017), not what enters attention and network
	RMSNorm              bool    // instead of LayerNorm
	SwiGLU               bool    // instead of GELU
	NoBias               bool    // in the projections of the attention
	Dropout              float32 // of the outputs of attention and network
}

// rmsEps is added to the mean of squares in the RMSNorm of blocks.
const rmsEps = 1e-5

// TransformerBlock is a layer of a Transformer: self-attention and a feed-forward
// network, each added to its input.
type TransformerBlock struct {
	Attention    *MultiHead
	FFN          nn.Module // nn.FeedForward or nn.SwiGLU
	Norm1, Norm2 nn.Module // nn.LayerNorm or nn.RMSNorm
	PostNorm     bool
	Causal       bool
	Dropout      float32
}

// NewTransformerBlock returns a block whose projections nn.NewLinear makes: zeros
// if rng is nil.
func NewTransformerBlock(b tensor.Backend, o BlockOptions, rng *rand.Rand) *TransformerBlock {
	kvHeads := o.KVHeads
	if kvHeads == 0 {
		kvHeads = o.Heads
	}
	a := NewGroupedQuery(b, o.Width, o.Heads, kvHeads, rng)
	a.Rotary, a.Window = o.Rotary, o.Window
	if o.NoBias {
		for _, l := range []*nn.Linear{a.Q, a.K, a.V, a.Out} {
			l.Bias = nil
		}
	}
	t := &TransformerBlock{Attention: a, PostNorm: o.PostNorm, Causal: o.Causal, Dropout: o.Dropout}
	if o.SwiGLU {
		t.FFN = nn.NewSwiGLU(b, o.Width, o.Hidden, rng)
	} else {
		t.FFN = nn.NewFeedForward(b, o.Width, o.Hidden, rng)
	}
	for _, norm := range []*nn.Module{&t.Norm1, &t.Norm2} {
		if o.RMSNorm {
			*norm = nn.NewRMSNorm(b, o.Width, rmsEps)
		} else {
			*norm = nn.NewLayerNorm(b, o.Width)
		}
	}
	return t
}

// Forward returns [n, width] for the tokens x [n, width] of packed documents,
// document i being the rows offsets[i]:offsets[i+1].
func (t *TransformerBlock) Forward(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
	return t.forward(tp, x, func(x *tensor.Tensor) *tensor.Tensor { return t.Attention.Self(tp, x, offsets, t.Causal) })
}

// ForwardCached returns what a causal block makes of new tokens x [n, width] of
// the sequences in a cache, see MultiHead.SelfCached.
func (t *TransformerBlock) ForwardCached(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, c *Cache) *tensor.Tensor {
	if !t.Causal {
		panic("attention: a cache for a block that is not causal")
	}
	return t.forward(tp, x, func(x *tensor.Tensor) *tensor.Tensor { return t.Attention.SelfCached(tp, x, offsets, c) })
}

func (t *TransformerBlock) forward(
	tp *tensor.Tape, x *tensor.Tensor, attend func(x *tensor.Tensor) *tensor.Tensor,
) *tensor.Tensor {
	if t.PostNorm {
		x = t.Norm1.Forward(tp, tp.AddDropout(x, attend(x), t.Dropout))
		return t.Norm2.Forward(tp, tp.AddDropout(x, t.FFN.Forward(tp, x), t.Dropout))
	}
	x = tp.AddDropout(x, attend(t.Norm1.Forward(tp, x)), t.Dropout)
	y := tp.AddDropout(x, t.FFN.Forward(tp, t.Norm2.Forward(tp, x)), t.Dropout)
	tp.Forget(x)
	return y
}

// Parameters implements nn.Layer: norm1, self_attn, norm2, mlp.
func (t *TransformerBlock) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = t.Norm1.Parameters(list, prefix+"norm1.")
	list = t.Attention.Parameters(list, prefix+"self_attn.")
	list = t.Norm2.Parameters(list, prefix+"norm2.")
	return t.FFN.Parameters(list, prefix+"mlp.")
}
