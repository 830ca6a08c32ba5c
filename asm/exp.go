package asm

// Exp computes dst[i] = exp(x[i]) with an error of at most 1 ULP, subnormal
// results included. Exp(+Inf) is +Inf, Exp(-Inf) is 0 and Exp(NaN) is NaN; a
// result beyond the range of float32 is +Inf. dst may be x.
func Exp(dst, x []float32) {
	checkLen("exp", "x", len(x), len(dst))
	exp(dst, x)
}

// Sigmoid computes dst[i] = 1/(1 + exp(-x[i])) with an error of at most 2.5 ULP; below
// -88.7, where it is subnormal, it may be 0. dst may be x.
func Sigmoid(dst, x []float32) {
	checkLen("sigmoid", "x", len(x), len(dst))
	sigmoid(dst, x)
}

// sumBlock bounds the number of terms that kernels add up in float32; longer
// sums are continued in float64. A block fits in the L1 cache twice.
const sumBlock = 4096

// powerBits is the binary logarithm of the factor that powerSum applies.
const powerBits = 24

// powerSumBlocks computes y[i] = 2**(scale*x[i] + shift + 24) and returns the
// sum.
func powerSumBlocks(y, x []float32, scale, shift float32) float64 {
	var s float64
	for len(x) > sumBlock {
		s += float64(powerSum(y[:sumBlock], x[:sumBlock], scale, shift))
		y, x = y[sumBlock:], x[sumBlock:]
	}
	return s + float64(powerSum(y, x, scale, shift))
}
