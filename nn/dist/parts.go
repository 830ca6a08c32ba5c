package dist

import (
	"fmt"
	"math/bits"
	"slices"
)

// Part returns which of Size parts of a sum this rank gets from [Group.ReduceScatter].
// Where the ranks are a power of two it is the rank with its bits in reverse order.
func (g *Group) Part() int {
	if !g.halves() {
		return g.Rank()
	}
	levels := bits.Len(uint(g.Size())) - 1
	return int(bits.Reverse64(uint64(g.Rank())) >> (64 - levels))
}

// halves tells whether the ranks are a power of two, which exchange halves of what
// they have.
func (g *Group) halves() bool { return bits.OnesCount(uint(g.Size())) == 1 }

// ReduceScatter adds up the x of all ranks as AllReduce does, and with the same bits,
// but each rank gets the sum in one part of its x: in part [Group.Part] of Size parts,
// that end at ends[0], ends[1] and so on. The rest of x is undefined afterwards. All
// ranks have slices of the same length and the same ends.
//
// A power of two of ranks sends len(x) (R-1)/R values each. Other numbers of ranks
// add up whole chunks at rank 0, which sends the parts.
func (g *Group) ReduceScatter(x []float32, ends []int) error {
	return reduceScatter(g, x, ends, addNumbers[float32])
}

// ReduceScatterBFloat16 does the same with numbers that are rounded to bfloat16, as is
// every sum of two, so that half as many bytes are sent. See [RoundBFloat16] for
// ranks that have made sums of their own before.
func (g *Group) ReduceScatterBFloat16(x []float32, ends []int) error {
	g.short = slices.Grow(g.short[:0], len(x))[:len(x)]
	for i, v := range x {
		g.short[i] = toBFloat16(v)
	}
	err := reduceScatter(g, g.short, ends, func(sum, x []bfloat16) {
		for i, v := range x {
			sum[i] = toBFloat16(sum[i].float32() + v.float32())
		}
	})
	if err == nil {
		own := part(x, ends, g.Part(), g.Part()+1)
		for i, v := range part(g.short, ends, g.Part(), g.Part()+1) {
			own[i] = v.float32()
		}
	}
	return err
}

// AllGatherParts gives all ranks the parts of x that each of them has, see
// [Group.ReduceScatter].
func (g *Group) AllGatherParts(x []float32, ends []int) error {
	g.checkEnds(len(x), ends)
	if g.halves() {
		return gatherHalves(g, x, ends)
	}
	for i := range ends {
		if err := g.Broadcast(i, raw(part(x, ends, i, i+1))); err != nil {
			return err
		}
	}
	return nil
}

// part returns the parts first to end of x.
func part[T any](x []T, ends []int, first, end int) []T {
	from := 0
	if first > 0 {
		from = ends[first-1]
	}
	return x[from:ends[end-1]]
}

func (g *Group) checkEnds(n int, ends []int) {
	if len(ends) != g.Size() || ends[0] < 0 || !slices.IsSorted(ends) || ends[len(ends)-1] != n {
		panic(fmt.Sprintf("dist: %d values and %d ranks: parts that end at %v", n, g.Size(), ends))
	}
}

func reduceScatter[T number](g *Group, x []T, ends []int, add func(sum, x []T)) error {
	g.checkEnds(len(x), ends)
	if g.halves() {
		return reduceHalves(g, x, ends, add)
	}
	length := len(x)
	for at, step := 0, elements[T](g.chunk); at < length; at += step {
		if err := reduceToFirst(g, x[at:min(at+step, length)], add); err != nil {
			return err
		}
	}
	if g.Rank() > 0 {
		return g.swap(0, nil, raw(part(x, ends, g.Rank(), g.Rank()+1)))
	}
	for rank := 1; rank < g.Size(); rank++ {
		if err := g.swap(rank, raw(part(x, ends, rank, rank+1)), nil); err != nil {
			return err
		}
	}
	return nil
}

// reduceHalves reduces x: at distance d, ranks r and r^d divide the parts that they
// hold the sums of d ranks of, so that each holds half of them, of 2d ranks.
func reduceHalves[T number](g *Group, x []T, ends []int, add func(sum, x []T)) error {
	r, first, end := g.Rank(), 0, g.Size()
	for d := 1; d < g.Size(); d <<= 1 {
		middle := (first + end) / 2
		lower, upper := part(x, ends, first, middle), part(x, ends, middle, end)
		keep, give := lower, upper
		if r&d != 0 {
			keep, give, first = upper, lower, middle
		} else {
			end = middle
		}
		if err := addFrom(g, r^d, give, keep, add); err != nil {
			return err
		}
	}
	return nil
}

// gatherHalves is the way back of reduceHalves: ranks r and r^d give each other what
// they have, which then is twice as much.
func gatherHalves[T number](g *Group, x []T, ends []int) error {
	r, own := g.Rank(), g.Part()
	for d, n := g.Size()>>1, 1; d >= 1; d, n = d>>1, 2*n {
		first := own &^ (2*n - 1) // of 2n parts
		have, want := part(x, ends, first, first+n), part(x, ends, first+n, first+2*n)
		if r&d != 0 {
			have, want = want, have
		}
		if err := g.swap(r^d, raw(have), raw(want)); err != nil {
			return err
		}
	}
	return nil
}
