//go:build cuda

package gpu

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// sumPart is the number of elements that a block of sums.cu adds up.
const sumPart = 8192

// AddDot implements tensor.Backend.
func (b *Backend) AddDot(dst, x, y *tensor.Tensor, accumulate bool) {
	defer b.enter("AddDot")()
	n := x.Len()
	count := ceil.Div(n, sumPart)
	parts := b.scratch(8 * count)
	b.launch("dot_parts", [3]int{count, 1, 1}, 256, 0, parts, b.dense(x), b.dense(y), n)
	b.launch("dot", [3]int{1, 1, 1}, 256, 0, b.dense(dst), parts, count, flag(accumulate))
}

// SumSquares implements tensor.Backend.
func (b *Backend) SumSquares(x *tensor.Tensor) float64 {
	defer b.enter("SumSquares")()
	return b.sumSquares([]*tensor.Tensor{x})[0]
}

// SumSquaresAll is tensor.SumSquaresAll in two kernels and one download.
func (b *Backend) SumSquaresAll(x []*tensor.Tensor) []float64 {
	defer b.enter("SumSquaresAll")()
	return b.sumSquares(x)
}

func (b *Backend) sumSquares(x []*tensor.Tensor) []float64 {
	var arrays words64
	blocks := 0
	for _, t := range x {
		arrays.add(uint64(b.dense(t)), uint64(t.Len()), uint64(blocks))
		blocks += ceil.Div(t.Len(), sumPart)
	}
	table, parts, sums := b.table(arrays), b.scratch(8*blocks), b.scratch(8*len(x))
	b.launch("square_parts", [3]int{blocks, 1, 1}, 256, 0, parts, table, int32(len(x)))
	b.launch("square_sums", [3]int{len(x), 1, 1}, 256, 0, sums, parts, table)
	result := make([]float64, len(x))
	b.download(result, sums)
	return result
}

// words64 is a table of 64-bit numbers.
type words64 []int32

func (w *words64) add(values ...uint64) {
	for _, v := range values {
		*w = append(*w, int32(v), int32(v>>32))
	}
}

// AddRows implements tensor.Backend.
func (b *Backend) AddRows(dst, x *tensor.Tensor, accumulate bool) {
	defer b.enter("AddRows")()
	b.addRows(b.dense(dst), b.ptr(x), x.Dim(0), x.Dim(1), x.Strides()[0], accumulate)
}

const (
	sumColumns  = 128       // columns of a block of sum_rows
	sumThreads  = 512       // of it at most
	sumRows     = 8         // rows that a warp of it reads at a time
	sumGroups   = 512       // groups of rows at most: what one block adds up
	sumFew      = 256       // rows that need no groups
	cardThreads = 128 << 10 // what keeps a large card busy
)

// addRows sets dst [d] to the sum of n rows that are ld apart, or adds it: where there are many, sums of groups of
// rows, as many as keep a card busy, are added up.
func (b *Backend) addRows(dst, x devptr, n, d, ld int, accumulate bool) {
	if n > sumFew {
		const threads = 256
		blocks := cardThreads / (threads / 2) / ceil.Div(d, sumColumns)
		height := threads / 32 * sumRows
		height *= ceil.Div(n, height*max(1, min(blocks, sumGroups)))
		groups := ceil.Div(n, height)
		sums := b.scratch(4 * groups * d)
		b.launch("sum_rows", [3]int{ceil.Div(d, sumColumns), groups, 1}, threads, 0,
			sums, devptr(0), x, n, int32(d), ld, height, int32(0))
		x, n, ld = sums, groups, d
	}
	b.addFewRows(dst, 0, x, n, d, ld, flag(accumulate))
}

// addFewRows adds up n rows and, unless other is 0, the n rows that follow to other. Bits of accumulate say for each
// whether the sum is added.
func (b *Backend) addFewRows(dst, other, x devptr, n, d, ld int, accumulate int32) {
	arrays := 1
	if other != 0 {
		arrays = 2
	}
	warps := max(1, min(sumThreads/32, ceil.Div(n, sumRows)))
	b.launch("sum_rows", [3]int{ceil.Div(d, sumColumns), 1, arrays}, 32*warps, 0,
		dst, other, x, n, int32(d), ld, n, accumulate)
}

// columns is the grid for rows of d columns, of which a block has some of one row.
func columns(rows, d, block int) [3]int { return [3]int{rows * ceil.Div(d, block), 1, 1} }
