//go:build cuda

package gpu

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// CrossEntropyRows implements tensor.Backend.
func (b *Backend) CrossEntropyRows(
	losses, counts, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32,
) {
	defer b.enter("CrossEntropyRows")()
	n, classes := b.mustTargets(logits, targets, ignore)
	parts, count := b.rowParts(logits, weight, smoothing)
	b.launch("cross_entropy_rows", [3]int{n, 1, 1}, logitThreads(classes), 0,
		b.dense(losses), b.dense(counts), b.ptr(logits), b.dense(targets), b.dense(weight), parts, logits.Strides()[0],
		int32(classes), int32(count), smoothing, ignore)
}

// CrossEntropyRowsBackward implements tensor.Backend.
func (b *Backend) CrossEntropyRowsBackward(
	dlogits, dlosses, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32, accumulate bool,
) {
	defer b.enter("CrossEntropyRowsBackward")()
	n, classes := b.mustTargets(logits, targets, ignore)
	parts, count := b.rowParts(logits, weight, smoothing)
	b.launch("cross_entropy_rows_backward", [3]int{n, count, 1}, logitThreads(classes), 0,
		b.ptr(dlogits), b.dense(dlosses), b.ptr(logits), b.dense(targets), b.dense(weight), parts, dlogits.Strides()[0],
		logits.Strides()[0], int32(classes), int32(count), smoothing, ignore, flag(accumulate))
}

// rowParts finds what the softmax of rows takes of their parts, if they have several.
func (b *Backend) rowParts(logits, weight *tensor.Tensor, smoothing float32) (parts devptr, count int) {
	n, classes := logits.Shape()[0], logits.Shape()[1]
	parts, count = b.logitParts(n, classes)
	if count > 1 {
		ld := logits.Strides()[0]
		b.findLogitParts(parts, b.ptr(logits), b.dense(weight), n, ld, classes, count, smoothing > 0)
	}
	return parts, count
}

// mustTargets panics unless all targets are classes or ignored. It returns the size of
// logits.
func (b *Backend) mustTargets(logits, targets *tensor.Tensor, ignore int32) (rows, classes int) {
	rows, classes = logits.Shape()[0], logits.Shape()[1]
	for i, target := range b.hostInts(targets) {
		if target != ignore && (target < 0 || int(target) >= classes) {
			panic(fmt.Sprintf("cross-entropy: target %d of %d classes, at position %d", target, classes, i))
		}
	}
	return rows, classes
}
