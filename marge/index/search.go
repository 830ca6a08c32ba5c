package index

import (
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/heap"
)

// The scores of a block of queries with a block of vectors are computed at
// once: 512 KB of them at most.
const (
	queryBlock  = 256
	vectorBlock = 512
)

// GEMM packs its second operand on every call, unless the first has at most
// thinQueries rows, and reads the first in place. Packing vectors of deep or more
// values costs more than someQueries queries gain by it: then the vectors are the
// first operand. A single query is compared with one such vector after the other,
// because memory is read faster in one stream than in several.
const (
	thinQueries = 8
	someQueries = 96
	deep        = 512
)

// searchWork is about the number of multiplications of a part.
const searchWork = 1 << 24

// search is what Flat.Search does. A part is a block of queries and a segment of
// the index.
type search struct {
	flat             *Flat
	dim              int
	queries          []float32
	n, k             int // queries; hits of each
	blocks, segments int
	keep             func(id int32) bool // nil: every vector counts

	threads perThread[searcher]

	mu  sync.Mutex
	bad *badScore // the first, by position, that is not finite
}

type badScore struct {
	score float32
	query int
	id    int32
}

// searcher is the state of a thread: buffers for a part, and the best hits of
// all parts that it has done.
type searcher struct {
	hits       []heap.Heap[hit] // of each query: the best k, with the worst first
	thresholds []float32        // of each query: only scores above matter
	scores     []float32
	above      []uint64 // bits of the scores above the threshold
	converted  []float32
}

func newSearch(f *Flat, queries []float32, k int) *search {
	s := &search{flat: f, dim: f.Dim(), queries: queries, n: len(queries) / f.Dim(), k: k}
	s.blocks = ceil.Div(s.n, queryBlock)
	perBlock := ceil.Div(s.n, s.blocks)
	segment := max(vectorBlock, searchWork/(perBlock*s.dim))
	s.segments = ceil.Div(f.Len(), segment)
	return s
}

func (s *search) newSearcher() *searcher {
	w := &searcher{hits: make([]heap.Heap[hit], s.n), thresholds: make([]float32, s.n+lanes)}
	all := make([]hit, s.n*s.k)
	for q := range w.hits {
		w.hits[q], all = all[:0:s.k], all[s.k:]
	}
	for q := range w.thresholds {
		w.thresholds[q] = everything
		if q >= s.n {
			w.thresholds[q] = nothing
		}
	}
	w.scores = make([]float32, vectorBlock*padded(min(s.n, queryBlock)))
	w.above = make([]uint64, vectorBlock*ceil.Div(min(s.n, someQueries), 64))
	return w
}

// best returns the hits of a query, best first.
func (s *search) best(query int) []hit {
	hits := s.threads.all[0].hits[query]
	for _, w := range s.threads.all[1:] {
		hits = append(hits, w.hits[query]...)
	}
	slices.SortFunc(hits, hit.compare)
	return hits[:min(s.k, len(hits))]
}

func (s *search) part(part int) {
	w := s.threads.take(s.newSearcher)
	defer s.threads.put(w)
	q0, q1 := span(s.n, s.blocks, part%s.blocks)
	from, to := span(s.flat.Len(), s.segments, part/s.blocks)
	blocks := ceil.Div(to-from, s.flat.stored.blockRows())
	for b := range blocks {
		v0, v1 := span(to-from, blocks, b)
		if n := q1 - q0; s.dim >= deep && n > thinQueries && n <= someQueries {
			s.someQueries(w, q0, q1, from+v0, from+v1)
		} else {
			s.rowsOfQueries(w, q0, q1, from+v0, from+v1)
		}
	}
}

// rowsOfQueries compares queries q0 to q1 with vectors v0 to v1; each query has
// a row of scores.
func (s *search) rowsOfQueries(w *searcher, q0, q1, v0, v1 int) {
	dim, n := s.dim, v1-v0
	queries, vectors := s.queries[q0*dim:q1*dim], s.flat.stored.rows(v0, v1, &w.converted)
	if q1-q0 == 1 && dim >= deep {
		for j := range n {
			w.scores[j] = asm.Dot(queries, vectors[j*dim:(j+1)*dim])
		}
	} else {
		innerProducts(queries, vectors, dim, w.scores, n)
	}
	above := w.above[:ceil.Div(n, 64)]
	for q := q0; q < q1; q++ {
		row := w.scores[(q-q0)*n : (q-q0+1)*n]
		asm.Above(above, row, w.thresholds[q:q+1])
		for word, set := range above {
			for ; set != 0; set &= set - 1 {
				j := word*64 + bits.TrailingZeros64(set)
				s.offer(w, q, hit{row[j], int32(v0 + j)})
			}
		}
		w.raise(q, s.k)
	}
}

// someQueries does the same; each vector has a row of scores.
func (s *search) someQueries(w *searcher, q0, q1, v0, v1 int) {
	dim, ld := s.dim, padded(q1-q0)
	innerProducts(s.flat.stored.rows(v0, v1, &w.converted), s.queries[q0*dim:q1*dim], dim, w.scores, ld)
	words := ceil.Div(ld, 64)
	above := w.above[:(v1-v0)*words]
	for v := range v1 - v0 {
		asm.Above(above[v*words:(v+1)*words], w.scores[v*ld:(v+1)*ld], w.thresholds[q0:q0+ld])
	}
	for word, set := range above {
		for ; set != 0; set &= set - 1 {
			v, q := word/words, word%words*64+bits.TrailingZeros64(set)
			s.offer(w, q0+q, hit{w.scores[v*ld+q], int32(v0 + v)})
		}
	}
	for q := q0; q < q1; q++ {
		w.raise(q, s.k)
	}
}

// offer adds a hit if it is good enough. NaN and +Inf are above any threshold,
// so that all of them come here; -Inf is left to be the worst.
func (s *search) offer(w *searcher, query int, h hit) {
	if h.score != h.score || h.score > math.MaxFloat32 {
		s.reportBad(badScore{h.score, query, h.id})
		return
	}
	if s.keep == nil || s.keep(h.id) {
		keepBest(&w.hits[query], h, s.k)
	}
}

// raise sets the threshold of a query by its worst hit.
func (w *searcher) raise(query, k int) {
	if hits := w.hits[query]; len(hits) == k {
		w.thresholds[query] = notBelow(hits[0].score)
	}
}

func (s *search) reportBad(at badScore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil || at.query < s.bad.query || at.query == s.bad.query && at.id < s.bad.id {
		s.bad = &at
	}
}
