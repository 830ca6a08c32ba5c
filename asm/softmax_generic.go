package asm

// softmaxStepGeneric computes y[i] = inv*work[i], and then powerSumMaxGeneric
// with the powers in work.
func softmaxStepGeneric(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32) {
	scaleGeneric(y, inv, work)
	return powerSumMaxGeneric(work, x, next, scale, shift)
}
