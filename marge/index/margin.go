package index

import (
	"slices"

	"github.com/marge-go/marge/asm"
)

// Margin is how the cosine of two documents is set against those of their
// neighbours (Artetxe and Schwenk 2019, arXiv:1811.01136, section 3): documents
// that are near to everything are no translation of anything.
type Margin string

const (
	// MarginRatio divides the cosine by the average over the nearest
	// neighbours of both documents. Where the average is not positive, it is 0.
	MarginRatio Margin = "ratio"
	// MarginDistance takes that average off the cosine.
	MarginDistance Margin = "distance"
	// MarginNone is the plain cosine, called "absolute" in the paper.
	MarginNone Margin = "none"
)

// defaultNeighbours is the paper's number of neighbours.
const defaultNeighbours = 4

// neighbourMeans are the mean cosines of items with their nearest neighbours,
// in the order of the linker.
type neighbourMeans struct {
	margin      Margin
	lang        []int
	mono, cross []float32 // with neighbours in the same language, in others; 0 without any
}

// neighbourMeans finds the nearest neighbours of all items. Neighbours are the
// items that a link is possible with: those of a target are all from other
// sources, those of other items are targets.
func (l *linker) neighbourMeans(run asm.Runner, opt LinkOptions) *neighbourMeans {
	k := opt.Neighbours
	if k == 0 {
		k = defaultNeighbours
	}
	all := func(*Item) bool { return true }
	mono, cross := newItemSelector(k, l.items, all), newItemSelector(k, l.items, all)
	l.mono, l.cross, l.mutual = mono, cross, true
	l.run(run)
	l.mutual = false
	m := &neighbourMeans{margin: opt.Margin, lang: l.lang}
	for _, item := range l.order {
		m.mono, m.cross = append(m.mono, meanScore(mono.hits[item])), append(m.cross, meanScore(cross.hits[item]))
	}
	return m
}

// meanScore returns the mean of scores, added up from the best down.
func meanScore(hits []hit) float32 {
	slices.SortFunc(hits, hit.compare)
	sum := 0.0
	for _, h := range hits {
		sum += float64(h.score)
	}
	return float32(sum / float64(max(len(hits), 1)))
}

// apply replaces the cosines of row r with columns from c0 on by their scores.
func (m *neighbourMeans) apply(cosines []float32, r, c0 int) {
	for from := 0; from < len(cosines); {
		lang := m.lang[c0+from]
		to := from + 1
		for to < len(cosines) && m.lang[c0+to] == lang {
			to++
		}
		means := m.cross
		if lang == m.lang[r] {
			means = m.mono
		}
		m.score(cosines[from:to], means[r], means[c0+from:c0+to])
		from = to
	}
}

// score replaces cosines of a row, which has the given mean, by their scores.
func (m *neighbourMeans) score(cosines []float32, mean float32, columns []float32) {
	for j, cosine := range cosines {
		average := (mean + columns[j]) / 2
		switch {
		case m.margin == MarginDistance:
			cosines[j] = cosine - average
		case average > 0:
			cosines[j] = cosine / average
		default:
			cosines[j] = 0
		}
	}
}
