package probe

import (
	"context"
	"fmt"
	"slices"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/vectors"
)

// Document is a document that the training does not see, of the length of a
// chunk.
type Document struct {
	ID, Lang string
	Group    string  // equal in translations of each other; "" has none
	Tokens   []int32 // without <s> and </s>
}

// HeldoutOptions say how much is measured. 0 stands for what is in brackets.
type HeldoutOptions struct {
	Seed uint64 // of the choice of targets and random evidence
	// Evidence is how many documents a target is reconstructed from (4).
	Evidence int
	// LossTargets, AttentionTargets and RelevanceTargets bound the documents
	// that the loss (60), the attention (16) and the histograms of relevance
	// (500) are measured on.
	LossTargets, AttentionTargets, RelevanceTargets int
	// OnProgress, if not nil, is called during a measurement, first with 0 done.
	OnProgress func(done, total int)
}

// Heldout measures a model on documents that it is not trained on. All that is
// random is the same in every measurement.
type Heldout struct {
	o       HeldoutOptions
	docs    []Document
	tokens  [][]int32
	meta    []eval.Doc
	langs   []string
	targets []int // documents that have a translation, shuffled

	done, total int // of a measurement: targets of the loss, then of attention
}

// NewHeldout returns a measurement on documents, which it does not copy.
func NewHeldout(docs []Document, o HeldoutOptions) *Heldout {
	for _, field := range []struct {
		value    *int
		standard int
	}{{&o.Evidence, 4}, {&o.LossTargets, 60}, {&o.AttentionTargets, 16}, {&o.RelevanceTargets, 500}} {
		if *field.value == 0 {
			*field.value = field.standard
		}
	}
	h := &Heldout{o: o, docs: docs}
	for _, d := range docs {
		h.tokens, h.langs = append(h.tokens, d.Tokens), append(h.langs, d.Lang)
		h.meta = append(h.meta, eval.Doc{Lang: d.Lang, Group: d.Group})
	}
	h.targets = eval.Targets(h.meta, 0, o.Seed)
	return h
}

// Check returns an error that says why nothing can be measured, or nil.
// Measuring takes translations, documents of one group in different languages,
// and for each target a document that is no translation of it; without them,
// the error wraps an eval.NotEvaluatedError.
func (h *Heldout) Check() error {
	for _, option := range []struct {
		name  string
		value int
	}{
		{"Evidence", h.o.Evidence}, {"LossTargets", h.o.LossTargets},
		{"AttentionTargets", h.o.AttentionTargets}, {"RelevanceTargets", h.o.RelevanceTargets},
	} {
		if option.value < 0 {
			return fmt.Errorf("probe: HeldoutOptions.%s is %d, must not be negative", option.name, option.value)
		}
	}
	if reason := h.unusable(); reason != "" {
		return fmt.Errorf("probe: %w", &eval.NotEvaluatedError{What: "held-out documents", Reason: reason})
	}
	return nil
}

// unusable says why the documents cannot be used, or returns "".
func (h *Heldout) unusable() string {
	n, grouped := len(h.docs), 0
	for _, d := range h.docs {
		if d.Group != "" {
			grouped++
		}
	}
	switch {
	case n == 0:
		return "there are none"
	case grouped == 0:
		return fmt.Sprintf("none of the %d has a group, which tells translations", n)
	case len(h.targets) == 0:
		return fmt.Sprintf("no two of the %d are translations: no group has documents in two languages", n)
	case !slices.ContainsFunc(h.docs, func(d Document) bool { return d.Group != h.docs[h.targets[0]].Group }):
		return fmt.Sprintf("all %d are of one group: there is nothing to tell a translation from", n)
	}
	return ""
}

// Len returns the number of documents.
func (h *Heldout) Len() int { return len(h.docs) }

// Document returns document i.
func (h *Heldout) Document(i int) *Document { return &h.docs[i] }

// Losses are mean losses in nats per predicted token, by the evidence that
// targets are reconstructed from.
type Losses struct {
	Retrieved float64 `json:"retrieved"` // what g finds among all other documents
	Oracle    float64 `json:"oracle"`    // translations
	Random    float64 `json:"random"`    // documents that are no translations
	None      float64 `json:"none"`
}

