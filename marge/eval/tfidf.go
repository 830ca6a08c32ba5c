package eval

import (
	"context"
	"fmt"
	"iter"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/index"
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
// n-grams run across words. Weights are those of [index.TFIDF] with AddOne,
// which scikit-learn has too.
type TFIDF struct {
	run  asm.Runner
	docs *index.Sparse
}

// NewTFIDF returns a scorer for documents with the given texts, which also are
// those that document frequencies are counted in. The only error is the
// context's. NewTFIDF panics if the options are not valid.
func NewTFIDF(ctx context.Context, run asm.Runner, texts []string, opt TFIDFOptions) (*TFIDF, error) {
	if opt.MinN == 0 && opt.MaxN == 0 {
		opt.MinN, opt.MaxN = 3, 5
	}
	if opt.MinN < 1 || opt.MaxN < opt.MinN || opt.MaxChars < 0 {
		panic(fmt.Sprintf("eval: tf-idf: n-grams of %d to %d characters of the first %d", opt.MinN, opt.MaxN, opt.MaxChars))
	}
	docs, n, err := numberFeatures(ctx, texts, func(text string) iter.Seq[string] {
		return ngrams(normalizeText(text, opt.MaxChars), opt.MinN, opt.MaxN)
	})
	if err != nil {
		return nil, fmt.Errorf("eval: tf-idf: %w", err)
	}
	df, err := index.DocumentFrequency(ctx, docs, n)
	if err != nil {
		return nil, fmt.Errorf("eval: tf-idf: %w", err)
	}
	rows, err := index.TFIDF(ctx, run, docs, df, len(texts), index.TFIDFOptions{AddOne: true})
	if err != nil {
		return nil, fmt.Errorf("eval: tf-idf: %w", err)
	}
	return &TFIDF{run, rows}, nil
}

// Against implements [Scorer].
func (t *TFIDF) Against(candidates []int) ScoreFunc {
	return against(t.run, t.docs, t.docs, candidates)
}
