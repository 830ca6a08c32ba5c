package marge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// objectiveOptions make a training of several passes.
func objectiveOptions(o Objective, store *corpus.Store, dir string) PretrainOptions {
	p := PretrainOptions{
		Objective: o, Steps: 40, WarmupSteps: 5, LearningRate: 3e-3, BatchTokens: 200, Accumulate: 2, LanguageTemperature: 2,
		Seed: 3, Dir: dir, CheckpointEvery: 5, Resume: dir != "",
	}
	if o.UsesPairs() {
		p.Pairs = store.KnownPairs()
	}
	return p
}

// trainFor trains a new model on the test corpus, for another objective than MARGE.
func trainFor(t *testing.T, threads int, o Objective, dir string, change func(*PretrainOptions)) (
	[]byte, PretrainStats, error) {
	t.Helper()
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(threads))
	m.Tokenizer = tok
	p := objectiveOptions(o, store, dir)
	if change != nil {
		change(&p)
	}
	stats, err := Pretrain(context.Background(), m, store, p)
	return weights(m), stats, err
}

func otherObjectives() []Objective { return Objectives()[1:] }

func TestObjectivesLearn(t *testing.T) {
	for _, objective := range otherObjectives() {
		var losses []float64
		tokens := int64(0)
		_, stats, err := trainFor(t, 2, objective, "", func(o *PretrainOptions) {
			o.Steps = 300
			o.OnStep = func(m Metrics) error {
				losses = append(losses, m.Loss)
				if m.Targets == 0 || m.TargetTokens <= tokens || m.GradNorm <= 0 || m.Index != 0 {
					t.Errorf("%s: metrics %+v", objective, m)
				}
				tokens = m.TargetTokens
				return nil
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if stats.Indexes != 0 || stats.Steps != 300 || stats.TargetTokens != tokens {
			t.Errorf("%s: %+v", objective, stats)
		}
		first, last := mean(losses[:5]), mean(losses[295:])
		if !(last < 0.7*first) {
			t.Errorf("%s: the loss fell from %.3f to %.3f only", objective, first, last)
		}
	}
}

func mean(values []float64) (sum float64) {
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

func TestObjectivesGiveTheSameBits(t *testing.T) {
	all := map[string]Objective{}
	for _, objective := range otherObjectives() {
		want, _, err := trainFor(t, 1, objective, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := all[string(want)]; ok {
			t.Errorf("%s trains the same as %s", objective, other)
		}
		all[string(want)] = objective
		if got, _, err := trainFor(t, 3, objective, "", nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: three threads end with other parameters than one, error %v", objective, err)
		}
		seed := func(o *PretrainOptions) { o.Seed = 4 }
		if got, _, err := trainFor(t, 1, objective, "", seed); err != nil || bytes.Equal(got, want) {
			t.Errorf("%s: two seeds end with the same parameters, error %v", objective, err)
		}
		dir, stop := t.TempDir(), errors.New("enough")
		for _, at := range []int{1, 17, 32} {
			_, stats, err := trainFor(t, 2, objective, dir, func(o *PretrainOptions) {
				o.OnStep = func(m Metrics) error {
					if m.Step == at {
						return stop
					}
					return nil
				}
			})
			if !errors.Is(err, stop) || stats.Steps != at {
				t.Fatalf("%s, stopped at %d: %d steps, error %v", objective, at, stats.Steps, err)
			}
		}
		if got, _, err := trainFor(t, 2, objective, dir, nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: a resumed training ends with other parameters, error %v", objective, err)
		}
	}
}

// A training goes on from its checkpoint for the same objective, share and pairs
// alone.
func TestObjectiveOfACheckpoint(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := trainFor(t, 1, TLM, dir, nil); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*PretrainOptions){
		"Objective":   func(o *PretrainOptions) { o.Objective, o.Pairs = MLM, nil },
		"MaskedShare": func(o *PretrainOptions) { o.MaskedShare = 0.2 },
		"Pairs":       func(o *PretrainOptions) { o.Pairs = o.Pairs[1:] },
	} {
		if _, _, err := trainFor(t, 1, TLM, dir, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("resumed with another %s: error %v", want, err)
		}
	}
}

// What each objective takes from the corpus, and in which proportion of languages.
func TestObjectiveBatches(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	languages, _, err := checkCorpus(m, store)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{} // chunk by its tokens
	for i := range store.Len() {
		texts[fmt.Sprint(store.Tokens(i))] = i
	}
	translations := map[[2]int]bool{}
	for _, p := range store.KnownPairs() {
		translations[p], translations[[2]int{p[1], p[0]}] = true, true
	}
	chunk := func(tokens []int32) int {
		i, ok := texts[fmt.Sprint(tokens)]
		if !ok {
			t.Fatalf("%v is no chunk", tokens)
		}
		return i
	}
	for _, objective := range otherObjectives() {
		o := objectiveOptions(objective, store, "")
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		phases, err := o.phases(m, store, languages)
		if err != nil || len(phases) != 1 || phases[0].until != math.MaxInt {
			t.Fatal(phases, err)
		}
		seen, changed := map[int]int{}, 0
		for step := range 20 {
			batches, err := phases[0].source.take(context.Background(), step, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				names := phases[0].source.documents(b)
				for i, e := range b.examples {
					read := restored(e)
					record := store.Chunk(e.record)
					if e.language != languages[record.Lang] || b.Languages[i] != e.language {
						t.Fatalf("%s: language token %d", objective, e.language)
					}
					if names[i] != store.DocumentID(record.Doc) {
						t.Fatalf("%s: chunk %d is named %q", objective, e.record, names[i])
					}
					switch {
					case objective == Translate:
						if !translations[[2]int{chunk(e.source), chunk(e.target)}] || chunk(e.target) != e.record {
							t.Fatalf("%v and %v are no translations", e.source, e.target)
						}
					case objective == Denoise:
						if chunk(e.target) != e.record {
							t.Fatal("the target is another document")
						}
						if !slices.Equal(e.source, e.target) {
							changed++
						}
					case e.second > 0:
						if objective != TLM || step%2 != 1 {
							t.Fatalf("%s: a pair in step %d", objective, step)
						}
						first, second := read[:e.second-1], read[e.second+1:]
						if !translations[[2]int{chunk(first), chunk(second)}] || chunk(second) != e.record {
							t.Fatal("the two are no translations")
						}
						if read[e.second-1] != tokenizer.EOS || read[e.second] != tokenizer.BOS {
							t.Fatalf("%v has no </s> <s> before token %d", read, e.second+1)
						}
					default:
						if objective == TLM && step%2 != 0 {
							t.Fatalf("a single document in step %d", step)
						}
						if chunk(read) != e.record || len(e.masked) == 0 || len(e.target) != 0 {
							t.Fatalf("%s: %+v", objective, e)
						}
					}
					seen[e.record]++
				}
			}
		}
		if len(seen) < store.Len()*9/10 {
			t.Errorf("%s: %d of %d chunks in 20 updates", objective, len(seen), store.Len())
		}
		if objective == Denoise && changed == 0 {
			t.Error("no document is corrupted")
		}
	}
}

// restored returns what an example was before tokens were hidden.
func restored(e example) []int32 {
	doc := slices.Clone(e.source)
	for _, h := range e.masked {
		doc[h.place] = h.token
	}
	return doc
}

// With a temperature rare languages come more often, and what is changed is changed
// anew in each pass.
func TestEpochsRepeatAndChange(t *testing.T) {
	tok, _ := testCorpus(t)
	var docs []corpus.Document
	for i, d := range testDocuments(200) {
		if d.Lang == "de" || i%16 == 0 { // 200 and 25
			docs = append(docs, d)
		}
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	languages, _, err := checkCorpus(m, store)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[float64]float64{}
	for _, temperature := range []float64{1, 2, 1e9} {
		o := PretrainOptions{Objective: MLM, LanguageTemperature: temperature, Seed: 1}
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		phases, err := o.phases(m, store, languages)
		if err != nil {
			t.Fatal(err)
		}
		s := phases[0].source.(*epochs)
		tokens := map[int]float64{}
		hidden := map[string]bool{}
		const passes = 20
		for pass := range passes {
			s.start(pass)
			for range len(s.batches) {
				batches, err := s.take(context.Background(), 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range batches[0].examples {
					tokens[store.Chunk(e.record).Lang] += float64(len(e.source))
					if e.record == 0 {
						hidden[fmt.Sprint(e.masked)] = true
					}
				}
			}
		}
		if len(hidden) < 5 {
			t.Errorf("temperature %v: %d different tokens are hidden in %d passes", temperature, len(hidden), passes)
		}
		lang := slices.Index(store.Langs(), "en")
		shares[temperature] = tokens[lang] / (tokens[0] + tokens[1])
	}
	p := shares[1]
	if p > 0.2 {
		t.Fatalf("the rare language has a share of %.3f", p)
	}
	if want := math.Sqrt(p) / (math.Sqrt(p) + math.Sqrt(1-p)); math.Abs(shares[2]-want) > 0.02 {
		t.Errorf("at temperature 2 the rare language has a share of %.3f, want %.3f", shares[2], want)
	}
	if math.Abs(shares[1e9]-0.5) > 0.02 {
		t.Errorf("at a very high temperature the rare language has a share of %.3f", shares[1e9])
	}
}

func TestObjectiveOptions(t *testing.T) {
	_, store := testCorpus(t)
	for want, change := range map[string]func(*PretrainOptions){
		`option Objective is "bert", want one of ["marge" "mlm" "tlm" "denoise" "translate"]`: func(o *PretrainOptions) {
			o.Objective = "bert"
		},
		"objective tlm learns from known translations: set the option Pairs": func(o *PretrainOptions) {
			o.Objective = TLM
		},
		"objective translate learns from known translations: set the option Pairs": func(o *PretrainOptions) {
			o.Objective = Translate
		},
		"option Pairs: objective denoise has no use": func(o *PretrainOptions) {
			o.Objective, o.Pairs = Denoise, store.KnownPairs()
		},
		"option Pairs: objective marge has no use": func(o *PretrainOptions) {
			o.Objective, o.Pairs = "", store.KnownPairs()
		},
		"option MaskedShare: objective marge masks nothing": func(o *PretrainOptions) {
			o.Objective, o.MaskedShare = MARGE, 0.1
		},
		"option MaskedShare: objective translate masks nothing": func(o *PretrainOptions) {
			o.Objective, o.Pairs, o.MaskedShare = Translate, store.KnownPairs(), 0.1
		},
		"option MaskedShare is 1.1": func(o *PretrainOptions) { o.MaskedShare = 1.1 },
		"option MaskedShare is -1":  func(o *PretrainOptions) { o.MaskedShare = -1 },
		"option MaskedShare is NaN": func(o *PretrainOptions) { o.MaskedShare = math.NaN() },
		"options IndexEvery, Links, OnLinks: objective mlm retrieves nothing": func(o *PretrainOptions) {
			o.IndexEvery, o.Links.Mono = 5, 1
			o.OnLinks = func([]index.Item, []index.Pair) ([]index.Pair, error) { return nil, nil }
		},
		"options DistillWeight, NullDocument: objective mlm": func(o *PretrainOptions) {
			o.NullDocument, o.DistillWeight = true, 1
		},
		"pair 0 is [0 48], the corpus has 48 chunks": func(o *PretrainOptions) {
			o.Objective, o.Pairs = TLM, [][2]int{{0, 48}}
		},
		"pair 1 is [7 7], a chunk and itself": func(o *PretrainOptions) {
			o.Objective, o.Pairs = Translate, [][2]int{{0, 1}, {7, 7}}
		},
	} {
		_, _, err := trainFor(t, 1, MLM, "", change)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	negative := func(o *PretrainOptions) { o.TFIDFSteps, o.Steps = -1, 1 } // to say that there are none is right
	if _, _, err := trainFor(t, 1, MLM, "", negative); err != nil {
		t.Error(err)
	}
}

// A rendering from a document of its own is a reconstruction to which all others
// are hidden: the relevance of the one that is left changes nothing.
func TestRenderingIsReconstructionFromOneDocument(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := &Batch{
		Evidence: [][]int32{{10, 11, 12, 13}, {20}}, Targets: [][]int32{{40, 41}, {30, 31, 32}}, Languages: []int32{5, 6},
		Own: [][2]int{{0, 1}, {1, 0}},
	}
	gradients := func(o objective) (loss float32, all []float32) {
		tp := tensor.NewTape(m.Backend())
		tp.Reset(tensor.Gradient, 0)
		for _, p := range m.Parameters() {
			p.ZeroGrad()
		}
		out := o.loss(tp, b)
		tp.Backward(out.sum)
		for _, p := range m.Parameters() {
			values := make([]float32, p.Len())
			if p.HasGrad() {
				p.Grad().CopyTo(values)
			}
			all = append(all, values...)
		}
		return out.sum.Item(), all
	}
	want, wanted := gradients(&reconstruction{m: m})
	got, all := gradients(&rendering{m, 0})
	if math.Abs(float64(got-want)) > 1e-5*float64(want) {
		t.Errorf("loss %v, want %v", got, want)
	}
	off, size := 0.0, 0.0
	for i, g := range all {
		d, w := float64(g-wanted[i]), float64(wanted[i])
		off, size = off+d*d, size+w*w
	}
	if !(math.Sqrt(off) <= 1e-5*math.Sqrt(size)) {
		t.Errorf("gradients are off by %.2g of their norm", math.Sqrt(off/size))
	}
}
