package index

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestTFIDF(t *testing.T) {
	docs := [][]int32{{2, 1, 0, 1}, {1, 2}, {}, {1}}
	df := DocumentFrequency(docs, 4)
	if want := []int32{1, 3, 2, 0}; !slices.Equal(df, want) {
		t.Fatalf("document frequencies %v, want %v", df, want)
	}
	v := TFIDF(asm.Serial, docs, df, 4)
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
	mustPanic(t, "token 4 of a vocabulary of 4", func() { TFIDF(asm.Serial, [][]int32{{4}}, df, 4) })
	mustPanic(t, "token -1 of a vocabulary of 4", func() { TFIDF(asm.Serial, [][]int32{{0, -1}}, df, 4) })
	// A token of all documents, and more, weighs nothing.
	if _, values := TFIDF(asm.Serial, [][]int32{{0}}, []int32{1}, 1).Row(0); values[0] != 0 {
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
	docs := randomDocs(rand.New(rand.NewPCG(30, 1)), 3*tfidfDocs+7, 500, 60)
	df := DocumentFrequency(docs, 500)
	want := TFIDF(asm.Serial, docs, df, len(docs))
	for _, run := range runners[1:] {
		if got := TFIDF(run, docs, df, len(docs)); !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads give other vectors than one", run.Threads())
		}
	}
	if v := TFIDF(asm.Serial, nil, df, 0); v.Len() != 0 {
		t.Errorf("%d rows of no documents", v.Len())
	}
}
