package marge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// trainer is the state of a training. What a resumed training needs is
// step, tokens, elapsed, the index and the place in it, the parameters and the
// optimiser's moments; see trainerState.
type trainer struct {
	o         PretrainOptions
	m         *Model
	store     *corpus.Store
	languages []int32 // language token of each of the store's languages
	opt       *optim.AdamW
	tape      *tensor.Tape

	step    int
	tokens  int64
	elapsed time.Duration
	losses  []float64 // of the last updates
	saved   string    // last checkpoint

	indexes   int // made so far
	indexStep int // step at which the last was made
	shards    []shardLinks
	pass      int     // over the links of the index
	batches   []Batch // of the pass, in training order; documents are views of the store
	names     [][]int // of each batch: the targets' chunks
	next      int     // batch
}

// shardLinks are the links of one shard. Pairs hold positions in items.
type shardLinks struct {
	shard int
	items []index.Item
	pairs []index.Pair
}

const recentLosses = 100

func newTrainer(m *Model, store *corpus.Store, o PretrainOptions) (*trainer, error) {
	if m.Tokenizer == nil {
		return nil, errors.New("the model has no tokenizer, which gives the language tokens")
	}
	t := &trainer{o: o, m: m, store: store, opt: optim.NewAdamW(m.params), tape: tensor.NewTape(m.backend)}
	t.opt.WeightDecay = float32(max(o.WeightDecay, 0))
	own := map[string]bool{}
	for _, p := range m.retrievalParameters() {
		own[p.Name] = true
	}
	t.opt.LRScale = func(name string) float32 {
		switch {
		case name == "beta":
			return float32(max(o.BetaLearningRate, 0))
		case own[name]:
			return float32(max(o.GLearningRate, 0))
		}
		return 1
	}
	m.detachRelevance = o.DetachRelevance
	for _, lang := range store.Langs() {
		id, err := m.Tokenizer.LanguageToken(lang)
		if err != nil {
			return nil, err
		}
		t.languages = append(t.languages, id)
	}
	if store.Len() == 0 {
		return nil, errors.New("the corpus is empty")
	}
	if n := store.VocabSize(); n > 0 && n != m.Tokenizer.VocabSize() {
		return nil, fmt.Errorf("the corpus was tokenised with a vocabulary of %d, the model's tokenizer has %d", n, m.Tokenizer.VocabSize())
	}
	for i := range store.Len() {
		if err := checkDocuments(&m.Config, [][]int32{store.Tokens(i)}, 2); err != nil {
			return nil, fmt.Errorf("corpus chunk %d (%s): %w", i, store.DocumentID(store.Chunk(i).Doc), err)
		}
	}
	return t, nil
}

func (t *trainer) stats() PretrainStats {
	s := PretrainStats{Steps: t.step, TargetTokens: t.tokens, Elapsed: t.elapsed, Indexes: t.indexes, Checkpoint: t.saved}
	for _, l := range t.losses {
		s.Loss += l / float64(len(t.losses))
	}
	return s
}

// The streams of random numbers that are derived from the seed.
const (
	shardStream = iota
	passStream
	dropoutStream
	contrastStream
)

// random returns the generator number n of a stream.
func (t *trainer) random(stream, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(t.o.Seed, stream<<56|n))
}

// update makes one step of the optimiser.
func (t *trainer) update(ctx context.Context) (Metrics, error) {
	if t.step < t.o.ContrastiveSteps {
		return t.contrast()
	}
	var group []int // batches of this update
	for range t.o.Accumulate {
		b, err := t.nextBatch(ctx, len(group) == 0)
		if err != nil {
			return Metrics{}, err
		}
		if b < 0 {
			break
		}
		group = append(group, b)
	}
	metrics := Metrics{Step: t.step + 1, LR: t.learningRate(), Index: t.indexes}
	predicted := 0
	for _, b := range group {
		metrics.Targets += len(t.batches[b].Targets)
		metrics.Evidence += len(t.batches[b].Evidence)
		for _, doc := range t.batches[b].Targets {
			predicted += len(doc) + 1
		}
	}
	nn.ZeroGrad(t.m.params)
	for i, b := range group {
		t.tape.Reset(tensor.Training, t.random(dropoutStream, uint64(t.step*t.o.Accumulate+i)).Uint64())
		var attended *attendedSums
		if t.o.DistillWeight > 0 {
			attended = newAttendedSums(t.m, &t.batches[b])
		}
		out := t.m.forward(t.tape, &t.batches[b], 1/float32(predicted), attended)
		loss, err := finite(out.Loss)
		if err != nil {
			return Metrics{}, t.failed(b, err)
		}
		metrics.Loss += loss
		if attended != nil && out.Relevance != nil {
			divergence, gradient := distill(t.tape, out.Relevance, attended.mean().Mass, t.batches[b].Own)
			metrics.Distill += divergence / float64(metrics.Targets)
			scale := float32(t.o.DistillWeight / float64(metrics.Targets))
			out.Loss = t.tape.Add(out.Loss, t.tape.Dot(out.Relevance, t.tape.Scale(scale, gradient)))
		}
		t.tape.Backward(out.Loss)
	}
	if err := t.optimise(&metrics, predicted); err != nil {
		return Metrics{}, t.failed(group[0], err)
	}
	return metrics, nil
}

