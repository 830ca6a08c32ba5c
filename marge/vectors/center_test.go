package vectors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

func TestCenterByLanguage(t *testing.T) {
	rows := []float32{
		1, 0.125, // de, mean 1, 0.375
		0.7, 0.7, // en, mean 0.7, 0.7
		1.5, 0.5, // de
		0.1, 1e-9, // fr, three the same; 1e-9 is no multiple of 2^-36
		0.1, 1e-9,
		0.5, 0.5, // de
		0.1, 1e-9,
	}
	langs := []string{"de", "en", "de", "fr", "fr", "de", "fr"}
	if err := CenterByLanguage(t.Context(), asm.Serial, rows, 2, langs); err != nil {
		t.Fatal(err)
	}
	want := []float64{0, -1, 0, 0, 4 / math.Sqrt(17), 1 / math.Sqrt(17), 0, 0, 0, 0, -4 / math.Sqrt(17),
		1 / math.Sqrt(17), 0, 0}
	for i := range want {
		if math.Abs(float64(rows[i])-want[i]) > 1e-7 {
			t.Fatalf("got %v, want %v", rows, want)
		}
	}
	if err := CenterByLanguage(t.Context(), asm.Serial, []float32{}, 2, []int{}); err != nil {
		t.Error(err)
	}
}

// gaussian returns random rows of unit length.
func gaussian(r *rand.Rand, n, dim int) []float32 {
	rows := make([]float32, n*dim)
	for i := range rows {
		rows[i] = float32(r.NormFloat64())
	}
	Normalize(rows, dim)
	return rows
}

// TestMeansAreExact: the sums of any division of the rows, in any order, add up
// to the same, and the means are those of float64.
func TestMeansAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	const n, dim, languages = 3*blockRows + 17, 5, 3
	rows, langs := gaussian(r, n, dim), make([]int, n)
	for i := range langs {
		langs[i] = r.IntN(languages)
	}
	whole := NewMeans(languages, dim)
	if err := whole.Add(t.Context(), asm.Serial, rows, langs); err != nil {
		t.Fatal(err)
	}
	exact := make([]float64, languages*dim)
	for i, x := range rows {
		exact[langs[i/dim]*dim+i%dim] += float64(x) / float64(whole.Counts[langs[i/dim]])
	}
	for lang := range languages {
		for j, got := range whole.Mean(lang) {
			if want := exact[lang*dim+j]; math.Abs(got-want) > 0x1p-37+1e-15 {
				t.Errorf("language %d: mean %v at %d, want %v", lang, got, j, want)
			}
		}
	}

	parts := NewMeans(languages, dim) // as of several machines, in another order
	order := r.Perm(n)
	for piece := range slices.Chunk(order, 700) {
		var shuffled []float32
		var of []int
		for _, i := range piece {
			shuffled, of = append(shuffled, rows[i*dim:(i+1)*dim]...), append(of, langs[i])
		}
		m := NewMeans(languages, dim)
		if err := m.Add(t.Context(), threads(3), shuffled, of); err != nil {
			t.Fatal(err)
		}
		for i, sum := range m.Sums {
			parts.Sums[i] += sum
		}
		for i, count := range m.Counts {
			parts.Counts[i] += count
		}
	}
	if !slices.Equal(parts.Sums, whole.Sums) || !slices.Equal(parts.Counts, whole.Counts) {
		t.Error("the sums depend on the order and on the division")
	}

	sparse := NewMeans(languages, dim)
	columns := []int32{0, 1, 2, 3, 4}
	for i, lang := range langs {
		if err := sparse.AddSparse(columns, rows[i*dim:(i+1)*dim], lang); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sparse.Sums, whole.Sums) || !slices.Equal(sparse.Counts, whole.Counts) {
		t.Error("sparse rows give other sums")
	}

	want := slices.Clone(rows)
	if err := whole.Center(t.Context(), asm.Serial, want, langs); err != nil {
		t.Fatal(err)
	}
	got := slices.Clone(rows)
	if err := CenterByLanguage(t.Context(), threads(4), got, dim, langs); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("centred rows depend on the threads")
	}
	for i := range n {
		sum, length := 0.0, 0.0
		for j := range dim {
			x := float64(rows[i*dim+j]) - exact[langs[i]*dim+j]
			sum, length = sum+x*float64(got[i*dim+j]), length+x*x
		}
		if math.Abs(sum-math.Sqrt(length)) > 1e-6 {
			t.Fatalf("row %d: %v along the row without its mean, which is %v long", i, sum, math.Sqrt(length))
		}
	}
}

