package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/vectors"
)

// variant is a change of the settings of a training.
type variant struct {
	name   string
	change func(s *settings)
}

// biasVariants take away, one at a time, what lets the reconstruction teach g.
var biasVariants = []variant{
	{"default", func(*settings) {}},
	{"beta 0", func(s *settings) { s.Beta, s.BetaLearningRate = new(float64), -1 }},
	{"stop gradient through f", func(s *settings) { s.DetachRelevance = true }},
	{"g frozen at random", func(s *settings) { s.GLearningRate = -1 }},
}

// batchingVariants change which documents come together. Where there are no
// links in one language, the weight of the others does not matter, so weights
// are compared with the paper's four links of each kind.
var batchingVariants = []variant{
	{"default", func(*settings) {}},
	{"4+4 links, cross weight 1", func(s *settings) { s.Mono, s.Cross, s.CrossWeight = 4, 4, 1 }},
	{"4+4 links, cross weight 10", func(s *settings) { s.Mono, s.Cross, s.CrossWeight = 4, 4, 10 }},
	{"4+4 links, cross weight 100", func(s *settings) { s.Mono, s.Cross, s.CrossWeight = 4, 4, 100 }},
	{"index 4 times as often", func(s *settings) { s.IndexEvery = max(1, s.IndexEvery/4) }},
	{"index a quarter as often", func(s *settings) { s.IndexEvery *= 4 }},
	{"one index", func(s *settings) { s.IndexEvery = 1 << 30 }},
	{"threshold per shard", func(s *settings) { s.PerTarget = false }},
	{"links of known translations", func(s *settings) { s.KnownLinks = true }}, // an upper bound
	{"random shards", func(s *settings) { s.Shards = shardsRandom }},
}

// optionVariants are the options of later work, and helps for small models.
var optionVariants = []variant{
	{"default", func(*settings) {}},
	{"null document", func(s *settings) { s.NullDocument = true }},
	{"contrastive warm-up", func(s *settings) { s.ContrastiveSteps = s.updates(0.05, 300) }},
	{"first links by TF-IDF", func(s *settings) { s.TFIDFSteps = s.updates(0.25, 2000) }},
	{"links by margin, ratio", func(s *settings) { s.Margin = vectors.MarginRatio }},
	{"links by margin, distance", func(s *settings) { s.Margin = vectors.MarginDistance }},
	{"attention distilled into g", func(s *settings) { s.DistillWeight = 0.1 }},
	{"language temperature 3", func(s *settings) { s.LanguageTemperature = 3 }},
	{"g at a tenth of the rate", func(s *settings) { s.GLearningRate = 0.1 }},
	{"beta at 10 times the rate", func(s *settings) { s.BetaLearningRate = 10 }},
	{"g from the first token", func(s *settings) { s.Pooling, s.RetrievalDim = marge.PoolFirst, 0 }},
	{"g from the mean", func(s *settings) { s.Pooling, s.RetrievalDim = marge.PoolMean, 0 }},
	{"dropout 0.1", func(s *settings) { s.Dropout = 0.1 }},
}

// ablation returns the setup of an experiment that compares variants.
func ablation(variants []variant) func(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	return func(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
		names := make([]string, len(variants))
		for i, v := range variants {
			names[i] = v.name
		}
		only := fs.String("variants", "", "`names`, separated by commas, of the variants to compare; \"default\" is "+
			"always one (default: all of "+strings.Join(names[1:], "; ")+")")
		return func(ctx context.Context, e *env) (*report, error) {
			chosen := variants
			if *only != "" {
				var err error
				if chosen, err = choose(variants, names, splitNames(*only)); err != nil {
					return nil, err
				}
			}
			return e.compareVariants(ctx, chosen)
		}
	}
}

// splitNames splits at the commas that are followed by no space, as names of
// variants have commas too.
func splitNames(list string) []string {
	const escaped = "\x00"
	fields := strings.Split(strings.ReplaceAll(list, ", ", escaped), ",")
	for i, f := range fields {
		fields[i] = strings.ReplaceAll(f, escaped, ", ")
	}
	return fields
}

func choose(variants []variant, names, only []string) ([]variant, error) {
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-variants: no variant %q: have %q", name, names)
		}
	}
	chosen := variants[:1:1]
	for _, v := range variants[1:] {
		if slices.Contains(only, v.name) {
			chosen = append(chosen, v)
		}
	}
	return chosen, nil
}

