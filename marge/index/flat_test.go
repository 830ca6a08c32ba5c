package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// naiveSearch is Search by definition, in float64.
func naiveSearch(vectors, queries []float32, dim, k int) (ids []int32, scores []float32) {
	n := len(vectors) / dim
	for q := range len(queries) / dim {
		order := make([]int32, n)
		exact := make([]float64, n)
		for i := range order {
			order[i] = int32(i)
			exact[i] = dot64(queries[q*dim:(q+1)*dim], vectors[i*dim:(i+1)*dim])
		}
		slices.SortFunc(order, func(a, b int32) int {
			return cmp.Or(cmp.Compare(exact[b], exact[a]), cmp.Compare(a, b))
		})
		for i := range k {
			if i < n {
				ids, scores = append(ids, order[i]), append(scores, float32(exact[order[i]]))
			} else {
				ids, scores = append(ids, -1), append(scores, float32(math.Inf(-1)))
			}
		}
	}
	return ids, scores
}

func TestSearchAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for _, n := range []int{0, 1, 5, vectorBlock - 1, vectorBlock, vectorBlock + 1, 3 * 4 * vectorBlock} {
		for _, q := range []int{0, 1, 3, thinQueries + 1, 70, someQueries, someQueries + 1, queryBlock + 1} {
			if n > 2000 && q > 3 || n > 20 && q > 200 {
				continue
			}
			for _, k := range []int{1, 2, 7, n, n + 3} {
				if k == 0 || n > 20 && k > 20 && q > 10 {
					continue
				}
				dim := 1 + r.IntN(4)
				if n < 20 || n == vectorBlock+1 && k < 5 {
					dim = deep
				}
				vectors, queries := smallIntegers(r, n, dim), smallIntegers(r, q, dim)
				f := NewFlat(dim)
				mustAdd(t, f, vectors[:n/2*dim])
				mustAdd(t, f, vectors[n/2*dim:])
				if f.Len() != n || f.Dim() != dim {
					t.Fatalf("%d vectors of dimension %d, want %d of %d", f.Len(), f.Dim(), n, dim)
				}
				wantIDs, wantScores := naiveSearch(vectors, queries, dim, k)
				for _, run := range runners {
					ids, scores := mustSearch(t, f, run, queries, k)
					if !slices.Equal(ids, wantIDs) || !slices.Equal(scores, wantScores) {
						t.Fatalf("%d vectors, %d queries, k %d, %d threads: differs from the reference", n, q, k, run.Threads())
					}
				}
			}
		}
	}
}

// TestSearchFunc compares with a search of the accepted vectors alone.
func TestSearchFunc(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	const n, dim = 3*vectorBlock + 5, 3
	vectors, queries := smallIntegers(r, n, dim), smallIntegers(r, 2*thinQueries, dim)
	f := NewFlat(dim)
	mustAdd(t, f, vectors)
	for _, every := range []int{1, 2, 300, n + 1} {
		var kept []float32
		for i := every - 1; i < n; i += every {
			kept = append(kept, vectors[i*dim:(i+1)*dim]...)
		}
		want, wantScores := naiveSearch(kept, queries, dim, 7)
		for i, row := range want {
			if row >= 0 {
				want[i] = int32((int(row)+1)*every - 1)
			}
		}
		for _, run := range runners {
			ids, scores, err := f.SearchFunc(t.Context(), run, queries, 7, func(id int32) bool {
				return (int(id)+1)%every == 0
			})
			if err != nil || !slices.Equal(ids, want) || !slices.Equal(scores, wantScores) {
				t.Errorf("every %d, %d threads: differs from the reference; error %v", every, run.Threads(), err)
			}
		}
	}
}

func TestPart(t *testing.T) {
	f := NewFlat(2)
	f.Origin = [32]byte{1}
	mustAdd(t, f, []float32{0, 1, 2, 3, 4, 5, 6, 7})
	if part := f.Part(1, 3); len(part.Record(1)) != 0 || !slices.Equal(part.Vector(1), []float32{4, 5}) {
		t.Errorf("a part without records is %v", part)
	}
	if err := f.AddRecords([]float32{8, 9}, [][]byte{[]byte("five")}); err != nil {
		t.Fatal(err)
	}
	part := f.Part(2, 5)
	if part.Len() != 3 || part.Origin != f.Origin || !slices.Equal(part.Vector(0), []float32{4, 5}) ||
		string(part.Record(2)) != "five" || len(part.Record(0)) != 0 {
		t.Errorf("the part is %v", part)
	}
	mustAdd(t, part, []float32{1, 1})
	part.Vector(0)[0] = 7
	if f.Len() != 5 || f.Vector(2)[0] != 4 || f.Part(5, 5).Len() != 0 {
		t.Error("a part shares memory with the whole")
	}
	mustPanic(t, "vector 5 of 5", func() { f.Vector(5) })
	mustPanic(t, "vectors 2 to 1 of 5", func() { f.Part(2, 1) })
	mustPanic(t, "vectors -1 to 1 of 5", func() { f.Part(-1, 1) })
	mustPanic(t, "vectors 0 to 6 of 5", func() { f.Part(0, 6) })
}

