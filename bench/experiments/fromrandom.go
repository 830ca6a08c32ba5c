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
	// Behind is how much better trained g is, centred, that sees as much of the
	// documents: one for each model, or none for g itself.
	Behind []*eval.Difference `json:"behind,omitempty"`

	sees int // 0: the first chunk; 1: whole documents
}

// The places of g among the methods, for each part of the documents.
const (
	gTrained = iota
	gTrainedCentered
	gRandom
	gRandomCentered
	gMethods
)

// retriever measures all methods.
type retriever struct {
	sees    [2]string // names of what methods see
	options marge.DocumentOptions
	methods []*method
}

// fromRandom compares g, trained and random, with methods that learn nothing.
func fromRandom(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	chunks := fs.Int("document-chunks", 0, "chunks of a held-out document that g sees where it sees whole documents (0: all)")
	return func(ctx context.Context, e *env) (*report, error) {
		if *chunks < 0 {
			return nil, fmt.Errorf("-document-chunks %d: must not be negative", *chunks)
		}
		x := &retriever{
			sees:    [2]string{fmt.Sprintf("first %d tokens", e.settings.Chunk), "whole documents"},
			options: marge.DocumentOptions{ChunkTokens: e.settings.Chunk, MaxChunks: *chunks},
		}
		for sees, name := range x.sees {
			for _, g := range []string{"g, trained, %s", "g, trained, %s, centred by language", "g, random, %s", "g, random, %s, centred by language"} {
				x.methods = append(x.methods, &method{Name: fmt.Sprintf(g, name), sees: sees})
			}
		}
		r := &report{Columns: []string{"method", "P@1", "P@5", "MRR", "P@1, mean over pairs"}}
		var samples []*training
		err := e.eachModel(ctx, func(t *trained) error {
			r.Machine = machineOf(t.model)
			h, err := e.heldout(t.model.Tokenizer)
			if err != nil {
				return err
			}
			if err := x.measure(ctx, h, t); err != nil {
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
		x.report(r)
		if len(samples[0].Curve) > 0 {
			r.panels = append(learningCurves(samples), r.panels...)
		}
		return r, nil
	}
}

// measure adds the reports of a model, and those of the methods that learn
// nothing, which are the same for all models.
func (x *retriever) measure(ctx context.Context, h *heldout, t *trained) error {
	random, err := untrained(t)
	if err != nil {
		return err
	}
	for i, m := range []*marge.Model{t.model, random} {
		for sees := range x.sees {
			var plain, centered eval.Scorer
			if sees == 0 {
				plain, centered, err = h.scorers(ctx, m)
			} else {
				plain, centered, err = h.wholeScorers(ctx, m, x.options)
			}
			if err != nil {
				return err
			}
			of := x.methods[sees*gMethods+2*i:]
			of[0].Reports = append(of[0].Reports, retrieval(h.meta, plain))
			of[1].Reports = append(of[1].Reports, retrieval(h.meta, centered))
		}
	}
	if len(x.methods) == 2*gMethods {
		if err := x.baselines(ctx, h, t.model); err != nil {
			return err
		}
	}
	for i, m := range x.methods {
		if i%gMethods <= gTrainedCentered && i < 2*gMethods {
			continue
		}
		best := x.methods[m.sees*gMethods+gTrainedCentered].Reports
		m.Behind = append(m.Behind, eval.Compare(best[len(best)-1], m.Reports[len(m.Reports)-1], bootstrap, true))
	}
	return nil
}

func (x *retriever) baselines(ctx context.Context, h *heldout, m *marge.Model) error {
	run := m.Runner()
	seen := make([]string, len(h.tokens))
	for i, tokens := range h.tokens {
		seen[i] = m.Tokenizer.Decode(tokens)
	}
	for _, b := range []struct {
		name   string
		sees   int
		scorer eval.Scorer
	}{
		{"TF-IDF of characters", 0, eval.NewTFIDF(run, seen, eval.TFIDFOptions{})},
		{"TF-IDF of characters", 1, eval.NewTFIDF(run, h.texts, eval.TFIDFOptions{})},
		{"BM25 of words", 0, eval.NewBM25(run, seen, eval.BM25Options{})},
		{"BM25 of words", 1, eval.NewBM25(run, h.texts, eval.BM25Options{})},
		{"BM25 of characters", 1, eval.NewBM25(run, h.texts, eval.BM25Options{MinN: 3, MaxN: 5})},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		x.methods = append(x.methods, &method{Name: b.name + ", " + x.sees[b.sees], Reports: []*eval.Report{retrieval(h.meta, b.scorer)}, sees: b.sees})
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
		if m.Behind != nil {
			best := x.methods[m.sees*gMethods+gTrainedCentered]
			by := over(m.Behind, func(d *eval.Difference) figure { return figure{d.Micro.P1, d.MicroIntervals.P1} })
			r.find("P@1 of %s, %s, is %s that of %s, %s; the difference is %s.", best.Name, over(best.Reports, p1), by.sign(), m.Name, p, by)
		}
	}
	r.panels = append(r.panels, final)
	first := x.methods[0].Reports[0]
	chunks := "their chunks"
	if n := x.options.MaxChunks; n > 0 {
		chunks = fmt.Sprintf("their first %d chunks", n)
	}
	r.note("Of whole documents, g is the sum over %s, scaled to unit length.", chunks)
	r.note("What documents of a language have in common, and how rare words are, is taken from the held-out documents themselves, without their groups.")
	r.note("P@1 over %d queries of %d ordered pairs of languages; brackets: 95%% bootstrap intervals (1,000 folds, groups drawn), of several seeds the widest bounds. Those of differences are of the paired bootstrap.",
		first.Micro.N, len(first.Pairs))
	r.Results = x.methods
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
