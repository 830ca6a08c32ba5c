package eval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/marge-go/marge/internal/langtag"
)

// Doc is what retrieval needs to know of a document.
type Doc struct {
	Lang  string // BCP 47 tag; de_DE, DE-de and de-DE are one language
	Group string // documents with equal groups are equivalents; "" has none
}

// canonical returns the canonical form of a language tag, or the tag itself if
// it is malformed.
func canonical(lang string) string {
	if c, err := langtag.Canonical(lang); err == nil {
		return c
	}
	return lang
}

// canonicalDocs returns documents with the canonical forms of their languages.
func canonicalDocs(docs []Doc) []Doc {
	known := map[string]string{}
	docs = slices.Clone(docs)
	for i, d := range docs {
		lang, ok := known[d.Lang]
		if !ok {
			lang = canonical(d.Lang)
			known[d.Lang] = lang
		}
		docs[i].Lang = lang
	}
	return docs
}

// Scorer compares documents, which it knows by their position.
type Scorer interface {
	// Against prepares candidates and returns a function that compares queries
	// with them.
	Against(candidates []int) ScoreFunc
}

// ScoreFunc fills dst, [queries, candidates], with scores, the higher the more
// similar. It stops with the context's error within a second after ctx is
// cancelled.
type ScoreFunc func(ctx context.Context, queries []int, dst []float32) error

// Metrics are averages over queries or over language pairs.
type Metrics struct {
	N   int     `json:"n"`   // what the average is over
	P1  float64 `json:"p1"`  // share with an equivalent ranked first
	P5  float64 `json:"p5"`  // share with an equivalent among the first five
	MRR float64 `json:"mrr"` // mean of 1/rank of the first equivalent
}

// PairReport is the result for one ordered pair of languages.
type PairReport struct {
	From       string `json:"from"` // language of the queries
	To         string `json:"to"`   // language of the candidates
	Candidates int    `json:"candidates"`
	Metrics           // over queries
	// Intervals is nil unless [Report.Bootstrap] was called.
	Intervals *Intervals `json:"intervals,omitempty"`

	queries []query
}

// Report is the result of [Retrieval].
type Report struct {
	Pairs []PairReport `json:"pairs"`         // with at least one query, sorted by languages
	Micro Metrics      `json:"micro"`         // over all queries of all pairs
	Macro Metrics      `json:"macro"`         // over pairs, each counting the same
	NaN   int          `json:"nan,omitempty"` // scores that were not a number
	// The intervals are nil unless [Report.Bootstrap] was called.
	MicroIntervals *Intervals `json:"micro_intervals,omitempty"`
	MacroIntervals *Intervals `json:"macro_intervals,omitempty"`
}

// query is the result of one query.
type query struct {
	group string
	rank  int
}

// Intervals are those of the fields of [Metrics].
type Intervals struct {
	P1  Interval `json:"p1"`
	P5  Interval `json:"p5"`
	MRR Interval `json:"mrr"`
}

// queryBlock is the most queries that are scored at a time, scoreBlock the most
// scores: 64 MiB.
const (
	queryBlock = 1024
	scoreBlock = 1 << 24
)

// queriesAtOnce returns how many queries are scored at a time.
func queriesAtOnce(candidates int) int {
	return max(1, min(queryBlock, scoreBlock/max(1, candidates)))
}

