//go:build cuda

package gpu

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// CrossEntropy implements tensor.Backend.
func (b *Backend) CrossEntropy(
	loss, nll, dhidden, dtable, hidden, table, targets, logits *tensor.Tensor, smoothing, scale float32,
) {
	defer b.enter("CrossEntropy")()
	n, d, v := hidden.Dim(0), hidden.Dim(1), table.Dim(0)
	b.rows("crossentropy: target", targets, v)
	block := logits.Dim(0)
	parts, count := b.logitParts(min(block, n), v)
	for lo := 0; lo < n; lo += block {
		rows := min(block, n-lo)
		h := b.ptr(hidden) + devptr(lo*d*4)
		b.multiply(&product{
			c: b.ptr(logits), a: h, b: b.ptr(table), m: rows, n: v, k: d, ldc: v, lda: d, ldb: d, transB: true, alpha: 1,
		})
		if count > 1 {
			b.findLogitParts(parts, b.ptr(logits), 0, rows, v, v, count, smoothing != 0)
		}
		grid := [3]int{rows, 1, 1}
		if dhidden != nil {
			grid[1] = count
		}
		b.launch("cross_entropy", grid, logitThreads(v), 0, b.ptr(nll)+devptr(lo*4), b.ptr(logits),
			b.ptr(targets)+devptr(lo*4), parts, int32(v), int32(count), smoothing, scale, flag(dhidden != nil))
		if dhidden != nil {
			b.multiply(&product{
				c: b.ptr(dhidden) + devptr(lo*d*4), a: b.ptr(logits), b: b.ptr(table), m: rows, n: d, k: v,
				ldc: d, lda: v, ldb: d, alpha: 1,
			})
		}
		if dtable != nil {
			p := product{
				c: b.ptr(dtable), a: b.ptr(logits), b: h, m: v, n: d, k: rows, ldc: d, lda: v, ldb: d,
				transA: true, alpha: 1,
			}
			if lo > 0 {
				p.beta = 1
			}
			b.multiply(&p)
		}
	}
	if n == 0 && dtable != nil {
		b.multiply(&product{c: b.ptr(dtable), m: v, n: d, ldc: d, alpha: 1}) // zeros
	}
	b.launch("cross_entropy_sum", [3]int{1, 1, 1}, 256, 0, b.ptr(loss), b.ptr(nll), n, scale)
}

const (
	logitPart     = 8192 // columns of rows of logits that a block has, see kernels/logits.h
	logitPartSize = 32   // bytes of what its kernels find of a part
)

// logitThreads returns how many threads hold a part of a row of logits.
func logitThreads(classes int) int { return 32 * max(1, min(8, ceil.Div(classes, 1024))) }

// logitParts returns the number of parts of rows of logits and, if there are several, memory for what their softmax
// takes of them.
func (b *Backend) logitParts(rows, classes int) (parts devptr, count int) {
	count = max(1, ceil.Div(classes, logitPart))
	if count > 1 {
		parts = b.scratch(logitPartSize * rows * count)
	}
	return parts, count
}

// findLogitParts finds what the softmax takes of parts and, if weighted, what smoothing takes.
func (b *Backend) findLogitParts(parts, logits, weight devptr, rows, ld, classes, count int, weighted bool) {
	b.launch("logit_parts", [3]int{rows, count, 1}, logitThreads(classes), 0,
		parts, logits, weight, ld, int32(classes), int32(count), flag(weighted))
}

// linearMaxColumns is how many columns a block of the kernels of LinearMax has.
const linearMaxColumns = 128

// LinearMax implements tensor.Backend.
func (b *Backend) LinearMax(dst, rows, products, x, w *tensor.Tensor, offsets []int32) {
	defer b.enter("LinearMax")()
	n, k, d := x.Dim(0), x.Dim(1), w.Dim(0)
	b.multiply(&product{
		c: b.ptr(products), a: b.ptr(x), b: b.ptr(w), m: n, n: d, k: k, ldc: d, lda: k, ldb: k, transB: true, alpha: 1,
	})
	b.launch("linear_max", [3]int{len(offsets) - 1, ceil.Div(d, linearMaxColumns), 1}, linearMaxColumns, 0,
		b.ptr(dst), b.ptr(rows), b.ptr(products), b.table(offsets), d)
	b.written(rows)
}

// LinearMaxBackward implements tensor.Backend. A row of dx belongs to one segment,
// and a row of dw takes the segments in order.
func (b *Backend) LinearMaxBackward(dx, dw, dy, x, w, rows *tensor.Tensor) {
	defer b.enter("LinearMaxBackward")()
	segments, d, k := dy.Dim(0), w.Dim(0), w.Dim(1)
	columns := ceil.Div(k, linearMaxColumns)
	if dx != nil {
		b.launch("linear_max_input", [3]int{segments, columns, 1}, linearMaxColumns, 0,
			b.ptr(dx), b.ptr(dy), b.ptr(w), b.ptr(rows), d, k)
	}
	if dw != nil {
		b.launch("linear_max_weight", [3]int{d, columns, 1}, linearMaxColumns, 0,
			b.ptr(dw), b.ptr(dy), b.ptr(x), b.ptr(rows), segments, d, k)
	}
}
