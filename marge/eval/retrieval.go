package eval

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Doc is what retrieval needs to know of a document.
type Doc struct {
	Lang  string
	Group string // documents with equal groups are equivalents; "" has none
}

// Scorer compares documents, which it knows by their position.
type Scorer interface {
	// Against prepares candidates and returns a function that compares queries
	// with them: it fills dst, queries x candidates, row-major, with scores,
	// the higher the more similar.
	Against(candidates []int) func(queries []int, dst []float32)
}

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

// query is what came of one query.
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

// queryBlock is the number of queries that are scored at a time.
const queryBlock = 1024

// Retrieval measures, for every ordered pair of different languages, how well
// documents of the first find their equivalents in the second. The queries are
// the documents of the first language that have an equivalent in the second,
// the candidates all documents of the second.
//
// The rank of a query is 1 + the number of candidates that are not equivalents
// and score at least as high as its best equivalent: ties count against the
// scorer, as does a score that is not a number.
//
// The report has no intervals; [Report.Bootstrap] adds them.
func Retrieval(docs []Doc, s Scorer) *Report {
	type key struct{ lang, group string }
	byLang := map[string][]int{}
	exists := map[key]bool{}
	for i, d := range docs {
		byLang[d.Lang] = append(byLang[d.Lang], i)
		if d.Group != "" {
			exists[key{d.Lang, d.Group}] = true
		}
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
		scores := make([]float32, min(len(queries), queryBlock)*len(candidates))
		for block := range slices.Chunk(queries, queryBlock) {
			score(block, scores[:len(block)*len(candidates)])
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
	return report
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
// A pair of which a fold drew no query is left out of that fold. Bootstrap
// panics if the report does not come from [Retrieval], but was decoded.
func (r *Report) Bootstrap(b Bootstrap, byGroup bool) {
	strata, unit := r.units(byGroup)
	pairs := make([]folds, len(r.Pairs))
	var micros, macros folds
	b.each(strata, func(weights []int32) {
		micro, macro := r.fold(weights, unit, func(pair int, m Metrics) { pairs[pair].add(m) })
		micros.add(micro)
		macros.add(macro)
	})
	if len(r.Pairs) == 0 {
		return
	}
	for i := range pairs {
		r.Pairs[i].Intervals = pairs[i].intervals()
	}
	r.MicroIntervals, r.MacroIntervals = micros.intervals(), macros.intervals()
}

// units returns what is drawn, as sizes of strata, and the number of the unit
// of each query, pair by pair.
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

func (f *folds) intervals() *Intervals {
	return &Intervals{interval(f.p1), interval(f.p5), interval(f.mrr)}
}

// WriteTable writes the report as a text table with a line for each pair of
// languages and two for the averages. Intervals follow their figures in
// brackets.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
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
	if err := t.Flush(); err != nil {
		return fmt.Errorf("eval: write table: %w", err)
	}
	return nil
}