// TestFixed has values between two multiples of 2^-36, and means between them.
func TestFixed(t *testing.T) {
	for x, want := range map[float32]int64{
		1: 1 << 36, -2: -1 << 37, 0x1p-36: 1, 0x1.8p-36: 2, 0x1.4p-36: 1, 0x1p-37: 0, 0x1.8p-37: 1, -0x1.8p-37: -1,
	} {
		if got := fixed(x); got != want {
			t.Errorf("%v is %d, want %d", x, got, want)
		}
	}
	rows := []float32{0, 0x1p-36, 0, 0x1p-35}
	if err := CenterByLanguage(t.Context(), asm.Serial, rows, 1, []int{0, 0, 1, 1}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{-1, 1, -1, 1}; !slices.Equal(rows, want) {
		t.Errorf("centred to %v, want %v", rows, want)
	}
}

// TestMeansRange adds as many of the greatest values as a sum has room for.
func TestMeansRange(t *testing.T) {
	m := NewMeans(2, 1)
	m.Counts[1], m.Sums[1] = maxCount-1, -(maxCount-1)*maxValue*fractionUnit
	row := []float32{-maxValue}
	if err := m.Add(t.Context(), asm.Serial, row, []int{1}); err != nil {
		t.Fatal(err)
	}
	if got := m.Mean(1)[0]; got != -maxValue {
		t.Errorf("the mean of values of -2 is %v", got)
	}
	opposite := []float32{maxValue}
	if err := m.Center(t.Context(), asm.Serial, opposite, []int{1}); err != nil || opposite[0] != 1 {
		t.Errorf("2 without a mean of -2, normalised, is %v, error %v", opposite[0], err)
	}
	for _, err := range []error{m.Add(t.Context(), asm.Serial, row, []int{1}), m.AddSparse([]int32{0}, row, 1)} {
		if err == nil || !strings.Contains(err.Error(), "language 1 has 67108864 vectors") &&
			!strings.Contains(err.Error(), "language 1 has 67108865 vectors") {
			t.Errorf("a vector more than there is room for: error %v", err)
		}
	}
}

// Sums of parts, added up, are those of the whole.
func TestAddSums(t *testing.T) {
	rows, langs := gaussian(rand.New(rand.NewPCG(9, 1)), 40, 3), make([]int, 40)
	for i := range langs {
		langs[i] = i % 2
	}
	whole, sum := NewMeans(2, 3), NewMeans(2, 3)
	if err := whole.Add(t.Context(), asm.Serial, rows, langs); err != nil {
		t.Fatal(err)
	}
	for _, bounds := range [][2]int{{7, 40}, {0, 7}} {
		part := NewMeans(2, 3)
		if err := part.Add(t.Context(), asm.Serial, rows[3*bounds[0]:3*bounds[1]], langs[bounds[0]:bounds[1]]); err != nil {
			t.Fatal(err)
		}
		for lang, n := range part.Counts {
			if err := sum.AddSums(lang, part.Sums[3*lang:3*lang+3], n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(sum.Sums, whole.Sums) || !slices.Equal(sum.Counts, whole.Counts) {
		t.Errorf("%v, want %v", sum, whole)
	}
	for _, c := range []struct {
		count, value int64
		want         string
	}{
		{-1, 0, "-1 vectors of language 1"}, {maxCount + 1, 0, "67108864 vectors of language 1: the sums have room"},
		{3, 6*fractionUnit + 1, "the sum of 3 vectors of language 1 is 6.00000000001"},
		{3, -6*fractionUnit - 1, "is -6.00000000001"}, {3, math.MinInt64, "is -1.34217728e+08 at position 2"},
		{maxCount - 19, 0, "language 1 has 67108864 vectors"},
	} {
		m := NewMeans(2, 3)
		m.Counts[1] = 20
		if err := m.AddSums(1, []int64{0, 0, c.value}, c.count); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d vectors, sum %d: error %v, want %q", c.count, c.value, err, c.want)
		}
	}
	m := NewMeans(2, 3)
	if err := m.AddSums(1, []int64{0, -6 * fractionUnit, 6 * fractionUnit}, 3); err != nil {
		t.Error(err)
	}
}

func TestCenterErrors(t *testing.T) {
	const n, dim = 2*blockRows + 5, 3
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 2.001, -7} {
		rows, langs := make([]float32, n*dim), make([]int, n)
		rows[(blockRows+1)*dim+2], rows[2*blockRows*dim] = x, x
		want := slices.Clone(rows)
		err := CenterByLanguage(t.Context(), threads(3), rows, dim, langs)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("vector 1025 has the value %v at position 2", x)) {
			t.Errorf("value %v: error %v", x, err)
		}
		same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
		if !slices.EqualFunc(rows, want, same) {
			t.Errorf("value %v: the rows changed", x)
		}
		if err := NewMeans(1, 9).AddSparse([]int32{4}, []float32{x}, 0); err == nil ||
			!strings.Contains(err.Error(), "column 4") {
			t.Errorf("value %v in a sparse row: error %v", x, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CenterByLanguage(ctx, asm.Serial, make([]float32, 4), 2, []int{0, 0}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// Two German and two English vectors: the mean of the language is what the
// vectors of a language have in common.
func ExampleCenterByLanguage() {
	rows := []float32{0.8, 0.6, 0.8, -0.6, -0.8, 0.6, -0.8, -0.6}
	if err := CenterByLanguage(context.Background(), asm.Serial, rows, 2, []string{"de", "de", "en", "en"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rows)
	// Output: [0 1 0 -1 0 1 0 -1]
}
