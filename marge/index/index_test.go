package index

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/marge-go/marge/asm"
)

// threads is a Runner with goroutines of its own, which take parts in a random
// order.
type threads int

func (n threads) Threads() int { return int(n) }

func (n threads) Run(parts int, t asm.Task) {
	queue := make(chan int, parts)
	for _, p := range rand.Perm(parts) {
		queue <- p
	}
	close(queue)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for p := range queue {
				t.Do(p)
			}
		})
	}
	wg.Wait()
}

var runners = []asm.Runner{asm.Serial, threads(2), threads(5)}

// smallIntegers returns rows whose inner products are exact in float32 and
// often equal, so that references need no tolerance and ties are tested.
func smallIntegers(r *rand.Rand, rows, dim int) []float32 {
	v := make([]float32, rows*dim)
	for i := range v {
		v[i] = float32(r.IntN(7) - 3)
	}
	return v
}

// gaussian returns random rows of unit length.
func gaussian(r *rand.Rand, rows, dim int) []float32 {
	v := make([]float32, rows*dim)
	for i := range rows {
		row, sum := v[i*dim:(i+1)*dim], 0.0
		for j := range row {
			x := r.NormFloat64()
			row[j] = float32(x)
			sum += x * x
		}
		for j := range row {
			row[j] *= float32(1 / math.Sqrt(sum))
		}
	}
	return v
}

func dot64(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// randomItems returns items of few languages and of sources with up to three
// neighbouring chunks.
func randomItems(r *rand.Rand, n int, targets float64) []Item {
	items := make([]Item, n)
	source := 0
	for i := range items {
		if r.IntN(3) == 0 {
			source++
		}
		items[i] = Item{Chunk: 1000 + i, Lang: r.IntN(4), Source: source, Target: r.Float64() < targets}
	}
	return items
}

func mustLink(t testing.TB, run asm.Runner, rows []float32, dim int, items []Item, opt LinkOptions) []Pair {
	t.Helper()
	pairs, err := Links(t.Context(), run, rows, dim, items, opt)
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func mustCount(t testing.TB, docs [][]int32, features int) []int32 {
	t.Helper()
	df, err := DocumentFrequency(t.Context(), docs, features)
	if err != nil {
		t.Fatal(err)
	}
	return df
}

func mustTFIDF(t testing.TB, run asm.Runner, docs [][]int32, df []int32, total int) *Sparse {
	t.Helper()
	v, err := TFIDF(t.Context(), run, docs, df, total, TFIDFOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustCenter(t testing.TB, run asm.Runner, v *Sparse, items []Item, opt LinkOptions) []Pair {
	t.Helper()
	pairs, err := CenteredLinks(t.Context(), run, v, items, opt)
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func mustSearch(t testing.TB, f *Flat, run asm.Runner, queries []float32, k int) (ids []int32, scores []float32) {
	t.Helper()
	ids, scores, err := f.Search(t.Context(), run, queries, k)
	if err != nil {
		t.Fatal(err)
	}
	return ids, scores
}

func mustAdd(t testing.TB, f *Flat, rows []float32) {
	t.Helper()
	if err := f.Add(rows); err != nil {
		t.Fatal(err)
	}
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
			t.Errorf("panic %q, want one with %q", got, want)
		}
	}()
	f()
}
