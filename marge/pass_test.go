package marge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
)

// trainedBatch is what the metrics of an update of one batch tell of it.
type trainedBatch struct {
	targets, evidence, tokens int // tokens: predicted ones
}

// passes trains on the documents for n passes over the links of one index,
// without learning anything, and returns the batches of each. The passes must
// have as many batches as the first.
func passes(t *testing.T, n int, o PretrainOptions, docs ...corpus.Document) [][]trainedBatch {
	t.Helper()
	m, store := trainingOf(t, docs...)
	var all []trainedBatch
	perPass, tokens := 0, 0
	o.LearningRate, o.WeightDecay, o.TFIDFSteps, o.IndexEvery = 1e-30, -1, 1<<20, 1<<20
	o.Steps = 1000
	o.OnIndex = func(s IndexStats) { perPass = s.Batches }
	stop := fmt.Errorf("enough")
	o.OnStep = func(m Metrics) error {
		all = append(all, trainedBatch{m.Targets, m.Evidence, int(m.TargetTokens) - tokens})
		tokens = int(m.TargetTokens)
		if len(all) == n*perPass {
			return stop
		}
		return nil
	}
	if _, err := Pretrain(context.Background(), m, store, o); len(all) != n*perPass {
		t.Fatalf("%d updates of %d: %v", len(all), n*perPass, err)
	}
	return slices.Collect(slices.Chunk(all, perPass))
}

// predicted returns how many tokens a target makes the decoder predict: its
// own and </s>.
func predicted(t *testing.T, docs ...corpus.Document) int {
	t.Helper()
	_, store := trainingOf(t, docs...)
	return store.TotalTokens() + store.Len()
}

// linkChunks returns an OnLinks with the given links between chunks: [target,
// evidence, score].
func linkChunks(links ...[3]int) func([]index.Item, []index.Pair) ([]index.Pair, error) {
	return func(items []index.Item, _ []index.Pair) (pairs []index.Pair, err error) {
		place := map[int]int32{} // of chunks
		for i, item := range items {
			place[item.Chunk] = int32(i)
		}
		for _, l := range links {
			pairs = append(pairs, index.Pair{Target: place[l[0]], Evidence: place[l[1]], Score: float32(l[2])})
		}
		return pairs, nil
	}
}

// compositions counts batches by their predicted tokens.
func compositions(passes [][]trainedBatch) map[int]int {
	n := map[int]int{}
	for _, pass := range passes {
		for _, b := range pass {
			n[b.tokens]++
		}
	}
	return n
}

// A batch of two targets takes those whose links to its evidence weigh most:
// with the default weights the two in another language, however much better
// the third one's score is.
func TestLinkWeights(t *testing.T) {
	evidence := account("en", "a", 0, 3)
	mono, near, far := account("en", "a", 1, 4), account("de", "a", 2, 6), account("de", "a", 3, 9)
	m, n, f := predicted(t, mono), predicted(t, near), predicted(t, far)
	links := linkChunks([3]int{1, 0, 3}, [3]int{2, 0, 2}, [3]int{3, 0, 1})
	for _, c := range []struct {
		cross, mono float32
		want        map[int]int
	}{
		{0, 0, map[int]int{n + f: 1, m: 1}},
		{100, 1, map[int]int{n + f: 1, m: 1}},
		{1, 1, map[int]int{m + n: 1, f: 1}},
		{1, 100, map[int]int{m + n: 1, f: 1}},
		{2, 1, map[int]int{n + f: 1, m: 1}},
	} {
		o := PretrainOptions{CrossWeight: c.cross, MonoWeight: c.mono, MaxTargets: 2, OnLinks: links}
		got := compositions(passes(t, 1, o, evidence, mono, near, far))
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("weights %v and %v: batches by predicted tokens %v, want %v", c.cross, c.mono, got, c.want)
		}
	}
}

// pairsOfShards returns n shards of two documents, of different lengths.
func pairsOfShards(n int) (docs []corpus.Document) {
	for i := range n {
		shard := fmt.Sprint("shard ", i)
		docs = append(docs, account("en", shard, i, i+2), account("de", shard, i, i+3))
	}
	return docs
}

// Every pass has every target once, in an order of its own, which depends on
// the seed.
func TestPassOrder(t *testing.T) {
	const n = 8
	docs := pairsOfShards(n)
	var orders []string
	for _, seed := range []uint64{1, 2} {
		o := PretrainOptions{OnLinks: linkAll, Seed: seed}
		for _, pass := range passes(t, 3, o, docs...) {
			if len(pass) != n {
				t.Fatalf("%d batches, want one of each of %d shards", len(pass), n)
			}
			orders = append(orders, fmt.Sprint(pass))
			tokens := 0
			for _, b := range pass {
				tokens += b.tokens
			}
			if want := predicted(t, docs...); tokens != want {
				t.Errorf("a pass predicts %d tokens, want %d", tokens, want)
			}
		}
	}
	slices.Sort(orders)
	if distinct := len(slices.Compact(slices.Clone(orders))); distinct != len(orders) {
		t.Errorf("%d passes in %d orders", len(orders), distinct)
	}
}

