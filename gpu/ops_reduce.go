//go:build cuda

package gpu

import (
	"fmt"
	"math/bits"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

const (
	// reduceThreads is how many threads a reduction of many elements to few results has, each of which takes at least
	// reduceLeast elements.
	reduceThreads = 1 << 18
	reduceLeast   = 16
)

var reduceKernels = [...]string{
	tensor.ReduceSum: "reduce_sum", tensor.ReduceMax: "reduce_max", tensor.ReduceMin: "reduce_min",
}

// Reduce implements tensor.Backend.
func (b *Backend) Reduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor, accumulate bool) {
	defer b.enter("Reduce")()
	kept, reduced := &nest{operands: 2}, &nest{operands: 1}
	if len(dst.Shape()) != len(x.Shape()) {
		panic(fmt.Sprintf("reduce: %v to %v", x, dst))
	}
	for d, n := range x.Shape() {
		switch dst.Shape()[d] {
		case n:
			kept.add(n, [maxOperands]int{dst.Strides()[d], x.Strides()[d]})
		case 1:
			reduced.add(n, [maxOperands]int{x.Strides()[d]})
		default:
			panic(fmt.Sprintf("reduce: %v to %v", x, dst))
		}
	}
	kept.innermost(1)
	reduced.innermost(0)
	n, m := kept.len(), reduced.len()
	if n == 0 {
		return
	}
	// Threads side by side read what is adjacent: elements of one result, or of several.
	lanes := 1
	if n == 1 || reduced.stride(0) < kept.stride(1) {
		lanes = min(32, 1<<bits.Len(uint(max(m, 1)-1)))
	}
	chunks := max(1, min(reduceThreads/(n*lanes), m/(reduceLeast*lanes)))
	length := max(1, ceil.Div(m, chunks))
	chunks = max(1, ceil.Div(m, length))
	var partial devptr
	if chunks > 1 {
		partial = b.scratch(8 * n * chunks)
	}
	keptTable, keptRank := b.nest(kept)
	reducedTable, reducedRank := b.nest(reduced)
	const block = 256
	b.launch(reduceKernels[op], [3]int{ceil.Div(n*chunks*lanes, block), 1, 1}, block, 0,
		b.ptr(dst), partial, b.ptr(x), keptTable, keptRank, reducedTable, reducedRank,
		n, m, length, chunks, int32(lanes), flag(accumulate))
	if chunks > 1 {
		b.launch(reduceKernels[op]+"_chunks", [3]int{ceil.Div(n*32, block), 1, 1}, block, 0,
			b.ptr(dst), partial, keptTable, keptRank, n, chunks, flag(accumulate))
	}
}
