package eval

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
)

// BM25Options are the settings of [NewBM25]. The zero value of a field stands
// for the default that its comment gives.
type BM25Options struct {
	K1 float64 // how soon repetition in a document stops to count (1.2)
	B  float64 // how much long documents are held back, up to 1 (0.75; negative: 0)
	// K3 is how soon repetition in a query stops to count (negative: it never
	// does). The default is 0, each feature counting once, which suits queries
	// that are documents.
	K3 float64
	// MinN and MaxN are the shortest and longest n-grams, in characters. If
	// both are zero, features are [Words].
	MinN, MaxN int
	// MaxChars is how many characters of a document are used, from its
	// beginning; 0 uses all.
	MaxChars int
}

// BM25 scores documents by Okapi BM25 (Robertson and Zaragoza 2009, section
// 3): the sum, over the features of the query, of
//
//	idf * tf*(K1+1) / (tf + K1*(1-B+B*length/average)) * qtf*(K3+1) / (qtf+K3)
//	idf = ln(1 + (n-df+0.5)/(df+0.5))
//
// for a feature that occurs tf times in the document, qtf times in the query
// and in df of n documents. Lengths are numbers of features. The idf is never
// negative, as in Lucene. Scores are not symmetric.
type BM25 struct {
	run           asm.Runner
	features      int
	queries, docs [][]feature
}

// NewBM25 returns a scorer for documents with the given texts, which also are
// those that document frequencies and the average length are counted in.
func NewBM25(run asm.Runner, texts []string, opt BM25Options) *BM25 {
	if opt.K1 == 0 {
		opt.K1 = 1.2
	}
	if opt.B == 0 {
		opt.B = 0.75
	}
	opt.B = max(opt.B, 0)
	words := opt.MinN == 0 && opt.MaxN == 0
	if !(opt.K1 > 0) || !(opt.B <= 1) || opt.K3 != opt.K3 {
		panic(fmt.Sprintf("eval: bm25: k1 %v, b %v, k3 %v", opt.K1, opt.B, opt.K3))
	}
	if !words && (opt.MinN < 1 || opt.MaxN < opt.MinN) || opt.MaxChars < 0 {
		panic(fmt.Sprintf("eval: bm25: n-grams of %d to %d characters of the first %d", opt.MinN, opt.MaxN, opt.MaxChars))
	}
	docs, df := countFeatures(texts, func(text string) iter.Seq[string] {
		text = normalizeText(text, opt.MaxChars)
		if words {
			return slices.Values(Words(text))
		}
		return ngrams(text, opt.MinN, opt.MaxN)
	})
	lengths := make([]float64, len(docs))
	average := 0.0
	for i, doc := range docs {
		for _, f := range doc {
			lengths[i] += float64(f.weight)
		}
		average += lengths[i] / float64(len(docs))
	}
	b := &BM25{run: run, features: len(df), docs: docs}
	for i, doc := range docs {
		query := slices.Clone(doc)
		for j, f := range doc {
			n, tf := float64(df[f.id]), float64(f.weight)
			idf := math.Log(1 + (float64(len(docs))-n+0.5)/(n+0.5))
			doc[j].weight = float32(idf * tf * (opt.K1 + 1) / (tf + opt.K1*(1-opt.B+opt.B*lengths[i]/average)))
			if opt.K3 >= 0 {
				query[j].weight = float32(tf * (opt.K3 + 1) / (tf + opt.K3))
			}
		}
		b.queries = append(b.queries, query)
	}
	return b
}

// Against implements [Scorer].
func (b *BM25) Against(candidates []int) func(queries []int, dst []float32) {
	return against(b.run, b.features, b.queries, b.docs, candidates)
}
