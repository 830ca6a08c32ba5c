// Package retrieval measures how well translations are found by the vectors of
// models and by methods that learn nothing.
package retrieval

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
	"github.com/marge-go/marge/marge/vectors"
)

// Method is a way to compare texts.
type Method struct {
	Name    string `json:"name"`    // of the vectors, or what learns nothing
	Centred bool   `json:"centred"` // the mean of the language's texts is taken off the vectors
	Margin  bool   `json:"margin"`  // ranked by the ratio margin
}

// String names the method on one line.
func (m Method) String() string {
	s := m.Name
	if m.Centred {
		s += ", centred"
	}
	if m.Margin {
		s += ", margin"
	}
	return s
}

// Encoder makes vectors of the texts of a set, rows of dim values of unit
// length.
type Encoder struct {
	Name   string
	Encode func(ctx context.Context, set *task.RetrievalSet) (rows []float32, dim int, err error)
}

// ModelEncoders are g of a model and the means of the first layers of its
// encoder. They show how fast they are.
func ModelEncoders(m *marge.Model, layers int, o marge.DocumentOptions, show *program.Display) []Encoder {
	var list []Encoder
	for layer := range layers + 1 {
		name := "g"
		if layer > 0 {
			name = fmt.Sprintf("layer %d", layer)
		}
		list = append(list, Encoder{name, func(ctx context.Context, set *task.RetrievalSet) ([]float32, int, error) {
			start := time.Now()
			encoded, err := m.Encode(ctx, set.Texts, marge.EncodeOptions{Layer: layer, DocumentOptions: o})
			if err != nil {
				return nil, 0, err
			}
			seconds := time.Since(start).Seconds()
			show.Message("%s: %s of %d texts in %.2f s, %.0f a second, %d threads", set.Name, name,
				len(encoded), seconds, float64(len(encoded))/seconds, m.Runner().Threads())
			return slices.Concat(encoded...), len(encoded[0]), nil
		}})
	}
	return list
}

// Outcome is what a method makes of a set.
type Outcome struct {
	Set    *task.RetrievalSet
	Method Method
	Report *eval.Report      // of a set without Mining
	Mined  []eval.Mined      // of one with it
	Score  *eval.MiningScore // of Mined, once a threshold is known

	scorer eval.Scorer // of the first set, for samples
}

// Evaluate measures the encoders, TF-IDF and BM25 on sets, one after the other:
// for each method, the outcomes of all sets.
func Evaluate(
	ctx context.Context, run asm.Runner, encoders []Encoder, sets []*task.RetrievalSet,
) (map[Method][]*Outcome, error) {
	all := map[Method][]*Outcome{}
	for i, set := range sets {
		measure := func(name string, centred bool, s eval.Scorer) error {
			for _, margin := range []bool{false, true} {
				o := &Outcome{Set: set, Method: Method{name, centred, margin}, scorer: s}
				if err := o.measure(ctx); err != nil {
					return fmt.Errorf("%s: %v: %w", set.Name, o.Method, err)
				}
				if i > 0 {
					o.scorer = nil // vectors of many sets do not fit in memory
				}
				all[o.Method] = append(all[o.Method], o)
			}
			return nil
		}
		for _, e := range encoders {
			rows, dim, err := e.Encode(ctx, set)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", set.Name, e.Name, err)
			}
			if err := measure(e.Name, false, eval.NewDense(run, rows, dim)); err != nil {
				return nil, err
			}
			if err := vectors.CenterByLanguage(ctx, run, rows, dim, set.Langs()); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", set.Name, e.Name, err)
			}
			if err := measure(e.Name, true, eval.NewDense(run, rows, dim)); err != nil {
				return nil, err
			}
		}
		tfidf, err := eval.NewTFIDF(ctx, run, set.Texts, eval.TFIDFOptions{})
		if err != nil {
			return nil, err
		}
		bm25, err := eval.NewBM25(ctx, run, set.Texts, eval.BM25Options{})
		if err != nil {
			return nil, err
		}
		if err := measure("TF-IDF", false, tfidf); err != nil {
			return nil, err
		}
		if err := measure("BM25", false, bm25); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// measure searches the translations of the set.
func (o *Outcome) measure(ctx context.Context) (err error) {
	margin := vectors.MarginNone
	if o.Method.Margin {
		margin = vectors.MarginRatio
	}
	if m := o.Set.Mining; m != nil {
		o.Mined, err = m.Mine(ctx, o.scorer, eval.MineOptions{Margin: margin})
		return err
	}
	if o.Method.Margin {
		o.scorer = eval.NewMargin(o.scorer, o.Set.Langs(), margin)
	}
	o.Report, err = eval.Retrieval(ctx, o.Set.Docs, o.scorer, nil)
	return err
}

// SetThresholds scores the mined pairs of sets by thresholds that are the best
// on a set of the same languages in dev.
func SetThresholds(outcomes, dev map[Method][]*Outcome) error {
	for method, list := range outcomes {
		for _, o := range list {
			if o.Set.Mining == nil {
				continue
			}
			at := slices.IndexFunc(dev[method], func(d *Outcome) bool { return SamePair(d.Set, o.Set) })
			best, err := eval.BestThreshold(dev[method][at].Mined, dev[method][at].Set.Mining.Gold)
			if err != nil {
				return err
			}
			score, err := eval.ScoreMining(o.Mined, o.Set.Mining.Gold, best.Threshold)
			if err != nil {
				return err
			}
			o.Score = &score
		}
	}
	return nil
}

// SamePair reports whether two sets are for mining in the same languages.
func SamePair(a, b *task.RetrievalSet) bool {
	return a.Mining != nil && b.Mining != nil && a.Mining.From == b.Mining.From && a.Mining.To == b.Mining.To
}

// CheckDev returns an error if a set to mine has no set of the same languages
// to choose a threshold on.
func CheckDev(test, dev []*task.RetrievalSet) error {
	for _, t := range test {
		if t.Mining != nil && !slices.ContainsFunc(dev, func(d *task.RetrievalSet) bool { return SamePair(t, d) }) {
			return fmt.Errorf("%s: the threshold is chosen on other pairs of %s-%s: give them with -dev",
				t.Name, t.Mining.From, t.Mining.To)
		}
	}
	return nil
}
