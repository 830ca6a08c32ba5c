package retrieval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
	"github.com/marge-go/marge/marge/vectors"
)

// testSet has documents of two languages, numbered in pairs.
func testSet(name string, pairs int) *task.RetrievalSet {
	var docs []corpus.Document
	for i := range 2 * pairs {
		lang := []string{"de", "en"}[i%2]
		docs = append(docs, corpus.Document{
			ID: fmt.Sprintf("%s/%d", name, i), Lang: lang, Group: fmt.Sprint(i / 2),
			Text: fmt.Sprintf("%s number %d", lang, i/2),
		})
	}
	return task.NewRetrievalSet(name, docs)
}

// hub is an encoder of which the first English vector is near to all German
// ones: the margin finds all translations, the cosine one.
var hub = Encoder{"hub", func(context.Context, *task.RetrievalSet) ([]float32, int, error) {
	return []float32{
		1, 0.9, 0, 0, 1, 0.5, 0.3, 0.3,
		1, 0, 0.9, 0, 0, 0, 1, 0,
		1, 0, 0, 0.9, 0, 0, 0, 1,
	}, 4, nil
}}

// exact is an encoder that finds all translations.
var exact = Encoder{"exact", func(_ context.Context, set *task.RetrievalSet) ([]float32, int, error) {
	n := len(set.Docs) / 2
	rows := make([]float32, 2*n*n)
	for i := range 2 * n {
		rows[i*n+i/2] = 1
	}
	return rows, n, nil
}}

// shifted is an encoder that moves each language to a place of its own, so that
// only centred vectors find all translations.
var shifted = Encoder{"shifted", func(context.Context, *task.RetrievalSet) ([]float32, int, error) {
	rows := []float32{
		0.3, 0.9, 0, 1.2, 0, 0,
		0, 1.2, 0, 0.9, 0.3, 0,
		0, 0.9, 0.3, 0.9, 0, 0.3,
	}
	vectors.Normalize(rows, 3)
	return rows, 3, nil
}}

func TestCentred(t *testing.T) {
	outcomes, err := Evaluate(t.Context(), asm.Serial, []Encoder{shifted}, []*task.RetrievalSet{testSet("a", 3)})
	if err != nil {
		t.Fatal(err)
	}
	results := Results(outcomes, []Encoder{shifted})
	if *results[0].P1 == 1 || *results[2].P1 != 1 || !results[2].Centred {
		t.Errorf("P@1 %v, centred %v", *results[0].P1, *results[2].P1)
	}
}

func TestEvaluate(t *testing.T) {
	encoders := []Encoder{hub, exact}
	sets := []*task.RetrievalSet{testSet("a", 3), testSet("b", 3)}
	outcomes, err := Evaluate(t.Context(), asm.Serial, encoders, sets)
	if err != nil {
		t.Fatal(err)
	}
	results := Results(outcomes, encoders)
	var names []string
	for _, r := range results {
		names = append(names, r.String())
		if r.F1 != nil || len(r.ByPair) != 4 || r.Queries != 12 || *r.P1 != *r.PairsP1 {
			t.Errorf("%v: %+v", r.Method, r)
		}
	}
	want := []string{
		"hub", "hub, margin", "hub, centred", "hub, centred, margin",
		"exact", "exact, margin", "exact, centred", "exact, centred, margin",
		"TF-IDF", "TF-IDF, margin", "BM25", "BM25, margin",
	}
	if !slices.Equal(names, want) {
		t.Fatalf("methods %q, want %q", names, want)
	}
	p1 := func(i int) float64 { return *results[i].P1 }
	if p1(0) >= 1 || p1(1) != 1 || p1(4) != 1 || *results[4].MRR != 1 || p1(8) != 1 {
		t.Errorf("P@1 of %q: %v", names[:2], []float64{p1(0), p1(1), p1(4), p1(8)})
	}
	if best := Best(results, encoders); best != (Method{Name: "hub", Margin: true}) {
		t.Errorf("the first of the best is %v", best)
	}
	if best := Best(results, encoders[1:]); best != (Method{Name: "exact"}) {
		t.Errorf("the best of one encoder is %v", best)
	}

	var table bytes.Buffer
	if err := WriteTable(&table, results[4:5]); err != nil {
		t.Fatal(err)
	}
	want = []string{"method  P@1    MRR    P@1, mean over pairs  F1", "exact   1.000  1.000  1.000                 -", ""}
	if !slices.Equal(strings.Split(table.String(), "\n"), want) {
		t.Errorf("table %q, want %q", table.String(), want)
	}
	table.Reset()
	if err := WriteLanguages(&table, results, []Method{{Name: "exact"}, {Name: "TF-IDF"}}); err != nil {
		t.Fatal(err)
	}
	if want := "language  exact  TF-IDF\nde        1.000  1.000\nen        1.000  1.000\n"; table.String() != want {
		t.Errorf("table %q, want %q", table.String(), want)
	}
	var german mean
	for _, p := range results[0].ByPair { // all are of German and English
		german = german.with(p.P1, 1)
	}
	table.Reset()
	if err := WriteLanguages(&table, results, []Method{{Name: "hub"}}); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\nde        %.3f\n", *german.value()); !strings.Contains(table.String(), want) {
		t.Errorf("table %q, want %q", table.String(), want)
	}
	table.Reset()
	if err := WriteSamples(t.Context(), &table, outcomes[Method{Name: "exact"}][0], 3); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "1.000, right"); n != 3 {
		t.Errorf("samples %q", table.String())
	}
	table.Reset()
	if err := WriteSamples(t.Context(), &table, outcomes[Method{Name: "hub"}][0], 100); err != nil {
		t.Fatal(err)
	}
	if right, wrong := strings.Count(table.String(), "right"), strings.Count(table.String(), "wrong"); right+wrong != 6 ||
		wrong == 0 {
		t.Errorf("samples %q", table.String())
	}
}

