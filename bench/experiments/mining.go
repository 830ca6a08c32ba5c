package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/vectors"
)

// mined is how well translations are found among sentences of two languages.
type mined struct {
	Seed    uint64           `json:"seed"`
	Pair    string           `json:"pair"`
	Vectors string           `json:"vectors"`
	Margin  vectors.Margin   `json:"margin"`
	Score   eval.MiningScore `json:"score"`
}

var margins = []vectors.Margin{vectors.MarginNone, vectors.MarginDistance, vectors.MarginRatio}

// miner finds translations among held-out sentences.
type miner struct {
	list  string // of pairs
	layer int
}

func mining(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	var m miner
	fs.StringVar(&m.list, "pairs", "", "`pairs` of languages, as in de-en,en-fr (default: English with all others, "+
		"both ways)")
	fs.IntVar(&m.layer, "layer", 5, "encoder layers below the sentence vectors, or all if it has fewer (paper: 5)")
	return m.run
}

func (x *miner) run(ctx context.Context, e *env) (*report, error) {
	r := &report{Columns: []string{"vectors", "F1, cosine", "F1, distance", "F1, ratio"}}
	var results []mined
	var names []string
	err := e.eachModel(ctx, func(t *trained) error {
		r.Machine = machineOf(e.backend)
		h, err := e.heldout(t.model.Tokenizer)
		if err != nil {
			return err
		}
		pairs, err := h.parsePairs(x.list)
		if err != nil {
			return err
		}
		random, err := untrained(t)
		if err != nil {
			return err
		}
		names = nil
		for _, m := range []struct {
			name  string
			model *marge.Model
		}{{"trained", t.model}, {"random", random}} {
			layers := min(x.layer, m.model.Config.EncoderLayers)
			mean, err := m.model.EmbedTokens(ctx, h.tokens, layers)
			if err != nil {
				return err
			}
			g, err := m.model.Embed(ctx, h.tokens)
			if err != nil {
				return err
			}
			for _, v := range []struct {
				name   string
				rows   []float32
				center bool
			}{
				{fmt.Sprintf("mean of layer %d, %s", layers, m.name), mean, false}, {"g, " + m.name, g, false},
				{fmt.Sprintf("mean of layer %d, %s, centred by language", layers, m.name), mean, true},
				{"g, " + m.name + ", centred by language", g, true},
			} {
				if v.center {
					d := len(v.rows) / len(h.meta)
					if err := vectors.CenterByLanguage(ctx, m.model.Runner(), v.rows, d, h.langs); err != nil {
						return err
					}
				}
				names = append(names, v.name)
				for _, p := range pairs {
					found, err := h.mine(ctx, m.model, v.rows, p)
					if err != nil {
						return fmt.Errorf("%v: %w", p, err)
					}
					for i := range found {
						found[i].Seed, found[i].Vectors = t.seed, v.name
					}
					results = append(results, found...)
				}
			}
		}
		if t.run != nil {
			r.Trainings = append(r.Trainings, short("default", t.run))
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, errors.New("no pair of languages has two sentences in common")
	}
	r.Results = results
	if err := r.miningTable(ctx, names, results); err != nil {
		return nil, err
	}
	r.note("Mean F1 over the pairs of languages; brackets: 95%% bootstrap intervals over pairs (1,000 folds). As " +
		"in BUCC, most sentences have no translation: of the groups in both languages a third is kept in both, a " +
		"third in each alone. The threshold is the best on one half of the groups, F1 is that on the other.")
	return r, nil
}

func (r *report) miningTable(ctx context.Context, names []string, results []mined) error {
	plot := panel{title: "F1 of mining", names: names}
	for _, margin := range margins {
		plot.series = append(plot.series, series{name: string(margin)})
	}
	var figures []figure // with the last margin
	for i, name := range names {
		row := []any{name}
		for j, margin := range margins {
			var scores []float64
			sum := 0.0
			for _, m := range results {
				if m.Vectors == name && m.Margin == margin {
					scores = append(scores, m.Score.F1)
					sum += m.Score.F1
				}
			}
			interval, err := bootstrap.Mean(ctx, scores)
			if err != nil {
				return err
			}
			f := figure{sum / float64(len(scores)), interval}
			row = append(row, f)
			plot.series[j].points = append(plot.series[j].points, f.point(float64(i)))
			if j == len(margins)-1 {
				figures = append(figures, f)
			}
		}
		r.row(row...)
	}
	for i, f := range figures[:len(names)/2] { // those of random models follow
		random := figures[len(names)/2+i]
		r.find("F1 with the ratio margin of %s, %s, is %s that of random weights, %s.", names[i], f, compare(f, random),
			random)
	}
	r.panels = append(r.panels, plot)
	return nil
}

// mine finds the translations of a pair of languages, with every margin. The
// threshold is chosen on the first half of the groups.
func (h *heldout) mine(ctx context.Context, m *marge.Model, rows []float32, p langPair) ([]mined, error) {
	halves := eval.MiningHalves(h.meta, p.from, p.to, 1)
	if halves == nil {
		return nil, nil
	}
	scorer := eval.NewDense(m.Runner(), rows, len(rows)/len(h.meta))
	var scores []mined
	for _, margin := range margins {
		var found [2][]eval.Mined
		for half, set := range halves {
			var err error
			if found[half], err = set.Mine(ctx, scorer, eval.MineOptions{Margin: margin}); err != nil {
				return nil, err
			}
		}
		best, err := eval.BestThreshold(found[0], halves[0].Gold)
		if err != nil {
			return nil, err
		}
		score, err := eval.ScoreMining(found[1], halves[1].Gold, best.Threshold)
		if err != nil {
			return nil, err
		}
		scores = append(scores, mined{Pair: p.String(), Margin: margin, Score: score})
	}
	return scores, nil
}
