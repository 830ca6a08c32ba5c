package marge

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// Batch is a set of target documents and the evidence to reconstruct them
// from, which all targets share. Documents are token ids without <s>, </s> and
// language token.
type Batch struct {
	Evidence [][]int32 `json:"evidence"`
	Targets  [][]int32 `json:"targets"`
	// Languages has the language token of each target, the decoder's first
	// input.
	Languages []int32 `json:"languages"`
	// Own lists [target, evidence] pairs that are hidden from each other: a
	// target never sees its own copy (arXiv:2006.15020, section 2.3).
	Own [][2]int `json:"own"`

	examples []example // of a fine-tuning: what makes up each evidence document and its target
}

// Validate tells what is wrong with a batch for a model of the given size.
func (b *Batch) Validate(c *Config) error {
	if len(b.Targets) == 0 {
		return fmt.Errorf("batch: no targets")
	}
	if len(b.Languages) != len(b.Targets) {
		return fmt.Errorf("batch: %d languages for %d targets", len(b.Languages), len(b.Targets))
	}
	if err := checkDocuments(c, b.Evidence, 2); err != nil {
		return fmt.Errorf("batch: evidence %w", err)
	}
	if err := checkDocuments(c, b.Targets, 2); err != nil {
		return fmt.Errorf("batch: target %w", err)
	}
	for i, id := range b.Languages {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("batch: language token %d of target %d is outside the vocabulary of %d", id, i, c.VocabSize)
		}
	}
	for _, p := range b.Own {
		if p[0] < 0 || p[0] >= len(b.Targets) || p[1] < 0 || p[1] >= len(b.Evidence) {
			return fmt.Errorf("batch: own pair %v of %d targets and %d evidence documents", p, len(b.Targets), len(b.Evidence))
		}
	}
	return nil
}

// checkDocuments checks the ids and the lengths, with extra tokens around each
// document, against the model's size.
func checkDocuments(c *Config, docs [][]int32, extra int) error {
	for i, doc := range docs {
		if len(doc)+extra > c.MaxPositionEmbeddings {
			return fmt.Errorf("document %d: %d tokens, and %d more around them, do not fit in %d positions", i, len(doc),
				extra, c.MaxPositionEmbeddings)
		}
		for j, id := range doc {
			if id < 0 || int(id) >= c.VocabSize {
				return fmt.Errorf("document %d: token %d at %d is outside the vocabulary of %d", i, id, j, c.VocabSize)
			}
		}
	}
	return nil
}

// packed is a set of documents as the rows of one matrix.
type packed struct {
	ids, positions *tensor.Tensor
	offsets        []int32
}

// pack lays documents out one after the other, each between first(i) and
// last; a negative last is left out.
func pack(tp *tensor.Tape, docs [][]int32, first func(i int) int32, last int32) packed {
	n := 0
	for _, d := range docs {
		n += len(d) + 2
	}
	ids, positions, offsets := make([]int32, 0, n), make([]int32, 0, n), make([]int32, 1, len(docs)+1)
	for i, d := range docs {
		ids = append(append(ids, first(i)), d...)
		if last >= 0 {
			ids = append(ids, last)
		}
		for p := range int32(len(ids)) - offsets[i] {
			positions = append(positions, p)
		}
		offsets = append(offsets, int32(len(ids)))
	}
	return packed{tp.Ints(ids), tp.Ints(positions), offsets}
}

// packEncoder lays documents out as the encoder reads them: <s> tokens </s>.
func packEncoder(tp *tensor.Tape, docs [][]int32) packed {
	return pack(tp, docs, func(int) int32 { return tokenizer.BOS }, tokenizer.EOS)
}

// packDecoder lays targets out as the decoder reads them: [language] tokens.
func packDecoder(tp *tensor.Tape, b *Batch) packed {
	return pack(tp, b.Targets, func(i int) int32 { return b.Languages[i] }, -1)
}

// embeddingScale is what token embeddings are multiplied by.
func (m *Model) embeddingScale() float32 {
	if m.Config.UnscaledEmbeddings {
		return 1
	}
	return float32(math.Sqrt(float64(m.Config.DModel)))
}

// embed returns the first layer's input, [tokens, d].
func (m *Model) embed(tp *tensor.Tape, e *embedder, p packed) *tensor.Tensor {
	x := m.shared.Forward(tp, p.ids, m.embeddingScale())
	x = tp.AddGather(x, e.positions.Weight, p.positions, 1)
	return tp.Dropout(e.norm.Forward(tp, x), m.Config.Dropout)
}

