package index

import (
	"context"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// centeredDense returns rows without the mean of their language, of unit
// length, in float64.
func centeredDense(v *Sparse, items []Item) []float64 {
	dim := v.Dim
	dense, means, rows := make([]float64, v.Len()*dim), map[int][]float64{}, map[int]float64{}
	for i, item := range items {
		if means[item.Lang] == nil {
			means[item.Lang] = make([]float64, dim)
		}
		rows[item.Lang]++
		columns, values := v.Row(i)
		for j, t := range columns {
			dense[i*dim+int(t)] = float64(values[j])
			means[item.Lang][t] += float64(values[j])
		}
	}
	for i, item := range items {
		row, squares := dense[i*dim:(i+1)*dim], 0.0
		for t := range row {
			row[t] -= means[item.Lang][t] / rows[item.Lang]
			squares += row[t] * row[t]
		}
		scale := 1 / math.Sqrt(squares)
		if squares < minRest*minRest {
			scale = 0
		}
		for t := range row {
			row[t] *= scale
		}
	}
	return dense
}

// TestCenteredLinks compares with Links of the same vectors, made dense. Scores
// round in another way, so that of nearly equal pairs another may be chosen.
func TestCenteredLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	for _, c := range []struct {
		n, vocabulary, length int
		targets               float64
	}{
		{0, 5, 3, 1}, {1, 5, 3, 1}, {2, 5, 3, 1}, {17, 50, 10, 0.5}, {300, 40, 6, 0}, {300, 40, 6, 1},
		{blockRows, 200, 30, 1}, {blockColumns + 1, 300, 30, 0.3}, {1100, 300, 30, 0.7},
		{partBlocks*blockColumns + 600, 64, 8, 0.2},
	} {
		docs, items := randomDocs(r, c.n, c.vocabulary, c.length), randomItems(r, c.n, c.targets)
		if c.n > 10 {
			items[c.n/2].Lang = 100 // alone in its language: zero
		}
		v := mustTFIDF(t, asm.Serial, docs, mustCount(t, docs, c.vocabulary), c.n)
		exact := centeredDense(v, items)
		vectors := make([]float32, len(exact))
		for i, x := range exact {
			vectors[i] = float32(x)
		}
		opt := LinkOptions{Mono: 3, Cross: 5, PerTarget: c.n%2 == 1}
		want := mustLink(t, threads(2), vectors, v.Dim, items, opt)
		got := mustCenter(t, asm.Serial, v, items, opt)
		for _, run := range runners[1:] {
			if other := mustCenter(t, run, v, items, opt); !slices.Equal(got, other) {
				t.Errorf("%+v: %d threads give other links than one", c, run.Threads())
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%+v: %d links, want %d", c, len(got), len(want))
		}
		const tolerance = 1e-5
		gotBy, wantBy := map[bool][]float32{}, map[bool][]float32{} // scores of links between languages, and not
		seen := map[[2]int32]bool{}
		for i, p := range got {
			target, evidence := items[p.Target], items[p.Evidence]
			if key := [2]int32{p.Target, p.Evidence}; seen[key] || !target.Target || target.Source == evidence.Source {
				t.Fatalf("%+v: linked target %d to evidence %d, twice: %v", c, p.Target, p.Evidence, seen[key])
			} else {
				seen[key] = true
			}
			score := 0.0
			for k := range v.Dim {
				score += exact[int(p.Target)*v.Dim+k] * exact[int(p.Evidence)*v.Dim+k]
			}
			if math.Abs(float64(p.Score)-score) > tolerance {
				t.Fatalf("%+v: target %d, evidence %d: score %v, in float64 %v", c, p.Target, p.Evidence, p.Score, score)
			}
			cross := target.Lang != evidence.Lang
			gotBy[cross] = append(gotBy[cross], p.Score)
			q := want[i]
			cross = items[q.Target].Lang != items[q.Evidence].Lang
			wantBy[cross] = append(wantBy[cross], q.Score)
		}
		for cross, scores := range wantBy {
			if len(gotBy[cross]) != len(scores) {
				t.Fatalf("%+v: between languages %v: %d links, want %d", c, cross, len(gotBy[cross]), len(scores))
			}
			for i, score := range scores {
				if math.Abs(float64(gotBy[cross][i]-score)) > tolerance {
					t.Fatalf("%+v: between languages %v: score %d is %v, want %v", c, cross, i, gotBy[cross][i], score)
				}
			}
		}
	}
	mustPanic(t, "2 rows for 1 items", func() {
		CenteredLinks(t.Context(), asm.Serial, &Sparse{Dim: 1, Start: []int{0, 0, 0}}, make([]Item, 1), LinkOptions{})
	})
	for _, x := range []float64{math.NaN(), math.Inf(1), 2.5} {
		v := &Sparse{Dim: 9, Start: []int{0, 1, 2}, Columns: []int32{3, 4}, Values: []float32{1, float32(x)}}
		items := []Item{{Source: 0, Target: true}, {Source: 1, Target: true}}
		_, err := CenteredLinks(t.Context(), asm.Serial, v, items, LinkOptions{Mono: 1})
		if want := fmt.Sprintf("item 1: the vector has the value %v in column 4", x); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// Two stories in two languages: without the words that all documents of a
// language share, only the names are left.
func ExampleCenteredLinks() {
	// Tokens 0 and 1 are "the" and "of", 4 and 5 "der" and "von", 2 and 3 names.
	docs := [][]int32{{0, 1, 2}, {0, 1, 3}, {4, 5, 2}, {4, 5, 3}}
	items := []Item{
		{Source: 0, Target: true}, {Source: 1, Target: true},
		{Source: 2, Lang: 1, Target: true}, {Source: 3, Lang: 1, Target: true},
	}
	ctx := context.Background()
	df, err := DocumentFrequency(ctx, docs, 6)
	if err != nil {
		log.Fatal(err)
	}
	v, err := TFIDF(ctx, asm.Serial, docs, df, len(docs), TFIDFOptions{})
	if err != nil {
		log.Fatal(err)
	}
	pairs, err := CenteredLinks(ctx, asm.Serial, v, items, LinkOptions{Cross: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range pairs {
		fmt.Printf("target %d, evidence %d: %.2f\n", p.Target, p.Evidence, p.Score)
	}
	// Output:
	// target 0, evidence 2: 1.00
	// target 1, evidence 3: 1.00
	// target 2, evidence 0: 1.00
	// target 3, evidence 1: 1.00
}

// BenchmarkCenteredLinks has documents in which words are as frequent as in a
// language.
func BenchmarkCenteredLinks(b *testing.B) {
	r := rand.New(rand.NewPCG(32, 1))
	const n, vocabulary, length = 10000, 8000, 126
	zipf := rand.NewZipf(r, 1.1, 10, vocabulary-1)
	docs := make([][]int32, n)
	for i := range docs {
		docs[i] = make([]int32, length)
		for j := range docs[i] {
			docs[i][j] = int32(zipf.Uint64())
		}
	}
	items, df := randomItems(r, n, 1), mustCount(b, docs, vocabulary)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d/threads=%d", n, threads), func(b *testing.B) {
			pool := tensor.NewPool(threads)
			defer pool.Close()
			for b.Loop() {
				mustCenter(b, pool, mustTFIDF(b, pool, docs, df, n), items, LinkOptions{Mono: 4, Cross: 4})
			}
			b.ReportMetric(float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
		})
	}
}
