package eval

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/index"
)

// BM25Options are the settings of [NewBM25]. The zero value of a field stands
// for the default that its comment gives.
type BM25Options struct {
	K1 float64 // the smaller, the less repetition in a document counts (1.2)
	B  float64 // how much a document's length lowers its scores, up to 1 (0.75; negative: 0)
	// K3 is K1 for repetition in a query (negative: each occurrence counts in
	// full). The default is 0: each feature counts once, which suits queries that
	// are documents.
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
	queries, docs *index.Sparse
}

// NewBM25 returns a scorer for documents with the given texts, which also are
// those that document frequencies and the average length are counted in. The
// only error is the context's. NewBM25 panics if the options are not valid.
func NewBM25(ctx context.Context, run asm.Runner, texts []string, opt BM25Options) (*BM25, error) {
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
	features, n, err := numberFeatures(ctx, texts, func(text string) iter.Seq[string] {
		text = normalizeText(text, opt.MaxChars)
		if words {
			return slices.Values(Words(text))
		}
		return ngrams(text, opt.MinN, opt.MaxN)
	})
	if err != nil {
		return nil, fmt.Errorf("eval: bm25: %w", err)
	}
	df, err := index.DocumentFrequency(ctx, features, n)
	if err != nil {
		return nil, fmt.Errorf("eval: bm25: %w", err)
	}
	docs, err := index.Counts(ctx, run, features, n)
	if err != nil {
		return nil, fmt.Errorf("eval: bm25: %w", err)
	}
	average := 0.0
	for _, doc := range features {
		average += float64(len(doc)) / float64(len(features))
	}
	queries := &index.Sparse{Dim: n, Start: docs.Start, Columns: docs.Columns, Values: slices.Clone(docs.Values)}
	for i := range features {
		columns, values := docs.Row(i)
		_, query := queries.Row(i)
		length := 1 - opt.B + opt.B*float64(len(features[i]))/average
		for j, f := range columns {
			n, tf := float64(df[f]), float64(values[j])
			idf := math.Log(1 + (float64(len(texts))-n+0.5)/(n+0.5))
			values[j] = float32(idf * tf * (opt.K1 + 1) / (tf + opt.K1*length))
			if opt.K3 >= 0 {
				query[j] = float32(tf * (opt.K3 + 1) / (tf + opt.K3))
			}
		}
	}
	return &BM25{run, queries, docs}, nil
}

// Against implements [Scorer].
func (b *BM25) Against(candidates []int) ScoreFunc {
	return against(b.run, b.queries, b.docs, candidates)
}
