package eval

import (
	"cmp"
	"fmt"
	"io"
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
}

// Report is the result of [Retrieval].
type Report struct {
	Pairs []PairReport `json:"pairs"`         // with at least one query, sorted by languages
	Micro Metrics      `json:"micro"`         // over all queries of all pairs
	Macro Metrics      `json:"macro"`         // over pairs, each counting the same
	NaN   int          `json:"nan,omitempty"` // scores that were not a number
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
	for to, candidates := range byLang {
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
				pairs[languages].addRank(rank)
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

// addRank adds a query to sums.
func (m *Metrics) addRank(rank int) {
	m.N++
	m.MRR += 1 / float64(rank)
	if rank <= 1 {
		m.P1++
	}
	if rank <= 5 {
		m.P5++
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

// WriteTable writes the report as a text table with a line for each pair of
// languages and two for the averages.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "from\tto\tqueries\tcandidates\tP@1\tP@5\tMRR\t")
	line := func(from, to string, n int, candidates any, m Metrics) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%v\t%.3f\t%.3f\t%.3f\t\n", from, to, n, candidates, m.P1, m.P5, m.MRR)
	}
	for _, p := range r.Pairs {
		line(p.From, p.To, p.N, p.Candidates, p.Metrics)
	}
	line("all", "queries", r.Micro.N, "", r.Micro)
	line("all", "pairs", r.Macro.N, "", r.Macro)
	if r.NaN > 0 {
		fmt.Fprintf(t, "scores that are not a number:\t\t%d\t\t\t\t\t\n", r.NaN)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("eval: write table: %w", err)
	}
	return nil
}
