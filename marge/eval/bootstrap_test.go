package eval

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestIntervalPercentiles(t *testing.T) {
	figures := make([]float64, 0, 1001)
	for i := range 1001 {
		figures = append(figures, float64((i*5)%1001))
	}
	if got := interval(figures); got != (Interval{25, 975}) {
		t.Errorf("of 0 to 1000: %v", got)
	}
	// numpy.percentile([1, 2, 4], [2.5, 97.5])
	if got := interval([]float64{4, 1, 2}); math.Abs(got.Low-1.05) > 1e-12 || math.Abs(got.High-3.9) > 1e-12 {
		t.Errorf("of 1, 2, 4: %v", got)
	}
}

// TestBootstrapMean compares with the normal approximation and counts how
// often the interval has the true mean in it.
func TestBootstrapMean(t *testing.T) {
	const n = 400
	inside := 0
	for trial := range 200 {
		r := rand.New(rand.NewPCG(uint64(trial), 1))
		values := make([]float64, n)
		mean, square := 0.0, 0.0
		for i := range values {
			values[i] = r.ExpFloat64()
			mean += values[i] / n
			square += values[i] * values[i] / n
		}
		half := 1.96 * math.Sqrt((square-mean*mean)/n)
		got := must(Bootstrap{Folds: 300, Seed: uint64(trial)}.Mean(t.Context(), values))
		if math.Abs(got.Low-(mean-half)) > 0.3*half || math.Abs(got.High-(mean+half)) > 0.3*half {
			t.Errorf("mean %.3f: interval %v, by the normal distribution ±%.3f", mean, got, half)
		}
		if got.Low <= 1 && 1 <= got.High {
			inside++
		}
	}
	if inside < 178 || inside > 198 {
		t.Errorf("%d of 200 intervals have the true mean in them, want about 190", inside)
	}
	if got := must(Bootstrap{}.Mean(t.Context(), []float64{2, 2, 2})); got != (Interval{2, 2}) {
		t.Errorf("interval of equal values %v", got)
	}
	var none *NotEvaluatedError
	if _, err := (Bootstrap{}).Mean(t.Context(), nil); !errors.As(err, &none) {
		t.Errorf("interval of nothing: error %v", err)
	}
}

func TestBootstrapSeeds(t *testing.T) {
	values := []float64{1, 5, 2, 8, 3, 1, 9, 4}
	a := must(Bootstrap{Seed: 1}.Mean(t.Context(), values))
	if b := must(Bootstrap{Seed: 1, Folds: 1000}.Mean(t.Context(), values)); a != b {
		t.Errorf("1,000 folds are not the default, or not repeatable: %v, %v", a, b)
	}
	if b := must(Bootstrap{Seed: 2}.Mean(t.Context(), values)); a == b {
		t.Error("the seed has no influence")
	}
	folds := 0
	err := Bootstrap{Folds: 50}.each(t.Context(), []int{3, 0, 5}, func(w []int32) {
		folds++
		if sum(w[:3]) != 3 || sum(w[3:]) != 5 {
			t.Errorf("strata of 3 and 5 units drawn %v times", w)
		}
	})
	if folds != 50 || err != nil {
		t.Errorf("%d folds, error %v", folds, err)
	}
}

func sum(w []int32) (s int32) {
	for _, x := range w {
		s += x
	}
	return s
}

// retrievalCase has groups in the given languages, each found by all languages
// or by none.
func retrievalCase(groups int, langs ...string) ([]Doc, Scorer) {
	var docs []Doc
	for g := range groups {
		for _, lang := range langs {
			docs = append(docs, Doc{lang, string(rune('a' + g))})
		}
	}
	s := make(table, len(docs))
	for i := range s {
		s[i] = make([]float32, len(docs))
		for j := range s[i] {
			equal := docs[i].Group == docs[j].Group
			found := int(docs[i].Group[0]-'a')%2 == 0
			s[i][j] = map[bool]float32{true: 1, false: 0}[equal == found]
		}
	}
	return docs, s
}

