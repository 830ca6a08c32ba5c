//go:build amd64 && !purego

package asm

import "unsafe"

// storeFence orders streamed stores before all later ones.
func storeFence()

// wholeLines reports whether x starts at a multiple of 64 bytes, as streamed stores
// require.
func wholeLines(x []float32) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(x)))%64 == 0 }

// toWholeLine returns the number of elements before the first that starts a line.
func toWholeLine(x []float32) int { return int(-uintptr(unsafe.Pointer(unsafe.SliceData(x)))/4) & 15 }

//go:noescape
func softmaxStepAVX2(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32)

//go:noescape
func softmaxStepAVX512(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32)

func softmaxStep(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32) {
	switch isa {
	case AVX512:
		return softmaxStepAVX512(y, work, x, next, inv, scale, shift)
	case AVX2:
		return softmaxStepAVX2(y, work, x, next, inv, scale, shift)
	default:
		return softmaxStepGeneric(y, work, x, next, inv, scale, shift)
	}
}

//go:noescape
func geluStreamAVX2(dst, x []float32)

//go:noescape
func geluStreamAVX512(dst, x []float32)

func geluStream(dst, x []float32) {
	switch {
	case isa == AVX512 && wholeLines(dst):
		geluStreamAVX512(dst, x)
	case isa == AVX2 && wholeLines(dst):
		geluStreamAVX2(dst, x)
	default:
		gelu(dst, x)
	}
}

//go:noescape
func geluBackwardStreamAVX2(dx, dy, x []float32, accumulate bool)

//go:noescape
func geluBackwardStreamAVX512(dx, dy, x []float32, accumulate bool)

func geluBackwardStream(dx, dy, x []float32, accumulate bool) {
	switch {
	case isa == AVX512 && wholeLines(dx):
		geluBackwardStreamAVX512(dx, dy, x, accumulate)
	case isa == AVX2 && wholeLines(dx):
		geluBackwardStreamAVX2(dx, dy, x, accumulate)
	default:
		geluBackward(dx, dy, x, accumulate)
	}
}

//go:noescape
func normalizeStreamAVX2(y, x, gamma, beta []float32, mean, rstd float32)

//go:noescape
func normalizeStreamAVX512(y, x, gamma, beta []float32, mean, rstd float32)

func normalizeStream(y, x, gamma, beta []float32, mean, rstd float32) {
	switch {
	case isa == AVX512 && wholeLines(y):
		normalizeStreamAVX512(y, x, gamma, beta, mean, rstd)
	case isa == AVX2 && wholeLines(y):
		normalizeStreamAVX2(y, x, gamma, beta, mean, rstd)
	default:
		normalize(y, x, gamma, beta, mean, rstd)
	}
}

//go:noescape
func normalizeBackwardStreamAVX2(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool)

//go:noescape
func normalizeBackwardStreamAVX512(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool)

func normalizeBackwardStream(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool) {
	switch {
	case isa == AVX512 && wholeLines(dx):
		normalizeBackwardStreamAVX512(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	case isa == AVX2 && wholeLines(dx):
		normalizeBackwardStreamAVX2(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	default:
		normalizeBackward(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	}
}
