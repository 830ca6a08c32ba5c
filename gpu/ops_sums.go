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

// rowGroup is the number of rows that the kernels add up in order.
const rowGroup = 64

// addRows sets dst [d] to the sum of n rows that are ld apart, or adds it: sums of
// groups of rows, then of groups of these.
func (b *Backend) addRows(dst, x devptr, n, d, ld int, accumulate bool) {
	for n > rowGroup {
		groups := ceil.Div(n, rowGroup)
		sums := b.scratch(4 * groups * d)
		b.sumRows(sums, x, n, d, ld, groups, false)
		x, n, ld = sums, groups, d
	}
	b.sumRows(dst, x, n, d, ld, 1, accumulate)
}

func (b *Backend) sumRows(dst, x devptr, n, d, ld, groups int, accumulate bool) {
	b.launch("sum_rows", columns(groups, d, 256), 256, 0, dst, x, n, int32(d), ld, flag(accumulate))
}

// columns is the grid for rows of d columns, of which a block has some of one row.
func columns(rows, d, block int) [3]int { return [3]int{rows * ceil.Div(d, block), 1, 1} }
