package index

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
)

// DocumentFrequency counts in how many of the documents each token occurs.
func DocumentFrequency(docs [][]int32, vocabulary int) []int32 {
	df := make([]int32, vocabulary)
	last := make([]int32, vocabulary) // number, from 1, of the last document that had the token
	for i, doc := range docs {
		for _, id := range doc {
			if last[id] != int32(i+1) {
				last[id] = int32(i + 1)
				df[id]++
			}
		}
	}
	return df
}

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

// TFIDF returns the TF-IDF vectors of documents, rows of unit length with a
// column for each token of the vocabulary, whose size is that of df. A token
// that occurs c times in a document and in df of total documents weighs
// (1 + ln c) * ln((1+total)/(1+df)). The row of an empty document is zero.
// TFIDF panics if a token is not of the vocabulary.
func TFIDF(run asm.Runner, docs [][]int32, df []int32, total int) *Sparse {
	s := &Sparse{Dim: len(df), Start: make([]int, 1, len(docs)+1)}
	for _, doc := range docs {
		for _, id := range doc {
			if id < 0 || int(id) >= len(df) {
				panic(fmt.Sprintf("index: TF-IDF: token %d of a vocabulary of %d", id, len(df)))
			}
		}
	}
	t := &tfidf{docs: docs, idf: make([]float64, len(df)), parts: make([]tfidfPart, ceilDiv(len(docs), tfidfDocs))}
	for id, n := range df {
		t.idf[id] = math.Log(float64(1+total) / float64(1+n))
	}
	run.Run(len(t.parts), t)
	for _, p := range t.parts {
		for _, n := range p.lengths {
			s.Start = append(s.Start, s.Start[len(s.Start)-1]+n)
		}
		s.Columns = append(s.Columns, p.columns...)
		s.Values = append(s.Values, p.values...)
	}
	return s
}

// tfidf is the task of TFIDF. A part is tfidfDocs documents.
type tfidf struct {
	docs   [][]int32
	idf    []float64
	parts  []tfidfPart
	counts perThread[[]int32] // occurrences of each token in a document
}

const tfidfDocs = 256

// tfidfPart holds the rows of a part.
type tfidfPart struct {
	lengths []int
	columns []int32
	values  []float32
}

func (t *tfidf) Do(part int) {
	counts := t.counts.take(func() *[]int32 { c := make([]int32, len(t.idf)); return &c })
	defer t.counts.put(counts)
	p := &t.parts[part]
	for _, doc := range t.docs[part*tfidfDocs : min((part+1)*tfidfDocs, len(t.docs))] {
		first := len(p.columns)
		p.addRow(doc, t.idf, *counts)
		p.lengths = append(p.lengths, len(p.columns)-first)
	}
}

// addRow adds the row of a document. The counts are zero before and after.
func (p *tfidfPart) addRow(doc []int32, idf []float64, counts []int32) {
	first := len(p.columns)
	for _, id := range doc {
		if counts[id]++; counts[id] == 1 {
			p.columns = append(p.columns, id)
		}
	}
	columns := p.columns[first:]
	slices.Sort(columns)
	squares := 0.0
	weights := make([]float64, len(columns))
	for i, id := range columns {
		weights[i] = (1 + math.Log(float64(counts[id]))) * idf[id]
		squares += weights[i] * weights[i]
		counts[id] = 0
	}
	norm := math.Sqrt(squares)
	for _, w := range weights {
		if norm > 0 {
			w /= norm
		}
		p.values = append(p.values, float32(w))
	}
}
