package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/marge-go/marge/marge/eval"
)

// Figures are what a program has measured.
type Figures struct {
	Methods []*Result `json:"methods"`
	Chosen  Method    `json:"chosen"`
}

// Result is what a method achieves, over all sets.
type Result struct {
	Method
	// Where texts search their translations: over the queries of all ordered pairs
	// of languages, and P@1 as the mean over the pairs, each counting the same, which
	// is the accuracy of Tatoeba's test, both ways.
	Queries int      `json:"queries"`
	P1      *float64 `json:"p_at_1,omitempty"`
	MRR     *float64 `json:"mrr,omitempty"`
	PairsP1 *float64 `json:"p_at_1_pairs,omitempty"`
	// Over the sets to mine.
	F1 *float64 `json:"f1,omitempty"`

	ByPair []eval.PairReport `json:"by_pair,omitempty"`
	Mining []MiningResult    `json:"mining,omitempty"`
	byLang map[string]mean
}

// MiningResult is that of a set to mine.
type MiningResult struct {
	Set string `json:"set"`
	eval.MiningScore
}

// mean adds up values.
type mean struct {
	sum float64
	n   int
}

// with adds the mean of n values.
func (m mean) with(x float64, n int) mean { return mean{m.sum + x*float64(n), m.n + n} }

// value returns nil without values.
func (m mean) value() *float64 {
	if m.n == 0 {
		return nil
	}
	v := m.sum / float64(m.n)
	return &v
}

// Results sums the outcomes up, in the order of methods: as they were measured,
// plain before centred, and cosines before margins.
func Results(outcomes map[Method][]*Outcome, encoders []Encoder) []*Result {
	var results []*Result
	for method, list := range outcomes {
		r := &Result{Method: method, byLang: map[string]mean{}}
		var p1, mrr, pairs, f1 mean
		for _, o := range list {
			if o.Score != nil {
				r.Mining = append(r.Mining, MiningResult{o.Set.Name, *o.Score})
				f1 = f1.with(o.Score.F1, 1)
			}
			if o.Report == nil {
				continue
			}
			for _, p := range o.Report.Pairs {
				r.ByPair = append(r.ByPair, p)
				p1, mrr, pairs = p1.with(p.P1, p.N), mrr.with(p.MRR, p.N), pairs.with(p.P1, 1)
				for _, lang := range []string{p.From, p.To} {
					r.byLang[lang] = r.byLang[lang].with(p.P1, 1)
				}
			}
		}
		r.Queries, r.P1, r.MRR, r.PairsP1, r.F1 = p1.n, p1.value(), mrr.value(), pairs.value(), f1.value()
		results = append(results, r)
	}
	rank := func(r *Result) int {
		at := slices.IndexFunc(encoders, func(e Encoder) bool { return e.Name == r.Name })
		if at < 0 {
			at = len(encoders) + strings.Index("TF-IDF BM25", r.Name)
		}
		at *= 4
		if r.Centred {
			at += 2
		}
		if r.Margin {
			at++
		}
		return at
	}
	slices.SortFunc(results, func(a, b *Result) int { return cmp.Compare(rank(a), rank(b)) })
	return results
}

// Best returns the method of the encoders with the highest mean P@1, or F1 where
// all sets are to mine, the first of equal ones.
func Best(results []*Result, encoders []Encoder) Method {
	value := func(r *Result) float64 {
		if r.PairsP1 != nil {
			return *r.PairsP1
		}
		return *r.F1
	}
	var best *Result
	for _, r := range results {
		encoder := slices.ContainsFunc(encoders, func(e Encoder) bool { return e.Name == r.Name })
		if encoder && (best == nil || value(r) > value(best)) {
			best = r
		}
	}
	return best.Method
}

// WriteTable writes a line for each method.
func WriteTable(w io.Writer, results []*Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "method\tP@1\tMRR\tP@1, mean over pairs\tF1")
	for _, r := range results {
		fmt.Fprintf(t, "%v\t%s\t%s\t%s\t%s\n", r.Method, number(r.P1), number(r.MRR), number(r.PairsP1), number(r.F1))
	}
	return t.Flush()
}

func number(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *x)
}

// WriteLanguages writes the mean P@1 of the pairs that each language is in, with
// a column for each of the methods.
func WriteLanguages(w io.Writer, results []*Result, methods []Method) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	langs := map[string]bool{}
	fmt.Fprint(t, "language")
	var columns []*Result
	for _, m := range methods {
		at := slices.IndexFunc(results, func(r *Result) bool { return r.Method == m })
		columns = append(columns, results[at])
		for lang := range results[at].byLang {
			langs[lang] = true
		}
		fmt.Fprintf(t, "\t%v", m)
	}
	fmt.Fprintln(t)
	for _, lang := range slices.Sorted(maps.Keys(langs)) {
		fmt.Fprint(t, lang)
		for _, c := range columns {
			fmt.Fprint(t, "\t", number(c.byLang[lang].value()))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// WriteSamples writes up to n texts of the first set of Evaluate with what a
// method finds for them.
func WriteSamples(ctx context.Context, w io.Writer, o *Outcome, n int) error {
	docs := o.Set.Docs
	if m := o.Set.Mining; m != nil {
		for _, found := range o.Mined[:min(n, len(o.Mined))] {
			verdict := "wrong"
			if slices.Contains(m.Gold, found.Bitext) {
				verdict = "right"
			}
			write(w, o.Set.Texts[m.Sources[found.Source]], o.Set.Texts[m.Targets[found.Target]],
				docs[m.Sources[found.Source]].Lang, docs[m.Targets[found.Target]].Lang, found.Score, verdict)
		}
		return nil
	}
	queries := eval.Targets(docs, 0, 1)
	for _, query := range queries[:min(n, len(queries))] {
		var candidates []int
		lang := ""
		for i, d := range docs { // the language of the first translation
			if d.Group == docs[query].Group && d.Lang != docs[query].Lang {
				lang = docs[i].Lang
				break
			}
		}
		for i, d := range docs {
			if d.Lang == lang {
				candidates = append(candidates, i)
			}
		}
		scores := make([]float32, len(candidates))
		if err := o.scorer.Against(candidates)(ctx, []int{query}, scores); err != nil {
			return err
		}
		at := 0
		for i, s := range scores {
			if s > scores[at] {
				at = i
			}
		}
		hit, verdict := candidates[at], "wrong"
		if docs[hit].Group == docs[query].Group {
			verdict = "right"
		}
		write(w, o.Set.Texts[query], o.Set.Texts[hit], docs[query].Lang, lang, float64(scores[at]), verdict)
	}
	return nil
}

func write(w io.Writer, query, found, from, to string, score float64, verdict string) {
	fmt.Fprintf(w, "\n%s: %s\n  %.3f, %s: %s: %s\n", from, beginning(query), score, verdict, to, beginning(found))
}

// beginning returns the first 120 characters of a text on one line.
func beginning(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > 120 {
		return string(runes[:120]) + " ..."
	}
	return string(runes)
}
