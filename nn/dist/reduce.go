package dist

import (
	"math/bits"
	"unsafe"
)

// AllReduce replaces x by the sum of the x of all ranks. Neighbours are added
// first, and the sums of neighbours: ((0+1)+(2+3))+((4+5)+(6+7)); where the ranks
// are no power of two, what is left at the end is added last: ((0+1)+(2+3))+4.
// All ranks get the same bits, and they have slices of the same length.
//
// A power of two of ranks exchanges halves, quarters and so on of x with ranks
// at distance 1, 2, 4 ..., and the sums on the way back: 2 len(x) (R-1)/R values
// are sent by each of R ranks. Other numbers of ranks send whole chunks up a
// binomial tree and down again.
func (g *Group) AllReduce(x []float32) error { return allReduce(g, x, addNumbers[float32]) }

// AllReduceInt64 does the same for integers, whose sum is exact.
func (g *Group) AllReduceInt64(x []int64) error { return allReduce(g, x, addNumbers[int64]) }

// number is what is added up; bfloat16 by a function of its own.
type number interface{ float32 | int64 | bfloat16 }

func addNumbers[T float32 | int64](sum, x []T) {
	for i, v := range x {
		sum[i] += v
	}
}

func allReduce[T number](g *Group, x []T, add func(sum, x []T)) error {
	size := g.Size()
	if size == 1 {
		return nil
	}
	if !g.halves() {
		return binomial(g, x, add)
	}
	ends := make([]int, size)
	for i := range ends {
		ends[i] = (i + 1) * len(x) / size
	}
	if err := reduceHalves(g, x, ends, add); err != nil {
		return err
	}
	return gatherHalves(g, x, ends)
}

// binomial reduces x to rank 0, chunk by chunk, and sends the sums back.
func binomial[T number](g *Group, x []T, add func(sum, x []T)) error {
	length := elements[T](g.chunk)
	for ; len(x) > 0; x = x[min(length, len(x)):] {
		if err := reduceToFirst(g, x[:min(length, len(x))], add); err != nil {
			return err
		}
		if err := g.Broadcast(0, raw(x[:min(length, len(x))])); err != nil {
			return err
		}
	}
	return nil
}

// reduceToFirst adds up x at rank 0: at distance d, the rank of an odd multiple of
// d gives the sum of its block to the block before.
func reduceToFirst[T number](g *Group, x []T, add func(sum, x []T)) error {
	r := g.Rank()
	for d := 1; d < g.Size(); d <<= 1 {
		if r&d != 0 {
			return addFrom(g, r-d, x, nil, add)
		}
		if r+d < g.Size() {
			if err := addFrom(g, r+d, nil, x, add); err != nil {
				return err
			}
		}
	}
	return nil
}

// addFrom sends give to a rank and adds what it sends to keep. Which of two
// numbers comes first does not matter to their sum.
func addFrom[T number](g *Group, peer int, give, keep []T, add func(sum, x []T)) error {
	length := elements[T](g.chunk)
	for len(give) > 0 || len(keep) > 0 {
		a, b := min(length, len(give)), min(length, len(keep))
		got := received[T](g, b)
		if err := g.exchange(peer, raw(give[:a]), raw(got)); err != nil {
			return err
		}
		add(keep[:b], got)
		give, keep = give[a:], keep[b:]
	}
	return nil
}

// elements returns how many numbers so many bytes have room for.
func elements[T number](bytes int) int {
	var zero T
	return bytes / int(unsafe.Sizeof(zero))
}

// swap sends bytes to a rank and receives bytes from it, by chunks.
func (g *Group) swap(peer int, send, recv []byte) error {
	for len(send) > 0 || len(recv) > 0 {
		a, b := min(g.chunk, len(send)), min(g.chunk, len(recv))
		if err := g.exchange(peer, send[:a], recv[:b]); err != nil {
			return err
		}
		send, recv = send[a:], recv[b:]
	}
	return nil
}

// Broadcast replaces x by that of the rank root. All have slices of the same
// length.
func (g *Group) Broadcast(root int, x []byte) error {
	size := g.Size()
	place := func(rank int) int { return (rank + size - root) % size } // in a tree with root at 0
	rank := func(place int) int { return (place + root) % size }
	own := place(g.Rank())
	for ; len(x) > 0; x = x[min(g.chunk, len(x)):] {
		part := x[:min(g.chunk, len(x))]
		// The bit above those of the places: the root receives nothing.
		low := 1 << bits.Len(uint(size-1))
		if own > 0 {
			low = own & -own
			if err := g.exchange(rank(own-low), nil, part); err != nil {
				return err
			}
		}
		for d := low >> 1; d >= 1; d >>= 1 {
			if own+d < size {
				if err := g.exchange(rank(own+d), part, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// AllGather returns the bytes of every rank, which may have different lengths, in
// the order of the ranks. It is a sum in which every rank has zeros where the
// others have their bytes: twice as many bytes are sent as the shortest way would
// need, in a number of messages that grows with the logarithm of the ranks.
func (g *Group) AllGather(mine []byte) ([][]byte, error) {
	lengths := make([]int64, g.Size())
	lengths[g.Rank()] = int64(len(mine))
	if err := g.AllReduceInt64(lengths); err != nil {
		return nil, err
	}
	words := func(bytes int64) int64 { return (bytes + 7) / 8 }
	var before, total int64 // words of lower ranks, and of all
	for i, n := range lengths {
		if i < g.Rank() {
			before += words(n)
		}
		total += words(n)
	}
	all := make([]int64, total)
	copy(raw(all[before:]), mine)
	if err := g.AllReduceInt64(all); err != nil {
		return nil, err
	}
	parts := make([][]byte, len(lengths))
	for i, n := range lengths {
		parts[i] = raw(all)[:n:n]
		all = all[words(n):]
	}
	return parts, nil
}

// raw returns the memory of x. Ranks have one order of bytes: all processors that
// there are kernels for are little-endian.
func raw[T number](x []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(zero)))
}

// received returns memory for n numbers of a message.
func received[T number](g *Group, n int) []T {
	if n == 0 {
		return nil
	}
	if g.buffer == nil {
		g.buffer = raw(make([]int64, (g.chunk+7)/8)) // aligned for all types
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(g.buffer))), n)
}
