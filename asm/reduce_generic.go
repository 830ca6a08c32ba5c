package asm

import "math"

func sumGeneric(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	return s
}

func sumSquaresGeneric(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(float64(v) * float64(v))
	}
	return s
}

func dotGeneric(x, y []float32) float32 {
	var s float64
	for i, v := range x {
		s += float64(float64(v) * float64(y[i]))
	}
	return float32(s)
}

// maxScaledGeneric returns the maximum of alpha*x[i]: -Inf if x is empty, NaN
// if any product is NaN.
func maxScaledGeneric(x []float32, alpha float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, alpha*v)
	}
	return m
}