// compareVariants trains each variant with each seed.
func (e *env) compareVariants(ctx context.Context, variants []variant) (*report, error) {
	r := &report{Columns: []string{"variant", "P@1 of g", "centred by language", "loss, retrieved",
		"random - retrieved", "none - retrieved", "beta", "target tokens (M)"}}
	var names []string
	runs := map[string][]*training{}
	for _, v := range variants {
		names = append(names, v.name)
		s := e.settings
		v.change(&s)
		for _, seed := range e.seeds {
			t, _, err := e.train(ctx, s, seed)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			runs[v.name] = append(runs[v.name], t)
		}
	}
	e.tabulate(r, names, runs)
	base := runs[names[0]]
	for _, name := range names[1:] {
		for _, f := range []struct {
			what  string
			value func(*training) figure
		}{{"P@1 of g, centred by language,", centeredP1}, {"what retrieved evidence saves against random", savedOverRandom}} {
			with, without := over(runs[name], f.value), over(base, f.value)
			r.find("%s: %s is %s, %s that of %s, %s.", name, f.what, with, compare(with, without), names[0], without)
		}
	}
	return r, nil
}

func centeredP1(t *training) figure      { return p1(t.Final.Centered) }
func plainP1(t *training) figure         { return p1(t.Final.G) }
func savedOverRandom(t *training) figure { return overRandom(t.Final.Loss.All) }
func savedOverNone(t *training) figure   { return overNone(t.Final.Loss.All) }
func retrievedLoss(t *training) figure   { return exact(t.Final.Loss.All.Retrieved) }
func finalBeta(t *training) figure       { return exact(t.Beta) }
func millions(t *training) figure        { return exact(float64(t.TargetTokens) / 1e6) }

// tabulate adds a row for each variant, and panels.
func (e *env) tabulate(r *report, names []string, runs map[string][]*training) {
	retrieved := panel{title: "P@1 at the end", names: names, series: []series{{name: "g"}, {name: "centred by language"}}}
	saved := panel{title: "what retrieved evidence saves at the end, nats per token", names: names,
		series: []series{{name: "against random"}, {name: "against none"}}}
	p1s := panel{title: "P@1 centred by language, held-out", x: "target tokens (millions)"}
	losses := panel{title: "held-out loss, random minus retrieved evidence", x: "target tokens (millions)"}
	for i, name := range names {
		all := runs[name]
		r.Machine = all[0].Machine
		r.row(name, over(all, plainP1), over(all, centeredP1), over(all, retrievedLoss).Value, over(all, savedOverRandom),
			over(all, savedOverNone), over(all, finalBeta).Value, over(all, millions).Value)
		for _, t := range all {
			r.Trainings = append(r.Trainings, short(name, t))
		}
		x := float64(i)
		retrieved.series[0].points = append(retrieved.series[0].points, over(all, plainP1).point(x))
		retrieved.series[1].points = append(retrieved.series[1].points, over(all, centeredP1).point(x))
		saved.series[0].points = append(saved.series[0].points, over(all, savedOverRandom).point(x))
		saved.series[1].points = append(saved.series[1].points, over(all, savedOverNone).point(x))
		p1s.series = append(p1s.series, series{name, curveOf(all, tokensOf, func(s *sample) float64 { return s.P1Centered })})
		losses.series = append(losses.series, series{name,
			curveOf(all, tokensOf, func(s *sample) float64 { return s.Loss.Random - s.Loss.Retrieved })})
	}
	r.panels = append(r.panels, p1s, losses, retrieved, saved)
	r.note("Means over seeds; brackets: the widest bounds of the 95%% bootstrap intervals (1,000 folds, groups "+
		"drawn) of single seeds. %s", e.lossNote())
}

func (e *env) lossNote() string {
	return fmt.Sprintf("Loss in nats per token of %d documents of each language from four documents in "+
		"other languages.", e.targets)
}

// short leaves out the figures by pairs of languages, which result.json of the
// training has.
func short(name string, t *training) namedTrain {
	brief := *t
	cut := func(r *eval.Report) *eval.Report {
		if r == nil {
			return nil
		}
		c := *r
		c.Pairs = nil
		return &c
	}
	brief.Final.G, brief.Final.Centered = cut(t.Final.G), cut(t.Final.Centered)
	return namedTrain{name, brief}
}

func tokensOf(_ *training, s *sample) float64 { return float64(s.TargetTokens) / 1e6 }

// curveOf returns the mean, the least and the greatest value over seeds at
// each measurement.
func curveOf(all []*training, x func(*training, *sample) float64, y func(*sample) float64) []point {
	var points []point
	for i := range all[0].Curve {
		var p point
		n := 0.0
		for _, t := range all {
			if i >= len(t.Curve) {
				continue
			}
			v := y(&t.Curve[i])
			if n == 0 {
				p.low, p.high = v, v
			}
			n++
			p.x, p.y = p.x+x(t, &t.Curve[i]), p.y+v
			p.low, p.high = min(p.low, v), max(p.high, v)
		}
		p.x, p.y = p.x/n, p.y/n
		points = append(points, p)
	}
	return points
}
