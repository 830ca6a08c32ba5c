package index

import (
	"cmp"
	"fmt"
	"math"

	"github.com/marge-go/marge/asm"
)

// Flat is an exact inner-product index: it compares a query with every vector.
// Vectors are numbered from 0 in the order in which they were added. Any number
// of goroutines may search at the same time, but not while vectors are added.
//
// A vector may have a record: bytes that the index keeps for the caller, such
// as the name of the document that the vector represents.
type Flat struct {
	dim     int
	vectors []float32
	records []byte
	ends    []uint64 // of the records of all vectors; empty if all records are

	file []byte // content of the file at path, nil in memory
	path string
}

// NewFlat returns an empty index of vectors with dim values.
func NewFlat(dim int) *Flat {
	if dim <= 0 {
		panic(fmt.Sprintf("index: flat: dimension %d", dim))
	}
	return &Flat{dim: dim}
}

// Add copies vectors, row-major, to the end of the index.
func (f *Flat) Add(vectors []float32) {
	f.add(vectors)
	if len(f.records) > 0 {
		f.endRecords()
	}
}

// AddRecords copies vectors, row-major, to the end of the index, each with its
// record.
func (f *Flat) AddRecords(vectors []float32, records [][]byte) {
	if len(vectors) != len(records)*f.dim {
		panic(fmt.Sprintf("index: flat: %d values for %d records are not rows of dimension %d", len(vectors), len(records), f.dim))
	}
	f.endRecords()
	f.add(vectors)
	for _, record := range records {
		f.records = append(f.records, record...)
		f.ends = append(f.ends, uint64(len(f.records)))
	}
}

func (f *Flat) add(vectors []float32) {
	if len(vectors)%f.dim != 0 {
		panic(fmt.Sprintf("index: flat: %d values are not rows of dimension %d", len(vectors), f.dim))
	}
	if f.Len()+len(vectors)/f.dim > math.MaxInt32 {
		panic(fmt.Sprintf("index: flat: %d vectors, at most %d are possible", f.Len()+len(vectors)/f.dim, math.MaxInt32))
	}
	f.vectors = append(f.vectors, vectors...)
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
	if i < 0 || i >= f.Len() {
		panic(fmt.Sprintf("index: flat: record %d of %d", i, f.Len()))
	}
	if len(f.records) == 0 {
		return nil
	}
	from, to := uint64(0), f.ends[i]
	if i > 0 {
		from = f.ends[i-1]
	}
	return f.records[from:to:to]
}

// Len is the number of vectors.
func (f *Flat) Len() int { return len(f.vectors) / f.dim }

// Dim is the number of values of a vector.
func (f *Flat) Dim() int { return f.dim }

// Search finds the k vectors with the greatest inner product for each of the
// queries, rows of Dim values. ids and scores are queries x k, row-major, each
// row in descending order of score and, among equal scores, ascending order of
// id. Where the index has fewer than k vectors, the row ends in id -1 and score
// -Inf. Search panics if sizes disagree or if a score is not a number.
func (f *Flat) Search(run asm.Runner, queries []float32, k int) (ids []int32, scores []float32) {
	if len(queries)%f.dim != 0 {
		panic(fmt.Sprintf("index: flat: search: %d values are not rows of dimension %d", len(queries), f.dim))
	}
	if k < 0 {
		panic(fmt.Sprintf("index: flat: search: k is %d", k))
	}
	n := len(queries) / f.dim
	ids, scores = make([]int32, n*k), make([]float32, n*k)
	for i := range ids {
		ids[i], scores[i] = -1, float32(math.Inf(-1))
	}
	if len(ids) == 0 || f.Len() == 0 {
		return ids, scores
	}
	s := newSearch(f, queries, min(k, f.Len()))
	run.Run(s.blocks*s.segments, s)
	if s.nan != nil {
		panic(fmt.Sprintf("index: flat: search: the score of query %d and vector %d is not a number", s.nan.query, s.nan.id))
	}
	for q := range n {
		for i, h := range s.best(q) {
			ids[q*k+i], scores[q*k+i] = h.id, h.score
		}
	}
	return ids, scores
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

// keepBest adds a hit to a heap of at most k hits with the worst on top.
func keepBest(heap []hit, h hit, k int) []hit {
	if len(heap) < k {
		heap = append(heap, h)
		i := len(heap) - 1
		for i > 0 {
			parent := (i - 1) / 2
			if h.compare(heap[parent]) < 0 {
				break
			}
			heap[i] = heap[parent]
			i = parent
		}
		heap[i] = h
		return heap
	}
	if h.compare(heap[0]) > 0 {
		return heap
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= k {
			break
		}
		if child+1 < k && heap[child+1].compare(heap[child]) > 0 {
			child++
		}
		if heap[child].compare(h) < 0 {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = h
	return heap
}
