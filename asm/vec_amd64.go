//go:build amd64 && !purego

package asm

// The kernels for AVX2 and AVX-512 are in vec_*_amd64.h; the comment on each
// there is the loop that it computes, the portable version in *_generic.go its
// specification.

//go:noescape
func axpyAVX2(alpha float32, x, y []float32)

//go:noescape
func axpyAVX512(alpha float32, x, y []float32)

func axpy(alpha float32, x, y []float32) {
	switch isa {
	case AVX512:
		axpyAVX512(alpha, x, y)
	case AVX2:
		axpyAVX2(alpha, x, y)
	default:
		axpyGeneric(alpha, x, y)
	}
}

//go:noescape
func axpyFetchAVX2(alpha float32, x, y, nextX, nextY []float32)

func axpyFetch(alpha float32, x, y, nextX, nextY []float32) {
	if isa == Generic {
		axpyGeneric(alpha, x, y)
		return
	}
	axpyFetchAVX2(alpha, x, y, nextX, nextY) // the bits of AVX-512, which fetches more slowly
}

//go:noescape
func addRows4AVX2(dst, x []float32, ld int)

//go:noescape
func addRows4AVX512(dst, x []float32, ld int)

func addRows4(dst, x []float32, ld int) {
	switch isa {
	case AVX512:
		addRows4AVX512(dst, x, ld)
	case AVX2:
		addRows4AVX2(dst, x, ld)
	default:
		addRows4Generic(dst, x, ld)
	}
}

//go:noescape
func sumAVX2(x []float32) float64

func sum(x []float32) float64 {
	if isa == Generic {
		return sumGeneric(x)
	}
	return sumAVX2(x) // the conversions of AVX-512 take longer on Zen 4: 61 GB/s, not 91
}

//go:noescape
func sumSquaresAVX2(x []float32) float64

//go:noescape
func sumSquaresAVX512(x []float32) float64

func sumSquares(x []float32) float64 {
	switch isa {
	case AVX512:
		return sumSquaresAVX512(x)
	case AVX2:
		return sumSquaresAVX2(x)
	default:
		return sumSquaresGeneric(x)
	}
}

//go:noescape
func dotAVX2(x, y []float32) float32

//go:noescape
func dotAVX512(x, y []float32) float32

func dot(x, y []float32) float32 {
	switch isa {
	case AVX512:
		return dotAVX512(x, y)
	case AVX2:
		return dotAVX2(x, y)
	default:
		return dotGeneric(x, y)
	}
}

//go:noescape
func maxScaledAVX2(x []float32, alpha float32) float32

//go:noescape
func maxScaledAVX512(x []float32, alpha float32) float32

func maxScaled(x []float32, alpha float32) float32 {
	switch isa {
	case AVX512:
		return maxScaledAVX512(x, alpha)
	case AVX2:
		return maxScaledAVX2(x, alpha)
	default:
		return maxScaledGeneric(x, alpha)
	}
}

//go:noescape
func expAVX2(dst, x []float32)

//go:noescape
func expAVX512(dst, x []float32)

func exp(dst, x []float32) {
	switch isa {
	case AVX512:
		expAVX512(dst, x)
	case AVX2:
		expAVX2(dst, x)
	default:
		expGeneric(dst, x)
	}
}

//go:noescape
func sigmoidAVX2(dst, x []float32)

//go:noescape
func sigmoidAVX512(dst, x []float32)

func sigmoid(dst, x []float32) {
	switch isa {
	case AVX512:
		sigmoidAVX512(dst, x)
	case AVX2:
		sigmoidAVX2(dst, x)
	default:
		sigmoidGeneric(dst, x)
	}
}

//go:noescape
func powerSumAVX2(y, x []float32, scale, shift float32) float32

//go:noescape
func powerSumAVX512(y, x []float32, scale, shift float32) float32

func powerSum(y, x []float32, scale, shift float32) float32 {
	switch isa {
	case AVX512:
		return powerSumAVX512(y, x, scale, shift)
	case AVX2:
		return powerSumAVX2(y, x, scale, shift)
	default:
		return powerSumGeneric(y, x, scale, shift)
	}
}

//go:noescape
func powerSumMaxAVX2(y, x, next []float32, scale, shift float32) (sum, greatest float32)

//go:noescape
func powerSumMaxAVX512(y, x, next []float32, scale, shift float32) (sum, greatest float32)

func powerSumMax(y, x, next []float32, scale, shift float32) (sum, greatest float32) {
	switch isa {
	case AVX512:
		return powerSumMaxAVX512(y, x, next, scale, shift)
	case AVX2:
		return powerSumMaxAVX2(y, x, next, scale, shift)
	default:
		return powerSumMaxGeneric(y, x, next, scale, shift)
	}
}

//go:noescape
func sumExpAVX2(x []float32, shift float32) (sum float32)

//go:noescape
func sumExpAVX512(x []float32, shift float32) (sum float32)

func sumExp(x []float32, shift float32) float32 {
	switch isa {
	case AVX512:
		return sumExpAVX512(x, shift)
	case AVX2:
		return sumExpAVX2(x, shift)
	default:
		return sumExpGeneric(x, shift)
	}
}

//go:noescape
func erfAVX2(dst, x []float32)

//go:noescape
func erfAVX512(dst, x []float32)

func erf(dst, x []float32) {
	switch isa {
	case AVX512:
		erfAVX512(dst, x)
	case AVX2:
		erfAVX2(dst, x)
	default:
		erfGeneric(dst, x)
	}
}

