package asm

import "math"

// exp32 returns exp(x), computed in float64 and rounded once: the error is
// below 0.51 ULP.
func exp32(x float32) float32 {
	switch {
	case x > 89: // exp(88.73) overflows
		return float32(math.Inf(1))
	case x < -104: // exp(-103.98) rounds to zero
		return 0
	case x != x:
		return x
	}
	return float32(exp64(float64(x)))
}

// exp64 returns exp(x) for |x| < 700, where exp(x) = 2**n * exp(r) with
// |r| <= ln(2)/2, and exp(r) is taken from its Taylor series.
func exp64(x float64) float64 {
	const round = 0x1.8p52 // adding it leaves an integer in the low bits
	n := float64(x*math.Log2E) + round
	n -= round
	r := x - float64(n*math.Ln2)
	p := 1./5040 + float64(r*(1./40320))
	p = 1./720 + float64(r*p)
	p = 1./120 + float64(r*p)
	p = 1./24 + float64(r*p)
	p = 1./6 + float64(r*p)
	p = 1./2 + float64(r*p)
	p = 1 + float64(r*p)
	p = 1 + float64(r*p)
	return p * math.Float64frombits(uint64(int64(n)+1023)<<52)
}

func expGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = exp32(v)
	}
}

// The kernels from here on take scores less their maximum or their log-sum-exp, so
// that x is at most 70 (100 bits). The vectorised versions have an error below
// 1.2 + |x|/20 ULP.

// powerSumGeneric computes y[i] = 2**(scale*x[i] + shift + 24) and returns the
// sum. The factor 2**24 keeps results normal that are subnormal after the division
// by the sum: they are rounded once.
func powerSumGeneric(y, x []float32, scale, shift float32) float32 {
	var s float64
	for i, v := range x {
		t := float64(float64(scale)*float64(v)) + float64(shift)
		if t < -150 {
			t = -150
		}
		y[i] = float32(exp64(float64((t + powerBits) * math.Ln2)))
		s += float64(y[i])
	}
	return float32(s)
}

// powerSumMaxGeneric is powerSumGeneric and also returns the greatest element of
// next, ignoring NaN.
func powerSumMaxGeneric(y, x, next []float32, scale, shift float32) (sum, greatest float32) {
	greatest = negInf
	for _, v := range next {
		if v > greatest {
			greatest = v
		}
	}
	return powerSumGeneric(y, x, scale, shift), greatest
}

// sumExpGeneric returns the sum of exp(x[i] + shift).
func sumExpGeneric(x []float32, shift float32) float32 {
	var s float64
	for _, v := range x {
		s += float64(exp32(v + shift))
	}
	return float32(s)
}
