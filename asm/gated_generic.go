package asm

import "math"

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func swiGLUGeneric(dst, gate, up []float32) {
	for i, x := range gate {
		dst[i] = float32(x*float32(sigmoid64(float64(x)))) * up[i]
	}
}

func swiGLUBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	for i, x := range gate {
		s, d, u := float32(sigmoid64(float64(x))), dy[i], up[i]
		silu := float32(x * s)
		dup[i] = d * silu
		dgate[i] = float32(d*u) * (s + float32(silu*(1-s)))
	}
}

func rotateGeneric(dst, x, cos, sin []float32, heads int, sign float32) {
	half := len(cos)
	for h := range heads {
		a, b := x[2*h*half:][:half], x[(2*h+1)*half:][:half]
		first, second := dst[2*h*half:][:half], dst[(2*h+1)*half:][:half]
		for i, c := range cos {
			s, v, w := sign*sin[i], a[i], b[i]
			first[i] = float32(v*c) - float32(w*s)
			second[i] = float32(w*c) + float32(v*s)
		}
	}
}
