package marge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn/safetensors"
)

// retrieved is the source of pre-training's batches (arXiv:2006.15020,
// section 2.4): shards of the corpus are drawn and indexed, the documents of
// each are linked, and every pass over the links grows them into batches anew.
type retrieved struct {
	m         *Model
	o         *PretrainOptions
	store     *corpus.Store
	languages []int32 // language token of each of the store's languages

	indexes   int // made so far
	indexStep int // step at which the last was made
	shards    []shardLinks
	pass      int         // over the links of the index
	batches   []passBatch // of the pass, in training order
	next      int         // batch
	taken     int         // batches of the last take
}

// shardLinks are the links of one shard. Pairs hold positions in items.
type shardLinks struct {
	shard int
	items []index.Item
	pairs []index.Pair
}

// passBatch is a batch of a pass. Its documents are views of the store.
type passBatch struct {
	Batch
	targets []int // chunks
}

// take implements source. It makes a new index or begins a new pass if it is
// time.
func (r *retrieved) take(ctx context.Context, step, n int) ([]*Batch, error) {
	learnt := r.indexStep < r.o.TFIDFSteps && step >= r.o.TFIDFSteps
	if r.indexes == 0 || learnt || step-r.indexStep >= r.o.IndexEvery {
		if err := r.reindex(ctx, step); err != nil {
			return nil, err
		}
	}
	if r.next >= len(r.batches) {
		err := r.o.Group.Together(ctx, func(ctx context.Context) error { return r.startPass(ctx, r.pass+1) })
		if err != nil {
			return nil, err
		}
	}
	var batches []*Batch
	for r.taken = 0; r.taken < n && r.next < len(r.batches); r.taken++ {
		batches = append(batches, &r.batches[r.next].Batch)
		r.next++
	}
	return batches, nil
}

func (r *retrieved) putBack() { r.next, r.taken = r.next-r.taken, 0 }

func (r *retrieved) documents(b *Batch) (ids []string) {
	for i := r.next - r.taken; i < r.next; i++ {
		if &r.batches[i].Batch == b {
			for _, chunk := range r.batches[i].targets {
				ids = append(ids, r.store.DocumentID(r.store.Chunk(chunk).Doc))
			}
		}
	}
	return ids
}