// Measurement is what a model does on held-out documents.
type Measurement struct {
	// Retrieval of translations by g among the documents of another language;
	// the same with the mean of each language taken off.
	P1         float64 `json:"p_at_1"`
	P5         float64 `json:"p_at_5"`
	MRR        float64 `json:"mrr"`
	P1Centered float64 `json:"p_at_1_centered"`
	// Relevance f of translations, and of documents in different languages
	// that are none; and the probability that the first exceeds the second.
	RelevanceAligned   Histogram `json:"relevance_aligned"`
	RelevanceUnaligned Histogram `json:"relevance_unaligned"`
	RelevanceAUC       float64   `json:"relevance_auc"`

	Loss Losses `json:"loss"`

	// AttentionEntropy is the entropy of cross-attention over the retrieved
	// documents, mean over layers, heads and tokens, in nats; its maximum is
	// the logarithm of their number. AttentionTranslation is the share of the
	// cross-attention that a translation gets among random documents, of which
	// AttentionUniform is what it would get if all tokens got the same.
	AttentionEntropy     float64 `json:"attention_entropy"`
	AttentionTranslation float64 `json:"attention_translation"`
	AttentionUniform     float64 `json:"attention_uniform"`

	// Report and Centered are the retrieval by pair of languages.
	Report   *eval.Report `json:"-"`
	Centered *eval.Report `json:"-"`
	// Targets are the documents that the loss was measured on, Retrieved what
	// g finds for each.
	Targets   []int   `json:"-"`
	Retrieved [][]int `json:"-"`
}

// Retrieval measures how well g finds translations: as it is, and with the
// mean of each language taken off.
func (h *Heldout) Retrieval(ctx context.Context, m *marge.Model) (plain, centered *eval.Report, err error) {
	if err := h.Check(); err != nil {
		return nil, nil, err
	}
	rows, err := m.Embed(ctx, h.tokens)
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	dense := eval.NewDense(m.Runner(), rows, m.Config.EmbeddingDim())
	if plain, err = eval.Retrieval(ctx, h.meta, dense, nil); err == nil {
		centered, err = h.centered(ctx, m, rows)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	return plain, centered, nil
}

// Layers is Retrieval by the mean over the tokens of what layers of the encoder put
// out, for models that have no g: the first report is of layer 1. It fails if Check
// does.
func (h *Heldout) Layers(ctx context.Context, m *marge.Model) (plain, centered []*eval.Report, err error) {
	if err := h.Check(); err != nil {
		return nil, nil, err
	}
	for layer := 1; layer <= m.Config.EncoderLayers; layer++ {
		rows, err := m.EmbedTokens(ctx, h.tokens, layer)
		if err != nil {
			return nil, nil, fmt.Errorf("probe: %w", err)
		}
		p, err := eval.Retrieval(ctx, h.meta, eval.NewDense(m.Runner(), rows, m.Config.DModel), nil)
		if err != nil {
			return nil, nil, fmt.Errorf("probe: %w", err)
		}
		c, err := h.centered(ctx, m, rows)
		if err != nil {
			return nil, nil, fmt.Errorf("probe: %w", err)
		}
		plain, centered = append(plain, p), append(centered, c)
	}
	return plain, centered, nil
}

// centered changes the rows.
func (h *Heldout) centered(ctx context.Context, m *marge.Model, rows []float32) (*eval.Report, error) {
	d := len(rows) / len(h.tokens)
	if err := vectors.CenterByLanguage(ctx, m.Runner(), rows, d, h.langs); err != nil {
		return nil, err
	}
	return eval.Retrieval(ctx, h.meta, eval.NewDense(m.Runner(), rows, d), nil)
}

// Measure measures a model. It encodes each document once for retrieval and
// relevance. It fails if Check does.
func (h *Heldout) Measure(ctx context.Context, m *marge.Model) (*Measurement, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	targets := h.targets[:min(h.o.LossTargets, len(h.targets))]
	h.total = len(targets) + min(h.o.AttentionTargets, len(targets))
	h.progress(0)
	rows, err := m.Embed(ctx, h.tokens)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	dense := eval.NewDense(m.Runner(), rows, m.Config.EmbeddingDim())
	o := eval.EvidenceOptions{Documents: h.o.Evidence, Seed: h.o.Seed}
	evidence, err := eval.SelectEvidence(ctx, h.meta, targets, dense, o)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	r := &Measurement{Targets: targets, Retrieved: evidence.Retrieved}
	if r.Report, err = eval.Retrieval(ctx, h.meta, dense, nil); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if err := h.relevance(ctx, dense, r); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if r.Centered, err = h.centered(ctx, m, rows); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	r.P1, r.P5, r.MRR, r.P1Centered = r.Report.Micro.P1, r.Report.Micro.P5, r.Report.Micro.MRR, r.Centered.Micro.P1
	if r.Loss, err = h.loss(ctx, m, evidence); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if err := h.attention(ctx, m, evidence, r); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return r, nil
}

// progress tells how much of a measurement is done.
func (h *Heldout) progress(done int) {
	h.done = done
	if h.o.OnProgress != nil {
		h.o.OnProgress(done, h.total)
	}
}

// relevance computes f between some of the targets and all documents in other
// languages.
func (h *Heldout) relevance(ctx context.Context, dense *eval.Dense, r *Measurement) error {
	const block = 64
	n := len(h.docs)
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	score := dense.Against(all)
	var aligned, unaligned []float32
	f := make([]float32, block*n)
	for targets := range slices.Chunk(h.targets[:min(h.o.RelevanceTargets, len(h.targets))], block) {
		if err := score(ctx, targets, f[:len(targets)*n]); err != nil {
			return err
		}
		for i, t := range targets {
			for j, score := range f[i*n : (i+1)*n] {
				switch {
				case h.docs[j].Lang == h.docs[t].Lang:
				case h.docs[j].Group == h.docs[t].Group:
					aligned = append(aligned, score)
				default:
					unaligned = append(unaligned, score)
				}
			}
		}
	}
	r.RelevanceAligned, r.RelevanceUnaligned = NewHistogram(aligned), NewHistogram(unaligned)
	r.RelevanceAUC = auc(aligned, unaligned)
	return nil
}

// loss measures how well targets are reconstructed.
func (h *Heldout) loss(ctx context.Context, m *marge.Model, evidence *eval.Evidence) (Losses, error) {
	report, err := evidence.Loss(ctx, LossOf(m, h.docs), eval.Bootstrap{}, func(done, _ int) { h.progress(done) })
	if err != nil {
		return Losses{}, err
	}
	all := report.All
	return Losses{Retrieved: all.Retrieved, Oracle: all.Oracle, Random: all.Random, None: all.None}, nil
}

// LossOf returns the loss of a model on held-out documents, by their numbers.
func LossOf(m *marge.Model, docs []Document) eval.LossFunc {
	return func(target int, evidence []int) (nats float64, tokens int, err error) {
		b, err := batch(m, docs, target, evidence)
		if err != nil {
			return 0, 0, err
		}
		l, err := m.Loss(b)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", docs[target].ID, err)
		}
		tokens = len(docs[target].Tokens) + 1 // </s>
		return l[0] * float64(tokens), tokens, nil
	}
}

