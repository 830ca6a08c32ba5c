package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

// method is a way to retrieve, with one report or one for each model.
type method struct {
	Name    string         `json:"name"`
	Reports []*eval.Report `json:"reports"`
}

// comparison is what trained g is better by than another method that sees as
// much of the documents, for each model.
type comparison struct {
	G           string             `json:"g"`
	Other       string             `json:"other"`
	Differences []*eval.Difference `json:"differences"`

	g, other *method
}

// view is a part of the documents that methods see.
type view struct {
	name  string
	whole bool
}

// retriever measures all methods.
type retriever struct {
	views       []view
	options     marge.DocumentOptions
	methods     []*method     // g of each view: trained, the same centred, random, the same centred; then the others
	comparisons []*comparison // of g, trained and centred
}

// gMethods is how many methods of each view are g.
const gMethods = 4

func newRetriever(e *env, chunks int) *retriever {
	x := &retriever{options: marge.DocumentOptions{ChunkTokens: e.settings.Chunk, MaxChunks: chunks}}
	x.views = []view{{e.beginning(), false}, {wholeDocuments, true}, {wholeDocuments + " by their nearest chunks", true}}
	for _, v := range x.views {
		for _, weights := range []string{"trained", "random"} {
			name := fmt.Sprintf("g, %s, %s", weights, v.name)
			x.methods = append(x.methods, &method{Name: name}, &method{Name: name + ", centred by language"})
		}
	}
	return x
}

const wholeDocuments = "whole documents"

// beginning names the part of a document that is in its first chunk.
func (e *env) beginning() string { return fmt.Sprintf("first %d tokens", e.settings.Chunk) }

