package index

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/heap"
	"github.com/marge-go/marge/marge/internal/parallel"
	"github.com/marge-go/marge/marge/vectors"
)

// Flat is an exact inner-product index: it compares a query with every vector.
// Vectors are numbered from 0 in the order in which they were added. Any number
// of goroutines may search at the same time, but not while vectors are added.
//
// A vector may have a record: bytes that the index keeps for the caller, such
// as the name of the document that the vector represents.
type Flat struct {
	// Origin identifies what made the vectors, for the caller to check: the
	// vectors of two models cannot be compared. Files keep it. It is zero where
	// the origin is not known.
	Origin [sha256.Size]byte

	stored  stored // the vectors
	records []byte
	ends    []uint64 // of the records of all vectors; empty if all records are

	file []byte // content of the file at path, nil in memory
	path string
}

// NewFlat returns an empty index of vectors with dim values, which it keeps as float32;
// see [Flat.As] for less memory.
func NewFlat(dim int) *Flat {
	if dim <= 0 {
		panic(fmt.Sprintf("index: flat: dimension %d", dim))
	}
	return &Flat{stored: stored{dim: dim}}
}

// Add copies rows to the end of the index. It adds nothing and returns an error
// if a value is not finite, or exceeds 3.38e38 and the precision is not Float32. Add
// panics if the values are not rows of Dim.
func (f *Flat) Add(rows []float32) error {
	if err := f.add(rows); err != nil {
		return err
	}
	if len(f.records) > 0 {
		f.endRecords()
	}
	return nil
}

// AddRecords is Add for rows that have a record each.
func (f *Flat) AddRecords(rows []float32, records [][]byte) error {
	if len(rows) != len(records)*f.stored.dim {
		panic(fmt.Sprintf("index: flat: %d values for %d records are not rows of dimension %d",
			len(rows), len(records), f.stored.dim))
	}
	f.endRecords()
	if err := f.add(rows); err != nil {
		return err
	}
	for _, record := range records {
		f.records = append(f.records, record...)
		f.ends = append(f.ends, uint64(len(f.records)))
	}
	return nil
}

func (f *Flat) add(rows []float32) error {
	if len(rows)%f.stored.dim != 0 {
		panic(fmt.Sprintf("index: flat: %d values are not rows of dimension %d", len(rows), f.stored.dim))
	}
	if f.Len()+len(rows)/f.stored.dim > math.MaxInt32 {
		return fmt.Errorf("index: flat: %d vectors, at most %d are possible", f.Len()+len(rows)/f.stored.dim, math.MaxInt32)
	}
	if err := f.stored.check(rows); err != nil {
		return fmt.Errorf("index: flat: add: %w", err)
	}
	f.stored.add(rows)
	return nil
}

// endRecords gives empty records to vectors without one.
func (f *Flat) endRecords() {
	for len(f.ends) < f.Len() {
		f.ends = append(f.ends, uint64(len(f.records)))
	}
}

// Record returns the record of vector i, which the caller must not change. It
// is empty if the vector was added without.
func (f *Flat) Record(i int) []byte {
	f.mustHave("record", i)
	if len(f.records) == 0 {
		return nil
	}
	from, to := uint64(0), f.ends[i]
	if i > 0 {
		from = f.ends[i-1]
	}
	return f.records[from:to:to]
}

// Vector returns vector i, as it is kept, which the caller must not change.
func (f *Flat) Vector(i int) []float32 {
	f.mustHave("vector", i)
	var buf []float32
	return f.stored.rows(i, i+1, &buf)
}

// Part returns a copy of vectors from to to-1, with their records, as an index
// of its own.
func (f *Flat) Part(from, to int) *Flat {
	if from < 0 || to < from || to > f.Len() {
		panic(fmt.Sprintf("index: flat: vectors %d to %d of %d", from, to, f.Len()))
	}
	part := &Flat{Origin: f.Origin, stored: f.stored.part(from, to)}
	for i := from; i < to && len(f.records) > 0; i++ {
		part.records = append(part.records, f.Record(i)...)
		part.ends = append(part.ends, uint64(len(part.records)))
	}
	return part
}

