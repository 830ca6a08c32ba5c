package index

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/marge/internal/parallel"
)

// Sparse holds rows of Dim values by those that are not zero (compressed sparse
// rows; Start, Columns and Values are SciPy's indptr, indices and data).
type Sparse struct {
	Dim     int
	Start   []int   // where each row begins in Columns and Values, and where the last ends
	Columns []int32 // ascending in each row
	Values  []float32
}

// Len is the number of rows.
func (s *Sparse) Len() int { return len(s.Start) - 1 }

// Row returns the values of row i that are not zero, and their columns.
func (s *Sparse) Row(i int) (columns []int32, values []float32) {
	from, to := s.Start[i], s.Start[i+1]
	return s.Columns[from:to], s.Values[from:to]
}

// DocumentFrequency counts in how many of the documents each feature occurs. It
// returns an error if a feature is not from 0 to features-1, or the context's.
func DocumentFrequency(ctx context.Context, docs [][]int32, features int) ([]int32, error) {
	df := make([]int32, features)
	last := make([]int32, features) // number, from 1, of the last document that had the feature
	for i, doc := range docs {
		if i%countDocs == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("index: document frequency: %w", ctx.Err())
		}
		if err := checkFeatures(i, doc, features); err != nil {
			return nil, fmt.Errorf("index: document frequency: %w", err)
		}
		for _, id := range doc {
			if last[id] != int32(i+1) {
				last[id] = int32(i + 1)
				df[id]++
			}
		}
	}
	return df, nil
}

// checkFeatures returns an error if document i has a feature that there is not.
func checkFeatures(i int, doc []int32, features int) error {
	for _, id := range doc {
		if id < 0 || int(id) >= features {
			return fmt.Errorf("document %d has feature %d of %d", i, id, features)
		}
	}
	return nil
}

// Counts returns how often each feature occurs in each document. A document is
// a list of features, such as tokens or the n-grams of a text, with repetitions
// and in any order. Errors are those of [DocumentFrequency].
func Counts(ctx context.Context, run asm.Runner, docs [][]int32, features int) (*Sparse, error) {
	return countRows(ctx, run, docs, features, func([]int32, []float32) {})
}

// TFIDFOptions are the settings of [TFIDF].
type TFIDFOptions struct {
	// AddOne adds 1 to the inverse document frequency, as scikit-learn does: a
	// feature of all documents then still has a weight.
	AddOne bool
}

// TFIDF returns the TF-IDF vectors of documents, rows of unit length with a
// column for each feature, as [Counts] has them. df has the number of documents,
// of total, in which each feature occurs. A feature that occurs c times weighs
// (1 + ln c) * ln((1+total)/(1+df)). The row of an empty document is zero.
// Errors are those of [DocumentFrequency].
func TFIDF(
	ctx context.Context, run asm.Runner, docs [][]int32, df []int32, total int, opt TFIDFOptions,
) (*Sparse, error) {
	idf := make([]float64, len(df))
	for id, n := range df {
		idf[id] = math.Log(float64(1+total) / float64(1+n))
		if opt.AddOne {
			idf[id]++
		}
	}
	var small [64]float64 // 1 + ln c; few counts are larger
	for c := range small {
		small[c] = 1 + math.Log(float64(c))
	}
	tf := func(c float32) float64 {
		if int(c) < len(small) {
			return small[int(c)]
		}
		return 1 + math.Log(float64(c))
	}
	return countRows(ctx, run, docs, len(df), func(columns []int32, values []float32) {
		weight := func(i int) float64 { return tf(values[i]) * idf[columns[i]] }
		squares := 0.0
		for i := range values {
			w := weight(i)
			squares += w * w
		}
		norm := math.Sqrt(squares)
		for i := range values {
			w := weight(i)
			if norm > 0 {
				w /= norm
			}
			values[i] = float32(w)
		}
	})
}

// countDocs is the number of documents that a thread counts at a time.
const countDocs = 256

// countPart has the rows of countDocs documents.
type countPart struct {
	ends    []int
	columns []int32
	values  []float32
	err     error
}

// countRows returns the counts of documents after weigh has replaced those of
// each row.
func countRows(
	ctx context.Context, run asm.Runner, docs [][]int32, features int, weigh func(columns []int32, values []float32),
) (*Sparse, error) {
	parts := make([]countPart, ceil.Div(len(docs), countDocs))
	var threads perThread[[]int32] // occurrences of each feature in a document
	err := parallel.Run(ctx, run, len(parts), func(part int) {
		counts := threads.take(func() *[]int32 { c := make([]int32, features); return &c })
		defer threads.put(counts)
		p := &parts[part]
		for i := part * countDocs; i < min((part+1)*countDocs, len(docs)) && p.err == nil; i++ {
			if p.err = checkFeatures(i, docs[i], features); p.err == nil {
				p.addRow(docs[i], *counts, weigh)
			}
		}
	})
	for _, p := range parts {
		if err == nil {
			err = p.err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("index: tf-idf: %w", err)
	}
	s := &Sparse{Dim: features, Start: make([]int, 1, len(docs)+1)}
	for _, p := range parts {
		first := len(s.Columns)
		for _, end := range p.ends {
			s.Start = append(s.Start, first+end)
		}
		s.Columns, s.Values = append(s.Columns, p.columns...), append(s.Values, p.values...)
	}
	return s, nil
}

// addRow adds the row of a document. The counts are zero before and after.
func (p *countPart) addRow(doc []int32, counts []int32, weigh func(columns []int32, values []float32)) {
	first := len(p.columns)
	for _, id := range doc {
		if counts[id]++; counts[id] == 1 {
			p.columns = append(p.columns, id)
		}
	}
	columns := p.columns[first:]
	slices.Sort(columns)
	for _, id := range columns {
		p.values = append(p.values, float32(counts[id]))
		counts[id] = 0
	}
	weigh(columns, p.values[first:])
	p.ends = append(p.ends, len(p.columns))
}