// fromRandom compares g, trained and random, with methods that learn nothing.
func fromRandom(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	chunks := fs.Int("document-chunks", 0, "chunks of a held-out document that g sees where it sees whole "+
		"documents (0: all)")
	return func(ctx context.Context, e *env) (*report, error) {
		if *chunks < 0 {
			return nil, fmt.Errorf("-document-chunks %d: must not be negative", *chunks)
		}
		x := newRetriever(e, *chunks)
		r := &report{Columns: []string{"method", "P@1", "P@5", "MRR", "P@1, mean over pairs"}}
		var samples []*training
		err := e.eachModel(ctx, func(t *trained) error {
			r.Machine = machineOf(e.backend)
			h, err := e.heldout(t.model.Tokenizer)
			if err != nil {
				return err
			}
			if err := x.measure(ctx, e, h, t); err != nil {
				return err
			}
			if t.run != nil {
				r.Trainings = append(r.Trainings, short("default", t.run))
			}
			samples = append(samples, &training{Curve: t.curve})
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(samples[0].Curve) > 0 {
			r.panels = learningCurves(samples)
		}
		x.report(r)
		return r, nil
	}
}

// measure adds the reports of a model, and those of the methods that learn
// nothing, which are the same for all models.
func (x *retriever) measure(ctx context.Context, e *env, h *heldout, t *trained) error {
	random, err := untrained(t)
	if err != nil {
		return err
	}
	for i, m := range []*marge.Model{t.model, random} {
		var plain, centered [3]eval.Scorer // by view
		if plain[0], centered[0], err = h.scorers(ctx, m); err != nil {
			return err
		}
		if plain[1], centered[1], plain[2], centered[2], err = h.wholeScorers(ctx, m, x.options); err != nil {
			return err
		}
		for v := range x.views {
			of := x.methods[v*gMethods+2*i:]
			for j, s := range []eval.Scorer{plain[v], centered[v]} {
				report, err := retrieval(ctx, h.meta, s)
				if err != nil {
					return err
				}
				of[j].Reports = append(of[j].Reports, report)
			}
		}
	}
	if x.comparisons == nil {
		if err := x.baselines(ctx, e, h, t.model); err != nil {
			return err
		}
	}
	last := func(m *method) *eval.Report { return m.Reports[len(m.Reports)-1] }
	for _, c := range x.comparisons {
		d, err := eval.Compare(ctx, last(c.g), last(c.other), bootstrap, true)
		if err != nil {
			return err
		}
		c.Differences = append(c.Differences, d)
	}
	return nil
}

// baselines measures what learns nothing, and lists what g is compared with.
func (x *retriever) baselines(ctx context.Context, e *env, h *heldout, m *marge.Model) error {
	run := m.Runner()
	seen := make([]string, len(h.tokens))
	for i, tokens := range h.tokens {
		seen[i] = m.Tokenizer.Decode(tokens)
	}
	compare := func(view int, other *method) {
		g := x.methods[view*gMethods+1]
		x.comparisons = append(x.comparisons, &comparison{G: g.Name, Other: other.Name, g: g, other: other})
	}
	for v := range x.views {
		compare(v, x.methods[v*gMethods+2])
		compare(v, x.methods[v*gMethods+3])
	}
	tfidf := func(texts []string) (eval.Scorer, error) { return eval.NewTFIDF(ctx, run, texts, eval.TFIDFOptions{}) }
	bm25 := func(o eval.BM25Options) func(texts []string) (eval.Scorer, error) {
		return func(texts []string) (eval.Scorer, error) { return eval.NewBM25(ctx, run, texts, o) }
	}
	for _, b := range []struct {
		name   string
		whole  bool
		scorer func(texts []string) (eval.Scorer, error)
	}{
		{"TF-IDF of characters", false, tfidf}, {"TF-IDF of characters", true, tfidf},
		{"BM25 of words", false, bm25(eval.BM25Options{})}, {"BM25 of words", true, bm25(eval.BM25Options{})},
		{"BM25 of characters", true, bm25(eval.BM25Options{MinN: 3, MaxN: 5})},
	} {
		part, texts := e.beginning(), seen
		if b.whole {
			part, texts = wholeDocuments, h.texts
		}
		scorer, err := b.scorer(texts)
		if err != nil {
			return err
		}
		report, err := retrieval(ctx, h.meta, scorer)
		if err != nil {
			return err
		}
		other := &method{b.name + ", " + part, []*eval.Report{report}}
		x.methods = append(x.methods, other)
		for v, view := range x.views {
			if view.whole == b.whole {
				compare(v, other)
			}
		}
	}
	return nil
}

// report adds a row for each method, and what trained g is better by.
func (x *retriever) report(r *report) {
	final := panel{title: "P@1", series: []series{{}}}
	for i, m := range x.methods {
		p := over(m.Reports, p1)
		r.row(m.Name, p,
			over(m.Reports, func(r *eval.Report) figure { return figure{r.Micro.P5, r.MicroIntervals.P5} }),
			over(m.Reports, func(r *eval.Report) figure { return figure{r.Micro.MRR, r.MicroIntervals.MRR} }),
			over(m.Reports, func(r *eval.Report) figure { return figure{r.Macro.P1, r.MacroIntervals.P1} }))
		final.names = append(final.names, m.Name)
		final.series[0].points = append(final.series[0].points, p.point(float64(i)))
	}
	for _, c := range x.comparisons {
		by := over(c.Differences, func(d *eval.Difference) figure { return figure{d.Micro.P1, d.MicroIntervals.P1} })
		r.find("P@1 of %s, %.3f, is %s that of %s, %.3f; the difference is %s.",
			c.G, over(c.g.Reports, p1).Value, by.sign(), c.Other, over(c.other.Reports, p1).Value, by)
	}
	r.panels = append(r.panels, final)
	chunks := "their chunks"
	if n := x.options.MaxChunks; n > 0 {
		chunks = fmt.Sprintf("their first %d chunks", n)
	}
	r.note("Of whole documents, g is the sum over %s, scaled to unit length; or each chunk is compared with the "+
		"nearest of the other document, both ways, and the cosines are averaged.", chunks)
	r.note("What documents of a language have in common, and how rare words are, is taken from the held-out " +
		"documents themselves, without their groups.")
	first := x.methods[0].Reports[0]
	r.note("P@1 over %d queries of %d ordered pairs of languages; brackets: 95%% bootstrap intervals (1,000 folds, "+
		"groups drawn), of several seeds the widest bounds. Those of differences are of the paired bootstrap.",
		first.Micro.N, len(first.Pairs))
	r.Results = map[string]any{"methods": x.methods, "comparisons": x.comparisons}
}

// untrained returns a model like a trained one with random weights.
func untrained(t *trained) (*marge.Model, error) {
	c := t.model.Config
	c.Seed = t.seed
	random, err := marge.New(c)
	if err == nil {
		random.Tokenizer = t.model.Tokenizer
	}
	return random, err
}

// learningCurves draws P@1 and loss over target tokens and over time.
func learningCurves(all []*training) []panel {
	minutes := func(_ *training, s *sample) float64 { return s.Seconds / 60 }
	var panels []panel
	for _, x := range []struct {
		label string
		value func(*training, *sample) float64
	}{{"target tokens (millions)", tokensOf}, {"minutes", minutes}} {
		curve := func(name string, y func(*sample) float64) series { return series{name, curveOf(all, x.value, y)} }
		// The loss of random weights is so high that it would hide the rest.
		loss := func(name string, y func(*sample) float64) series {
			s := curve(name, y)
			s.points = s.points[min(1, len(s.points)-1):]
			return s
		}
		panels = append(panels,
			panel{title: "P@1, held-out", x: x.label, series: []series{
				curve("g", func(s *sample) float64 { return s.P1 }),
				curve("centred by language", func(s *sample) float64 { return s.P1Centered }),
			}},
			panel{title: "loss, nats per token", x: x.label, series: []series{
				loss("training", func(s *sample) float64 { return s.TrainLoss }),
				loss("held-out, retrieved", func(s *sample) float64 { return s.Loss.Retrieved }),
				loss("held-out, translations", func(s *sample) float64 { return s.Loss.Oracle }),
				loss("held-out, random", func(s *sample) float64 { return s.Loss.Random }),
				loss("held-out, no evidence", func(s *sample) float64 { return s.Loss.None }),
			}})
	}
	return panels
}
