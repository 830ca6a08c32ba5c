// Package marge is MARGE, a Multilingual Autoencoder that Retrieves and
// Generates (Lewis et al., "Pre-training via Paraphrasing",
// arXiv:2006.15020): a model that retrieves documents related to a target
// document, in any language, and reconstructs the target from them. The
// relevance of a retrieved document biases the attention of the decoder, so
// that learning to reconstruct is learning to retrieve.
//
// [New] makes a model with random weights, [Pretrain] trains it, [FineTune]
// trains it for a task, [Load] reads one back. [Model.Retrieve],
// [Model.Generate], [Model.Classify] and [Model.Answer] use it.
package marge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// initialBeta is beta before training. At zero the relevance would get no
// gradient in the first update.
const initialBeta = 6

// Model is a MARGE model. Several goroutines may use one at the same time,
// except while it is trained.
type Model struct {
	Config Config
	// Tokenizer turns text into ids. It may be nil where documents are given
	// as ids.
	Tokenizer tokenizer.Tokenizer

	backend tensor.Backend
	shared  *nn.Embedding // tied to the output projection
	encoder encoder
	decoder decoder
	// logitsBias [vocab_size] is added to the logits, or is nil.
	logitsBias *tensor.Tensor
	beta       *tensor.Tensor // [1]
	heads      heads
	params     []nn.Parameter
	tapes      sync.Pool // of inference tapes not in use
	// revision is how often training has changed the parameters.
	revision atomic.Uint64
}

// embedder turns token ids into the input of the first layer:
// LayerNorm(sqrt(d)*token + position), as in mBART, see Config.UnscaledEmbeddings.
type embedder struct {
	positions *nn.Embedding
	norm      *nn.LayerNorm
}

type encoder struct {
	embedder
	layers []*encoderLayer
	norm   *nn.LayerNorm // after the last layer
	// retrievalWeight [retrieval_dim, d_model] has the functions of a token that
	// g takes the maximum of, or is nil.
	retrievalWeight *tensor.Tensor
	retrievalNorm   *nn.LayerNorm // ends g
}

type decoder struct {
	embedder
	base   []*encoderLayer // without cross-attention
	layers []*decoderLayer
	norm   *nn.LayerNorm
}

// The standard deviation of random matrices, as in BERT and BART, and the
// multiples of the identity that attention starts with where New says so.
const (
	initStd  = 0.02
	copyGain = 2
	bagGain  = 4
)

// New returns a model with random weights. Token embeddings and the features
// that g takes maxima of are normal with standard deviation d_model^-0.5, all
// other matrices with 0.02; biases are zero.
//
// In cross-attention the identity is added to v_proj and twice the identity to
// out_proj. So what the decoder attends to comes out as the tokens of the
// evidence, and the tied output projection makes these tokens more likely: the
// decoder has a use for relevant evidence from the first update on. With random
// matrices alone it first learns to ignore evidence, and meanwhile g loses what
// it knows of documents. If g is taken from the first token, v_proj and out_proj
// of the first encoder layer get identities too, so <s> starts as a mixture of
// all tokens; with small random matrices alone it would be nearly the same for
// all documents.
//
// The same configuration and seed give the same weights everywhere.
func New(c Config) (m *Model, err error) {
	defer tensor.Recover(&err)
	if c.Quantization != "" {
		return nil, fmt.Errorf("config: quantization is %q: New makes float32 models, see Model.Quantize", c.Quantization)
	}
	m, err = build(c)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	for _, p := range m.params {
		switch {
		case p.Tensor == m.shared.Weight, p.Tensor == m.encoder.retrievalWeight:
			nn.Normal(p.Tensor, rng, math.Pow(float64(c.DModel), -0.5))
		case len(p.Shape()) == 2:
			nn.Normal(p.Tensor, rng, initStd)
		}
	}
	for _, l := range m.decoder.layers {
		nn.AddIdentity(l.cross.V.Weight, 1)
		nn.AddIdentity(l.cross.Out.Weight, copyGain)
	}
	if c.RetrievalPooling == PoolFirst || c.RetrievalPooling == "" {
		attn := m.encoder.layers[0].attn
		nn.AddIdentity(attn.V.Weight, bagGain)
		nn.AddIdentity(attn.Out.Weight, 1)
	}
	nn.Constant(m.beta, initialBeta)
	return m, nil
}