// attention measures what targets attend to.
func (h *Heldout) attention(ctx context.Context, m *marge.Model, evidence *eval.Evidence, r *Measurement) error {
	n := min(h.o.AttentionTargets, len(evidence.Targets))
	for i, target := range evidence.Targets[:n] {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, _, err := h.attend(m, target, evidence.Retrieved[i])
		if err != nil {
			return err
		}
		r.AttentionEntropy += a.Entropy[0] / float64(n)
		random := evidence.Random[i]
		a, b, err := h.attend(m, target, slices.Concat(evidence.Oracle[i][:1], random[:min(h.o.Evidence-1, len(random))]))
		if err != nil {
			return err
		}
		tokens := 0
		for _, doc := range b.Evidence {
			tokens += len(doc) + 2
		}
		r.AttentionTranslation += a.Mass[0][0] / float64(n)
		r.AttentionUniform += float64(len(b.Evidence[0])+2) / float64(tokens) / float64(n)
		h.progress(h.done + 1)
	}
	return nil
}

func (h *Heldout) attend(m *marge.Model, target int, evidence []int) (*marge.EvidenceAttention, *marge.Batch, error) {
	b, err := batch(m, h.docs, target, evidence)
	if err != nil {
		return nil, nil, err
	}
	a, err := m.EvidenceAttention(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", h.docs[target].ID, err)
	}
	return a, b, nil
}

// batch returns a target with its evidence.
func batch(m *marge.Model, docs []Document, target int, evidence []int) (*marge.Batch, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("the model has no tokenizer, which gives the language tokens")
	}
	language, err := m.Tokenizer.LanguageToken(docs[target].Lang)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", docs[target].ID, err)
	}
	b := &marge.Batch{Targets: [][]int32{docs[target].Tokens}, Languages: []int32{language}}
	for _, i := range evidence {
		b.Evidence = append(b.Evidence, docs[i].Tokens)
	}
	return b, nil
}
