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
	b.launch("cross_entropy_rows", [3]int{n, 1, 1}, rowThreads(classes), 0,
		b.dense(losses), b.dense(counts), b.ptr(logits), b.dense(targets), b.dense(weight), logits.Strides()[0],
		int32(classes), smoothing, ignore)
}

// CrossEntropyRowsBackward implements tensor.Backend.
func (b *Backend) CrossEntropyRowsBackward(
	dlogits, dlosses, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32, accumulate bool,
) {
	defer b.enter("CrossEntropyRowsBackward")()
	n, classes := b.mustTargets(logits, targets, ignore)
	b.launch("cross_entropy_rows_backward", [3]int{n, 1, 1}, rowThreads(classes), 0,
		b.ptr(dlogits), b.dense(dlosses), b.ptr(logits), b.dense(targets), b.dense(weight),
		dlogits.Strides()[0], logits.Strides()[0], int32(classes), smoothing, ignore, flag(accumulate))
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