// Retrieval measures, for every ordered pair of different languages, how well
// documents of the first find their equivalents in the second. The queries are
// the documents of the first language that have an equivalent in the second,
// the candidates all documents of the second.
//
// The rank of a query is 1 + the number of candidates that are not equivalents
// and score at least as high as its best equivalent: ties count against the
// scorer, as does a score that is not a number.
//
// The report has no intervals; [Report.Bootstrap] adds them. Progress, which may
// be nil, counts queries. Without a query the error is a [NotEvaluatedError].
func Retrieval(ctx context.Context, docs []Doc, s Scorer, progress Progress) (*Report, error) {
	docs = canonicalDocs(docs)
	type key struct{ lang, group string }
	byLang := map[string][]int{}
	exists := map[key]bool{}
	langs := map[string]map[string]bool{} // of each group
	for i, d := range docs {
		byLang[d.Lang] = append(byLang[d.Lang], i)
		if d.Group != "" {
			exists[key{d.Lang, d.Group}] = true
			if langs[d.Group] == nil {
				langs[d.Group] = map[string]bool{}
			}
			langs[d.Group][d.Lang] = true
		}
	}
	done, total := 0, 0
	for _, d := range docs {
		total += max(0, len(langs[d.Group])-1)
	}
	if total == 0 {
		return nil, &NotEvaluatedError{"retrieval", withoutTranslations(docs)}
	}
	report := &Report{Pairs: []PairReport{}}
	pairs := map[[2]string]*PairReport{}
	for _, to := range slices.Sorted(maps.Keys(byLang)) {
		candidates := byLang[to]
		equivalents := map[string][]int{} // positions in candidates
		for j, c := range candidates {
			equivalents[docs[c].Group] = append(equivalents[docs[c].Group], j)
		}
		var queries []int
		for i, d := range docs {
			if d.Lang != to && exists[key{to, d.Group}] {
				queries = append(queries, i)
			}
		}
		if len(queries) == 0 {
			continue
		}
		score := s.Against(candidates)
		size := queriesAtOnce(len(candidates))
		scores := make([]float32, min(len(queries), size)*len(candidates))
		for block := range slices.Chunk(queries, size) {
			err := ctx.Err()
			if err == nil {
				err = score(ctx, block, scores[:len(block)*len(candidates)])
			}
			if err != nil {
				return nil, fmt.Errorf("eval: retrieval: %w", err)
			}
			for i, q := range block {
				row := scores[i*len(candidates) : (i+1)*len(candidates)]
				rank, nan := rankOf(row, equivalents[docs[q].Group])
				report.NaN += nan
				languages := [2]string{docs[q].Lang, to}
				if pairs[languages] == nil {
					pairs[languages] = &PairReport{From: docs[q].Lang, To: to, Candidates: len(candidates)}
				}
				pairs[languages].queries = append(pairs[languages].queries, query{docs[q].Group, rank})
			}
			done += len(block)
			progress.report(done, total)
		}
	}
	for _, p := range pairs {
		report.Pairs = append(report.Pairs, *p)
	}
	slices.SortFunc(report.Pairs, func(a, b PairReport) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for i := range report.Pairs {
		p := &report.Pairs[i].Metrics
		for _, q := range report.Pairs[i].queries {
			p.addRank(q.rank, 1)
		}
		report.Micro.add(p.N, *p)
		p.divide()
		report.Macro.add(1, *p)
	}
	report.Micro.divide()
	report.Macro.divide()
	return report, nil
}

// withoutTranslations says why no document has an equivalent in another
// language.
func withoutTranslations(docs []Doc) string {
	langs := map[string]bool{}
	groups := false
	for _, d := range docs {
		langs[d.Lang] = true
		groups = groups || d.Group != ""
	}
	switch {
	case len(docs) == 0:
		return "there are no documents"
	case len(langs) == 1:
		return fmt.Sprintf("all %d documents are in one language, %q", len(docs), docs[0].Lang)
	case !groups:
		return fmt.Sprintf("none of %d documents names a group of translations", len(docs))
	}
	return fmt.Sprintf("no two of %d documents in different languages are of one group", len(docs))
}

// rankOf returns the rank of the best equivalent among the scores of all
// candidates, and how many scores are not a number.
func rankOf(scores []float32, equivalents []int) (rank, nan int) {
	best, found := float32(0), false
	for _, j := range equivalents {
		if s := scores[j]; s == s && (!found || s > best) {
			best, found = s, true
		}
	}
	rank = 1
	for _, s := range scores {
		if s != s {
			nan++
		}
		if !found || !(s < best) {
			rank++
		}
	}
	for _, j := range equivalents {
		if s := scores[j]; !found || !(s < best) {
			rank--
		}
	}
	return rank, nan
}

// addRank adds a query to sums, a number of times.
func (m *Metrics) addRank(rank, times int) {
	n := float64(times)
	m.N += times
	m.MRR += n / float64(rank)
	if rank <= 1 {
		m.P1 += n
	}
	if rank <= 5 {
		m.P5 += n
	}
}

// add adds to sums.
func (m *Metrics) add(n int, other Metrics) {
	m.N += n
	m.P1 += other.P1
	m.P5 += other.P5
	m.MRR += other.MRR
}

// divide turns sums into averages.
func (m *Metrics) divide() {
	if m.N > 0 {
		n := float64(m.N)
		m.P1, m.P5, m.MRR = m.P1/n, m.P5/n, m.MRR/n
	}
}

// Bootstrap adds intervals to every pair and to the averages. It draws the
// queries of each pair anew or, if byGroup is true, the groups of all pairs.
//
// The equivalents of one document, in many languages, succeed and fail
// together, so for averages over many pairs the interval over queries is too
// narrow, and the one over groups is that for other documents of the kind.
//
// A pair of which a fold drew no query is left out of that fold. The only error
// is the context's, after which the report is as it was. Bootstrap panics if the
// report does not come from [Retrieval], but was decoded.
func (r *Report) Bootstrap(ctx context.Context, b Bootstrap, byGroup bool) error {
	strata, unit := r.units(byGroup)
	pairs := make([]folds, len(r.Pairs))
	var micros, macros folds
	err := b.each(ctx, strata, func(weights []int32) {
		micro, macro := r.fold(weights, unit, func(pair int, m Metrics) { pairs[pair].add(m) })
		micros.add(micro)
		macros.add(macro)
	})
	if err != nil {
		return err
	}
	for i := range pairs {
		r.Pairs[i].Intervals = pairs[i].intervals()
	}
	r.MicroIntervals, r.MacroIntervals = micros.intervals(), macros.intervals()
	return nil
}

// units returns the sizes of the strata that units are drawn from, and the number
// of the unit of each query, pair by pair.
func (r *Report) units(byGroup bool) (strata, unit []int) {
	groups := map[string]int{}
	for _, p := range r.Pairs {
		if len(p.queries) != p.N {
			panic("eval: bootstrap: the report has no queries")
		}
		strata = append(strata, p.N)
		for _, q := range p.queries {
			if !byGroup {
				unit = append(unit, len(unit))
				continue
			}
			if _, ok := groups[q.group]; !ok {
				groups[q.group] = len(groups)
			}
			unit = append(unit, groups[q.group])
		}
	}
	if byGroup {
		strata = []int{len(groups)}
	}
	return strata, unit
}

// fold returns the averages for units that were drawn as often as weights
// says, and calls each with those of every pair with a query.
func (r *Report) fold(weights []int32, unit []int, each func(pair int, m Metrics)) (micro, macro Metrics) {
	for i, p := range r.Pairs {
		var m Metrics
		for j, q := range p.queries {
			if w := weights[unit[j]]; w > 0 {
				m.addRank(q.rank, int(w))
			}
		}
		unit = unit[p.N:]
		if m.N == 0 {
			continue
		}
		micro.add(m.N, m)
		m.divide()
		macro.add(1, m)
		each(i, m)
	}
	micro.divide()
	macro.divide()
	return micro, macro
}

// folds are metrics of many samples.
type folds struct{ p1, p5, mrr []float64 }

func (f *folds) add(m Metrics) {
	f.p1, f.p5, f.mrr = append(f.p1, m.P1), append(f.p5, m.P5), append(f.mrr, m.MRR)
}

// intervals returns nil if no fold had a query.
func (f *folds) intervals() *Intervals {
	if len(f.p1) == 0 {
		return nil
	}
	return &Intervals{interval(f.p1), interval(f.p5), interval(f.mrr)}
}

// String returns the metrics on one line.
func (m Metrics) String() string {
	return fmt.Sprintf("P@1 %.3f, P@5 %.3f, MRR %.3f (%d)", m.P1, m.P5, m.MRR, m.N)
}

// String returns the intervals on one line.
func (i Intervals) String() string { return fmt.Sprintf("P@1 %v, P@5 %v, MRR %v", i.P1, i.P5, i.MRR) }

// String returns the result for the pair on one line.
func (p PairReport) String() string {
	if p.Intervals == nil {
		return fmt.Sprintf("%s-%s: %v", p.From, p.To, p.Metrics)
	}
	return fmt.Sprintf("%s-%s: %v, intervals %v", p.From, p.To, p.Metrics, p.Intervals)
}

// String returns the table of [Report.WriteTable].
func (r Report) String() string {
	return tableString(tabwriter.AlignRight, r.table)
}

// WriteTable writes the report as a text table with a line for each pair of
// languages and two for the averages. Intervals follow their figures in
// brackets.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	r.table(t)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("eval: write table: %w", err)
	}
	return nil
}

func (r *Report) table(t *tabwriter.Writer) {
	fmt.Fprintln(t, "from\tto\tqueries\tcandidates\tP@1\tP@5\tMRR\t")
	line := func(from, to string, n int, candidates any, m Metrics, ci *Intervals) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%v\t", from, to, n, candidates)
		if ci == nil {
			fmt.Fprintf(t, "%.3f\t%.3f\t%.3f\t\n", m.P1, m.P5, m.MRR)
			return
		}
		fmt.Fprintf(t, "%.3f %v\t%.3f %v\t%.3f %v\t\n", m.P1, ci.P1, m.P5, ci.P5, m.MRR, ci.MRR)
	}
	for _, p := range r.Pairs {
		line(p.From, p.To, p.N, p.Candidates, p.Metrics, p.Intervals)
	}
	line("all", "queries", r.Micro.N, "", r.Micro, r.MicroIntervals)
	line("all", "pairs", r.Macro.N, "", r.Macro, r.MacroIntervals)
	if r.NaN > 0 {
		fmt.Fprintf(t, "scores that are not a number:\t\t%d\t\t\t\t\t\n", r.NaN)
	}
}
