//go:build !amd64 || purego

package asm

func geluStream(dst, x []float32) { geluGeneric(dst, x) }
func geluBackwardStream(dx, dy, x []float32, accumulate bool) {
	geluBackwardGeneric(dx, dy, x, accumulate)
}
func normalizeStream(y, x, gamma, beta []float32, mean, rstd float32) {
	normalizeGeneric(y, x, gamma, beta, mean, rstd)
}
func normalizeBackwardStream(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool) {
	normalizeBackwardGeneric(dx, dy, x, gamma, mean, rstd, meanG, meanGX, accumulate)
}
func softmaxStep(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32) {
	return softmaxStepGeneric(y, work, x, next, inv, scale, shift)
}
func wholeLines([]float32) bool { return true }
func storeFence()               {}

func toWholeLine([]float32) int { return 0 }
