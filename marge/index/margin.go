package index

import (
	"context"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

// defaultNeighbours is the paper's number of neighbours.
const defaultNeighbours = 4

// neighbourMeans are the mean cosines of items with their nearest neighbours,
// in the order of the linker.
type neighbourMeans struct {
	margin      vectors.Margin
	lang        []int
	mono, cross []float32 // with neighbours in the same language, in others; 0 without any
}

// neighbourMeans finds the nearest neighbours of all items. Neighbours are the
// items that a link is possible with: those of a target are all from other
// sources, those of other items are targets.
func (l *linker) neighbourMeans(ctx context.Context, run asm.Runner, opt LinkOptions) (*neighbourMeans, error) {
	k := opt.Neighbours
	if k == 0 {
		k = defaultNeighbours
	}
	all := func(*Item) bool { return true }
	mono, cross := newItemSelector(k, l.items, all), newItemSelector(k, l.items, all)
	l.mono, l.cross, l.mutual = mono, cross, true
	if err := l.run(ctx, run); err != nil {
		return nil, err
	}
	l.mutual = false
	m := &neighbourMeans{margin: opt.Margin, lang: l.lang}
	for _, item := range l.order {
		m.mono, m.cross = append(m.mono, meanScore(mono.hits[item])), append(m.cross, meanScore(cross.hits[item]))
	}
	return m, nil
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
		mean := means[r]
		for j, other := range means[c0+from : c0+to] {
			cosines[from+j] = vectors.MarginScore(m.margin, cosines[from+j], mean, other)
		}
		from = to
	}
}
