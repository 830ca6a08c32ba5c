package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

func TestMarginAgainstNaive(t *testing.T) {
	const dim = 4
	r := rand.New(rand.NewPCG(20, 3))
	var langs []string
	var wide [][]float64
	var flat []float32
	byLang := map[string][]int{}
	for i := range 40 {
		lang := []string{"de", "en", "pt-BR"}[r.IntN(3)]
		byLang[lang] = append(byLang[lang], i)
		langs = append(langs, []string{lang, strings.ReplaceAll(strings.ToLower(lang), "-", "_")}[i%2])
		row := []float64{3 + r.NormFloat64(), 0, 0, 0}
		for j := range row {
			x := float32(row[j] + r.NormFloat64())
			row[j], flat = float64(x), append(flat, x)
		}
		wide = append(wide, row)
	}
	dense := NewDense(asm.Serial, flat, dim)
	rows := func(docs []int) (rows [][]float64) {
		for _, i := range docs {
			rows = append(rows, wide[i])
		}
		return rows
	}
	for _, margin := range []vectors.Margin{vectors.MarginNone, vectors.MarginDistance, vectors.MarginRatio} {
		s := NewMargin(dense, langs, margin)
		for from, queries := range byLang {
			for to, candidates := range byLang {
				if from == to {
					continue
				}
				want, _, _ := naiveScores(rows(queries), rows(candidates), margin, 4)
				// Not all documents of the language are queries.
				some := queries[:len(queries)/2]
				got := make([]float32, len(some)*len(candidates))
				score(t, s, candidates, some, got)
				for i := range some {
					for j := range candidates {
						if x := float64(got[i*len(candidates)+j]); math.Abs(x-want[i][j]) > 1e-5 {
							t.Fatalf("%s, %s-%s: %v at %d, %d, want %v", margin, from, to, x, i, j, want[i][j])
						}
					}
				}
			}
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	dst := make([]float32, 1)
	if err := NewMargin(dense, langs, "").Against([]int{0})(cancelled, []int{1}, dst); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	// Of few candidates, all are neighbours.
	candidate, query := byLang["de"][0], byLang["en"][0]
	score(t, NewMargin(dense, langs, vectors.MarginRatio), []int{candidate}, []int{query}, dst)
	backward, _, _ := naiveScores(rows([]int{candidate}), rows(byLang["en"]), vectors.MarginNone, 4)
	slices.Sort(backward[0])
	mean := 0.0
	for _, cosine := range backward[0][len(backward[0])-4:] {
		mean += cosine / 4
	}
	own, _, _ := naiveScores(rows([]int{query}), rows([]int{candidate}), vectors.MarginNone, 4)
	if want := own[0][0] / ((mean + own[0][0]) / 2); math.Abs(float64(dst[0])-want) > 1e-5 {
		t.Errorf("one candidate scores %v, want %v", dst[0], want)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `no margin "log"`) {
			t.Errorf("panic %q", got)
		}
	}()
	NewMargin(dense, langs, "log")
}

func TestTopK(t *testing.T) {
	for n := 1; n < 40; n++ {
		r := rand.New(rand.NewPCG(uint64(n), 5))
		row := make([]float32, n)
		for i := range row {
			row[i] = float32(r.IntN(9) - 4) // many are equal
		}
		order := make([]int32, n)
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return int(row[b] - row[a]) })
		for k := 1; k <= min(n, 6); k++ {
			ids, best := make([]int32, k), make([]float32, k)
			topK(row, ids, best)
			if !slices.Equal(ids, order[:k]) || best[k-1] != row[order[k-1]] || best[0] != row[order[0]] {
				t.Fatalf("the best %d of %v are %v, %v", k, row, ids, best)
			}
		}
	}
}

// Queries of more than a block keep their numbers.
func TestEachRow(t *testing.T) {
	queries := make([]int, 2*queryBlock+7)
	for i := range queries {
		queries[i] = 3 * i
	}
	score := func(_ context.Context, queries []int, dst []float32) error {
		for i, q := range queries {
			dst[2*i], dst[2*i+1] = float32(q), float32(-q)
		}
		return nil
	}
	seen := 0
	err := eachRow(t.Context(), score, queries, 2, func(i int, row []float32) {
		if i != seen || row[0] != float32(3*i) || row[1] != float32(-3*i) {
			t.Fatalf("row %v of query %d, want number %d", row, i, seen)
		}
		seen++
	})
	if err != nil || seen != len(queries) {
		t.Errorf("%d rows, error %v", seen, err)
	}
	failure := errors.New("no scores")
	failing := func(context.Context, []int, []float32) error { return failure }
	if err := eachRow(t.Context(), failing, queries, 2, nil); err != failure {
		t.Errorf("error %v", err)
	}
}
