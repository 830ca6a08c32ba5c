//go:build cuda

package gpu

import (
	"fmt"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// elements launches a kernel of elements.cu for n elements.
func (b *Backend) elements(kernel string, n int, args ...any) {
	b.launch(kernel, [3]int{ceil.Div(n, 1024), 1, 1}, 256, 0, args...)
}

// flag returns the parameter of a kernel that is a condition.
func flag(on bool) int32 {
	if on {
		return 1
	}
	return 0
}

// Fill implements tensor.Backend.
func (b *Backend) Fill(dst *tensor.Tensor, value float32) {
	defer b.enter("Fill")()
	b.fill(dst, value)
}

func (b *Backend) fill(dst *tensor.Tensor, value float32) {
	b.elements("fill", dst.Len(), b.dense(dst), value, dst.Len())
}

// Add implements tensor.Backend.
func (b *Backend) Add(dst, x, y *tensor.Tensor) {
	defer b.enter("Add")()
	b.elements("add", dst.Len(), b.dense(dst), b.dense(x), b.dense(y), dst.Len())
}

// Axpy implements tensor.Backend.
func (b *Backend) Axpy(alpha float32, x, y *tensor.Tensor) {
	defer b.enter("Axpy")()
	b.elements("axpy", y.Len(), b.dense(y), alpha, b.dense(x), y.Len())
}

// Scale implements tensor.Backend.
func (b *Backend) Scale(dst *tensor.Tensor, alpha float32, x *tensor.Tensor) {
	defer b.enter("Scale")()
	b.elements("scale", dst.Len(), b.dense(dst), alpha, b.dense(x), dst.Len())
}

// MulScalar implements tensor.Backend.
func (b *Backend) MulScalar(dst, x, s *tensor.Tensor, accumulate bool) {
	defer b.enter("MulScalar")()
	b.elements("mul_scalar", dst.Len(), b.dense(dst), b.dense(x), b.dense(s), dst.Len(), flag(accumulate))
}

// GELU implements tensor.Backend.
func (b *Backend) GELU(dst, x *tensor.Tensor) {
	defer b.enter("GELU")()
	b.elements("gelu", dst.Len(), b.dense(dst), b.dense(x), dst.Len())
}

// GELUBackward implements tensor.Backend.
func (b *Backend) GELUBackward(dx, dy, x *tensor.Tensor, accumulate bool) {
	defer b.enter("GELUBackward")()
	b.elements("gelu_backward", dx.Len(), b.dense(dx), b.dense(dy), b.dense(x), dx.Len(), flag(accumulate))
}

// streamShift is the binary logarithm of the number of elements in a stream of
// dropout.
const streamShift = 36

// Dropout implements tensor.Backend.
func (b *Backend) Dropout(dst, x *tensor.Tensor, p float32, seed, stream uint64) {
	defer b.enter("Dropout")()
	b.dropout(b.dense(dst), b.dense(x), 0, dst.Len(), p, seed, stream<<streamShift)
}

// AddDropout implements tensor.Backend.
func (b *Backend) AddDropout(dst, x, y *tensor.Tensor, p float32, seed, stream uint64) {
	defer b.enter("AddDropout")()
	b.dropout(b.dense(dst), b.dense(y), b.dense(x), dst.Len(), p, seed, stream<<streamShift)
}

// dropout sets n elements of dst to what asm.Dropout makes of x, from a counter on,
// and adds sum unless it is 0.
func (b *Backend) dropout(dst, x, sum devptr, n int, p float32, seed, counter uint64) {
	factor, threshold := dropoutScale(p)
	for n > 0 {
		// The key belongs to the upper half of the counter.
		part := int(min(uint64(n), 1<<32-counter&(1<<32-1)))
		key := dropoutKey(seed, counter>>32)
		b.elements("dropout", part, dst, x, sum, part, factor, threshold, uint32(counter)+uint32(key), uint32(key>>32))
		n, counter = n-part, counter+uint64(part)
		dst, x = dst+devptr(4*part), x+devptr(4*part)
		if sum != 0 {
			sum += devptr(4 * part)
		}
	}
}

// dropoutScale returns what elements that are kept are multiplied by, and the least
// hash of these.
func dropoutScale(p float32) (factor float32, threshold uint32) {
	if !(p >= 0 && p < 1) {
		panic(fmt.Sprintf("dropout: probability %v is not in [0, 1)", p))
	}
	return float32(1 / (1 - float64(p))), uint32(float64(p) * (1 << 32))
}

// dropoutKey mixes a seed and the upper half of a counter to two 32-bit keys, as
// asm.Dropout does: the lower one is added to the lower half of the counter, the
// upper one is that of the hash.
func dropoutKey(seed, upper uint64) uint64 { return mix(mix(seed) ^ upper) }

// mix is one round of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
