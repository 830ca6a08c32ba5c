//go:build cuda

package gpu

import (
	"math/bits"
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

// scatterChain is how many rows a warp of scatter_add adds up at most.
const scatterChain = 16

// ScatterAdd implements tensor.Backend. The host sorts the rows. What comes to a row of dst is added in order; sums of
// many rows are divided into sums of a few, which are added up in the same way.
func (b *Backend) ScatterAdd(dst, src, rows *tensor.Tensor, scale float32) {
	defer b.enter("ScatterAdd")()
	d, to, from := dst.Dim(1), b.dense(dst), b.dense(src)
	ids, order := sortRows(b.rows("scatteradd", rows, dst.Dim(0)))
	for len(ids) > 0 {
		s := divideSums(ids, scatterChain)
		parts := b.scratch(4 * d * len(s.order))
		words := slices.Concat(s.targets, s.starts, order)
		data := b.scratch(4 * len(words))
		b.upload(data, words)
		starts := data + devptr(4*len(s.targets))
		b.launch("scatter_add", [3]int{ceil.Div(len(s.targets), 8), ceil.Div(d, 128), 1}, 256, 0,
			to, parts, from, data, starts, starts+devptr(4*len(s.starts)), scale, len(s.targets), int32(d))
		ids, order, from, scale = s.ids, s.order, parts, 1
	}
}

// sortRows returns row numbers in ascending order, and where they stood: equal ones in the order that they had.
func sortRows(rows []int32) (ids, order []int32) {
	n := len(rows)
	if n == 0 {
		return nil, nil
	}
	words := make([]int32, 4*n)
	ids, order = words[:n:n], words[n:2*n:2*n]
	spareIDs, spare := words[2*n:3*n:3*n], words[3*n:]
	copy(ids, rows)
	for i := range order {
		order[i] = int32(i)
	}
	// By digits, the least one first.
	width := bits.Len32(uint32(slices.Max(rows)))
	digits := ceil.Div(width, 11)
	var starts [1<<11 + 1]int32
	for digit := range digits {
		size := ceil.Div(width, digits)
		shift, mask := digit*size, int32(1)<<size-1
		counts := starts[:mask+2]
		clear(counts)
		for _, id := range ids {
			counts[id>>shift&mask+1]++
		}
		for i := range mask {
			counts[i+1] += counts[i]
		}
		for i, id := range ids {
			at := &counts[id>>shift&mask]
			spareIDs[*at], spare[*at] = id, order[i]
			*at++
		}
		ids, spareIDs, order, spare = spareIDs, ids, spare, order
	}
	return ids, order
}

// sums are what scatter_add computes at once: sum i, to a target, has the rows of an order from starts[i] to
// starts[i+1]. Row order[k] of the parts that it leaves is to be added to row ids[k] of the result.
type sums struct{ targets, starts, ids, order []int32 }

// divideSums returns sums of what equal ids, which ascend, stand for, divided into such of at most so many rows.
func divideSums(ids []int32, most int) (s sums) {
	s.targets, s.starts = make([]int32, 0, len(ids)), make([]int32, 0, len(ids)+1)
	for from := 0; from < len(ids); {
		to := from + 1
		for to < len(ids) && ids[to] == ids[from] {
			to++
		}
		if to-from <= most {
			s.targets, s.starts = append(s.targets, ids[from]), append(s.starts, int32(from))
		}
		for at := from; to-from > most && at < to; at += most {
			part := int32(len(s.order))
			s.targets, s.starts = append(s.targets, ^part), append(s.starts, int32(at))
			s.ids, s.order = append(s.ids, ids[from]), append(s.order, part)
		}
		from = to
	}
	s.starts = append(s.starts, int32(len(ids)))
	return s
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
