package asm

import "math"

func adamWGeneric(p, g, m, v []float32, c *adamWCoef) {
	for i := range p {
		gi := g[i] * c.gradScale
		m[i] = float32(c.beta1*m[i]) + float32(c.grad1*gi)
		v[i] = float32(c.beta2*v[i]) + float32(c.grad2*gi*gi)
		denom := float32(float32(math.Sqrt(float64(v[i])))*c.invSqrt2) + c.eps
		p[i] = float32(c.decay*p[i]) - c.rate*m[i]/denom
	}
}