// build returns a model whose weights are all zero but for the LayerNorms.
func build(c Config) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b := c.Backend
	if b == nil {
		var err error
		if b, err = tensor.Open("cpu"); err != nil {
			return nil, err
		}
		c.Backend = b
	}
	m := &Model{Config: c, backend: b, shared: nn.NewEmbedding(b, c.VocabSize, c.DModel, nil), beta: nn.NewParameter(b, 1)}
	if c.LogitsBias {
		m.logitsBias = nn.NewParameter(b, c.VocabSize)
	}
	newEmbedder := func() embedder {
		return embedder{nn.NewEmbedding(b, c.MaxPositionEmbeddings, c.DModel, nil), nn.NewLayerNorm(b, c.DModel)}
	}
	m.encoder = encoder{embedder: newEmbedder(), norm: nn.NewLayerNorm(b, c.DModel),
		retrievalNorm: nn.NewLayerNorm(b, c.EmbeddingDim())}
	if c.RetrievalPooling == PoolMax {
		m.encoder.retrievalWeight = nn.NewParameter(b, c.RetrievalDim, c.DModel)
	}
	for range c.EncoderLayers {
		m.encoder.layers = append(m.encoder.layers, newEncoderLayer(&c, c.EncoderFFNDim, c.EncoderAttentionHeads))
	}
	m.decoder = decoder{embedder: newEmbedder(), norm: nn.NewLayerNorm(b, c.DModel)}
	for range c.DecoderBaseLayers {
		m.decoder.base = append(m.decoder.base, newEncoderLayer(&c, c.DecoderBaseFFNDim, c.DecoderAttentionHeads))
	}
	for range c.DecoderLayers {
		m.decoder.layers = append(m.decoder.layers, newDecoderLayer(&c))
	}
	m.heads = newHeads(b, &c)
	m.params = m.parameters()
	return m, nil
}

// parameters lists the parameters under the names that they have in
// checkpoints.
func (m *Model) parameters() []nn.Parameter {
	list := m.shared.Parameters(nil, "shared.")
	if m.logitsBias != nil {
		list = append(list, nn.Parameter{Name: "final_logits_bias", Tensor: m.logitsBias})
	}
	list = m.encoder.parameters(list, "encoder.")
	list = m.encoder.norm.Parameters(list, "encoder.layer_norm.")
	list = m.encoder.pooling(list)
	for i, l := range m.encoder.layers {
		list = l.Parameters(list, fmt.Sprintf("encoder.layers.%d.", i))
	}
	list = m.decoder.parameters(list, "decoder.")
	list = m.decoder.norm.Parameters(list, "decoder.layer_norm.")
	for i, l := range m.decoder.base {
		list = l.Parameters(list, fmt.Sprintf("decoder.base_layers.%d.", i))
	}
	for i, l := range m.decoder.layers {
		list = l.Parameters(list, fmt.Sprintf("decoder.layers.%d.", i))
	}
	return m.heads.parameters(append(list, nn.Parameter{Name: "beta", Tensor: m.beta}))
}

// retrievalParameters lists the parameters of g but for the token embeddings,
// which are the decoder's too.
func (m *Model) retrievalParameters() []nn.Parameter {
	list := m.encoder.parameters(nil, "encoder.")
	list = m.encoder.pooling(list)
	for i, l := range m.encoder.layers[:m.Config.RetrievalLayers] {
		list = l.Parameters(list, fmt.Sprintf("encoder.layers.%d.", i))
	}
	return list
}

// pooling lists the parameters of g after its layers.
func (e *encoder) pooling(list []nn.Parameter) []nn.Parameter {
	if e.retrievalWeight != nil {
		list = append(list, nn.Parameter{Name: "encoder.retrieval_proj.weight", Tensor: e.retrievalWeight})
	}
	return e.retrievalNorm.Parameters(list, "encoder.retrieval_layer_norm.")
}

func (e *embedder) parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	return e.norm.Parameters(e.positions.Parameters(list, prefix+"embed_positions."), prefix+"layernorm_embedding.")
}

// Parameters returns the model's parameters in a fixed order.
func (m *Model) Parameters() []nn.Parameter { return m.params }

// Backend returns where the model computes.
func (m *Model) Backend() tensor.Backend { return m.backend }

// Beta returns the factor of the relevance in cross-attention (eq. 4).
func (m *Model) Beta() float32 { return m.beta.Item() }

