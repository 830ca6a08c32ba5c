package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
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
}

// NewHeldout returns a measurement on documents, which it does not copy.
func NewHeldout(docs []Document, o HeldoutOptions) *Heldout {
	for field, value := range map[*int]int{&o.Evidence: 4, &o.LossTargets: 60, &o.AttentionTargets: 16, &o.RelevanceTargets: 500} {
		if *field == 0 {
			*field = value
		}
	}
	h := &Heldout{o: o, docs: docs}
	first := map[string]string{} // language of a group's first document
	several := map[string]bool{} // whether a group has another language
	for _, d := range docs {
		h.tokens, h.langs = append(h.tokens, d.Tokens), append(h.langs, d.Lang)
		h.meta = append(h.meta, eval.Doc{Lang: d.Lang, Group: d.Group})
		if lang, ok := first[d.Group]; !ok {
			first[d.Group] = d.Lang
		} else if lang != d.Lang {
			several[d.Group] = true
		}
	}
	for i, d := range docs {
		if d.Group != "" && several[d.Group] {
			h.targets = append(h.targets, i)
		}
	}
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	rng.Shuffle(len(h.targets), func(i, j int) { h.targets[i], h.targets[j] = h.targets[j], h.targets[i] })
	return h
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

// Measurement is what a model does on held-out documents. Without documents
// that have a translation, all of it is 0.
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
	vectors, err := m.Embed(ctx, h.tokens)
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	plain, centered = h.reports(m, vectors)
	return plain, centered, nil
}

// reports changes the vectors.
func (h *Heldout) reports(m *marge.Model, vectors []float32) (plain, centered *eval.Report) {
	d := m.Config.DModel
	plain = eval.Retrieval(h.meta, eval.NewDense(runner(m), vectors, d))
	eval.CenterByLanguage(vectors, d, h.langs)
	return plain, eval.Retrieval(h.meta, eval.NewDense(runner(m), vectors, d))
}

func runner(m *marge.Model) asm.Runner {
	if cpu, ok := m.Backend().(*tensor.CPU); ok {
		return cpu.Pool()
	}
	return asm.Serial
}

// Measure measures a model. It encodes each document once for retrieval and
// relevance.
func (h *Heldout) Measure(ctx context.Context, m *marge.Model) (*Measurement, error) {
	vectors, err := m.Embed(ctx, h.tokens)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	r := &Measurement{Targets: h.targets[:min(h.o.LossTargets, len(h.targets))]}
	h.relevance(m, vectors, r)
	if r.Retrieved, err = h.retrieve(m, vectors, r.Targets), ctx.Err(); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	r.Report, r.Centered = h.reports(m, vectors)
	r.P1, r.P5, r.MRR, r.P1Centered = r.Report.Micro.P1, r.Report.Micro.P5, r.Report.Micro.MRR, r.Centered.Micro.P1
	if err := h.loss(ctx, m, r); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if err := h.attention(ctx, m, r); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return r, nil
}

