package index

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestTFIDF(t *testing.T) {
	docs := [][]int32{{2, 1, 0, 1}, {1, 2}, {}, {1}}
	df := mustCount(t, docs, 4)
	if want := []int32{1, 3, 2, 0}; !slices.Equal(df, want) {
		t.Fatalf("document frequencies %v, want %v", df, want)
	}
	v := mustTFIDF(t, asm.Serial, docs, df, 4)
	if want := []int{0, 3, 5, 5, 6}; v.Dim != 4 || v.Len() != 4 || !slices.Equal(v.Start, want) {
		t.Fatalf("%d rows of %d values, starting at %v, want 4 of 4 at %v", v.Len(), v.Dim, v.Start, want)
	}
	a, b, c := math.Log(5.0/2), (1+math.Ln2)*math.Log(5.0/4), math.Log(5.0/3)
	norm := math.Sqrt(a*a + b*b + c*c)
	columns, values := v.Row(0)
	if !slices.Equal(columns, []int32{0, 1, 2}) {
		t.Errorf("columns %v", columns)
	}
	for i, want := range []float64{a / norm, b / norm, c / norm} {
		if math.Abs(float64(values[i])-want) > 1e-7 {
			t.Errorf("document 0: [%d] = %v, want %v", i, values[i], want)
		}
	}
	if _, values := v.Row(3); values[0] != 1 {
		t.Errorf("a document of one token has weight %v, want 1", values[0])
	}
	for want, doc := range map[string][]int32{"document 1 has feature 4 of 4": {3, 4},
		"document 1 has feature -1 of 4": {0, -1}} {
		docs := [][]int32{{0}, doc}
		_, err := TFIDF(t.Context(), asm.Serial, docs, df, 4, TFIDFOptions{})
		_, countErr := DocumentFrequency(t.Context(), docs, 4)
		for _, err := range []error{err, countErr} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	}
	one, err := TFIDF(t.Context(), asm.Serial, docs, df, 4, TFIDFOptions{AddOne: true})
	if err != nil {
		t.Fatal(err)
	}
	a, b = math.Log(5.0/4)+1, math.Log(5.0/3)+1
	if _, values := one.Row(1); math.Abs(float64(values[0])-a/math.Hypot(a, b)) > 1e-7 {
		t.Errorf("with 1 added, document 1: %v, want %v first", values, a/math.Hypot(a, b))
	}
	counts, err := Counts(t.Context(), asm.Serial, append(docs, slices.Repeat([]int32{3}, 100)), 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, values := counts.Row(0); !slices.Equal(values, []float32{1, 2, 1}) {
		t.Errorf("document 0 has counts %v", values)
	}
	if columns, values := counts.Row(4); !slices.Equal(columns, []int32{3}) || !slices.Equal(values, []float32{100}) {
		t.Errorf("a hundred times token 3 counts %v in %v", values, columns)
	}
	// More than the table of logarithms has.
	long := append(slices.Repeat([]int32{0}, 100), slices.Repeat([]int32{1}, 63)...)
	long = append(long, slices.Repeat([]int32{2}, 64)...)
	_, values = mustTFIDF(t, asm.Serial, [][]int32{long}, []int32{0, 0, 0}, 4).Row(0)
	for i, n := range []float64{100, 63, 64} {
		if got, want := values[i]/values[0], (1+math.Log(n))/(1+math.Log(100)); math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("%v times: weight %v of that of 100 times, want %v", n, got, want)
		}
	}
	// A token of all documents, and more, weighs nothing.
	if _, values := mustTFIDF(t, asm.Serial, [][]int32{{0}}, []int32{1}, 1).Row(0); values[0] != 0 {
		t.Errorf("a token of every document weighs %v", values[0])
	}
}

// randomDocs returns documents of tokens of which some are frequent, and some
// documents twice.
func randomDocs(r *rand.Rand, n, vocabulary, length int) [][]int32 {
	docs := make([][]int32, n)
	for i := range docs {
		if i > 0 && r.IntN(20) == 0 {
			docs[i] = docs[r.IntN(i)]
			continue
		}
		docs[i] = make([]int32, r.IntN(length+1))
		for j := range docs[i] {
			docs[i][j] = int32(float64(vocabulary) * math.Pow(r.Float64(), 3))
		}
	}
	return docs
}

func TestTFIDFThreads(t *testing.T) {
	docs := randomDocs(rand.New(rand.NewPCG(30, 1)), 3*countDocs+7, 500, 60)
	df := mustCount(t, docs, 500)
	want := mustTFIDF(t, asm.Serial, docs, df, len(docs))
	for _, run := range runners[1:] {
		if got := mustTFIDF(t, run, docs, df, len(docs)); !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads give other vectors than one", run.Threads())
		}
	}
	if v := mustTFIDF(t, asm.Serial, nil, df, 0); v.Len() != 0 {
		t.Errorf("%d rows of no documents", v.Len())
	}
}
