//go:build !amd64 || purego

package asm

func axpy(alpha float32, x, y []float32)            { axpyGeneric(alpha, x, y) }
func axpyFetch(alpha float32, x, y, _, _ []float32) { axpyGeneric(alpha, x, y) }
func addRows4(dst, x []float32, ld int)             { addRows4Generic(dst, x, ld) }

func sum(x []float32) float64                      { return sumGeneric(x) }
func sumSquares(x []float32) float64               { return sumSquaresGeneric(x) }
func dot(x, y []float32) float32                   { return dotGeneric(x, y) }
func maxScaled(x []float32, alpha float32) float32 { return maxScaledGeneric(x, alpha) }

func exp(dst, x []float32)     { expGeneric(dst, x) }
func sigmoid(dst, x []float32) { sigmoidGeneric(dst, x) }
func powerSum(y, x []float32, scale, shift float32) float32 {
	return powerSumGeneric(y, x, scale, shift)
}
func powerSumMax(y, x, next []float32, scale, shift float32) (sum, greatest float32) {
	return powerSumMaxGeneric(y, x, next, scale, shift)
}
func sumExp(x []float32, shift float32) float32 {
	return sumExpGeneric(x, shift)
}

func erf(dst, x []float32)  { erfGeneric(dst, x) }
func tanh(dst, x []float32) { tanhGeneric(dst, x) }
func gelu(dst, x []float32) { geluGeneric(dst, x) }
func geluBackward(dx, dy, x []float32, accumulate bool) {
	geluBackwardGeneric(dx, dy, x, accumulate)
}

func moments(x []float32, shift float32) (sum, squares float32) { return momentsGeneric(x, shift) }
func normalize(y, x, gamma, beta []float32, mean, rstd float32) {
	normalizeGeneric(y, x, gamma, beta, mean, rstd)
}
func normalizeGradient(dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32) {
	return normalizeGradientGeneric(dgamma, dbeta, dy, x, gamma, mean, rstd)
}
func normalizeBackward(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool) {
	normalizeBackwardGeneric(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
}

func adamW(p, g, m, v []float32, c *adamWCoef) { adamWGeneric(p, g, m, v, c) }
func dropout(dst, x []float32, inv float32, threshold, counter, key uint32) {
	dropoutGeneric(dst, x, inv, threshold, counter, key)
}
func toBF16(dst []uint16, x []float32)   { toBF16Generic(dst, x) }
func fromBF16(dst []float32, x []uint16) { fromBF16Generic(dst, x) }
