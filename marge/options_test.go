package marge

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/vectors"
)

// checkRepeatable tests that a training ends with the same bits with another
// number of threads, and when it is stopped and resumed.
func checkRepeatable(t *testing.T, options func(dir string) PretrainOptions) PretrainStats {
	t.Helper()
	want, stats, err := train(t, 1, options(""))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stop := errors.New("enough")
	o := options(dir)
	o.OnStep = func(m Metrics) error {
		if m.Step == stats.Steps*2/3 {
			return stop
		}
		return nil
	}
	if _, _, err := train(t, 3, o); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	got, resumed, err := train(t, 3, options(dir))
	if err != nil {
		t.Fatal(err)
	}
	if resumed.Steps != stats.Steps || resumed.TargetTokens != stats.TargetTokens || !bytes.Equal(got, want) {
		t.Errorf("a resumed training of %d steps ends with other parameters than an uninterrupted one of %d",
			resumed.Steps, stats.Steps)
	}
	return stats
}

func TestTargetTokens(t *testing.T) {
	const tokens = 1500
	options := func(dir string) PretrainOptions {
		o := testOptions(dir)
		o.Steps, o.TargetTokens = 0, tokens
		return o
	}
	stats := checkRepeatable(t, options)
	if stats.TargetTokens < tokens {
		t.Errorf("ended at %d tokens of %d", stats.TargetTokens, tokens)
	}
	o := options("")
	before := int64(0)
	o.OnStep = func(m Metrics) error {
		// What is to come is the share of tokens that is left, after 5 updates of warm-up.
		want := o.LearningRate * min(1, float64(m.Step)/5) * (1 - float64(before)/tokens)
		if math.Abs(m.LR-want) > 1e-9 {
			t.Errorf("step %d: learning rate %v, want %v", m.Step, m.LR, want)
		}
		if before >= tokens {
			t.Errorf("step %d begins at %d tokens", m.Step, before)
		}
		before = m.TargetTokens
		if want := min(1, float64(before)/tokens); m.Progress != want {
			t.Errorf("step %d: progress %v, want %v", m.Step, m.Progress, want)
		}
		return nil
	}
	if _, _, err := train(t, 2, o); err != nil {
		t.Fatal(err)
	}
}

func TestLinkOptionsOfTraining(t *testing.T) {
	for _, links := range []index.LinkOptions{{Mono: 1, Cross: 2, PerTarget: true},
		{Cross: 2, Margin: vectors.MarginRatio}} {
		targets, uneven := 0, false
		checkRepeatable(t, func(dir string) PretrainOptions {
			o := testOptions(dir)
			o.Links = links
			o.OnIndex = func(s IndexStats) {
				targets += s.Targets
				if s.Step < o.TFIDFSteps {
					of := map[int]int{}
					for l := range s.Each {
						of[l.Target]++
					}
					for _, n := range of {
						uneven = uneven || n != int(links.Mono+links.Cross)
					}
				} else if links.PerTarget && (s.Unlinked > 0 || s.Links != 3*s.Targets || s.Cross != 2*s.Targets) {
					t.Errorf("index %+v: want 3 links of every target", s)
				}
			}
			return o
		})
		if targets == 0 {
			t.Error("no targets")
		}
		if !uneven {
			t.Error("all targets have as many links by TF-IDF: want the best of the shard")
		}
	}
}