// relevance computes f between some of the targets and all documents in other
// languages.
func (h *Heldout) relevance(m *marge.Model, vectors []float32, r *Measurement) {
	const block = 64
	d, n := m.Config.DModel, len(h.docs)
	var aligned, unaligned []float32
	f := make([]float32, block*n)
	for targets := range slices.Chunk(h.targets[:min(h.o.RelevanceTargets, len(h.targets))], block) {
		asm.Gemm(runner(m), &asm.GemmArgs{
			TransB: true, M: len(targets), N: n, K: d, Alpha: 1,
			A: rows(vectors, d, targets), LDA: d, B: vectors, LDB: d, C: f, LDC: n,
		})
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
}

func rows(vectors []float32, d int, of []int) []float32 {
	out := make([]float32, 0, len(of)*d)
	for _, i := range of {
		out = append(out, vectors[i*d:(i+1)*d]...)
	}
	return out
}

// retrieve returns the documents most relevant to each target, other than
// itself.
func (h *Heldout) retrieve(m *marge.Model, vectors []float32, targets []int) [][]int {
	d := m.Config.DModel
	flat := index.NewFlat(d)
	flat.Add(vectors)
	k := min(h.o.Evidence+1, len(h.docs))
	ids, _ := flat.Search(runner(m), rows(vectors, d, targets), k)
	found := make([][]int, len(targets))
	for i, t := range targets {
		for _, id := range ids[i*k : (i+1)*k] {
			if int(id) != t && len(found[i]) < h.o.Evidence {
				found[i] = append(found[i], int(id))
			}
		}
	}
	return found
}

// loss measures how well targets are reconstructed.
func (h *Heldout) loss(ctx context.Context, m *marge.Model, r *Measurement) error {
	rng := rand.New(rand.NewPCG(h.o.Seed, 2))
	predicted := 0.0
	for i, target := range r.Targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		weight := float64(len(h.tokens[target]) + 1)
		predicted += weight
		for _, kind := range []struct {
			sum  *float64
			docs []int
		}{
			{&r.Loss.Retrieved, r.Retrieved[i]},
			{&r.Loss.Oracle, h.translations(rng, target, h.o.Evidence)},
			{&r.Loss.Random, h.strangers(rng, target, h.o.Evidence)},
			{&r.Loss.None, nil},
		} {
			b, err := h.batch(m, target, kind.docs)
			if err != nil {
				return err
			}
			l, err := m.Loss(b)
			if err != nil {
				return fmt.Errorf("%s: %w", h.docs[target].ID, err)
			}
			*kind.sum += l[0] * weight
		}
	}
	for _, sum := range []*float64{&r.Loss.Retrieved, &r.Loss.Oracle, &r.Loss.Random, &r.Loss.None} {
		*sum /= max(predicted, 1)
	}
	return nil
}

// attention measures what targets attend to.
func (h *Heldout) attention(ctx context.Context, m *marge.Model, r *Measurement) error {
	rng := rand.New(rand.NewPCG(h.o.Seed, 3))
	n := min(h.o.AttentionTargets, len(r.Targets))
	for i, target := range r.Targets[:n] {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, _, err := h.attend(m, target, r.Retrieved[i])
		if err != nil {
			return err
		}
		r.AttentionEntropy += a.Entropy[0] / float64(n)
		a, b, err := h.attend(m, target, append(h.translations(rng, target, 1), h.strangers(rng, target, h.o.Evidence-1)...))
		if err != nil {
			return err
		}
		tokens := 0
		for _, doc := range b.Evidence {
			tokens += len(doc) + 2
		}
		r.AttentionTranslation += a.Mass[0][0] / float64(n)
		r.AttentionUniform += float64(len(b.Evidence[0])+2) / float64(tokens) / float64(n)
	}
	return nil
}

func (h *Heldout) attend(m *marge.Model, target int, evidence []int) (*marge.EvidenceAttention, *marge.Batch, error) {
	b, err := h.batch(m, target, evidence)
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
func (h *Heldout) batch(m *marge.Model, target int, evidence []int) (*marge.Batch, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("the model has no tokenizer, which gives the language tokens")
	}
	language, err := m.Tokenizer.LanguageToken(h.docs[target].Lang)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.docs[target].ID, err)
	}
	b := &marge.Batch{Targets: [][]int32{h.tokens[target]}, Languages: []int32{language}}
	for _, i := range evidence {
		b.Evidence = append(b.Evidence, h.tokens[i])
	}
	return b, nil
}

// translations returns up to n documents equivalent to the target in other
// languages, of which there is at least one.
func (h *Heldout) translations(rng *rand.Rand, target, n int) []int {
	var found []int
	for _, i := range rng.Perm(len(h.docs)) {
		if len(found) < n && h.docs[i].Group == h.docs[target].Group && h.docs[i].Lang != h.docs[target].Lang {
			found = append(found, i)
		}
	}
	return found
}

// strangers returns up to n random documents that are not equivalent to the
// target.
func (h *Heldout) strangers(rng *rand.Rand, target, n int) []int {
	var found []int
	for _, i := range rng.Perm(len(h.docs)) {
		if len(found) < n && h.docs[i].Group != h.docs[target].Group {
			found = append(found, i)
		}
	}
	return found
}
