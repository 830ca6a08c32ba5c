package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

// method is a way to retrieve, with one report or one for each model.
type method struct {
	Name    string         `json:"name"`
	Reports []*eval.Report `json:"reports"`
}

// fromRandom compares g, trained and random, with methods that learn nothing.
func fromRandom(*flag.FlagSet) func(context.Context, *env) (*report, error) {
	return func(ctx context.Context, e *env) (*report, error) {
		r := &report{Columns: []string{"method", "P@1", "P@5", "MRR", "P@1, mean over pairs"}}
		methods := []*method{{Name: "g, trained"}, {Name: "g, trained, centred by language"}, {Name: "g, random"}, {Name: "g, random, centred by language"}}
		var samples []*training
		var run asm.Runner
		err := e.eachModel(ctx, func(t *trained) error {
			run, r.Machine = t.model.Runner(), machineOf(t.model)
			h, err := e.heldout(t.model.Tokenizer)
			if err != nil {
				return err
			}
			random, err := untrained(t)
			if err != nil {
				return err
			}
			for i, m := range []*marge.Model{t.model, random} {
				plain, centered, err := h.scorers(ctx, m)
				if err != nil {
					return err
				}
				methods[2*i].Reports = append(methods[2*i].Reports, retrieval(h.meta, plain))
				methods[2*i+1].Reports = append(methods[2*i+1].Reports, retrieval(h.meta, centered))
			}
			if t.run != nil {
				r.Trainings = append(r.Trainings, short("default", t.run))
			}
			samples = append(samples, &training{Curve: t.curve})
			if len(methods) > 4 {
				return nil // the baselines are the same for all models
			}
			seen := make([]string, len(h.tokens))
			for i, tokens := range h.tokens {
				seen[i] = t.model.Tokenizer.Decode(tokens)
			}
			cut := fmt.Sprintf("first %d tokens", e.settings.Chunk)
			for _, b := range []struct {
				name   string
				scorer eval.Scorer
			}{
				{"TF-IDF of characters, " + cut, eval.NewTFIDF(run, seen, eval.TFIDFOptions{})},
				{"TF-IDF of characters, whole documents", eval.NewTFIDF(run, h.texts, eval.TFIDFOptions{})},
				{"BM25 of words, " + cut, eval.NewBM25(run, seen, eval.BM25Options{})},
				{"BM25 of words, whole documents", eval.NewBM25(run, h.texts, eval.BM25Options{})},
				{"BM25 of characters, whole documents", eval.NewBM25(run, h.texts, eval.BM25Options{MinN: 3, MaxN: 5})},
			} {
				if err := ctx.Err(); err != nil {
					return err
				}
				methods = append(methods, &method{b.name, []*eval.Report{retrieval(h.meta, b.scorer)}})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		final := panel{title: "P@1", series: []series{{}}}
		for i, m := range methods {
			p := over(m.Reports, p1)
			r.row(m.Name, p,
				over(m.Reports, func(r *eval.Report) figure { return figure{r.Micro.P5, r.MicroIntervals.P5} }),
				over(m.Reports, func(r *eval.Report) figure { return figure{r.Micro.MRR, r.MicroIntervals.MRR} }),
				over(m.Reports, func(r *eval.Report) figure { return figure{r.Macro.P1, r.MacroIntervals.P1} }))
			final.names = append(final.names, m.Name)
			final.series[0].points = append(final.series[0].points, p.point(float64(i)))
			if i >= 2 {
				best := over(methods[1].Reports, p1)
				r.find("P@1 of trained g, centred, %s, is %s that of %s, %s.", best, compare(best, p), m.Name, p)
			}
		}
		r.note("What documents of a language have in common, and how rare words are, is taken from the held-out documents themselves, without their groups.")
		r.note("P@1 over %d queries of %d ordered pairs of languages; brackets: 95%% bootstrap intervals (1,000 folds, groups drawn), of several seeds the widest bounds.",
			methods[0].Reports[0].Micro.N, len(methods[0].Reports[0].Pairs))
		r.Results = methods
		if len(samples[0].Curve) > 0 {
			r.panels = append(r.panels, learningCurves(samples)...)
		}
		r.panels = append(r.panels, final)
		return r, nil
	}
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
