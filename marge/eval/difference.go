package eval

import (
	"context"
	"fmt"
	"slices"
)

// Difference tells how much one retrieval beats another on the same queries.
type Difference struct {
	Micro          Metrics   `json:"micro"` // over all queries of all pairs
	Macro          Metrics   `json:"macro"` // over pairs, each counting the same
	MicroIntervals Intervals `json:"micro_intervals"`
	MacroIntervals Intervals `json:"macro_intervals"`
}

// Compare returns the metrics of a minus those of b, with intervals by the
// paired bootstrap (Koehn 2004, "Statistical Significance Tests for Machine
// Translation Evaluation"): every fold, drawn as by [Report.Bootstrap], measures
// both on the same queries. Queries that are hard for one are hard for the
// other, so the interval is narrower than the two figures' own intervals
// suggest: if it lies on one side of 0, one retrieval is clearly better, even
// where their own intervals overlap.
//
// The only error is the context's. Compare panics if the reports do not come
// from [Retrieval] of the same documents.
func Compare(ctx context.Context, a, b *Report, boot Bootstrap, byGroup bool) (*Difference, error) {
	strata, unit := a.units(byGroup)
	b.units(byGroup)
	same := slices.EqualFunc(a.Pairs, b.Pairs, func(p, q PairReport) bool {
		return p.From == q.From && p.To == q.To && p.Candidates == q.Candidates &&
			slices.EqualFunc(p.queries, q.queries, func(x, y query) bool { return x.group == y.group })
	})
	if !same {
		panic("eval: compare: the reports are of different documents")
	}
	d := &Difference{Micro: a.Micro.minus(b.Micro), Macro: a.Macro.minus(b.Macro)}
	var micros, macros folds
	none := func(int, Metrics) {}
	err := boot.each(ctx, strata, func(weights []int32) {
		microA, macroA := a.fold(weights, unit, none)
		microB, macroB := b.fold(weights, unit, none)
		micros.add(microA.minus(microB))
		macros.add(macroA.minus(macroB))
	})
	if err != nil {
		return nil, err
	}
	d.MicroIntervals, d.MacroIntervals = *micros.intervals(), *macros.intervals()
	return d, nil
}

// String returns the differences of P@1 over queries and over pairs.
func (d Difference) String() string {
	return fmt.Sprintf("P@1 %+.3f %v over queries, %+.3f %v over pairs",
		d.Micro.P1, d.MicroIntervals.P1, d.Macro.P1, d.MacroIntervals.P1)
}

// minus returns the difference of averages over the same.
func (m Metrics) minus(other Metrics) Metrics {
	return Metrics{N: m.N, P1: m.P1 - other.P1, P5: m.P5 - other.P5, MRR: m.MRR - other.MRR}
}
