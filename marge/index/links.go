package index

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/asm"
)

// Item describes one chunk of a shard.
type Item struct {
	Chunk  int  // the caller's number of the chunk; not read by this package
	Lang   int  // language; items with equal values are monolingual pairs
	Source int  // document that the chunk was cut from; never linked to itself
	Target bool // whether the chunk may be a target; every chunk may be evidence
}

// Pair is a link between a target and an evidence document, both positions in
// the items of a shard. Score is the inner product of their vectors.
type Pair struct {
	Target, Evidence int32
	Score            float32
}

// comparePairs is the order of preference: score descending, then target, then
// evidence. No two distinct links of a shard are equal in it, so the best k of
// a set do not depend on the order in which the set is looked at.
func comparePairs(a, b Pair) int {
	switch {
	case a.Score > b.Score:
		return -1
	case a.Score < b.Score:
		return 1
	case a.Target != b.Target:
		return cmp.Compare(a.Target, b.Target)
	}
	return cmp.Compare(a.Evidence, b.Evidence)
}

// LinkOptions sets how many links a shard keeps, as an average per target.
// The paper has 4 of each.
type LinkOptions struct {
	Mono  float64 // links between documents in the same language
	Cross float64 // links between documents in different languages
}

// Similarities are computed in blocks of targetBlock x evidenceBlock, which
// is 256 KB.
const (
	targetBlock   = 128
	evidenceBlock = 512
)

// Links returns the most similar target-evidence pairs of a shard: the best
// round(opt.Mono * targets) of all pairs in one language together with the best
// round(opt.Cross * targets) of all pairs in two languages, or all where there
// are fewer. The threshold is the whole shard's, not each target's, so that a
// target without close relatives has no links (section 2.4 of the paper).
//
// vectors has one row of dim values for each item; rows are used as they are,
// so the caller normalises them if scores are to be cosines. Targets are the
// items marked so; evidence is any item from another source. Pairs come in
// descending order of score, ties in ascending order of target and evidence.
//
// Memory is proportional to the number of links, never to the square of the
// number of items. Links panics if sizes disagree, if an average is negative
// or not finite, or if the similarity of an eligible pair is not a number.
func Links(run asm.Runner, vectors []float32, dim int, items []Item, opt LinkOptions) []Pair {
	if dim <= 0 || len(vectors) != len(items)*dim {
		panic(fmt.Sprintf("index: links: %d vector values for %d items of dimension %d", len(vectors), len(items), dim))
	}
	if len(items) > math.MaxInt32 {
		panic(fmt.Sprintf("index: links: %d items, at most %d are possible", len(items), math.MaxInt32))
	}
	l := &linker{vectors: vectors, dim: dim, items: items}
	for i := range items {
		if items[i].Target {
			l.targets = append(l.targets, int32(i))
		}
	}
	l.mono = newSelector(linkCount("Mono", opt.Mono, len(l.targets), len(items)))
	l.cross = newSelector(linkCount("Cross", opt.Cross, len(l.targets), len(items)))
	if l.mono.k == 0 && l.cross.k == 0 {
		return nil
	}
	run.Run((len(l.targets)+targetBlock-1)/targetBlock, l)
	if l.nan != nil {
		panic(fmt.Sprintf("index: links: the similarity of target %d and evidence %d is not a number", l.nan.Target, l.nan.Evidence))
	}
	pairs := slices.Concat(l.mono.best(), l.cross.best())
	slices.SortFunc(pairs, comparePairs)
	return pairs
}

// linkCount is the number of links to keep, at most all that there can be.
func linkCount(name string, average float64, targets, items int) int {
	if !(average >= 0) || math.IsInf(average, 1) {
		panic(fmt.Sprintf("index: links: %s is %v links per target", name, average))
	}
	return int(math.Round(min(average, float64(items)) * float64(targets)))
}

// linker is the task of Links; a part is a block of targets.
type linker struct {
	vectors     []float32
	dim         int
	items       []Item
	targets     []int32
	mono, cross *selector

	mu  sync.Mutex
	nan *Pair // first eligible pair, by position, whose score is not a number
}

func (l *linker) Do(part int) {
	targets := l.targets[part*targetBlock : min((part+1)*targetBlock, len(l.targets))]
	dim := l.dim
	rows := make([]float32, len(targets)*dim)
	for i, t := range targets {
		copy(rows[i*dim:(i+1)*dim], l.vectors[int(t)*dim:])
	}
	scores := make([]float32, len(targets)*min(evidenceBlock, len(l.items)))
	var mono, cross []Pair
	for first := 0; first < len(l.items); first += evidenceBlock {
		items := l.items[first:min(first+evidenceBlock, len(l.items))]
		innerProducts(rows, l.vectors[first*dim:(first+len(items))*dim], dim, scores, len(items))
		mono, cross = mono[:0], cross[:0]
		monoMin, crossMin := l.mono.threshold(), l.cross.threshold()
		for i, t := range targets {
			self := &l.items[t]
			for j, score := range scores[i*len(items) : (i+1)*len(items)] {
				other := &items[j]
				threshold := crossMin
				if other.Lang == self.Lang {
					threshold = monoMin
				}
				// A score that is not a number is not below anything.
				if score < threshold || other.Source == self.Source {
					continue
				}
				pair := Pair{Target: t, Evidence: int32(first + j), Score: score}
				switch {
				case score != score:
					l.reportNaN(pair)
				case other.Lang == self.Lang:
					mono = append(mono, pair)
				default:
					cross = append(cross, pair)
				}
			}
		}
		l.mono.add(mono)
		l.cross.add(cross)
	}
}

func (l *linker) reportNaN(p Pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nan == nil || p.Target < l.nan.Target || p.Target == l.nan.Target && p.Evidence < l.nan.Evidence {
		l.nan = &p
	}
}

// selector keeps the best k pairs of all that are added, from any number of
// goroutines, in memory proportional to k.
type selector struct {
	k     int
	limit int           // size of buf at which it is cut back to k
	min   atomic.Uint32 // bits of the score below which a pair is not among the best k

	mu  sync.Mutex
	buf []Pair
}

func newSelector(k int) *selector {
	s := &selector{k: k, limit: k + max(k, targetBlock*evidenceBlock)}
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

// Stats describes the links of a shard.
type Stats struct {
	Targets  int // items that may be targets
	Links    int // all links
	Cross    int // links between documents in different languages
	Unlinked int // targets without a link
	MaxLinks int // links of the target that has most
}

// LinkStats counts the links of a shard.
func LinkStats(pairs []Pair, items []Item) Stats {
	s := Stats{Links: len(pairs)}
	links := make([]int, len(items))
	for _, p := range pairs {
		links[p.Target]++
		if items[p.Target].Lang != items[p.Evidence].Lang {
			s.Cross++
		}
	}
	for i := range items {
		if !items[i].Target {
			continue
		}
		s.Targets++
		if links[i] == 0 {
			s.Unlinked++
		}
		s.MaxLinks = max(s.MaxLinks, links[i])
	}
	return s
}

// CrossShare is the share of links between documents in different languages,
// 0 if there are no links.
func (s Stats) CrossShare() float64 { return ratio(s.Cross, s.Links) }

// LinksPerTarget is the average number of links of a target, those without any
// counted in, 0 if there are no targets.
func (s Stats) LinksPerTarget() float64 { return ratio(s.Links, s.Targets) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
