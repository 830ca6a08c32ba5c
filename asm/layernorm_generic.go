package asm

// momentsGeneric returns the sums of d = x[i]-shift and of d*d.
func momentsGeneric(x []float32, shift float32) (sum, squares float32) {
	var s, q float64
	for _, v := range x {
		d := float64(v) - float64(shift)
		s += d
		q += float64(d * d)
	}
	return float32(s), float32(q)
}

// normalizeGeneric computes y[i] = (x[i]-mean)*rstd*gamma[i] + beta[i].
func normalizeGeneric(y, x, gamma, beta []float32, mean, rstd float32) {
	for i, v := range x {
		y[i] = float32((v-mean)*rstd*gamma[i]) + beta[i]
	}
}

// normalizeGradientGeneric computes, with xhat = (x[i]-mean)*rstd,
//
//	dgamma[i] += float32(dy[i] * xhat)
//	dbeta[i] += dy[i]
//
// unless they are nil, and returns the sums of g = dy[i]*gamma[i] and of g*xhat.
func normalizeGradientGeneric(dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32) {
	var s, t float64
	for i, v := range x {
		xhat, g := (v-mean)*rstd, float32(dy[i]*gamma[i])
		if dgamma != nil {
			dgamma[i] += float32(dy[i] * xhat)
		}
		if dbeta != nil {
			dbeta[i] += dy[i]
		}
		s += float64(g)
		t += float64(float64(g) * float64(xhat))
	}
	return float32(s), float32(t)
}

// normalizeBackwardGeneric computes
//
//	dx[i] = rstd * (dy[i]*gamma[i] - meanG - (x[i]-mean)*rstd*meanGX)
//
// or adds it to dx[i] if accumulate is set.
func normalizeBackwardGeneric(dx, dy, x, gamma []float32, mean, rstd, meanG, meanGX float32, accumulate bool) {
	for i, v := range x {
		d := float32(rstd * (float32(dy[i]*gamma[i]) - meanG - float32((v-mean)*rstd*meanGX)))
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}
