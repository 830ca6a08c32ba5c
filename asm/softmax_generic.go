package asm

// softmaxBackwardGeneric computes ds[i] = p[i]*(dp[i]-delta) and returns the
// sum.
func softmaxBackwardGeneric(ds, p, dp []float32, delta float32) float32 {
	var s float64
	for i, v := range p {
		ds[i] = v * (dp[i] - delta)
		s += float64(ds[i])
	}
	return float32(s)
}

// softmaxStepGeneric computes y[i] = inv*work[i], and then powerSumMaxGeneric
// with the powers in work.
func softmaxStepGeneric(y, work, x, next []float32, inv, scale, shift float32) (sum, greatest float32) {
	scaleGeneric(y, inv, work)
	return powerSumMaxGeneric(work, x, next, scale, shift)
}