// Batches of links that have nothing to do with each other are filled up with
// each other, in random order: the leavings, which grow last, come as often
// with one batch as with another.
func TestBatchesAreFilled(t *testing.T) {
	evidence, other := account("en", "a", 0, 2), account("en", "a", 5, 2)
	long, short, leaf := account("de", "a", 1, 12), account("de", "a", 2, 10), account("de", "a", 3, 3)
	a, b, c := predicted(t, long), predicted(t, short), predicted(t, leaf)
	// Evidence 0 has room for one of its targets at a time.
	links := linkChunks([3]int{1, 0, 2}, [3]int{2, 0, 1}, [3]int{4, 3, 1})
	o := PretrainOptions{OnLinks: links, BatchTokens: a + predicted(t, evidence, leaf, other) + 4}
	got := compositions(passes(t, 40, o, evidence, long, short, other, leaf))
	for _, tokens := range []int{a + c, b + c} {
		if got[tokens] < 8 {
			t.Errorf("of 40 passes, %d have a batch of %d predicted tokens", got[tokens], tokens)
		}
	}
	if got[a+c]+got[b+c] != 40 || got[c] != 0 {
		t.Errorf("batches by predicted tokens: %v, want %d to be filled up to %d or %d", got, c, a+c, b+c)
	}
}

// MaxTargets, MaxEvidence and BatchTokens bound batches, and are reached.
func TestBatchLimits(t *testing.T) {
	var docs []corpus.Document
	for i := range 12 {
		docs = append(docs, account([]string{"en", "de"}[i%2], "a", i, 4))
	}
	most := func(o PretrainOptions) (targets, evidence, tokens int) {
		o.OnLinks = linkAll
		for _, b := range passes(t, 1, o, docs...)[0] {
			targets, evidence, tokens = max(targets, b.targets), max(evidence, b.evidence), max(tokens, b.tokens)
		}
		return targets, evidence, tokens
	}
	if targets, evidence, _ := most(PretrainOptions{}); targets != 12 || evidence != 12 {
		t.Errorf("without limits, batches of up to %d targets and %d evidence documents, want 12 of both", targets, evidence)
	}
	if targets, evidence, _ := most(PretrainOptions{MaxTargets: 3}); targets != 3 || evidence < 4 {
		t.Errorf("MaxTargets 3: batches of up to %d targets and %d evidence documents", targets, evidence)
	}
	if targets, evidence, _ := most(PretrainOptions{MaxEvidence: 2}); targets < 4 || evidence != 2 {
		t.Errorf("MaxEvidence 2: batches of up to %d targets and %d evidence documents", targets, evidence)
	}
	// A document makes tokens and <s> and </s>, and predicts one less.
	each := predicted(t, docs[0]) + 1
	targets, evidence, _ := most(PretrainOptions{BatchTokens: 5*each + each/2})
	if targets+evidence < 5 || targets > 4 || evidence > 4 {
		t.Errorf("BatchTokens for 5 documents: batches of up to %d targets and %d evidence documents", targets, evidence)
	}
}

// With a high temperature both languages have the same share of the tokens
// that a pass predicts, which stay as many.
func TestTemperatureOfPasses(t *testing.T) {
	const many, few, seeds = 20, 4, 10
	var docs []corpus.Document
	for i := range many {
		docs = append(docs, account("en", "a", 10*i, 11)) // all with the same words
	}
	for i := range few {
		docs = append(docs, account("de", "a", 10*i, 3))
	}
	english, german := predicted(t, docs[0]), predicted(t, docs[many])
	all := many*english + few*german
	untempered := float64(few * german)
	for temperature, want := range map[float64]float64{0: untempered, 1: untempered, 1e9: float64(all) / 2} {
		targets, tokens := 0.0, 0.0
		for seed := range uint64(seeds) {
			o := PretrainOptions{OnLinks: linkAll, LanguageTemperature: temperature, BatchTokens: 400, Seed: seed}
			for _, b := range passes(t, 1, o, docs...)[0] {
				targets, tokens = targets+float64(b.targets)/seeds, tokens+float64(b.tokens)/seeds
			}
		}
		// From both sums follows how many of the targets were German.
		share := float64(german) * (tokens - targets*float64(english)) / float64(german-english)
		if math.Abs(share/want-1) > 0.05 || math.Abs(tokens/float64(all)-1) > 0.1 {
			t.Errorf("temperature %v: %v of %v tokens a pass are German, want %v of %d", temperature, share, tokens, want, all)
		}
	}
}