// TestOnLinks trains on nothing but known translations.
func TestOnLinks(t *testing.T) {
	_, store := testCorpus(t)
	group := func(item index.Item) string { return store.Group(store.Chunk(item.Chunk).Doc) }
	options := func(dir string) PretrainOptions {
		o := testOptions(dir)
		o.OnLinks = func(items []index.Item, found []index.Pair) ([]index.Pair, error) {
			if len(found) == 0 {
				t.Error("no links were found")
			}
			var pairs []index.Pair
			for i, a := range items {
				for j, b := range items {
					if i != j && group(a) == group(b) {
						pairs = append(pairs, index.Pair{Target: int32(i), Evidence: int32(j), Score: 1})
					}
				}
			}
			return pairs, nil
		}
		o.OnIndex = func(s IndexStats) {
			links := 0
			for l := range s.Each {
				if a, b := store.Chunk(l.Target), store.Chunk(l.Evidence); store.Group(a.Doc) != store.Group(b.Doc) {
					t.Errorf("link %+v of other groups", l)
				}
				links++
			}
			if links == 0 || links != s.Links || s.Cross != links || s.Unlinked != 0 {
				t.Errorf("%d links, index %+v", links, s)
			}
		}
		return o
	}
	checkRepeatable(t, options)

	for want, hook := range map[string]func(items []index.Item, pairs []index.Pair) ([]index.Pair, error){
		`OnLinks: shard "2020-01-0`: func([]index.Item, []index.Pair) ([]index.Pair, error) { return nil, errors.New("no") },
		"there are 24 items": func([]index.Item, []index.Pair) ([]index.Pair,
			error) {
			return []index.Pair{{Target: 24}}, nil
		},
		"could be linked": func([]index.Item, []index.Pair) ([]index.Pair, error) { return nil, nil },
	} {
		o := testOptions("")
		o.OnLinks = hook
		if _, stats, err := train(t, 1, o); err == nil || !strings.Contains(err.Error(), want) || stats.Steps != 0 {
			t.Errorf("%d steps, error %v, want one with %q", stats.Steps, err, want)
		}
	}
}

// TestLanguageTemperature trains on documents of which one in nine is German.
func TestLanguageTemperature(t *testing.T) {
	checkRepeatable(t, func(dir string) PretrainOptions {
		o := testOptions(dir)
		o.LanguageTemperature = 3
		return o
	})

	tok, _ := testCorpus(t)
	var docs []corpus.Document
	for i, d := range testDocuments(400) {
		if d.Lang == "en" || i%16 == 1 {
			docs = append(docs, d)
		}
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	// pass returns the share of German in the target tokens of some passes, how
	// many there are a pass, and how often each target comes.
	pass := func(temperature float64) (share, tokens float64, seen map[int]int) {
		m := testModel(t, testConfig(1))
		m.Tokenizer = tok
		o := testOptions("")
		o.IndexShards, o.LanguageTemperature = 0, temperature
		_, links, err := newPretraining(m, store, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := links.reindex(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		german, err := tok.LanguageToken("de")
		if err != nil {
			t.Fatal(err)
		}
		seen = map[int]int{}
		const passes = 20
		for i := range passes {
			if err := links.startPass(context.Background(), i); err != nil {
				t.Fatal(err)
			}
			for _, b := range links.batches {
				for k, doc := range b.Targets {
					n := float64(len(doc) + 1)
					tokens += n / passes
					if b.Languages[k] == german {
						share += n / passes
					}
					if i == 0 {
						seen[b.targets[k]]++
					}
				}
			}
		}
		return share / tokens, tokens, seen
	}
	p, all, seen := pass(0)
	for chunk, n := range seen {
		if n != 1 {
			t.Errorf("without a temperature, chunk %d is a target %d times", chunk, n)
		}
	}
	if p > 0.15 {
		t.Fatalf("the share of German is %v", p)
	}
	for _, temperature := range []float64{1e-3, 0.5, 1, 2, 5, 1e9} {
		got, tokens, _ := pass(temperature)
		a, b := math.Pow(p/(1-p), 1/temperature), 1.0
		if want := a / (a + b); math.Abs(got-want) > 0.01 {
			t.Errorf("T = %v: the share of German is %v, want %v", temperature, got, want)
		}
		if math.Abs(tokens/all-1) > 0.02 {
			t.Errorf("T = %v: %v target tokens a pass, want about %v", temperature, tokens, all)
		}
	}
}

func TestTemper(t *testing.T) {
	for _, temperature := range []float64{1e-9, 0.5, 1, 3, 1e9} {
		amounts := []float64{0, 70, 20, 10}
		weights := temper(amounts, temperature)
		sum := 0.0
		for i, w := range weights {
			sum += w * amounts[i]
		}
		if math.Abs(sum-100) > 1e-9 || weights[0] != 0 {
			t.Errorf("T = %v: weights %v, which make %v of 100", temperature, weights, sum)
		}
		if temperature >= 0.5 {
			for i, w := range weights[2:] {
				got, want := w*amounts[i+2]/(weights[1]*amounts[1]), math.Pow(amounts[i+2]/amounts[1], 1/temperature)
				if math.Abs(got/want-1) > 1e-9 {
					t.Errorf("T = %v: amounts become %v, want %v", temperature, got, want)
				}
			}
		}
	}
}
