//go:build cuda

package gpu

import (
	"cmp"
	"slices"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// perRow is the grid for n rows, of which each has a warp.
func perRow(n int) [3]int { return [3]int{ceil.Div(n, 8), 1, 1} }

// Gather implements tensor.Backend.
func (b *Backend) Gather(dst, table, rows *tensor.Tensor, scale float32, accumulate bool) {
	defer b.enter("Gather")()
	n, d := len(b.rows("gather", rows, table.Dim(0))), table.Dim(1)
	b.launch("gather", perRow(n), 256, 0,
		b.dense(dst), b.dense(table), b.dense(rows), scale, n, int32(d), flag(accumulate))
}

// ScatterAdd implements tensor.Backend. The host sorts the rows, so that one thread
// adds all that comes to an element of dst, in order.
func (b *Backend) ScatterAdd(dst, src, rows *tensor.Tensor, scale float32) {
	defer b.enter("ScatterAdd")()
	ids, starts, order := groups(b.rows("scatteradd", rows, dst.Dim(0)))
	data := b.scratch(4 * (len(ids) + len(starts) + len(order)))
	b.upload(data, slices.Concat(ids, starts, order))
	d, second := dst.Dim(1), data+devptr(4*len(ids))
	b.launch("scatter_add", columns(len(ids), d, 128), 128, 0,
		b.dense(dst), b.dense(src), data, second, second+devptr(4*len(starts)), scale, int32(d))
}

// groups returns the distinct row numbers, and an order of the places where they stand,
// those of ids[g] ascending from order[starts[g]] to order[starts[g+1]].
func groups(rows []int32) (ids, starts, order []int32) {
	order = make([]int32, len(rows))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int { return cmp.Or(cmp.Compare(rows[i], rows[j]), cmp.Compare(i, j)) })
	for i, at := range order {
		if i == 0 || rows[at] != ids[len(ids)-1] {
			ids, starts = append(ids, rows[at]), append(starts, int32(i))
		}
	}
	return ids, append(starts, int32(len(order))), order
}

// SegmentMean implements tensor.Backend.
func (b *Backend) SegmentMean(dst, x *tensor.Tensor, offsets []int32) {
	defer b.enter("SegmentMean")()
	d := x.Dim(1)
	b.launch("segment_mean", columns(len(offsets)-1, d, 128), 128, 0,
		b.dense(dst), b.dense(x), b.table(offsets), int32(d))
}

// SegmentMeanBackward implements tensor.Backend.
func (b *Backend) SegmentMeanBackward(dx, dy *tensor.Tensor, offsets []int32) {
	defer b.enter("SegmentMeanBackward")()
	d := dx.Dim(1)
	b.launch("segment_mean_backward", columns(len(offsets)-1, d, 128), 128, 0,
		b.dense(dx), b.dense(dy), b.table(offsets), int32(d))
}