// finite returns a loss, or an error if it is not finite.
func finite(loss *tensor.Tensor) (float64, error) {
	var value [1]float32
	loss.CopyTo(value[:])
	l := float64(value[0])
	if math.IsNaN(l) || math.IsInf(l, 0) {
		return l, fmt.Errorf("loss is %v", l)
	}
	return l, nil
}

// optimise updates the parameters with their gradients and completes the
// figures of the update.
func (t *trainer) optimise(metrics *Metrics, predicted int) error {
	norm, err := optim.GradNorm(t.m.params)
	if err != nil {
		return err
	}
	t.opt.Step(metrics.LR, optim.ClipScale(norm, t.o.ClipNorm))
	t.step++
	t.tokens += int64(predicted)
	if len(t.losses) == recentLosses {
		t.losses = append(t.losses[:0], t.losses[1:]...)
	}
	t.losses = append(t.losses, metrics.Loss)
	metrics.Beta, metrics.GradNorm, metrics.TargetTokens = float64(t.m.Beta()), norm, t.tokens
	return nil
}

func (t *trainer) failed(batch int, err error) error {
	e := &stepError{step: t.step + 1, err: err}
	for _, chunk := range t.names[batch] {
		e.docs = append(e.docs, t.store.DocumentID(t.store.Chunk(chunk).Doc))
	}
	return e
}

// nextBatch returns the number of the batch to train on next, or -1 where the
// pass is over and an update is under way already. At the first batch of an
// update it makes a new index or a new pass if it is time.
func (t *trainer) nextBatch(ctx context.Context, first bool) (int, error) {
	if !first && t.next >= len(t.batches) {
		return -1, nil
	}
	learnt := t.indexStep < t.o.TFIDFSteps && t.step >= t.o.TFIDFSteps
	if first && (t.indexes == 0 || learnt || t.step-t.indexStep >= t.o.IndexEvery) {
		if err := t.reindex(ctx); err != nil {
			return 0, err
		}
	}
	if t.next >= len(t.batches) {
		t.startPass(t.pass + 1)
	}
	t.next++
	return t.next - 1, nil
}

// reindex draws shards, encodes them with g, links them (section 2.4) and
// starts the first pass over the links.
func (t *trainer) reindex(ctx context.Context) error {
	start := time.Now()
	shards := t.random(shardStream, uint64(t.indexes)).Perm(len(t.store.Shards()))
	if t.o.IndexShards > 0 {
		shards = shards[:min(len(shards), t.o.IndexShards)]
	}
	stats := IndexStats{Index: t.indexes + 1, Step: t.step, Shards: len(shards)}
	links, err := t.link(ctx, shards)
	if err != nil {
		return err
	}
	for i := range links {
		if err := t.replace(&links[i]); err != nil {
			return err
		}
	}
	for _, l := range links {
		s := index.LinkStats(l.pairs, l.items)
		stats.Chunks += len(l.items)
		stats.Targets += s.Targets
		stats.Links += s.Links
		stats.Cross += s.Cross
		stats.Unlinked += s.Unlinked
	}
	links = slices.DeleteFunc(links, func(l shardLinks) bool { return len(l.pairs) == 0 })
	if len(links) == 0 {
		return fmt.Errorf("no two documents of a shard could be linked (%d shards drawn, %d chunks): every shard needs several documents", stats.Shards, stats.Chunks)
	}
	t.shards, t.indexes, t.indexStep = links, t.indexes+1, t.step
	t.startPass(0)
	if t.o.OnIndex != nil {
		stats.Batches, stats.Duration, stats.Each = len(t.batches), time.Since(start), t.eachLink
		t.o.OnIndex(stats)
	}
	return nil
}

// replace lets OnLinks choose the links of a shard.
func (t *trainer) replace(l *shardLinks) error {
	if t.o.OnLinks == nil {
		return nil
	}
	pairs, err := t.o.OnLinks(l.items, l.pairs)
	if err == nil {
		err = index.CheckPairs(pairs, l.items)
	}
	if err != nil {
		return fmt.Errorf("OnLinks: shard %q: %w", t.store.Shards()[l.shard], err)
	}
	l.pairs = pairs
	return nil
}