func TestMining(t *testing.T) {
	encoders := []Encoder{exact}
	var sets []*task.RetrievalSet
	for half := range 2 {
		s := testSet(fmt.Sprint(half), 60)
		s.Mining = eval.MiningHalves(s.Docs, "de", "en", 1)[half]
		sets = append(sets, s)
	}
	if err := CheckDev(sets[1:], sets[:1]); err != nil {
		t.Error(err)
	}
	from, to := testSet("from", 2), testSet("to", 2)
	from.Mining, to.Mining = &eval.MiningSet{From: "fr", To: "en"}, &eval.MiningSet{From: "de", To: "fr"}
	for _, dev := range [][]*task.RetrievalSet{nil, {testSet("c", 2)}, {from, to}} {
		if err := CheckDev(sets[1:], dev); err == nil || !strings.Contains(err.Error(), "de-en") {
			t.Errorf("without pairs to choose the threshold on: error %v", err)
		}
	}
	dev, err := Evaluate(t.Context(), asm.Serial, encoders, append([]*task.RetrievalSet{testSet("c", 2)}, sets[0]))
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := Evaluate(t.Context(), asm.Serial, encoders, sets[1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := SetThresholds(outcomes, dev); err != nil {
		t.Fatal(err)
	}
	results := Results(outcomes, encoders)
	r := results[0]
	if r.Name != "exact" || r.P1 != nil || *r.F1 != 1 || len(r.Mining) != 1 || r.Mining[0].Gold != 10 {
		t.Errorf("%+v", r)
	}
	if best := Best(results, encoders); best != (Method{Name: "exact"}) {
		t.Errorf("the best is %v", best)
	}
	var table bytes.Buffer
	if err := WriteSamples(t.Context(), &table, outcomes[r.Method][0], 2); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "1.000, right"); n != 2 {
		t.Errorf("samples %q", table.String())
	}
}

func TestEvaluateErrors(t *testing.T) {
	failure := errors.New("no vectors")
	failing := Encoder{"f", func(context.Context, *task.RetrievalSet) ([]float32, int, error) { return nil, 0, failure }}
	sets := []*task.RetrievalSet{testSet("a", 2)}
	_, err := Evaluate(t.Context(), asm.Serial, []Encoder{failing}, sets)
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "a: f: ") {
		t.Errorf("an encoder that fails: error %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Evaluate(cancelled, asm.Serial, nil, sets); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestReadVectors(t *testing.T) {
	read := func(text string) (Encoder, error) {
		path := filepath.Join(t.TempDir(), "other.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return ReadVectors(path)
	}
	e, err := read(`{"id":"a/1","vector":[3,4]}` + "\n" + `{"id":"a/0","vector":[0,-2]}` + "\n")
	if err != nil || e.Name != "other" {
		t.Fatalf("%q: error %v", e.Name, err)
	}
	rows, dim, err := e.Encode(t.Context(), testSet("a", 1))
	if want := []float32{0, -1, 0.6, 0.8}; err != nil || dim != 2 || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v of dimension %d, error %v", rows, dim, err)
	}
	_, _, err = e.Encode(t.Context(), testSet("a", 2))
	if err == nil || !strings.Contains(err.Error(), `no vector of "a/2"`) {
		t.Errorf("a text without a vector: error %v", err)
	}
	for text, want := range map[string]string{
		"":                           "has no vectors",
		`{"id":"a","vector":[]}`:     `jsonl:1: the vector of "a" has 0 values, want 1`,
		"{":                          "jsonl:1: ",
		`{"id":"a","vector":[1e40]}`: "jsonl:1: ",
		`{"id":"a","vector":[1]}` + "\n" + `{"id":"b","vector":[1,2]}`: `jsonl:2: the vector of "b" has 2 values, want 1`,
		`{"id":"a","vector":[1]}` + "\n" + `{"id":"a","vector":[2]}`:   `jsonl:2: the id "a" comes twice`,
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

// P@1 counts queries, and its mean over pairs counts pairs.
func TestMeans(t *testing.T) {
	pair := func(n int, p1 float64) *Outcome {
		m := eval.Metrics{N: n, P1: p1, MRR: p1 / 2}
		report := &eval.Report{Pairs: []eval.PairReport{{From: "de", To: "en", Metrics: m}}}
		return &Outcome{Set: testSet("a", 1), Report: report}
	}
	r := Results(map[Method][]*Outcome{{Name: "g"}: {pair(30, 1), pair(10, 0.2)}}, []Encoder{{Name: "g"}})[0]
	if r.Queries != 40 || *r.P1 != 0.8 || *r.MRR != 0.4 || *r.PairsP1 != 0.6 || *r.byLang["de"].value() != 0.6 {
		t.Errorf("%+v: P@1 %v, MRR %v, mean %v", r, *r.P1, *r.MRR, *r.PairsP1)
	}
}