// TestSearchThreads has scores that round, and an index that is cut in segments.
func TestSearchThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	const n, dim, k = 20000, 16, 10
	f := NewFlat(dim)
	mustAdd(t, f, gaussian(r, n, dim))
	for _, q := range []int{1, 20, 150} {
		queries := gaussian(r, q, dim)
		ids, scores := mustSearch(t, f, asm.Serial, queries, k)
		for _, run := range runners[1:] {
			otherIDs, otherScores := mustSearch(t, f, run, queries, k)
			if !slices.Equal(ids, otherIDs) || !slices.Equal(scores, otherScores) {
				t.Errorf("%d queries, %d threads give other results than one", q, run.Threads())
			}
		}
	}
}

func TestFlatErrors(t *testing.T) {
	mustPanic(t, "dimension 0", func() { NewFlat(0) })
	f := NewFlat(3)
	mustPanic(t, "4 values are not rows of dimension 3", func() { f.Add(make([]float32, 4)) })
	mustPanic(t, "search: 5 values are not rows of dimension 3", func() {
		f.Search(t.Context(), asm.Serial, make([]float32, 5), 1)
	})
	wantError := func(want string, f *Flat, queries []float32, k int) {
		t.Helper()
		for _, run := range runners {
			ids, scores, err := f.Search(t.Context(), run, queries, k)
			if err == nil || !strings.Contains(err.Error(), want) || ids != nil || scores != nil {
				t.Errorf("%d ids, %d scores, error %v, want one with %q", len(ids), len(scores), err, want)
			}
		}
	}
	wantError("k is 0", f, nil, 0)
	wantError("k is -1", f, make([]float32, 3), -1)
	for want, x := range map[string]float32{"NaN": float32(math.NaN()), "+Inf": float32(math.Inf(1)),
		"-Inf": float32(math.Inf(-1))} {
		f, rows := NewFlat(3), make([]float32, 3*5000)
		rows[3*4000+1] = x
		named := "vector 4000 has the value " + want + " at position 1"
		for _, err := range []error{f.Add(rows), f.AddRecords(rows, make([][]byte, 5000))} {
			if err == nil || !strings.Contains(err.Error(), named) || f.Len() != 0 {
				t.Errorf("added %d vectors, error %v, want one with %q", f.Len(), err, named)
			}
		}
		wantError("vector 1 has the value "+want+" at position 0", f, []float32{0, 1, 2, x, 4, 5}, 1)
		// As in a file that was damaged.
		rows[3*4000+1] = 0
		mustAdd(t, f, rows)
		f.stored.f32[3*4000+1] = x
		if x != x {
			wantError("query 0 and vector 4000 is NaN", f, []float32{0, 1, 0, 0, -1, 0}, 2)
			continue
		}
		wantError("query 0 and vector 4000 is +Inf", f, []float32{0, float32(math.Copysign(1, float64(x))), 0}, 2)
		wantError("query 0 and vector 4000 is NaN", f, []float32{1, 0, 0}, 2)
	}
	for _, dim := range []int{3, deep} {
		f, rows := NewFlat(dim), make([]float32, dim*2000)
		rows[dim*1234+2], rows[dim*1777+2] = 0x1p127, 0x1p127
		mustAdd(t, f, rows)
		for _, q := range []int{1, 20, 100} {
			queries := make([]float32, q*dim)
			queries[(q-1)*dim+2] = 2
			wantError(fmt.Sprintf("query %d and vector 1234 is +Inf", q-1), f, queries, 2)
			queries[(q-1)*dim+2] = -2
			mustSearch(t, f, asm.Serial, queries, 2) // -Inf is not among the best
			wantError(fmt.Sprintf("query %d and vector 1234 is -Inf", q-1), f, queries, 2000)
		}
	}
}

func ExampleFlat() {
	f := NewFlat(2)
	if err := f.Add([]float32{1, 0, 0, 1, 0.6, 0.8}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Search(context.Background(), asm.Serial, []float32{0, 1}, 2))
	// Output: [1 2] [1 0.8] <nil>
}

// BenchmarkTopK finds the best 10 of vectors that no cache holds.
func BenchmarkTopK(b *testing.B) {
	r := rand.New(rand.NewPCG(11, 1))
	const n, dim = 100_000, 1024
	vectors := make([]float32, n*dim)
	for i := range vectors {
		vectors[i] = r.Float32() - 0.5
	}
	f := NewFlat(dim)
	mustAdd(b, f, vectors)
	for _, q := range []int{1, 8, 64, 1000} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("queries=%d/threads=%d", q, threads), func(b *testing.B) {
				pool := tensor.NewPool(threads)
				defer pool.Close()
				for b.Loop() {
					mustSearch(b, f, pool, vectors[:q*dim], 10)
				}
				perSecond := float64(n) * dim * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(2*float64(q)*perSecond/1e9, "GFLOP/s")
				b.ReportMetric(4*perSecond/1e9, "GB/s")
			})
		}
	}
}