//go:noescape
func tanhAVX2(dst, x []float32)

//go:noescape
func tanhAVX512(dst, x []float32)

func tanh(dst, x []float32) {
	switch isa {
	case AVX512:
		tanhAVX512(dst, x)
	case AVX2:
		tanhAVX2(dst, x)
	default:
		tanhGeneric(dst, x)
	}
}

//go:noescape
func geluAVX2(dst, x []float32)

//go:noescape
func geluAVX512(dst, x []float32)

func gelu(dst, x []float32) {
	switch isa {
	case AVX512:
		geluAVX512(dst, x)
	case AVX2:
		geluAVX2(dst, x)
	default:
		geluGeneric(dst, x)
	}
}

//go:noescape
func geluBackwardAVX2(dx, dy, x []float32, accumulate bool)

//go:noescape
func geluBackwardAVX512(dx, dy, x []float32, accumulate bool)

func geluBackward(dx, dy, x []float32, accumulate bool) {
	switch isa {
	case AVX512:
		geluBackwardAVX512(dx, dy, x, accumulate)
	case AVX2:
		geluBackwardAVX2(dx, dy, x, accumulate)
	default:
		geluBackwardGeneric(dx, dy, x, accumulate)
	}
}

//go:noescape
func momentsAVX2(x []float32, shift float32) (sum, squares float32)

//go:noescape
func momentsAVX512(x []float32, shift float32) (sum, squares float32)

func moments(x []float32, shift float32) (sum, squares float32) {
	switch isa {
	case AVX512:
		return momentsAVX512(x, shift)
	case AVX2:
		return momentsAVX2(x, shift)
	default:
		return momentsGeneric(x, shift)
	}
}

//go:noescape
func normalizeAVX2(y, x, gamma, beta []float32, mean, rstd float32)

//go:noescape
func normalizeAVX512(y, x, gamma, beta []float32, mean, rstd float32)

func normalize(y, x, gamma, beta []float32, mean, rstd float32) {
	switch isa {
	case AVX512:
		normalizeAVX512(y, x, gamma, beta, mean, rstd)
	case AVX2:
		normalizeAVX2(y, x, gamma, beta, mean, rstd)
	default:
		normalizeGeneric(y, x, gamma, beta, mean, rstd)
	}
}

//go:noescape
func normalizeGradientAVX2(dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32)

//go:noescape
func normalizeGradientAVX512(dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32)

func normalizeGradient(dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32) {
	switch isa {
	case AVX512:
		return normalizeGradientAVX512(dgamma, dbeta, dy, x, gamma, mean, rstd)
	case AVX2:
		return normalizeGradientAVX2(dgamma, dbeta, dy, x, gamma, mean, rstd)
	default:
		return normalizeGradientGeneric(dgamma, dbeta, dy, x, gamma, mean, rstd)
	}
}

//go:noescape
func normalizeBackwardAVX2(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool)

//go:noescape
func normalizeBackwardAVX512(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool)

func normalizeBackward(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool) {
	switch isa {
	case AVX512:
		normalizeBackwardAVX512(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	case AVX2:
		normalizeBackwardAVX2(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	default:
		normalizeBackwardGeneric(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
	}
}

//go:noescape
func adamWAVX2(p, g, m, v []float32, c *adamWCoef)

//go:noescape
func adamWAVX512(p, g, m, v []float32, c *adamWCoef)

func adamW(p, g, m, v []float32, c *adamWCoef) {
	switch isa {
	case AVX512:
		adamWAVX512(p, g, m, v, c)
	case AVX2:
		adamWAVX2(p, g, m, v, c)
	default:
		adamWGeneric(p, g, m, v, c)
	}
}

//go:noescape
func dropoutAVX2(dst, x []float32, inv float32, threshold, counter, key uint32)

//go:noescape
func dropoutAVX512(dst, x []float32, inv float32, threshold, counter, key uint32)

func dropout(dst, x []float32, inv float32, threshold, counter, key uint32) {
	switch isa {
	case AVX512:
		dropoutAVX512(dst, x, inv, threshold, counter, key)
	case AVX2:
		dropoutAVX2(dst, x, inv, threshold, counter, key)
	default:
		dropoutGeneric(dst, x, inv, threshold, counter, key)
	}
}

//go:noescape
func toBF16AVX2(dst []uint16, x []float32)

//go:noescape
func toBF16AVX512(dst []uint16, x []float32)

func toBF16(dst []uint16, x []float32) {
	n := 0
	switch isa {
	case AVX512:
		n = len(dst) &^ 15
		toBF16AVX512(dst[:n], x[:n])
	case AVX2:
		n = len(dst) &^ 7
		toBF16AVX2(dst[:n], x[:n])
	}
	toBF16Generic(dst[n:], x[n:])
}

//go:noescape
func fromBF16AVX2(dst []float32, x []uint16)

//go:noescape
func fromBF16AVX512(dst []float32, x []uint16)

func fromBF16(dst []float32, x []uint16) {
	n := 0
	switch isa {
	case AVX512:
		n = len(dst) &^ 15
		fromBF16AVX512(dst[:n], x[:n])
	case AVX2:
		n = len(dst) &^ 7
		fromBF16AVX2(dst[:n], x[:n])
	}
	fromBF16Generic(dst[n:], x[n:])
}