func TestRetrievalBootstrap(t *testing.T) {
	docs, s := retrievalCase(24, "de", "en", "fr", "it")
	report := must(Retrieval(t.Context(), docs, s, nil))
	if report.Micro.P1 != 0.5 || report.Micro.N != 24*12 {
		t.Fatalf("%+v", report.Micro)
	}
	bootstrap(t, report, Bootstrap{Seed: 3}, false)
	// Half of n queries succeed: the deviation of P@1 is 0.5/sqrt(n).
	near := func(what string, got Interval, n float64) {
		t.Helper()
		half := 1.96 * 0.5 / math.Sqrt(n)
		if math.Abs(got.Low-(0.5-half)) > 0.25*half || math.Abs(got.High-(0.5+half)) > 0.25*half {
			t.Errorf("%s: %v, want 0.5 ± %.3f", what, got, half)
		}
	}
	near("pair", report.Pairs[5].Intervals.P1, 24)
	near("queries", report.MicroIntervals.P1, 24*12)
	near("pairs", report.MacroIntervals.P1, 24*12)
	if ci := report.Pairs[5].Intervals; ci.MRR.Low < ci.P1.Low || ci.P5.High < ci.P1.High {
		t.Errorf("MRR %v and P@5 %v are below P@1 %v", ci.MRR, ci.P5, ci.P1)
	}
	again := must(Retrieval(t.Context(), docs, s, nil))
	bootstrap(t, again, Bootstrap{Seed: 3}, false)
	if !reflect.DeepEqual(again, report) {
		t.Error("not repeatable")
	}
	var text strings.Builder
	if err := report.WriteTable(&text); err != nil ||
		!strings.Contains(text.String(), "0.500 "+report.MicroIntervals.P1.String()) {
		t.Errorf("no interval in\n%s, %v", text.String(), err)
	}

	// All queries of a group succeed or fail together: 24 units, not 288.
	bootstrap(t, report, Bootstrap{Seed: 3}, true)
	near("queries by group", report.MicroIntervals.P1, 24)
	near("pairs by group", report.MacroIntervals.P1, 24)

	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Report
	if err := json.Unmarshal(encoded, &decoded); err != nil || *decoded.MicroIntervals != *report.MicroIntervals {
		t.Errorf("decoded %+v, %v", decoded, err)
	}
	defer func() {
		if r := recover(); r == nil {
			t.Error("no panic for a report without queries")
		}
	}()
	decoded.Bootstrap(t.Context(), Bootstrap{}, false)
}

// TestRetrievalBootstrapRare: a pair with one group, which most folds by group
// do not draw.
func TestRetrievalBootstrapRare(t *testing.T) {
	docs, s := retrievalCase(8, "de", "en")
	docs = append(docs, Doc{"fr", "a"})
	for i := range s.(table) {
		s.(table)[i] = append(s.(table)[i], 1)
	}
	s = append(s.(table), slices.Repeat([]float32{0}, len(docs)))
	report := must(Retrieval(t.Context(), docs, s, nil))
	bootstrap(t, report, Bootstrap{Folds: 200}, true)
	for _, p := range report.Pairs {
		if p.From == "fr" || p.To == "fr" {
			if p.N != 1 || p.Intervals.P1 != (Interval{p.P1, p.P1}) {
				t.Errorf("%+v, intervals %v", p, p.Intervals)
			}
		}
	}
	docs, s = retrievalCase(1, "de", "en")
	single := must(Retrieval(t.Context(), docs, s, nil))
	bootstrap(t, single, Bootstrap{}, true)
	if ci := single.MicroIntervals.P1; ci != (Interval{1, 1}) {
		t.Errorf("one group: %v", ci)
	}
}

// TestRetrievalBootstrapNever has a pair that no fold drew: it has no interval,
// rather than one that JSON cannot hold.
func TestRetrievalBootstrapNever(t *testing.T) {
	docs, s := retrievalCase(20, "de", "en")
	docs, s = append(docs, Doc{"fr", "a"}), widened(s)
	report := must(Retrieval(t.Context(), docs, s, nil))
	for seed := range uint64(50) {
		bootstrap(t, report, Bootstrap{Folds: 1, Seed: seed}, true)
		for _, p := range report.Pairs {
			if p.Intervals == nil && p.From != "fr" && p.To != "fr" {
				t.Errorf("seed %d: %v", seed, p)
			}
			if p.Intervals == nil {
				return
			}
		}
		if _, err := json.Marshal(report); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("every fold drew the one group")
}

func bootstrap(t *testing.T, r *Report, b Bootstrap, byGroup bool) {
	t.Helper()
	if err := r.Bootstrap(t.Context(), b, byGroup); err != nil {
		t.Fatal(err)
	}
}
