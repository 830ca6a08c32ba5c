package eval

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

// ranked returns two scorers of n documents in two languages. Of the English
// queries the first finds its equivalent where found says so, the second
// besides where gained says so; German ones always do.
func ranked(n int, found, gained func(i int) bool) (docs []Doc, a, b Scorer) {
	first, second := make(table, 2*n), make(table, 2*n)
	for i := range 2 * n {
		docs = append(docs, Doc{[]string{"de", "en"}[i/n], string(rune('a' + i%n))})
		first[i], second[i] = make([]float32, 2*n), make([]float32, 2*n)
		for j := range 2 * n {
			first[i][j] = float32(j % n)
			if i%n == j%n {
				first[i][j] = -1
				if i < n || found(i-n) {
					first[i][j] = 1000
				}
			}
			second[i][j] = first[i][j]
			if i%n == j%n && i >= n && gained(i-n) {
				second[i][j] = 1000
			}
		}
	}
	return docs, first, second
}

func TestCompare(t *testing.T) {
	const n = 300
	r := rand.New(rand.NewPCG(41, 1))
	hard, gain := make([]bool, n), make([]bool, n)
	values := make([]float64, n) // gained P@1 of the English queries
	for i := range n {
		hard[i], gain[i] = r.IntN(2) == 0, r.IntN(10) == 0
		if hard[i] && gain[i] {
			values[i] = 1
		}
	}
	docs, s, better := ranked(n, func(i int) bool { return !hard[i] }, func(i int) bool { return gain[i] })
	a, b := must(Retrieval(t.Context(), docs, better, nil)), must(Retrieval(t.Context(), docs, s, nil))
	mean := 0.0
	for _, v := range values {
		mean += v / n
	}
	boot := Bootstrap{Seed: 2}
	for _, byGroup := range []bool{true, false} {
		d := must(Compare(t.Context(), a, b, boot, byGroup))
		if d.Micro.N != 2*n || math.Abs(d.Micro.P1-mean/2) > 1e-12 || math.Abs(d.Macro.P1-mean/2) > 1e-12 ||
			d.Micro.MRR <= d.Micro.P1*0.9 {
			t.Errorf("difference %+v, want P@1 %v", d.Micro, mean/2)
		}
		got, deviation := d.MicroIntervals.P1, math.Sqrt(mean*(1-mean)/n)/2
		if math.Abs(got.Low-(mean/2-1.96*deviation)) > 0.3*deviation ||
			math.Abs(got.High-(mean/2+1.96*deviation)) > 0.3*deviation {
			t.Errorf("interval %v, by the normal distribution %.4f ± %.4f", got, mean/2, 1.96*deviation)
		}
		// The figures' own intervals overlap, that of the difference is above 0.
		bootstrap(t, a, boot, byGroup)
		bootstrap(t, b, boot, byGroup)
		if d.MicroIntervals.P1.Low <= 0 || a.MicroIntervals.P1.Low > b.MicroIntervals.P1.High {
			t.Errorf("difference %v of %v and %v", d.MicroIntervals.P1, a.MicroIntervals.P1, b.MicroIntervals.P1)
		}
		back := must(Compare(t.Context(), b, a, boot, byGroup))
		if math.Abs(back.MicroIntervals.P1.Low+d.MicroIntervals.P1.High) > 1e-12 || back.Micro.P1 != -d.Micro.P1 {
			t.Errorf("the other way round: %+v", back)
		}
	}
	// By group, the units are those of the values, each with an English and a
	// German query.
	half := make([]float64, n)
	for i, v := range values {
		half[i] = v / 2
	}
	got, want := must(Compare(t.Context(), a, b, boot, true)).MicroIntervals.P1, must(boot.Mean(t.Context(), half))
	if math.Abs(got.Low-want.Low) > 1e-12 || math.Abs(got.High-want.High) > 1e-12 {
		t.Errorf("interval %v, that of the mean is %v", got, want)
	}
	if d := must(Compare(t.Context(), a, a, boot, true)); d.Micro.P1 != 0 || d.MicroIntervals != (Intervals{}) {
		t.Errorf("a report and itself: %+v", d)
	}
}

func TestComparePanics(t *testing.T) {
	docs, s, _ := ranked(5, func(int) bool { return true }, func(int) bool { return false })
	a := must(Retrieval(t.Context(), docs, s, nil))
	other := append([]Doc(nil), docs...)
	other[3].Group, other[8].Group = "x", "x"
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	decoded := &Report{}
	if err := json.Unmarshal(data, decoded); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Report{
		"other groups": must(Retrieval(t.Context(), other, s, nil)),
		"fewer":        must(Retrieval(t.Context(), docs[:9], s, nil)), "decoded": decoded,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Compare(t.Context(), a, b, Bootstrap{}, true)
		}()
	}
}
