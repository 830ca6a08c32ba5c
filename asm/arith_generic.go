package asm

import "math"

func subGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x - b[i]
	}
}

func divGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = x / b[i]
	}
}

func maximumGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = max(x, b[i])
	}
}

func minimumGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = min(x, b[i])
	}
}

func lessGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = oneIf(x < b[i])
	}
}

func equalGeneric(dst, a, b []float32) {
	for i, x := range a {
		dst[i] = oneIf(x == b[i])
	}
}

func oneIf(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

func whereGeneric(dst, mask, a, b []float32) {
	for i, m := range mask {
		if m != 0 {
			dst[i] = a[i]
		} else {
			dst[i] = b[i]
		}
	}
}

func absGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
	}
}

func sqrtGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(math.Sqrt(float64(v)))
	}
}

func logGeneric(dst, x []float32)   { inFloat64(dst, x, math.Log) }
func log1pGeneric(dst, x []float32) { inFloat64(dst, x, math.Log1p) }
func sinGeneric(dst, x []float32)   { inFloat64(dst, x, math.Sin) }
func cosGeneric(dst, x []float32)   { inFloat64(dst, x, math.Cos) }

// inFloat64 computes a function in float64 and rounds once.
func inFloat64(dst, x []float32, f func(float64) float64) {
	for i, v := range x {
		dst[i] = float32(f(float64(v)))
	}
}

func clampGeneric(dst, x []float32, lo, hi float32) {
	for i, v := range x {
		if v < lo {
			v = lo
		}
		if v > hi {
			v = hi
		}
		dst[i] = v
	}
}

func sigmoidGeneric(dst, x []float32) {
	inFloat64(dst, x, sigmoid64)
}
