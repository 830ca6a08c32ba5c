package index

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/internal/heap"
)

// selection keeps the best of the pairs that are added. Any number of
// goroutines may use it, except for best.
type selection interface {
	// threshold returns a score; pairs of the target with lower scores need not
	// be added.
	threshold(target int32) float32
	add(pairs []Pair)
	best() []Pair // in no particular order
}

// newSelection returns a selection of k pairs a target, on average or each.
func newSelection(perTarget float64, targets int, items []Item, opt LinkOptions) selection {
	perTarget = min(perTarget, float64(len(items)))
	if opt.PerTarget {
		return newItemSelector(int(math.Round(perTarget)), items, func(i *Item) bool { return i.Target })
	}
	return newSelector(int(math.Round(perTarget * float64(targets))))
}

// selector keeps the best k pairs of all, in memory proportional to k.
type selector struct {
	k     int
	limit int           // size of buf at which it is cut back to k
	min   atomic.Uint32 // bits of the score below which a pair is not among the best k

	mu  sync.Mutex
	buf []Pair
}

// selectorSpare is the number of pairs beyond k that a selector takes at least
// before it looks for the best.
const selectorSpare = 1 << 14

func newSelector(k int) *selector {
	s := &selector{k: k, limit: k + max(k, selectorSpare)}
	worst := math.Inf(-1)
	if k == 0 {
		worst = math.Inf(1)
	}
	s.min.Store(math.Float32bits(float32(worst)))
	return s
}

func (s *selector) threshold(int32) float32 { return math.Float32frombits(s.min.Load()) }

func (s *selector) add(pairs []Pair) {
	if len(pairs) == 0 || s.k == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf, pairs...)
	if len(s.buf) >= s.limit {
		s.buf = selectBest(s.buf, s.k)
		s.min.Store(math.Float32bits(slices.MaxFunc(s.buf, comparePairs).Score))
	}
}

func (s *selector) best() []Pair { return selectBest(s.buf, s.k) }

// itemSelector keeps the best k pairs of each item as a target, in memory
// proportional to k and the items.
type itemSelector struct {
	k   int
	min []atomic.Uint32 // of each item: bits of the score below which a pair is not among its best

	mu   sync.Mutex
	hits []heap.Heap[hit] // of each item: the best k, with the worst first
}

// newItemSelector takes pairs of the items that are eligible as targets.
func newItemSelector(k int, items []Item, eligible func(*Item) bool) *itemSelector {
	s := &itemSelector{k: k, min: make([]atomic.Uint32, len(items)), hits: make([]heap.Heap[hit], len(items))}
	for i := range items {
		worst := math.Inf(1)
		if k > 0 && eligible(&items[i]) {
			worst = math.Inf(-1)
		}
		s.min[i].Store(math.Float32bits(float32(worst)))
	}
	return s
}

func (s *itemSelector) threshold(target int32) float32 {
	return math.Float32frombits(s.min[target].Load())
}

func (s *itemSelector) add(pairs []Pair) {
	if len(pairs) == 0 || s.k == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		keepBest(&s.hits[p.Target], hit{p.Score, p.Evidence}, s.k)
		if hits := s.hits[p.Target]; len(hits) == s.k {
			s.min[p.Target].Store(math.Float32bits(hits[0].score))
		}
	}
}

func (s *itemSelector) best() []Pair {
	var pairs []Pair
	for target, hits := range s.hits {
		for _, h := range hits {
			pairs = append(pairs, Pair{int32(target), h.id, h.score})
		}
	}
	return pairs
}

// selectBest moves the best k pairs to the front, in no particular order, and
// returns them (quickselect). Pairs must be distinct.
func selectBest(pairs []Pair, k int) []Pair {
	if len(pairs) <= k {
		return pairs
	}
	lo, hi := 0, len(pairs) // the boundary at k lies within [lo, hi)
	for rounds := 0; hi-lo > 32; rounds++ {
		if rounds == 64 {
			break // the pivots were bad: sorting the rest bounds the time
		}
		pivot := medianOfThree(pairs[lo], pairs[lo+(hi-lo)/2], pairs[hi-1])
		i, j := lo, hi-1
		for i <= j {
			for comparePairs(pairs[i], pivot) < 0 {
				i++
			}
			for comparePairs(pairs[j], pivot) > 0 {
				j--
			}
			if i <= j {
				pairs[i], pairs[j] = pairs[j], pairs[i]
				i++
				j--
			}
		}
		// [lo, j] is no worse than the pivot, [i, hi) no better, and what is
		// between is the pivot.
		switch {
		case k <= j:
			hi = j + 1
		case k >= i:
			lo = i
		default:
			return pairs[:k]
		}
	}
	slices.SortFunc(pairs[lo:hi], comparePairs)
	return pairs[:k]
}

func medianOfThree(a, b, c Pair) Pair {
	if comparePairs(a, b) > 0 {
		a, b = b, a
	}
	if comparePairs(b, c) <= 0 {
		return b
	}
	if comparePairs(a, c) > 0 {
		return a
	}
	return c
}
