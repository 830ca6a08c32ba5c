//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// ArgReduce implements tensor.Backend.
func (b *Backend) ArgReduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor) {
	defer b.enter("ArgReduce")()
	axis := -1
	for d, n := range x.Shape() {
		if len(dst.Shape()) != len(x.Shape()) || dst.Shape()[d] != n && (dst.Shape()[d] != 1 || axis >= 0) {
			panic(fmt.Sprintf("argreduce: %v to %v", x, dst))
		}
		if dst.Shape()[d] != n {
			axis = d
		}
	}
	if dst.Len() == 0 {
		return
	}
	b.written(dst)
	if axis < 0 { // one element each
		b.card.clear(b.dense(dst), 4*dst.Len())
		return
	}
	n, stride := x.Shape()[axis], x.Strides()[axis]
	if n == 0 || n > math.MaxInt32 {
		panic(fmt.Sprintf("argreduce: %v to %v: %d elements", x, dst, n))
	}
	l := lineNest(x.Shape(), axis, x, dst)
	lines := l.len()
	each := lanes(lines, stride)
	table, rank := b.nest(l)
	b.launch("arg_reduce", [3]int{ceil.Div(lines*each, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(dst), b.ptr(x), table, rank, lines, int32(n), stride, int32(each), flag(op == tensor.ReduceMin))
}

// topKChunk is how many elements a block sorts in shared memory.
const topKChunk = 1024

// TopK implements tensor.Backend. Chunks of lines are sorted, and neighbouring ones
// merged until there is one, of which the first elements are wanted.
func (b *Backend) TopK(values, indices, x *tensor.Tensor) {
	defer b.enter("TopK")()
	if values.Len() == 0 {
		return
	}
	axis := len(x.Shape()) - 1
	n, k := x.Shape()[axis], values.Dim(-1)
	if len(values.Shape()) != len(x.Shape()) || !slices.Equal(values.Shape(), indices.Shape()) ||
		k > n || n > math.MaxInt32 {
		panic(fmt.Sprintf("topk: %v and %v of %v", values, indices, x))
	}
	b.written(indices)
	l := lineNest(x.Shape(), axis, values, x, indices)
	lines := l.len()
	table, rank := b.nest(l)
	size := min(topKChunk, 1<<bits.Len(uint(n-1)))
	runs, length := ceil.Div(n, size), min(size, k)
	keys := b.scratch(8 * lines * runs * length)
	b.launch("topk_sort", [3]int{lines * runs, 1, 1}, max(32, size/2), 8*size,
		keys, b.ptr(x), table, rank, n, x.Strides()[axis], runs, int32(size), int32(length))
	for runs > 1 {
		half, kept := ceil.Div(runs, 2), min(2*length, k)
		merged := b.scratch(8 * lines * half * kept)
		b.launch("topk_merge", [3]int{ceil.Div(lines*runs*length, alongBlock), 1, 1}, alongBlock, 0,
			merged, keys, lines, runs, length, kept)
		keys, runs, length = merged, half, kept
	}
	b.launch("topk_store", [3]int{ceil.Div(lines*k, alongBlock), 1, 1}, alongBlock, 0,
		b.ptr(values), b.ptr(indices), keys, b.ptr(x), table, rank, lines, length, k,
		values.Strides()[axis], x.Strides()[axis], indices.Strides()[axis])
}