func (f *Flat) mustHave(what string, i int) {
	if i < 0 || i >= f.Len() {
		panic(fmt.Sprintf("index: flat: %s %d of %d", what, i, f.Len()))
	}
}

// Len is the number of vectors.
func (f *Flat) Len() int { return f.stored.count() }

// Dim is the number of values of a vector.
func (f *Flat) Dim() int { return f.stored.dim }

// Search finds the k vectors with the greatest inner product for each of the
// queries, rows of Dim values. ids and scores are [queries, k], each row in
// descending order of score and, among equal scores, ascending order of id.
// Where the index has fewer than k vectors, the row ends in id -1 and score
// -Inf.
//
// It is an error if k is not positive, if a value of a query is not finite, or
// if a score is not, which happens where a file was damaged or an inner product
// exceeds float32. Search stops with the context's error soon after ctx is
// cancelled. It panics if the values are not rows of Dim.
func (f *Flat) Search(
	ctx context.Context, run asm.Runner, queries []float32, k int,
) (ids []int32, scores []float32, err error) {
	return f.SearchFunc(ctx, run, queries, k, nil)
}

// SearchFunc is Search among the vectors that keep accepts; nil accepts all.
// Several goroutines call keep at the same time.
func (f *Flat) SearchFunc(
	ctx context.Context, run asm.Runner, queries []float32, k int, keep func(id int32) bool,
) (ids []int32, scores []float32, err error) {
	if len(queries)%f.stored.dim != 0 {
		panic(fmt.Sprintf("index: flat: search: %d values are not rows of dimension %d", len(queries), f.stored.dim))
	}
	if k < 1 {
		return nil, nil, fmt.Errorf("index: search: k is %d, must be at least 1", k)
	}
	if err := vectors.CheckFinite(queries, f.stored.dim); err != nil {
		return nil, nil, fmt.Errorf("index: search: queries: %w", err)
	}
	n := len(queries) / f.stored.dim
	ids, scores = make([]int32, n*k), make([]float32, n*k)
	for i := range ids {
		ids[i], scores[i] = -1, float32(math.Inf(-1))
	}
	if len(ids) == 0 || f.Len() == 0 {
		return ids, scores, nil
	}
	s := newSearch(f, queries, min(k, f.Len()))
	s.keep = keep
	if err := parallel.Run(ctx, run, s.blocks*s.segments, s.part); err != nil {
		return nil, nil, fmt.Errorf("index: search: %w", err)
	}
	for q := range n {
		for i, h := range s.best(q) {
			if math.IsInf(float64(h.score), -1) {
				s.reportBad(badScore{h.score, q, h.id})
			}
			ids[q*k+i], scores[q*k+i] = h.id, h.score
		}
	}
	if s.bad != nil {
		return nil, nil, fmt.Errorf("index: search: the score of query %d and vector %d is %v",
			s.bad.query, s.bad.id, s.bad.score)
	}
	return ids, scores, nil
}

type hit struct {
	score float32
	id    int32
}

// compare is the order of preference: score descending, then id.
func (h hit) compare(other hit) int {
	switch {
	case h.score > other.score:
		return -1
	case h.score < other.score:
		return 1
	}
	return cmp.Compare(h.id, other.id)
}

// Before is the order of a heap with the worst hit first.
func (h hit) Before(other hit) bool { return h.compare(other) > 0 }

// keepBest adds a hit to a heap of the best k hits.
func keepBest(hits *heap.Heap[hit], h hit, k int) {
	if len(*hits) < k {
		hits.Push(h)
	} else if (*hits)[0].Before(h) {
		hits.ReplaceFirst(h)
	}
}
