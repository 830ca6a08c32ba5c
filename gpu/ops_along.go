//go:build cuda

package gpu

import (
	"fmt"
	"slices"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// Kernels along an axis have blocks of alongBlock threads.
const alongBlock = 256

// GatherAlong implements tensor.Backend.
func (b *Backend) GatherAlong(dst, x, index *tensor.Tensor, axis int, accumulate bool) {
	defer b.enter("GatherAlong")()
	if dst.Len() == 0 {
		return
	}
	b.mustIndex("gatheralong", index, x.Shape()[axis])
	lineNest(dst.Shape(), axis, dst, x, index) // checks the shapes
	l := &nest{operands: 3}
	for d, n := range dst.Shape() {
		var strides [maxOperands]int
		for k, t := range [3]*tensor.Tensor{dst, x, index} {
			if t.Shape()[d] != 1 && (t != x || d != axis) {
				strides[k] = t.Strides()[d]
			}
		}
		l.add(n, strides)
	}
	n := l.len()
	table, rank := b.nest(l)
	b.launch("gather_along", [3]int{ceil.Div(n, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(dst), b.ptr(x), b.ptr(index), table, rank, n, x.Strides()[axis], flag(accumulate))
}

// ScatterAlong implements tensor.Backend. A thread goes through a line, in order, or
// through what comes to one of its rows, if the lines have the same index.
func (b *Backend) ScatterAlong(dst, src, index *tensor.Tensor, axis int, accumulate bool) {
	defer b.enter("ScatterAlong")()
	if src.Len() == 0 {
		return
	}
	b.mustIndex("scatteralong", index, dst.Shape()[axis])
	l := lineNest(src.Shape(), axis, dst, src, index)
	lines, n := l.len(), src.Shape()[axis]
	table, rank := b.nest(l)
	stride := axisStride(index, axis)
	if !l.fixed(2) {
		b.launch("scatter_along", [3]int{ceil.Div(lines, alongBlock), 1, 1}, alongBlock, 0,
			b.ptr(dst), b.ptr(src), b.ptr(index), table, rank, lines, n,
			dst.Strides()[axis], src.Strides()[axis], stride, flag(accumulate))
		return
	}
	all, known := make([]int32, n), b.span(index)
	for i := range all {
		all[i] = known[i*stride]
	}
	sorted, order := sortRows(all)
	s := divideSums(sorted, n)
	words := slices.Concat(s.targets, s.starts, order)
	first := b.scratch(4 * len(words))
	b.upload(first, words)
	second, ids := first+devptr(4*len(s.targets)), len(s.targets)
	b.launch("scatter_groups", [3]int{ceil.Div(lines*ids, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(dst), b.ptr(src), first, second, second+devptr(4*len(s.starts)), table, rank, lines, int32(ids),
		dst.Strides()[axis], src.Strides()[axis], flag(accumulate))
}

// axisStride returns the distance between neighbours along an axis, 0 if there is one
// element for all.
func axisStride(t *tensor.Tensor, axis int) int {
	if t.Shape()[axis] == 1 {
		return 0
	}
	return t.Strides()[axis]
}

// mustIndex panics unless all elements of an index are rows of an axis of size n.
func (b *Backend) mustIndex(op string, index *tensor.Tensor, n int) {
	if index.DType() != tensor.Int32 {
		panic(fmt.Sprintf("%s: index %v, want int32", op, index))
	}
	if index.Len() == 0 {
		return
	}
	ids := b.span(index)
	bad := func(id int32) bool { return id < 0 || int(id) >= n }
	if !slices.ContainsFunc(ids, bad) {
		return
	}
	// It may stand in a gap.
	broadcastNest(index.Shape(), index).each(func(i, at int) {
		if id := ids[at]; bad(id) {
			panic(fmt.Sprintf("%s: row %d of %d, at position %d", op, id, n, i))
		}
	})
}

// known returns the elements of an int32 tensor of any strides from its first to its
// last one, if the host gave them, and nil if a kernel wrote one.
func (b *Backend) known(t *tensor.Tensor) []int32 {
	buf, offset := b.bufferOf(t)
	n := extent(t)
	for _, w := range buf.mirror {
		if offset >= w.at && offset+n <= w.at+len(w.data) {
			return w.data[offset-w.at:][:n:n]
		}
	}
	return nil
}

// extent returns the number of elements from the first to the last one of a tensor that
// is not empty.
func extent(t *tensor.Tensor) int {
	n := 1
	for d, size := range t.Shape() {
		n += (size - 1) * t.Strides()[d]
	}
	return n
}

// span returns what known does. If a kernel wrote elements, it waits for the card.
func (b *Backend) span(t *tensor.Tensor) []int32 {
	if known := b.known(t); known != nil {
		return known
	}
	data := make([]int32, extent(t))
	b.download(data, b.ptr(t))
	buf, offset := b.bufferOf(t)
	buf.forget(offset, len(data))
	buf.know(offset, data)
	return data
}

// CopyInts implements tensor.Backend.
func (b *Backend) CopyInts(dst, x *tensor.Tensor) {
	defer b.enter("CopyInts")()
	if !slices.Equal(dst.Shape(), x.Shape()) || x.DType() != tensor.Int32 || !dst.Contiguous() {
		panic(fmt.Sprintf("copyints: %v from %v", dst, x))
	}
	l := broadcastNest(x.Shape(), x)
	n := l.len()
	if n == 0 {
		return
	}
	table, rank := b.nest(l)
	b.launch("copy_ints", [3]int{ceil.Div(n, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(dst), b.ptr(x), table, rank, n, flag(dst.DType() == tensor.Float32))
	if dst.DType() != tensor.Int32 {
		return
	}
	ids := b.known(x)
	b.written(dst)
	if ids != nil { // the host knows the copy, too, and need not wait for it
		copied := make([]int32, 0, n)
		l.each(func(_, at int) { copied = append(copied, ids[at]) })
		buf, offset := b.bufferOf(dst)
		buf.know(offset, copied)
	}
}

// lanes returns how many threads work on a line, of lines whose elements are stride
// apart: a warp where it reads what is adjacent, or where lines are few.
func lanes(lines, stride int) int {
	if stride == 1 || lines < 1024 {
		return 32
	}
	return 1
}

// CumSum implements tensor.Backend.
func (b *Backend) CumSum(dst, x *tensor.Tensor, axis int, reverse, accumulate bool) {
	defer b.enter("CumSum")()
	if dst.Len() == 0 {
		return
	}
	l := lineNest(dst.Shape(), axis, dst, x)
	lines, stride := l.len(), axisStride(x, axis)
	each := lanes(lines, stride)
	table, rank := b.nest(l)
	b.launch("cum_sum", [3]int{ceil.Div(lines*each, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(dst), b.ptr(x), table, rank, lines, dst.Shape()[axis], dst.Strides()[axis], stride,
		int32(each), flag(reverse), flag(accumulate))
}