// eachLink goes through the links of the index.
func (t *trainer) eachLink(yield func(Link) bool) {
	for _, l := range t.shards {
		for _, p := range l.pairs {
			if !yield(Link{l.items[p.Target].Chunk, l.items[p.Evidence].Chunk, p.Score}) {
				return
			}
		}
	}
}

// items describes the chunks of a shard for the index.
func (t *trainer) items(shard int) []index.Item {
	var items []index.Item
	for _, i := range t.store.Shard(shard) {
		c := t.store.Chunk(i)
		items = append(items, index.Item{Chunk: i, Lang: c.Lang, Source: c.Source, Target: c.Target})
	}
	return items
}

// link represents the chunks of shards as vectors, of g or of TF-IDF, and links
// those of each shard. What documents of one language have in common, the mean
// of their vectors, is taken off first: in an untrained encoder it outweighs
// the rest.
func (t *trainer) link(ctx context.Context, shards []int) ([]shardLinks, error) {
	var links []shardLinks
	var docs [][]int32
	var langs []int
	for _, shard := range shards {
		l := shardLinks{shard: shard, items: t.items(shard)}
		for _, item := range l.items {
			docs, langs = append(docs, t.store.Tokens(item.Chunk)), append(langs, item.Lang)
		}
		links = append(links, l)
	}
	if t.step < t.o.TFIDFSteps {
		o := t.o.Links
		o.PerTarget = false
		df, total := index.DocumentFrequency(docs, t.m.Config.VocabSize), len(docs)
		for i := range links {
			n := len(links[i].items)
			vectors := index.TFIDF(t.m.Runner(), docs[:n], df, total)
			links[i].pairs = index.CenteredLinks(t.m.Runner(), vectors, links[i].items, o)
			docs = docs[n:]
		}
		return links, nil
	}
	vectors, err := t.m.Embed(ctx, docs)
	if err != nil {
		return nil, err
	}
	d := t.m.Config.EmbeddingDim()
	eval.CenterByLanguage(vectors, d, langs)
	for i := range links {
		n := len(links[i].items) * d
		links[i].pairs = index.Links(t.m.Runner(), vectors[:n], d, links[i].items, t.o.Links)
		vectors = vectors[n:]
	}
	return links, nil
}

// startPass grows the batches of a pass over the links of the index. Which
// they are depends on the links, the seed and the number of the pass alone.
func (t *trainer) startPass(pass int) {
	t.pass, t.next = pass, 0
	t.batches, t.names = nil, nil
	rng := t.random(passStream, uint64(t.indexes)<<32|uint64(pass))
	weights := t.languageWeights()
	for _, l := range t.shards {
		length := func(i int) int { return t.store.Chunk(l.items[i].Chunk).Tokens + 2 }
		for _, pairs := range rounds(rng, &l, weights) {
			opt := index.BatchOptions{
				CrossWeight: t.o.CrossWeight, MonoWeight: t.o.MonoWeight, TokenBudget: t.o.BatchTokens,
				MaxEvidence: t.o.MaxEvidence, MaxTargets: t.o.MaxTargets, Seed: rng.Uint64(),
			}
			grown := index.Batches(pairs, l.items, length, opt)
			rng.Shuffle(len(grown), func(i, j int) { grown[i], grown[j] = grown[j], grown[i] })
			for _, g := range index.Fill(grown, length, opt) {
				b, targets := t.batch(l.items, g)
				t.batches, t.names = append(t.batches, b), append(t.names, targets)
			}
		}
	}
	rng.Shuffle(len(t.batches), func(i, j int) {
		t.batches[i], t.batches[j] = t.batches[j], t.batches[i]
		t.names[i], t.names[j] = t.names[j], t.names[i]
	})
}

// batch fetches the documents of a batch; targets are its targets' chunks.
// Documents from one source are hidden from each other.
func (t *trainer) batch(items []index.Item, g index.Batch) (b Batch, targets []int) {
	for _, e := range g.Evidence {
		b.Evidence = append(b.Evidence, t.store.Tokens(items[e].Chunk))
	}
	if t.o.NullDocument {
		b.Evidence = append(b.Evidence, nil)
	}
	for i, x := range g.Targets {
		item := items[x]
		b.Targets = append(b.Targets, t.store.Tokens(item.Chunk))
		b.Languages = append(b.Languages, t.languages[item.Lang])
		targets = append(targets, item.Chunk)
		for j, e := range g.Evidence {
			if items[e].Source == item.Source {
				b.Own = append(b.Own, [2]int{i, j})
			}
		}
	}
	return b, targets
}
