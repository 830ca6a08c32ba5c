package index

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

// Item describes one chunk of a shard.
type Item struct {
	Chunk  int  // the caller's number of the chunk; not read by this package
	Lang   int  // language; items with equal values are monolingual pairs
	Source int  // document that the chunk was cut from; never linked to itself
	Target bool // whether the chunk may be a target; every chunk may be evidence
}

// Pair is a link between a target and an evidence document, both positions in
// the items of a shard. Score is the inner product of their vectors, with the
// margin of [LinkOptions] if there is one.
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

// LinkOptions sets which links a shard keeps. The paper has 4 of each kind for
// a target, on average.
type LinkOptions struct {
	Mono  float64 // links between documents in the same language
	Cross float64 // links between documents in different languages
	// PerTarget keeps the best round(Mono) and round(Cross) links of each
	// target, instead of the best of the shard: no target is left without
	// links, and none has many.
	PerTarget bool
	// Margin compares the cosine of two documents with those of their nearest
	// neighbours, Neighbours of them (0: 4). For links within a language these
	// are neighbours in that language, for other links neighbours in any other.
	// The empty margin is [vectors.MarginNone].
	Margin     vectors.Margin
	Neighbours int
}

// Validate tells what is wrong with the options.
func (o *LinkOptions) Validate() error {
	for _, n := range []struct {
		name  string
		links float64
	}{{"Mono", o.Mono}, {"Cross", o.Cross}} {
		if !(n.links >= 0) || math.IsInf(n.links, 1) {
			return fmt.Errorf("%s is %v links per target", n.name, n.links)
		}
	}
	if o.Neighbours < 0 {
		return fmt.Errorf("%d neighbours", o.Neighbours)
	}
	return o.Margin.Validate()
}

// Links returns the most similar target-evidence pairs of a shard: the best
// round(opt.Mono * targets) of all pairs in one language and the best
// round(opt.Cross * targets) of all pairs in two languages, or all if there are
// fewer. The threshold is that of the whole shard, not of each target, so a
// target without close relatives has no links (section 2.4 of the paper). opt
// may ask for a threshold for each target instead, and for scores with a margin.
//
// rows has dim values for each item. They are used as they are: normalise them
// for scores that are cosines. Targets are the items marked so; evidence is any
// item from another source. Pairs come in descending order of score, ties in
// ascending order of target and evidence.
//
// Memory is proportional to the number of links, or of items and their
// neighbours, and, for some blocks of vectors and scores, of threads, never to
// the square of the number of items.
//
// Options that are not valid, a value that is not finite and a score that is
// not finite are errors, the last two with the position of the item. Links
// stops with the context's error soon after ctx is cancelled. It panics if
// sizes disagree.
func Links(
	ctx context.Context, run asm.Runner, rows []float32, dim int, items []Item, opt LinkOptions,
) ([]Pair, error) {
	if dim <= 0 || len(rows) != len(items)*dim {
		panic(fmt.Sprintf("index: links: %d vector values for %d items of dimension %d", len(rows), len(items), dim))
	}
	if err := vectors.CheckFinite(rows, dim); err != nil {
		return nil, fmt.Errorf("index: links: %w", err)
	}
	l := newLinker(items)
	l.similarity = &dense{rows, dim, l.order}
	return l.links(ctx, run, opt)
}

// CheckPairs returns an error unless pairs are possible links of a shard: each
// between a target and evidence from another source, with a finite score, and
// none twice.
func CheckPairs(pairs []Pair, items []Item) error {
	type link struct{ target, evidence int32 }
	seen := make(map[link]bool, len(pairs))
	for i, p := range pairs {
		outside := func(item int32) bool { return item < 0 || int(item) >= len(items) }
		reason := ""
		switch {
		case outside(p.Target) || outside(p.Evidence):
			reason = fmt.Sprintf("there are %d items", len(items))
		case !items[p.Target].Target:
			reason = "the item may not be a target"
		case items[p.Target].Source == items[p.Evidence].Source:
			reason = "both are from one source"
		case p.Score != p.Score:
			reason = "the score is not a number"
		case p.Score-p.Score != 0:
			reason = fmt.Sprintf("the score is %v", p.Score)
		case seen[link{p.Target, p.Evidence}]:
			reason = "a pair before is the same"
		}
		if reason != "" {
			return fmt.Errorf("pair %d links target %d to evidence %d: %s", i, p.Target, p.Evidence, reason)
		}
		seen[link{p.Target, p.Evidence}] = true
	}
	return nil
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