// retrieval runs the encoder's first layers on packed documents. It returns
// their output [tokens, d] and g [documents, width of g]: the normalised
// representation of each document's <s> (section 2.2), or what else
// Config.RetrievalPooling says.
func (m *Model) retrieval(tp *tensor.Tape, docs packed) (x, g *tensor.Tensor) {
	x = m.embed(tp, &m.encoder.embedder, docs)
	x = through(tp, m.encoder.layers[:m.Config.RetrievalLayers], x, docs.offsets, false)
	var pooled *tensor.Tensor
	switch m.Config.RetrievalPooling {
	case PoolMean:
		pooled = tp.SegmentMean(x, docs.offsets)
	case PoolMax:
		pooled = tp.LinearMax(x, m.encoder.retrievalWeight, docs.offsets)
	default:
		pooled = tp.Gather(x, tp.Ints(docs.offsets[:len(docs.offsets)-1]), 1)
	}
	return x, tp.Normalize(m.encoder.retrievalNorm.Forward(tp, pooled))
}

// encode takes the output of retrieval through the rest of the encoder.
func (m *Model) encode(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
	x = through(tp, m.encoder.layers[m.Config.RetrievalLayers:], x, offsets, false)
	return m.encoder.norm.Forward(tp, x)
}

// read returns the encoder's output for packed documents, [tokens, d].
func (m *Model) read(tp *tensor.Tape, docs packed) *tensor.Tensor {
	x := through(tp, m.encoder.layers, m.embed(tp, &m.encoder.embedder, docs), docs.offsets, false)
	return m.encoder.norm.Forward(tp, x)
}

// through takes x through layers, and takes the memory of what enters them.
func through(tp *tensor.Tape, layers []*encoderLayer, x *tensor.Tensor, offsets []int32, causal bool) *tensor.Tensor {
	for _, l := range layers {
		y := l.forward(tp, x, offsets, causal)
		tp.Forget(x)
		x = y
	}
	return x
}

// project returns the evidence as each decoder layer sees it.
func (m *Model) project(tp *tensor.Tape, z *tensor.Tensor, offsets []int32) []attention.Evidence {
	layers := make([]attention.Evidence, len(m.decoder.layers))
	for i, l := range m.decoder.layers {
		layers[i] = l.cross.Project(tp, z, offsets)
	}
	return layers
}

// decode returns the decoder's last hidden states [tokens, d] for packed
// inputs that start with a language token. bias [documents, evidence] is
// added to the attention scores. attended, if not nil, is told of the attention
// of every layer. The memory of the evidence is taken: nothing can read it afterwards.
func (m *Model) decode(tp *tensor.Tape, in packed, z []attention.Evidence, bias *tensor.Tensor,
	attended *attendedSums) *tensor.Tensor {
	x := through(tp, m.decoder.base, m.embed(tp, &m.decoder.embedder, in), in.offsets, true)
	for i, l := range m.decoder.layers {
		y := l.forward(tp, x, in.offsets, z[i], bias, attended)
		tp.Forget(x)
		x = y
	}
	return m.decoder.norm.Forward(tp, x)
}

// Forward is the outcome of a batch on a tape.
type Forward struct {
	Loss      *tensor.Tensor // [1]: scale times the sum of NLL
	NLL       *tensor.Tensor // [predicted tokens]: negative log-likelihoods, in nats
	Relevance *tensor.Tensor // [targets, evidence]: f, or nil without evidence
	Offsets   []int32        // of the targets' predicted tokens
}

// Forward reconstructs the targets of a valid batch from its evidence on a
// tape (eq. 1 to 4). The loss is scale times the sum over all predicted
// tokens, those of the targets and an </s> after each; scale 0 stands for the
// mean.
func (m *Model) Forward(tp *tensor.Tape, b *Batch, scale float32) Forward {
	return m.forward(tp, b, forwardOptions{scale: scale})
}

// forwardOptions say what Forward does besides.
type forwardOptions struct {
	scale           float32       // of the loss; 0 stands for the mean
	detachRelevance bool          // keep the gradient of the relevance from g
	attended        *attendedSums // adds up how targets attend to evidence, if not nil
}

func (m *Model) forward(tp *tensor.Tape, b *Batch, o forwardOptions) Forward {
	f, bias, z := m.evidence(tp, b, o.detachRelevance)
	in := packDecoder(tp, b)
	wanted := wantedTokens(b)
	if o.scale == 0 {
		o.scale = 1 / float32(len(wanted))
	}
	hidden := m.decode(tp, in, z, bias, o.attended)
	loss, nll := m.crossEntropy(tp, hidden, wanted, 0, o.scale)
	return Forward{Loss: loss, NLL: nll, Relevance: f, Offsets: in.offsets}
}

// logits returns the logits of the next token for the decoder's last hidden
// states [n, d]: [n, vocabulary].
func (m *Model) logits(tp *tensor.Tape, hidden *tensor.Tensor) *tensor.Tensor {
	logits := tp.MatMul(hidden, m.shared.Weight, true)
	if m.logitsBias != nil {
		logits = tp.Add(logits, m.logitsBias)
	}
	return logits
}

