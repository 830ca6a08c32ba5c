package index

import (
	"math"
	"testing"
)

func TestTFIDF(t *testing.T) {
	docs := [][]int32{{0, 1, 1}, {1, 2}, {}, {1}}
	df := DocumentFrequency(docs, 4)
	for id, want := range []int32{1, 3, 1, 0} {
		if df[id] != want {
			t.Errorf("token %d: in %d documents, want %d", id, df[id], want)
		}
	}
	v, dim := TFIDF(docs, df, 4, 1)
	if dim != 4 {
		t.Fatalf("%d dimensions, want 4", dim)
	}
	a, b := math.Log(5.0/2), (1+math.Ln2)*math.Log(5.0/4)
	norm := math.Hypot(a, b)
	want := []float64{a / norm, b / norm, 0, 0}
	for i, w := range want {
		if math.Abs(float64(v[i])-w) > 1e-6 {
			t.Errorf("document 0: [%d] = %v, want %v", i, v[i], w)
		}
	}
	for i, x := range v[8:12] {
		if x != 0 {
			t.Errorf("the empty document: [%d] = %v", i, x)
		}
	}
	if math.Abs(float64(v[13])-1) > 1e-6 {
		t.Errorf("a document of one token has weight %v, want 1", v[13])
	}
}

// The projection keeps cosines, up to noise of about 1/sqrt(dim).
func TestTFIDFProjection(t *testing.T) {
	const vocabulary, values = 1 << 14, 1 << 18
	docs := make([][]int32, 1<<6)
	docs[0], docs[1], docs[2] = []int32{1, 2, 3, 4}, []int32{1, 2, 5, 6}, []int32{7, 8, 9, 10}
	df := make([]int32, vocabulary)
	v, dim := tfidf(docs, df, len(docs), 1, values)
	if dim != values/len(docs) {
		t.Fatalf("%d dimensions", dim)
	}
	cos := func(i, j int) (s float64) {
		for k := range dim {
			s += float64(v[i*dim+k]) * float64(v[j*dim+k])
		}
		return s
	}
	limit := 4 / math.Sqrt(float64(dim))
	if got := cos(0, 1); math.Abs(got-0.5) > limit {
		t.Errorf("half of the tokens equal: cosine %v", got)
	}
	if got := cos(0, 2); math.Abs(got) > limit {
		t.Errorf("no token equal: cosine %v", got)
	}
}
