package asm

import "math"

func geluGeneric(dst, x []float32) {
	for i, v := range x {
		x := float64(v)
		if math.IsInf(x, -1) {
			dst[i] = 0
			continue
		}
		dst[i] = float32(x * 0.5 * math.Erfc(x*-(1/math.Sqrt2)))
	}
}

// geluSlope returns Phi(x) + x*phi(x).
func geluSlope(x float64) float64 {
	if math.IsInf(x, 0) {
		x = math.Copysign(40, x) // the limit, without Inf*0
	}
	const invSqrt2Pi = 1 / (math.Sqrt2 * math.SqrtPi)
	return float64(0.5*math.Erfc(x*-(1/math.Sqrt2))) + float64(x*invSqrt2Pi*math.Exp(-0.5*x*x))
}

func geluBackwardGeneric(dx, dy, x []float32, accumulate bool) {
	for i, v := range x {
		d := float32(dy[i] * float32(geluSlope(float64(v))))
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}
