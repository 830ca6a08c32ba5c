package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/probe"
)

// evidenceResult is the loss of a model from some number of documents.
type evidenceResult struct {
	Seed      uint64           `json:"seed"`
	Documents int              `json:"documents"`
	Loss      *eval.LossReport `json:"loss"`
}

// evidence measures the loss by number and kind of the evidence.
func evidence(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	list := fs.String("documents", "1,2,4,8", "numbers of evidence documents, besides 0")
	sameLanguage := fs.Bool("same-language", false, "take evidence in the language of the target too")
	return func(ctx context.Context, e *env) (*report, error) {
		counts, err := parseCounts(*list)
		if err != nil {
			return nil, fmt.Errorf("-documents: %w", err)
		}
		r := &report{Columns: []string{"language", "documents", "targets", "retrieved", "translations", "random", "none",
			"random - retrieved", "none - retrieved"}}
		var results []evidenceResult
		err = e.eachModel(ctx, func(t *trained) error {
			r.Machine = machineOf(e.backend)
			h, err := e.heldout(t.model.Tokenizer)
			if err != nil {
				return err
			}
			_, centered, err := h.scorers(ctx, t.model)
			if err != nil {
				return err
			}
			o := eval.EvidenceOptions{Documents: slices.Max(counts), CrossLingual: !*sameLanguage, Seed: 1}
			selected, err := eval.SelectEvidence(ctx, h.meta, eval.Targets(h.meta, e.targets, 1), centered, o)
			if err != nil {
				return err
			}
			loss := onceWithout(probe.LossOf(t.model, h.docs))
			for _, n := range counts {
				l, err := firstOf(selected, n).Loss(ctx, loss, bootstrap, nil)
				if err != nil {
					return err
				}
				results = append(results, evidenceResult{t.seed, n, l})
			}
			if t.run != nil {
				r.Trainings = append(r.Trainings, short("default", t.run))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		r.Results = results
		r.evidenceTable(results, counts)
		others := "other languages"
		if *sameLanguage {
			others = "any language"
		}
		r.note("Loss in nats per token of up to %d documents of each language. Evidence is in %s; retrieved is what "+
			"g, centred by language, finds; random is no translation. A target with fewer translations than documents "+
			"asked for has all there are. Brackets: 95%% bootstrap intervals (1,000 folds, groups drawn).", e.targets, others)
		return r, nil
	}
}

func parseCounts(list string) ([]int, error) {
	var counts []int
	for _, field := range strings.Split(list, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		if n < 1 {
			return nil, errors.New("numbers must be positive")
		}
		counts = append(counts, n)
	}
	slices.Sort(counts)
	return slices.Compact(counts), nil
}

// firstOf returns the evidence with only the first documents of each kind.
func firstOf(e *eval.Evidence, n int) *eval.Evidence {
	first := *e
	for _, kind := range []*[][]int{&first.Retrieved, &first.Oracle, &first.Random} {
		*kind = slices.Clone(*kind)
		for i, docs := range *kind {
			(*kind)[i] = docs[:min(n, len(docs))]
		}
	}
	return &first
}

// onceWithout computes the loss without evidence, which does not depend on how
// much of it there would be, only once for each target.
func onceWithout(loss eval.LossFunc) eval.LossFunc {
	type result struct {
		nats   float64
		tokens int
	}
	known := map[int]result{}
	return func(target int, evidence []int) (float64, int, error) {
		if len(evidence) > 0 {
			return loss(target, evidence)
		}
		r, ok := known[target]
		if !ok {
			var err error
			if r.nats, r.tokens, err = loss(target, nil); err != nil {
				return 0, 0, err
			}
			known[target] = r
		}
		return r.nats, r.tokens, nil
	}
}

// evidenceTable adds rows for all targets by number of documents, then for
// each language with four documents, or the number next to that.
func (r *report) evidenceTable(results []evidenceResult, counts []int) {
	byCount := map[int][]*eval.LossReport{}
	for _, x := range results {
		byCount[x.Documents] = append(byCount[x.Documents], x.Loss)
	}
	row := func(lang string, n int, get func(*eval.LossReport) eval.EvidenceLoss) (random, none figure) {
		all := byCount[n]
		kind := func(value func(eval.EvidenceLoss) float64) float64 {
			return over(all, func(l *eval.LossReport) figure { return exact(value(get(l))) }).Value
		}
		random = over(all, func(l *eval.LossReport) figure { return overRandom(get(l)) })
		none = over(all, func(l *eval.LossReport) figure { return overNone(get(l)) })
		r.row(lang, n, get(all[0]).Targets,
			kind(func(l eval.EvidenceLoss) float64 { return l.Retrieved }),
			kind(func(l eval.EvidenceLoss) float64 { return l.Oracle }),
			kind(func(l eval.EvidenceLoss) float64 { return l.Random }),
			kind(func(l eval.EvidenceLoss) float64 { return l.None }), random, none)
		return random, none
	}
	ofAll := func(l *eval.LossReport) eval.EvidenceLoss { return l.All }
	losses := panel{title: "held-out loss, nats per token", x: "evidence documents",
		series: []series{{name: "retrieved"}, {name: "translations"}, {name: "random"}, {name: "none"}}}
	saved := panel{title: "what retrieved evidence saves, nats per token", x: "evidence documents",
		series: []series{{name: "against random"}, {name: "against none"}}}
	for _, n := range counts {
		random, none := row("all", n, ofAll)
		for i, value := range []func(eval.EvidenceLoss) float64{
			func(l eval.EvidenceLoss) float64 { return l.Retrieved }, func(l eval.EvidenceLoss) float64 { return l.Oracle },
			func(l eval.EvidenceLoss) float64 { return l.Random }, func(l eval.EvidenceLoss) float64 { return l.None },
		} {
			f := over(byCount[n], func(l *eval.LossReport) figure { return exact(value(l.All)) })
			losses.series[i].points = append(losses.series[i].points, f.point(float64(n)))
		}
		saved.series[0].points = append(saved.series[0].points, random.point(float64(n)))
		saved.series[1].points = append(saved.series[1].points, none.point(float64(n)))
		r.find("Evidence documents: %d. Retrieved ones save %s nats per token against random ones and %s against none.",
			n, random, none)
	}
	four := counts[0]
	for _, n := range counts {
		if n <= 4 {
			four = n
		}
	}
	langs := slices.Sorted(maps.Keys(byCount[four][0].ByLanguage))
	byLang := panel{title: fmt.Sprintf("by language, %d documents", four), names: langs,
		series: []series{{name: "random - retrieved"}, {name: "none - retrieved"}}}
	better := [2]int{}
	for i, lang := range langs {
		random, none := row(lang, four, func(l *eval.LossReport) eval.EvidenceLoss { return l.ByLanguage[lang] })
		for j, f := range []figure{random, none} {
			byLang.series[j].points = append(byLang.series[j].points, f.point(float64(i)))
			if f.Range.Low > 0 {
				better[j]++
			}
		}
	}
	r.find("Evidence documents: %d. Retrieved ones are better than random ones in %d of %d languages and better "+
		"than none in %d, with intervals above 0.", four, better[0], len(langs), better[1])
	r.panels = append(r.panels, losses, saved, byLang)
}
