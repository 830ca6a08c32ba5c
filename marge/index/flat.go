package index

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/marge-go/marge/asm"
)

// Flat is an exact inner-product index: it compares a query with every vector.
// Vectors are numbered from 0 in the order in which they were added. Any number
// of goroutines may search at the same time, but not while vectors are added.
type Flat struct {
	dim     int
	vectors []float32
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
	if len(vectors)%f.dim != 0 {
		panic(fmt.Sprintf("index: flat: %d values are not rows of dimension %d", len(vectors), f.dim))
	}
	if f.Len()+len(vectors)/f.dim > math.MaxInt32 {
		panic(fmt.Sprintf("index: flat: %d vectors, at most %d are possible", f.Len()+len(vectors)/f.dim, math.MaxInt32))
	}
	f.vectors = append(f.vectors, vectors...)
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
	s := &search{flat: f, queries: queries, n: len(queries) / f.dim, k: k}
	ids, scores = make([]int32, s.n*k), make([]float32, s.n*k)
	for i := range ids {
		ids[i], scores[i] = -1, float32(math.Inf(-1))
	}
	if s.n == 0 || k == 0 || f.Len() == 0 {
		return ids, scores
	}
	// A part is a block of queries and a segment of the index. Many queries
	// need one segment; for few, the index is cut, so that all threads have
	// work. The cut depends on sizes alone.
	const wantParts, minSegment = 64, 4 * evidenceBlock
	s.blocks = (s.n + targetBlock - 1) / targetBlock
	s.segments = max(1, min(wantParts/s.blocks, f.Len()/minSegment))
	s.hits = make([][]hit, s.n*s.segments)
	run.Run(s.blocks*s.segments, s)
	if s.nan != nil {
		panic(fmt.Sprintf("index: flat: search: the score of query %d and vector %d is not a number", s.nan.query, s.nan.id))
	}
	for q := range s.n {
		var hits []hit
		for segment := range s.segments {
			hits = append(hits, s.hits[segment*s.n+q]...)
		}
		slices.SortFunc(hits, hit.compare)
		for i, h := range hits[:min(k, len(hits))] {
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

// search is the task of Flat.Search.
type search struct {
	flat             *Flat
	queries          []float32
	n, k             int
	blocks, segments int
	hits             [][]hit // [segment*n + query]: at most k of one segment

	mu  sync.Mutex
	nan *nanScore // first by position
}

type nanScore struct {
	query int
	id    int32
}

func (s *search) Do(part int) {
	dim, vectors := s.flat.dim, s.flat.vectors
	firstQuery := part % s.blocks * targetBlock
	lastQuery := min(firstQuery+targetBlock, s.n)
	queries := s.queries[firstQuery*dim : lastQuery*dim]
	segment := part / s.blocks
	first, end := s.flat.Len()*segment/s.segments, s.flat.Len()*(segment+1)/s.segments
	hits := s.hits[segment*s.n:][firstQuery:lastQuery]
	scores := make([]float32, len(hits)*min(evidenceBlock, end-first))
	for ; first < end; first += evidenceBlock {
		n := min(evidenceBlock, end-first)
		innerProducts(queries, vectors[first*dim:(first+n)*dim], dim, scores)
		for q := range hits {
			for j, score := range scores[q*n : (q+1)*n] {
				if score != score {
					s.reportNaN(nanScore{firstQuery + q, int32(first + j)})
					continue
				}
				if len(hits[q]) == s.k && score < hits[q][0].score {
					continue
				}
				hits[q] = keepBest(hits[q], hit{score, int32(first + j)}, s.k)
			}
		}
	}
}

func (s *search) reportNaN(at nanScore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nan == nil || at.query < s.nan.query || at.query == s.nan.query && at.id < s.nan.id {
		s.nan = &at
	}
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
