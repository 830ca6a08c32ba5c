package asm

import (
	"fmt"
	"math"
)

// LayerNorm normalises every row of x [rows, cols] and scales and shifts it:
//
//	y[i,j] = (x[i,j] - mean[i]) * rstd[i] * gamma[j] + beta[j]
//
// where mean[i] is the mean of row i and rstd[i] is 1/sqrt(variance + eps). The
// variance divides by cols and is free of cancellation. mean and rstd, of length
// rows, are outputs for LayerNormBackward. y may be x.
func LayerNorm(y, mean, rstd, x, gamma, beta []float32, rows, cols int, eps float32) {
	layerNorm(normalize, y, mean, rstd, x, gamma, beta, rows, cols, eps)
}

func layerNorm(normalize func(y, x, gamma, beta []float32, mean, rstd float32),
	y, mean, rstd, x, gamma, beta []float32, rows, cols int, eps float32) {
	const op = "layer norm"
	checkMatrix(op, rows, cols)
	checkLen(op, "x", len(x), rows*cols)
	checkLen(op, "y", len(y), rows*cols)
	checkLen(op, "mean", len(mean), rows)
	checkLen(op, "rstd", len(rstd), rows)
	checkLen(op, "gamma", len(gamma), cols)
	checkLen(op, "beta", len(beta), cols)
	for i := range rows {
		xi := x[i*cols : (i+1)*cols]
		m, variance := meanVariance(xi)
		r := float32(1 / math.Sqrt(variance+float64(eps)))
		normalize(y[i*cols:(i+1)*cols], xi, gamma, beta, m, r)
		mean[i], rstd[i] = m, r
	}
}

// meanVariance returns the mean and the variance of x. The variance is the mean
// square less the square of the mean. If that cancels more than half, a second pass
// computes the moments about the mean, and corrects the mean.
func meanVariance(x []float32) (mean float32, variance float64) {
	inv := 1 / float64(len(x))
	s, q := moments(x, 0)
	m := float64(s) * inv
	if variance = float64(float64(q)*inv) - float64(m*m); variance >= float64(m*m) {
		return float32(m), variance
	}
	mean = float32(m)
	s, q = moments(x, mean)
	d := float64(float64(s) * inv)
	mean = float32(float64(mean) + d)
	return mean, max(float64(float64(q)*inv)-float64(d*d), 0)
}

// LayerNormBackward computes the gradients of LayerNorm from the gradient dy
// of its result and the mean and rstd that it returned. With
// xhat = (x - mean)*rstd and g = dy*gamma, per row
//
//	dx      = rstd * (g - mean(g) - xhat*mean(g*xhat))
//	dgamma += dy * xhat
//	dbeta  += dy
//
// If accumulate is set, it adds to dx instead. dgamma, dbeta and dx may be nil
// if they are not needed. dx may be dy or x.
func LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd []float32, rows, cols int, accumulate bool) {
	layerNormBackward(normalizeBackward, dx, dgamma, dbeta, dy, x, gamma, mean, rstd, rows, cols, accumulate)
}

func layerNormBackward(
	normalizeBackward func(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool),
	dx, dgamma, dbeta, dy, x, gamma, mean, rstd []float32, rows, cols int, accumulate bool) {
	const op = "layer norm backward"
	checkMatrix(op, rows, cols)
	checkLen(op, "dy", len(dy), rows*cols)
	checkLen(op, "x", len(x), rows*cols)
	checkLen(op, "gamma", len(gamma), cols)
	checkLen(op, "mean", len(mean), rows)
	checkLen(op, "rstd", len(rstd), rows)
	if dx != nil {
		checkLen(op, "dx", len(dx), rows*cols)
	}
	if dgamma != nil {
		checkLen(op, "dgamma", len(dgamma), cols)
	}
	if dbeta != nil {
		checkLen(op, "dbeta", len(dbeta), cols)
	}
	inv := 1 / float32(cols)
	for i := range rows {
		dyi, xi := dy[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
		g, gx := normalizeGradient(dgamma, dbeta, dyi, xi, gamma, mean[i], rstd[i])
		if dx != nil {
			normalizeBackward(dx[i*cols:(i+1)*cols], dyi, xi, gamma, mean[i], rstd[i], g*inv, gx*inv, accumulate)
		}
	}
}

func checkMatrix(op string, rows, cols int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("%s: %d rows of %d columns", op, rows, cols))
	}
}