// SetBeta sets beta, which multiplies the relevance in the attention (eq. 4).
func (m *Model) SetBeta(beta float32) { nn.Constant(m.beta, beta) }

// encoderLayer is a pre-norm Transformer block:
//
//	x += SelfAttention(LayerNorm(x))
//	x += FeedForward(LayerNorm(x))
type encoderLayer struct {
	attn     *attention.MultiHead
	attnNorm *nn.LayerNorm
	ffn      *nn.FeedForward
	ffnNorm  *nn.LayerNorm
	dropout  float32
}

func newEncoderLayer(c *Config, ffn, heads int) *encoderLayer {
	l := &encoderLayer{
		attn: attention.NewMultiHead(c.Backend, c.DModel, heads, nil), attnNorm: nn.NewLayerNorm(c.Backend, c.DModel),
		ffn: nn.NewFeedForward(c.Backend, c.DModel, ffn, nil), ffnNorm: nn.NewLayerNorm(c.Backend, c.DModel),
		dropout: c.Dropout,
	}
	l.attn.Dropout = c.AttentionDropout
	return l
}

func (l *encoderLayer) forward(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	return l.feedForward(tp, l.selfAttend(tp, x, offsets, causal))
}

func (l *encoderLayer) selfAttend(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	h := l.attnNorm.Forward(tp, x)
	y := l.attn.Self(tp, h, offsets, causal)
	tp.Recompute(h)
	return tp.AddDropout(x, y, l.dropout)
}

// feedForward takes the memory of x.
func (l *encoderLayer) feedForward(tp *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	h := l.ffnNorm.Forward(tp, x)
	y := l.ffn.Forward(tp, h)
	tp.Recompute(h)
	return addTo(tp, x, y, l.dropout)
}

// addTo returns x plus y after dropout, and takes the memory of both.
func addTo(tp *tensor.Tape, x, y *tensor.Tensor, dropout float32) *tensor.Tensor {
	sum := tp.AddDropout(x, y, dropout)
	tp.Forget(x)
	return sum
}

// Parameters implements nn.Layer.
func (l *encoderLayer) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = l.attn.Parameters(list, prefix+"self_attn.")
	list = l.attnNorm.Parameters(list, prefix+"self_attn_layer_norm.")
	list = l.ffn.Parameters(list, prefix)
	return l.ffnNorm.Parameters(list, prefix+"final_layer_norm.")
}

// decoderLayer is a block with attention to the evidence between
// self-attention and feed-forward.
type decoderLayer struct {
	encoderLayer
	cross     *attention.MultiHead
	crossNorm *nn.LayerNorm
}

func newDecoderLayer(c *Config) *decoderLayer {
	l := &decoderLayer{
		encoderLayer: *newEncoderLayer(c, c.DecoderFFNDim, c.DecoderAttentionHeads),
		cross:        attention.NewMultiHead(c.Backend, c.DModel, c.DecoderAttentionHeads, nil),
		crossNorm:    nn.NewLayerNorm(c.Backend, c.DModel),
	}
	l.cross.Dropout = c.AttentionDropout
	return l
}

func (l *decoderLayer) forward(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, z attention.Evidence,
	bias *tensor.Tensor, attended *attendedSums) *tensor.Tensor {
	x = l.selfAttend(tp, x, offsets, true)
	if attended != nil {
		attended.add(l, x, offsets, z, bias)
	}
	return l.feedForward(tp, l.crossAttend(tp, x, offsets, z, bias))
}

// crossAttend takes the memory of x and of the evidence.
func (l *decoderLayer) crossAttend(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, z attention.Evidence,
	bias *tensor.Tensor) *tensor.Tensor {
	h := l.crossNorm.Forward(tp, x)
	y := l.cross.Cross(tp, h, offsets, z, bias)
	tp.Recompute(h)
	tp.Compress(z.K)
	tp.Compress(z.V)
	return addTo(tp, x, y, l.dropout)
}

// Parameters implements nn.Layer.
func (l *decoderLayer) Parameters(list []nn.Parameter, prefix string) []nn.Parameter {
	list = l.encoderLayer.Parameters(list, prefix)
	list = l.cross.Parameters(list, prefix+"encoder_attn.")
	return l.crossNorm.Parameters(list, prefix+"encoder_attn_layer_norm.")
}
