package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

func TestMaxSim(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 1))
	const docs, dim = 90, 12
	offsets, vectors := []int{0}, []float32(nil)
	for range docs {
		n := 1 + r.IntN(9)
		for range n * dim {
			vectors = append(vectors, float32(r.NormFloat64()))
		}
		offsets = append(offsets, offsets[len(offsets)-1]+n)
	}
	original := slices.Clone(vectors)
	cosine := func(a, b int) float64 {
		dot, x, y := 0.0, 0.0, 0.0
		for k := range dim {
			p, q := float64(original[a*dim+k]), float64(original[b*dim+k])
			dot, x, y = dot+p*q, x+p*p, y+q*q
		}
		return dot / math.Sqrt(x*y)
	}
	// side is the mean over the vectors of document i of the best of document j.
	side := func(i, j int) float64 {
		sum := 0.0
		for a := offsets[i]; a < offsets[i+1]; a++ {
			best := math.Inf(-1)
			for b := offsets[j]; b < offsets[j+1]; b++ {
				best = max(best, cosine(a, b))
			}
			sum += best
		}
		return sum / float64(offsets[i+1]-offsets[i])
	}
	pool := tensor.NewPool(3)
	defer pool.Close()
	candidates := []int{7, 3, 88, 0, 41}
	var queries []int
	for i := range docs {
		queries = append(queries, docs-1-i)
	}
	queries = append(queries, 5, 5)
	var first []float32
	for _, run := range []asm.Runner{asm.Serial, pool} {
		dst := make([]float32, len(queries)*len(candidates))
		score(t, NewMaxSim(run, vectors, dim, offsets), candidates, queries, dst)
		for i, q := range queries {
			for j, c := range candidates {
				if want := (side(q, c) + side(c, q)) / 2; math.Abs(float64(dst[i*len(candidates)+j])-want) > 1e-6 {
					t.Fatalf("%d threads: score of %d and %d is %v, want %v", run.Threads(), q, c, dst[i*len(candidates)+j], want)
				}
			}
		}
		if first == nil {
			first = dst
		} else if !slices.Equal(first, dst) {
			t.Error("other scores for another number of threads")
		}
	}
	if !slices.Equal(vectors, original) {
		t.Error("the vectors were changed")
	}

	// Of one vector each, it is the cosine.
	single := make([]int, len(vectors)/dim+1)
	for i := range single {
		single[i] = i
	}
	a, b := make([]float32, 6), make([]float32, 6)
	score(t, NewMaxSim(asm.Serial, vectors, dim, single), []int{4, 5, 6}, []int{9, 4}, a)
	score(t, NewDense(asm.Serial, vectors, dim), []int{4, 5, 6}, []int{9, 4}, b)
	if !slices.Equal(a, b) {
		t.Errorf("of one vector each: %v, want %v", a, b)
	}

	vectors[0] = float32(math.NaN())
	score(t, NewMaxSim(asm.Serial, vectors, dim, offsets), []int{1, 0}, []int{0, 2}, a)
	if a[0] == a[0] || a[1] == a[1] || a[2] != a[2] || a[3] == a[3] {
		t.Errorf("scores with a vector that is not a number: %v", a[:4])
	}
	for _, bad := range [][]int{nil, {0}, {0, 3}, {0, 5, 5, len(single) - 1}, {1, len(single) - 1}} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, "offsets do not rise") {
					t.Errorf("offsets %v: panic %q", bad, msg)
				}
			}()
			NewMaxSim(asm.Serial, vectors, dim, bad)
		}()
	}
}
