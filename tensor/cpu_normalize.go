package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// Normalize implements Backend.
func (c *CPU) Normalize(y, norm, x *Tensor) {
	d := x.shape[1]
	rowSpans.run(c.pool, x.shape[0], rowGrain(d), rowArgs{
		out: y.Float32s(), x: x.Float32s(), mean: norm.Float32s(), width: d,
	}, normalize)
}

// Norms in this range, and their inverses, are normal float32 numbers.
const (
	minNorm = 0x1p-126
	maxNorm = 0x1p126
)

func normalize(a *rowArgs, lo, hi int) {
	d := a.width
	for i := lo; i < hi; i++ {
		x, y := a.x[i*d:(i+1)*d], a.out[i*d:(i+1)*d]
		norm := math.Sqrt(asm.SumSquares(x))
		if n := float32(norm); n >= minNorm && n <= maxNorm {
			a.mean[i] = n
			asm.Scale(y, 1/n, x)
			continue
		}
		a.mean[i] = packNorm(norm)
		if norm == 0 {
			clear(y)
			continue
		}
		for j, v := range x {
			y[j] = float32(float64(v) / norm)
		}
	}
}

// packNorm encodes a norm for the backward pass. A norm outside the range of
// ordinary float32 numbers is multiplied by normShift or its inverse, and
// negated as a mark.
func packNorm(norm float64) float32 {
	switch {
	case norm == 0 || norm >= minNorm && norm <= maxNorm || math.IsInf(norm, 0) || math.IsNaN(norm):
		return float32(norm)
	case norm < 1:
		return float32(-norm * normShift)
	}
	return float32(-norm / normShift)
}

const normShift = 0x1p64

// unpackNorm is the inverse of packNorm.
func unpackNorm(packed float32) float64 {
	norm := float64(packed)
	switch {
	case norm >= 0 || norm != norm:
		return norm
	case norm > -1:
		return -norm / normShift
	}
	return -norm * normShift
}

// NormalizeBackward implements Backend.
func (c *CPU) NormalizeBackward(dx, dy, y, norm *Tensor) {
	d := dx.shape[1]
	rowSpans.run(c.pool, dx.shape[0], rowGrain(d), rowArgs{
		out: dx.Float32s(), x: y.Float32s(), y: dy.Float32s(), mean: norm.Float32s(), width: d,
	}, normalizeGradient)
}

func normalizeGradient(a *rowArgs, lo, hi int) {
	d := a.width
	for i := lo; i < hi; i++ {
		y, dy, dx := a.x[i*d:(i+1)*d], a.y[i*d:(i+1)*d], a.out[i*d:(i+1)*d]
		norm := unpackNorm(a.mean[i])
		if norm == 0 {
			continue
		}
		if norm >= minNorm && norm <= maxNorm {
			inv := 1 / float32(norm)
			asm.Axpy(inv, dy, dx)
			asm.Axpy(-inv*asm.Dot(y, dy), y, dx)
			continue
		}
		dot := 0.0
		for j, v := range y {
			dot += float64(float64(v) * float64(dy[j]))
		}
		for j, v := range y {
			dx[j] += float32((float64(dy[j]) - float64(float64(v)*dot)) / norm)
		}
	}
}
