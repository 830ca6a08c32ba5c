package eval

import "slices"

// Difference is what one retrieval is better by than another, on the same
// queries.
type Difference struct {
	Micro          Metrics   `json:"micro"` // over all queries of all pairs
	Macro          Metrics   `json:"macro"` // over pairs, each counting the same
	MicroIntervals Intervals `json:"micro_intervals"`
	MacroIntervals Intervals `json:"macro_intervals"`
}

// Compare returns the metrics of a minus those of b, with intervals by the
// paired bootstrap (Koehn 2004, "Statistical Significance Tests for Machine
// Translation Evaluation"): the two are measured on the same queries in every
// fold, drawn as [Report.Bootstrap] does. As queries that are hard for one are
// hard for the other, the interval is narrower than those of the two figures
// tell: one is clearly better if the interval of the difference is on one side
// of 0, even where their own intervals overlap.
//
// Compare panics if the reports do not come from [Retrieval] of the same
// documents.
func Compare(a, b *Report, boot Bootstrap, byGroup bool) *Difference {
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
	if len(a.Pairs) == 0 {
		return d
	}
	var micros, macros folds
	none := func(int, Metrics) {}
	boot.each(strata, func(weights []int32) {
		microA, macroA := a.fold(weights, unit, none)
		microB, macroB := b.fold(weights, unit, none)
		micros.add(microA.minus(microB))
		macros.add(macroA.minus(macroB))
	})
	d.MicroIntervals, d.MacroIntervals = *micros.intervals(), *macros.intervals()
	return d
}

// minus returns the difference of averages over the same.
func (m Metrics) minus(other Metrics) Metrics {
	return Metrics{N: m.N, P1: m.P1 - other.P1, P5: m.P5 - other.P5, MRR: m.MRR - other.MRR}
}
