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
	// exp(x) = 2**n * exp(r) with |r| <= ln(2)/2, exp(r) by its Taylor series.
	const round = 0x1.8p52 // adding it leaves an integer in the low bits
	n := float64(x)*math.Log2E + round
	n -= round
	r := float64(x) - n*math.Ln2
	p := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040+r*(1./40320))))))))
	return float32(p * math.Float64frombits(uint64(int64(n)+1023)<<52))
}

func expGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = exp32(v)
	}
}

// The kernels from here on are for scores less their maximum or their
// log-sum-exp, so that x is at most 70 where exp(x) is asked for; vectorised,
// they have an error below 1.2 + |x|/20 ULP.

// expSumGeneric computes y[i] = exp(scale*x[i] + shift) and returns the sum.
func expSumGeneric(y, x []float32, scale, shift float32) float32 {
	var s float64
	for i, v := range x {
		y[i] = exp32(scale*v + shift)
		s += float64(y[i])
	}
	return float32(s)
}

// sumExpGeneric returns the sums of exp(x[i] + shift) and of x[i] + shift.
func sumExpGeneric(x []float32, shift float32) (sum, total float32) {
	var s, t float64
	for _, v := range x {
		s += float64(exp32(v + shift))
		t += float64(v + shift)
	}
	return float32(s), float32(t)
}
