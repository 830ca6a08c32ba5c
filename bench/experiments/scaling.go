package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// parseSizes returns the settings of each of a list of sizes, some with a learning
// rate of their own.
func parseSizes(list string, s settings) (all []settings, err error) {
	rate := s.LearningRate
	for _, name := range strings.Split(list, ",") {
		size, own, ok := strings.Cut(name, ":")
		if s.Size, s.LearningRate = size, rate; ok {
			if s.LearningRate, err = strconv.ParseFloat(own, 64); err != nil {
				return nil, fmt.Errorf("-sizes: learning rate of %s: %w", size, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// scaling trains models of several sizes.
func scaling(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	list := fs.String("sizes", "mini,tiny,small:5e-4",
		"`sizes` of the models, from the smallest up, each with its own peak learning rate after a colon, or that of -lr")
	return func(ctx context.Context, e *env) (*report, error) {
		sizes, err := parseSizes(*list, e.settings)
		if err != nil {
			return nil, err
		}
		runs := map[string][]*training{}
		var names, rates []string
		for _, s := range sizes {
			size := s.Size
			names, rates = append(names, size), append(rates, fmt.Sprintf("%g", s.LearningRate))
			if err := s.check(); err != nil {
				return nil, err
			}
			for _, seed := range e.seeds {
				t, _, err := e.train(ctx, s, seed)
				if err != nil {
					return nil, err
				}
				runs[size] = append(runs[size], t)
			}
		}
		r := &report{}
		e.tabulate(r, names, runs)
		r.Columns = []string{"size", "parameters (M)", "PFLOP", "minutes", "target tokens (M)", "loss, retrieved",
			"random - retrieved", "P@1 of g", "centred by language"}
		r.Rows = nil
		byParameters := []panel{
			{title: "P@1 centred by language, at the end", x: "parameters (millions)", logX: true, series: []series{{}}},
			{title: "held-out loss, retrieved evidence, at the end", x: "parameters (millions)", logX: true,
				series: []series{{}}},
		}
		byCompute := []panel{
			{title: "P@1 centred by language", x: "PFLOP", logX: true},
			{title: "held-out loss, retrieved evidence", x: "PFLOP", logX: true},
		}
		for _, size := range names {
			all := runs[size]
			parameters := float64(all[0].Parameters) / 1e6
			r.row(size, parameters, over(all, petaflops).Value,
				over(all, func(t *training) figure { return exact(t.Seconds / 60) }).Value,
				over(all, millions).Value, over(all, retrievedLoss), over(all, savedOverRandom), over(all, plainP1),
				over(all, centeredP1))
			for i, value := range []func(*training) figure{centeredP1, retrievedLoss} {
				points := &byParameters[i].series[0].points
				*points = append(*points, over(all, value).point(parameters))
			}
			compute := func(t *training, s *sample) float64 {
				return t.FLOPs / 1e15 * float64(s.TargetTokens) / float64(t.TargetTokens)
			}
			byCompute[0].series = append(byCompute[0].series,
				series{size, curveOf(all, compute, func(s *sample) float64 { return s.P1Centered })})
			byCompute[1].series = append(byCompute[1].series,
				series{size, curveOf(all, compute, func(s *sample) float64 { return s.Loss.Retrieved })})
		}
		r.panels = append(r.panels[:2], append(byCompute, byParameters...)...)
		for i := 1; i < len(names); i++ {
			small, large := runs[names[i-1]], runs[names[i]]
			for _, f := range []struct {
				what  string
				value func(*training) figure
			}{{"P@1 of g, centred by language,", centeredP1}, {"held-out loss with retrieved evidence", retrievedLoss}} {
				a, b := over(large, f.value), over(small, f.value)
				r.find("%s of %s is %s, %s that of %s, %s.", f.what, names[i], a, compare(a, b), names[i-1], b)
			}
		}
		r.note("%s All sizes have the vocabulary in common and the same %s; peak learning rates %s. PFLOP are the "+
			"matrix products of training, estimated from batches of as many evidence as target documents of average "+
			"length. The bounds of losses are those of the seeds.", e.lossNote(), e.length(), strings.Join(rates, ", "))
		return r, nil
	}
}

func petaflops(t *training) figure { return exact(t.FLOPs / 1e15) }

// length says how long models are trained.
func (e *env) length() string {
	if e.settings.Steps > 0 {
		return fmt.Sprintf("%d updates", e.settings.Steps)
	}
	if e.settings.Tokens > 0 {
		return fmt.Sprintf("%d target tokens", e.settings.Tokens)
	}
	return fmt.Sprintf("%g minutes", e.settings.Minutes)
}
