package asm

// GELU computes the Gaussian error linear unit dst[i] = x[i] * Phi(x[i]),
// where Phi(x) = (1+erf(x/sqrt(2)))/2 is the distribution function of the
// standard normal distribution. The error is below 5.5 ULP, in the negative tail
// too, where 1+erf cancels. GELU(-Inf) is 0. dst may be x.
func GELU(dst, x []float32) {
	checkLen("gelu", "x", len(x), len(dst))
	gelu(dst, x)
}

// GELUBackward computes the gradient of GELU,
//
//	dx[i] = dy[i] * (Phi(x[i]) + x[i]*phi(x[i]))
//
// where phi is the density of the standard normal distribution. The error of
// the slope is below 4e-7. If accumulate is set, it adds to dx instead. dx may be dy or x.
func GELUBackward(dx, dy, x []float32, accumulate bool) {
	checkLen("gelu backward", "dy", len(dy), len(dx))
	checkLen("gelu backward", "x", len(x), len(dx))
	geluBackward(dx, dy, x, accumulate)
}