// crossEntropy is [tensor.Tape.CrossEntropy] of the logits for the tokens wanted. A
// bias is the weight of one more feature, which is 1 everywhere: that takes a copy
// of the table, which models without a bias do without.
func (m *Model) crossEntropy(
	tp *tensor.Tape, hidden *tensor.Tensor, wanted []int32, smoothing, scale float32,
) (loss, nll *tensor.Tensor) {
	table := m.shared.Weight
	switch {
	case m.logitsBias != nil && m.Config.Quantization != "": // all logits at once, int8 matrices take no columns
		o := tensor.CrossEntropyOptions{Reduction: tensor.ReductionNone, Smoothing: smoothing}
		nll = tp.CrossEntropyLoss(m.logits(tp, hidden), tp.Ints(wanted), o)
		return tp.Reshape(tp.Scale(scale, tp.Sum(nll, false)), 1), nll
	case m.logitsBias != nil:
		one := tp.New(hidden.Dim(0), 1)
		m.backend.Fill(one, 1)
		hidden = tp.Concat(1, hidden, one)
		table = tp.Concat(1, table, tp.Unsqueeze(m.logitsBias, 1))
	}
	return tp.CrossEntropy(hidden, table, tp.Ints(wanted), smoothing, scale)
}

// wantedTokens returns what the decoder is to predict: the targets' tokens, and an
// </s> after each.
func wantedTokens(b *Batch) (wanted []int32) {
	for _, t := range b.Targets {
		wanted = append(append(wanted, t...), tokenizer.EOS)
	}
	return wanted
}

// evidence returns the evidence of a batch as each decoder layer sees it, the
// relevance f of each document for each target, nil without evidence, and the
// bias that it adds to the attention scores, both [targets, evidence]. If
// detach is set, the bias has no gradient by f.
func (m *Model) evidence(tp *tensor.Tape, b *Batch, detach bool) (f, bias *tensor.Tensor, z []attention.Evidence) {
	n := len(b.Evidence)
	if n == 0 {
		z, bias = m.noEvidence(tp, len(b.Targets))
		return nil, bias, z
	}
	docs := packEncoder(tp, append(b.Evidence[:n:n], b.Targets...))
	x, g := m.retrieval(tp, docs)
	f = tp.MatMul(tp.Rows(g, n, n+len(b.Targets)), tp.Rows(g, 0, n), true)
	seen := f
	if detach {
		seen = tp.Detach(f)
	}
	bias = tp.Add(tp.MulScalar(seen, m.beta), m.mask(tp, b))
	offsets := docs.offsets[:n+1]
	return f, bias, m.project(tp, m.encode(tp, tp.Rows(x, 0, int(offsets[n])), offsets), offsets)
}

// mask returns [targets, evidence]: -Inf for own pairs, else 0.
func (m *Model) mask(tp *tensor.Tape, b *Batch) *tensor.Tensor {
	mask := make([]float32, len(b.Targets)*len(b.Evidence))
	for _, p := range b.Own {
		mask[p[0]*len(b.Evidence)+p[1]] = float32(math.Inf(-1))
	}
	return tp.Floats(mask, len(b.Targets), len(b.Evidence))
}

// noEvidence stands for evidence and bias where there is none: the
// cross-attention of every layer is zero.
func (m *Model) noEvidence(tp *tensor.Tape, targets int) ([]attention.Evidence, *tensor.Tensor) {
	none := tp.New(0, m.Config.DModel)
	z := make([]attention.Evidence, len(m.decoder.layers))
	for i := range z {
		z[i] = attention.Evidence{K: none, V: none, Offsets: []int32{0}}
	}
	return z, tp.New(targets, 0)
}

// tape returns an inference tape of the model's backend, from those not in
// use.
func (m *Model) tape() *tensor.Tape {
	tp, _ := m.tapes.Get().(*tensor.Tape)
	if tp == nil {
		tp = tensor.NewTape(m.backend)
	}
	tp.Reset(tensor.Inference, 0)
	return tp
}

// Loss returns the mean negative log-likelihood per predicted token, in nats,
// of every target of a batch. It is an error if one is not finite.
func (m *Model) Loss(b *Batch) (losses []float64, err error) {
	if err := b.Validate(&m.Config); err != nil {
		return nil, err
	}
	defer tensor.Recover(&err)
	tp := m.tape()
	defer m.tapes.Put(tp)
	out := m.Forward(tp, b, 0)
	nll := make([]float32, out.NLL.Len())
	out.NLL.CopyTo(nll)
	losses = make([]float64, len(b.Targets))
	for i := range losses {
		lo, hi := out.Offsets[i], out.Offsets[i+1]
		for _, l := range nll[lo:hi] {
			losses[i] += float64(l)
		}
		losses[i] /= float64(hi - lo)
		if !finite(losses[i]) {
			return nil, fmt.Errorf("loss: that of target %d is %v: a weight of the model is not finite, or the scores "+
				"overflow", i, losses[i])
		}
	}
	return losses, nil
}