// reindex draws shards, encodes them with g, links them (section 2.4) and
// starts the first pass over the links.
func (r *retrieved) reindex(ctx context.Context, step int) error {
	start := time.Now()
	shards := random(r.o.Seed, shardStream, uint64(r.indexes)).Perm(len(r.store.Shards()))
	if r.o.IndexShards > 0 {
		shards = shards[:min(len(shards), r.o.IndexShards)]
	}
	stats := IndexStats{Index: r.indexes + 1, Step: step, Shards: len(shards)}
	links, err := r.link(ctx, shards, step)
	if err != nil {
		return err
	}
	err = r.o.Group.Together(ctx, func(context.Context) error {
		for i := range links {
			if err := r.replace(&links[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range links {
		s := index.LinkStats(l.pairs, l.items)
		stats.Chunks += len(l.items)
		stats.Targets += s.Targets
		stats.Links += s.Links
		stats.Cross += s.Cross
		stats.Unlinked += s.Unlinked
	}
	linked := slices.DeleteFunc(slices.Clone(links), func(l shardLinks) bool { return len(l.pairs) == 0 })
	if len(linked) == 0 {
		return fmt.Errorf("no two documents of a shard could be linked (%d shards drawn, %d chunks): %s", stats.Shards,
			stats.Chunks, r.whyUnlinked(links))
	}
	before := *r
	r.shards, r.indexes, r.indexStep = linked, r.indexes+1, step
	err = r.o.Group.Together(ctx, func(ctx context.Context) error { return r.startPass(ctx, 0) })
	if err != nil {
		*r = before
		return err
	}
	stats.Batches, stats.Duration, stats.Each = len(r.batches), time.Since(start), r.eachLink
	return r.o.Group.Lead(context.WithoutCancel(ctx), func(context.Context) error {
		if r.o.OnIndex != nil {
			r.o.OnIndex(stats)
		}
		return nil
	})
}

// whyUnlinked tells why shards have no links.
func (r *retrieved) whyUnlinked(shards []shardLinks) string {
	var several, sources, languages, targets bool // in some shard
	for _, l := range shards {
		for _, item := range l.items {
			first := l.items[0]
			several = several || len(l.items) > 1
			sources = sources || item.Source != first.Source
			languages = languages || item.Source != first.Source && item.Lang != first.Lang
			targets = targets || item.Target
		}
	}
	switch {
	case !several:
		return "every shard has one chunk; documents are linked within their shard, which is their date unless they " +
			"have a member shard"
	case !sources:
		return "all chunks of a shard have the same source or id, and are never evidence for each other"
	case !targets:
		return "no chunk may be a target"
	case !languages && r.o.Links.Mono == 0:
		return fmt.Sprintf("all documents of a shard are in one language, and links are wanted across languages only: "+
			"set Links.Mono (languages of the corpus: %v)", r.store.Langs())
	case r.o.OnLinks != nil:
		return "OnLinks returned none"
	}
	return fmt.Sprintf("the shards are too small for the links that are wanted, %+v", r.o.Links)
}

// replace lets OnLinks choose the links of a shard.
func (r *retrieved) replace(l *shardLinks) error {
	if r.o.OnLinks == nil {
		return nil
	}
	pairs, err := r.o.OnLinks(l.items, l.pairs)
	if err == nil {
		err = index.CheckPairs(pairs, l.items)
	}
	if err != nil {
		return fmt.Errorf("OnLinks: shard %q: %w", r.store.Shards()[l.shard], err)
	}
	l.pairs = pairs
	return nil
}

// eachLink goes through the links of the index.
func (r *retrieved) eachLink(yield func(Link) bool) {
	for _, l := range r.shards {
		for _, p := range l.pairs {
			if !yield(Link{l.items[p.Target].Chunk, l.items[p.Evidence].Chunk, p.Score}) {
				return
			}
		}
	}
}

// items describes the chunks of a shard for the index.
func (r *retrieved) items(shard int) []index.Item {
	var items []index.Item
	for _, i := range r.store.Shard(shard) {
		c := r.store.Chunk(i)
		items = append(items, index.Item{Chunk: i, Lang: c.Lang, Source: c.Source, Target: c.Target})
	}
	return items
}

// startPass grows the batches of a pass over the links of the index. Which
// they are depends on the links, the seed and the number of the pass alone. A
// cancelled context leaves the source where it was.
func (r *retrieved) startPass(ctx context.Context, pass int) error {
	var batches []passBatch
	rng := random(r.o.Seed, passStream, uint64(r.indexes)<<32|uint64(pass))
	weights := r.languageWeights()
	for _, l := range r.shards {
		length := func(i int) int { return r.store.Chunk(l.items[i].Chunk).Tokens + 2 }
		for _, pairs := range rounds(rng, &l, weights) {
			if err := ctx.Err(); err != nil {
				return err
			}
			opt := index.BatchOptions{
				CrossWeight: r.o.CrossWeight, MonoWeight: r.o.MonoWeight, TokenBudget: r.o.BatchTokens,
				MaxEvidence: r.o.MaxEvidence, MaxTargets: r.o.MaxTargets, Seed: rng.Uint64(),
			}
			grown := index.Batches(pairs, l.items, length, opt)
			rng.Shuffle(len(grown), func(i, j int) { grown[i], grown[j] = grown[j], grown[i] })
			for _, g := range index.Fill(grown, length, opt) {
				batches = append(batches, r.batch(l.items, g))
			}
		}
	}
	rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	r.pass, r.next, r.taken, r.batches = pass, 0, 0, batches
	return nil
}

// batch fetches the documents of a batch. Documents from one source are hidden
// from each other.
func (r *retrieved) batch(items []index.Item, g index.Batch) (b passBatch) {
	for _, e := range g.Evidence {
		b.Evidence = append(b.Evidence, r.store.Tokens(items[e].Chunk))
	}
	if r.o.NullDocument {
		b.Evidence = append(b.Evidence, nil)
	}
	for i, x := range g.Targets {
		item := items[x]
		b.Targets = append(b.Targets, r.store.Tokens(item.Chunk))
		b.Languages = append(b.Languages, r.languages[item.Lang])
		b.targets = append(b.targets, item.Chunk)
		for j, e := range g.Evidence {
			if items[e].Source == item.Source {
				b.Own = append(b.Own, [2]int{i, j})
			}
		}
	}
	return b
}

// retrievedPlace is where a source is, without the links of the index.
type retrievedPlace struct {
	Indexes   int `json:"indexes"`
	IndexStep int `json:"index_step"`
	Pass      int `json:"pass"`
	Next      int `json:"next_batch"`
}

// place implements source. The tensors are the links of the index: for each
// shard its number and how many pairs it has, and the pairs one after the other.
func (r *retrieved) place() (any, []safetensors.Tensor) {
	var shards, counts, targets, evidence []int32
	var scores []float32
	for _, l := range r.shards {
		shards, counts = append(shards, int32(l.shard)), append(counts, int32(len(l.pairs)))
		for _, p := range l.pairs {
			targets, evidence, scores = append(targets, p.Target), append(evidence, p.Evidence), append(scores, p.Score)
		}
	}
	n, pairs := []int{len(shards)}, []int{len(targets)}
	return retrievedPlace{r.indexes, r.indexStep, r.pass, r.next}, []safetensors.Tensor{
		safetensors.Int32("index.shards", n, shards), safetensors.Int32("index.counts", n, counts),
		safetensors.Int32("index.targets", pairs, targets), safetensors.Int32("index.evidence", pairs, evidence),
		safetensors.Float32("index.scores", pairs, scores),
	}
}

// restore implements source.
func (r *retrieved) restore(place json.RawMessage, step int, f *safetensors.File) ([]string, error) {
	var p retrievedPlace
	if err := jsonx.UnmarshalStrict(place, &p); err != nil {
		return nil, err
	}
	names, err := r.readLinks(f)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	// An index has a number and links, or there is none yet.
	if p.Indexes < 0 || p.IndexStep < 0 || p.IndexStep > step || p.Pass < 0 || p.Next < 0 ||
		(p.Indexes > 0) != (len(r.shards) > 0) {
		return nil, fmt.Errorf("index %d of %d shards, made at step %d, batch %d of pass %d: no training was ever there",
			p.Indexes, len(r.shards), p.IndexStep, p.Next, p.Pass)
	}
	r.indexes, r.indexStep = p.Indexes, p.IndexStep
	if r.indexes > 0 {
		if err := r.startPass(context.Background(), p.Pass); err != nil {
			return nil, err
		}
		if p.Next > len(r.batches) {
			return nil, fmt.Errorf("batch %d of a pass of %d", p.Next, len(r.batches))
		}
		r.next = p.Next
	}
	return names, nil
}

// readLinks is the inverse of the tensors of place.
func (r *retrieved) readLinks(f *safetensors.File) ([]string, error) {
	names := []string{"index.shards", "index.counts", "index.targets", "index.evidence"}
	var columns [4][]int32
	for i, name := range names {
		values, err := f.Int32s(name)
		if err != nil {
			return nil, err
		}
		columns[i] = values
	}
	names = append(names, "index.scores")
	scores, err := f.Float32s("index.scores")
	if err != nil {
		return nil, err
	}
	shards, counts, targets, evidence := columns[0], columns[1], columns[2], columns[3]
	if len(shards) != len(counts) || len(targets) != len(evidence) || len(targets) != len(scores) {
		return nil, errors.New("tensors of different lengths")
	}
	r.shards = nil
	drawn, at := map[int32]bool{}, 0
	for i, shard := range shards {
		n := int(counts[i])
		if shard < 0 || int(shard) >= len(r.store.Shards()) || drawn[shard] || n < 1 || n > len(targets)-at {
			return nil, fmt.Errorf("shard %d with %d pairs is out of range or comes twice", shard, n)
		}
		drawn[shard] = true
		l := shardLinks{shard: int(shard), items: r.items(int(shard))}
		for j := at; j < at+n; j++ {
			l.pairs = append(l.pairs, index.Pair{Target: targets[j], Evidence: evidence[j], Score: scores[j]})
		}
		if err := index.CheckPairs(l.pairs, l.items); err != nil {
			return nil, fmt.Errorf("shard %d: %w", shard, err)
		}
		at += n
		r.shards = append(r.shards, l)
	}
	if at != len(targets) {
		return nil, fmt.Errorf("%d pairs, %d of them in shards", len(targets), at)
	}
	return names, nil
}
