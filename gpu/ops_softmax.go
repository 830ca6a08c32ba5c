//go:build cuda

package gpu

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// SoftmaxRows sets each row of y to the softmax of that of x, both contiguous.
func (b *Backend) SoftmaxRows(y, x *tensor.Tensor) {
	defer b.enter("SoftmaxRows")()
	cols := x.Dim(-1)
	b.launch("softmax_rows", [3]int{x.Rows(), 1, 1}, rowThreads(cols), 0, b.dense(y), b.dense(x), int32(cols))
}

// SoftmaxRowsBackward sets (adds) dx = y*(dy - sum of y*dy) row by row, all
// contiguous.
func (b *Backend) SoftmaxRowsBackward(dx, dy, y *tensor.Tensor, accumulate bool) {
	defer b.enter("SoftmaxRowsBackward")()
	cols := y.Dim(-1)
	b.launch("softmax_rows_backward", [3]int{y.Rows(), 1, 1}, rowThreads(cols), 0,
		b.dense(dx), b.dense(dy), b.dense(y), int32(cols), flag(accumulate))
}

// rowThreads returns how many threads work on a row: as many as hold it, up to a whole block.
func rowThreads(cols int) int { return 32 * max(1, min(32, ceil.Div(cols, 512))) }
