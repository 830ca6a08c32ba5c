package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/marge-go/marge/marge/vectors"
)

// Margin scores documents by how much more similar they are than their nearest
// neighbours, see [vectors.MarginScore]: those of a query among the candidates,
// and those of a candidate among all documents of the query's language.
type Margin struct {
	scorer Scorer
	margin vectors.Margin
	langs  []string
	byLang map[string][]int
}

// NewMargin returns a scorer for documents in the given languages that another
// scorer compares. It panics if there is no such margin.
func NewMargin(s Scorer, langs []string, margin vectors.Margin) *Margin {
	if err := margin.Validate(); err != nil {
		panic(fmt.Sprintf("eval: margin: %v", err))
	}
	m := &Margin{scorer: s, margin: margin, langs: slices.Clone(langs), byLang: map[string][]int{}}
	for i, lang := range m.langs {
		lang = canonical(lang)
		m.langs[i] = lang
		m.byLang[lang] = append(m.byLang[lang], i)
	}
	return m
}

// Against implements [Scorer].
func (m *Margin) Against(candidates []int) ScoreFunc {
	score := m.scorer.Against(candidates)
	means := map[string][]float64{} // of the candidates, by the language of their neighbours
	ids, scores := make([]int32, defaultNeighbours), make([]float32, defaultNeighbours)
	meanOf := func(row []float32) float64 {
		k := min(defaultNeighbours, len(row))
		topK(row, ids[:k], scores[:k])
		return meanScore(scores[:k])
	}
	return func(ctx context.Context, queries []int, dst []float32) error {
		if err := score(ctx, queries, dst); err != nil {
			return err
		}
		for i, q := range queries {
			lang := m.langs[q]
			if means[lang] == nil {
				of := make([]float64, len(candidates))
				err := eachRow(ctx, m.scorer.Against(m.byLang[lang]), candidates, len(m.byLang[lang]),
					func(j int, row []float32) { of[j] = meanOf(row) })
				if err != nil {
					return err
				}
				means[lang] = of
			}
			row := dst[i*len(candidates) : (i+1)*len(candidates)]
			mean := meanOf(row)
			for j, cosine := range row {
				row[j] = float32(vectors.MarginScore(m.margin, float64(cosine), mean, means[lang][j]))
			}
		}
		return nil
	}
}

// eachRow calls fn with the scores of each query, by its position, which are
// valid until fn returns.
func eachRow(
	ctx context.Context, score ScoreFunc, queries []int, candidates int, fn func(query int, row []float32),
) error {
	size := queriesAtOnce(candidates)
	scores := make([]float32, min(size, len(queries))*candidates)
	done := 0
	for block := range slices.Chunk(queries, size) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := score(ctx, block, scores[:len(block)*candidates]); err != nil {
			return err
		}
		for i := range block {
			fn(done+i, scores[i*candidates:(i+1)*candidates])
		}
		done += len(block)
	}
	return nil
}

// topK finds the best scores of a row, as many as ids and best have room for,
// and their positions. The best comes first, and of equal ones the one on the
// left.
func topK(row []float32, ids []int32, best []float32) {
	n := 0
	for j, s := range row {
		if n == len(ids) && !(s > best[n-1]) {
			continue
		}
		at := min(n, len(ids)-1)
		for ; at > 0 && s > best[at-1]; at-- {
			ids[at], best[at] = ids[at-1], best[at-1]
		}
		ids[at], best[at] = int32(j), s
		n = min(n+1, len(ids))
	}
}

// meanScore returns the mean of scores, added up from the first on.
func meanScore(scores []float32) float64 {
	mean := 0.0
	for _, s := range scores {
		mean += float64(s) / float64(len(scores))
	}
	return mean
}
