package eval

import (
	"fmt"
	"iter"
	"math"

	"github.com/marge-go/marge/asm"
)

// TFIDFOptions sets which features documents are compared by.
type TFIDFOptions struct {
	// MinN and MaxN are the shortest and longest n-grams, in characters. If
	// both are zero, they are 3 and 5.
	MinN, MaxN int
	// MaxChars is how many characters of a document are used, from its
	// beginning; 0 uses all.
	MaxChars int
}

// TFIDF scores documents by the cosine of their TF-IDF vectors over character
// n-grams. Text is lower-cased and white space reduced to single spaces;
// n-grams run across words. A feature that occurs c times in a document and in
// df of n documents weighs (1 + ln c) * (ln((1+n)/(1+df)) + 1), and vectors are
// brought to unit length.
type TFIDF struct {
	run      asm.Runner
	features int
	docs     [][]feature
}

// NewTFIDF returns a scorer for documents with the given texts, which also are
// those that document frequencies are counted in.
func NewTFIDF(run asm.Runner, texts []string, opt TFIDFOptions) *TFIDF {
	if opt.MinN == 0 && opt.MaxN == 0 {
		opt.MinN, opt.MaxN = 3, 5
	}
	if opt.MinN < 1 || opt.MaxN < opt.MinN || opt.MaxChars < 0 {
		panic(fmt.Sprintf("eval: tf-idf: n-grams of %d to %d characters of the first %d", opt.MinN, opt.MaxN, opt.MaxChars))
	}
	docs, df := countFeatures(texts, func(text string) iter.Seq[string] {
		return ngrams(normalizeText(text, opt.MaxChars), opt.MinN, opt.MaxN)
	})
	idf := make([]float64, len(df))
	for id, n := range df {
		idf[id] = math.Log(float64(1+len(texts))/float64(1+n)) + 1
	}
	weights := make([]float64, 0, 1024)
	for _, doc := range docs {
		weights = weights[:0]
		sum := 0.0
		for _, f := range doc {
			w := (1 + math.Log(float64(f.weight))) * idf[f.id]
			weights = append(weights, w)
			sum += w * w
		}
		for i, w := range weights {
			doc[i].weight = float32(w / math.Sqrt(sum))
		}
	}
	return &TFIDF{run, len(df), docs}
}

// Against implements [Scorer].
func (t *TFIDF) Against(candidates []int) func(queries []int, dst []float32) {
	return against(t.run, t.features, t.docs, t.docs, candidates)
}
