package index

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// selector keeps the best k pairs of all that are added, from any number of
// goroutines, in memory proportional to k.
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

// threshold returns a score; pairs with lower scores need not be added.
func (s *selector) threshold() float32 { return math.Float32frombits(s.min.Load()) }

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

// selectBest moves the best k pairs to the front, in no particular order, and
// returns them (quickselect). Pairs must be distinct.
func selectBest(pairs []Pair, k int) []Pair {
	if len(pairs) <= k {
		return pairs
	}
	lo, hi := 0, len(pairs) // the boundary at k lies within [lo, hi)
	for rounds := 0; hi-lo > 32; rounds++ {
		if rounds == 64 {
			break // a bad run of pivots: sorting what is left bounds the time
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
