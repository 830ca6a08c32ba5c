package marge

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// Pretrain trains a model on a corpus by paraphrasing (arXiv:2006.15020,
// sections 2 and 3). It encodes shards of the corpus with g, links each target
// with the documents most relevant to it, grows batches from the links, and
// learns to reconstruct the targets; after IndexEvery updates it does so
// again with the g learnt so far. With another [Objective] it trains the same
// model as one of the systems that the paper compares MARGE with.
//
// When the context is cancelled, Pretrain writes a checkpoint and returns
// what it has done, with an error that wraps the context's. A loss that is not
// finite is an error; the parameters are then those before the failed update.
func Pretrain(ctx context.Context, m *Model, store *corpus.Store, o PretrainOptions) (stats PretrainStats, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("pretrain: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	var l *loop
	var links *retrieved
	err = o.Group.Together(ctx, func(context.Context) (err error) {
		if err := m.mustTrain(); err != nil {
			return err
		}
		l, links, err = newPretraining(m, store, o)
		return err
	})
	if err != nil {
		return PretrainStats{}, err
	}
	release, err := l.open(ctx)
	if err != nil {
		return PretrainStats{}, err
	}
	defer release()
	err = l.run(ctx)
	stats = PretrainStats{
		Steps: l.step, TargetTokens: l.tokens, Elapsed: l.elapsed, Loss: l.meanRecent(), Indexes: links.indexes,
		Checkpoint: l.saved,
	}
	return stats, err
}

// newPretraining checks what Pretrain is given. Pre-training is a loop whose
// batches come from retrieved links and whose objective is reconstruction,
// after a contrastive phase if the options ask for one.
func newPretraining(m *Model, store *corpus.Store, o PretrainOptions) (*loop, *retrieved, error) {
	lo := o.loop()
	if o.TFIDFSteps == 0 && (o.Objective == "" || o.Objective == MARGE) {
		lo.inherited = map[string]*int{tfidfSteps: &o.TFIDFSteps}
	}
	if err := errors.Join(lo.setDefaults(m.Config), o.setDefaults()); err != nil {
		return nil, nil, err
	}
	languages, longest, err := checkCorpus(m, store)
	if err != nil {
		return nil, nil, err
	}
	m.Config.ChunkTokens = longest
	links := &retrieved{m: m, o: &o, store: store, languages: languages}
	lo.settings = lo.record(o.record())
	lo.settings["corpus"], lo.settings["tokenizer"] = store.Fingerprint(), m.Tokenizer.Fingerprint()
	lo.Groups = learningRates(m, &o)
	if o.OnStep != nil {
		lo.OnStep = func(metrics Metrics) error {
			metrics.Index = links.indexes
			return o.OnStep(metrics)
		}
	}
	phases := []phase{
		{&crops{m: m, o: &o, store: store}, &contrast{m}, o.ContrastiveSteps},
		{links, &reconstruction{m, o.DetachRelevance, o.DistillWeight}, math.MaxInt},
	}
	if o.Objective != MARGE {
		if phases, err = o.phases(m, store, languages); err != nil {
			return nil, nil, err
		}
	}
	return newLoop(m, m.params, &lo, phases...), links, nil
}

// checkCorpus returns the language token of each of the store's languages and the
// length of the longest chunk, or what keeps the model from being trained on the
// corpus.
func checkCorpus(m *Model, store *corpus.Store) (languages []int32, longest int, err error) {
	if m.Tokenizer == nil {
		return nil, 0, errors.New("the model has no tokenizer, which gives the language tokens")
	}
	if err := tokenizer.CheckSpecial(m.Tokenizer); err != nil {
		return nil, 0, fmt.Errorf("the model's tokenizer: %w", err)
	}
	if err := m.Tokenizer.CheckLanguages(store.Langs()); err != nil {
		return nil, 0, err
	}
	for _, lang := range store.Langs() {
		id, err := m.Tokenizer.LanguageToken(lang)
		if err != nil {
			return nil, 0, err
		}
		languages = append(languages, id)
	}
	if store.Len() == 0 {
		return nil, 0, errors.New("the corpus is empty")
	}
	if n := store.VocabSize(); n > 0 && n != m.Tokenizer.VocabSize() {
		return nil, 0, fmt.Errorf("the corpus was tokenised with a vocabulary of %d, the model's tokenizer has %d",
			n, m.Tokenizer.VocabSize())
	}
	// Stores of earlier versions do not tell.
	if was, is := store.TokenizerFingerprint(), m.Tokenizer.Fingerprint(); was != "" && was != is {
		return nil, 0, fmt.Errorf("the corpus was tokenised by another tokenizer, with fingerprint %s; the model's is %s",
			was, is)
	}
	for i := range store.Len() {
		tokens := store.Tokens(i)
		if err := checkDocuments(&m.Config, [][]int32{tokens}, 2); err != nil {
			return nil, 0, fmt.Errorf("corpus chunk %d (%s): %w", i, store.DocumentID(store.Chunk(i).Doc), err)
		}
		longest = max(longest, len(tokens))
	}
	return languages, longest, nil
}

// learningRates returns the parameters that have learning rates of their own.
func learningRates(m *Model, o *PretrainOptions) []optim.Group {
	group := func(rate float64, names ...string) optim.Group {
		return optim.Group{Names: names, Rate: rate, Frozen: rate <= 0}
	}
	var own []string
	for _, p := range m.retrievalParameters() {
		own = append(own, p.Name)
	}
	return []optim.Group{group(o.BetaLearningRate, "beta"), group(o.GLearningRate, own...)}
}

// reconstruction is MARGE's objective (section 2.3): the negative
// log-likelihood of the targets' tokens, given the evidence.
type reconstruction struct {
	m             *Model
	detach        bool    // the relevance from g
	distillWeight float64 // see distill.go
}

func (r *reconstruction) loss(tp *tensor.Tape, b *Batch) batchLoss {
	o := forwardOptions{scale: 1, detachRelevance: r.detach}
	if r.distillWeight > 0 {
		o.attended = newAttendedSums(r.m, b)
	}
	f := r.m.forward(tp, b, o)
	tokens := int(f.Offsets[len(b.Targets)])
	out := batchLoss{
		sum: f.Loss, reported: f.Loss, weight: tokens,
		targets: len(b.Targets), evidence: len(b.Evidence), tokens: tokens,
	}
	if o.attended != nil && f.Relevance != nil {
		divergence, gradient := distill(tp, f.Relevance, o.attended.mean().Mass, b.Own)
		out.distill = divergence
		// The divergence is a mean over targets: it weighs as much as all tokens of the batch.
		scale := float32(r.distillWeight * float64(tokens) / float64(len(b.Targets)))
		out.sum = tp.Add(f.Loss, tp.Dot(f.Relevance, tp.Scale(scale, gradient)))
	}
	return out
}
