package asm

// sumSquaresFromGeneric returns the sum of (x[i]-mean)**2.
func sumSquaresFromGeneric(x []float32, mean float32) float32 {
	var s float64
	for _, v := range x {
		d := float64(v) - float64(mean)
		s += d * d
	}
	return float32(s)
}

// normalizeGeneric computes y[i] = (x[i]-mean)*rstd*gamma[i] + beta[i].
func normalizeGeneric(y, x, gamma, beta []float32, mean, rstd float32) {
	for i, v := range x {
		y[i] = (v-mean)*rstd*gamma[i] + beta[i]
	}
}

// addNormalizedProductGeneric computes dst[i] += dy[i] * (x[i]-mean)*rstd.
func addNormalizedProductGeneric(dst, dy, x []float32, mean, rstd float32) {
	for i, v := range x {
		dst[i] += dy[i] * ((v - mean) * rstd)
	}
}

// normalizedSumsGeneric returns the sums of g[i] = dy[i]*gamma[i] and of
// g[i] * (x[i]-mean)*rstd.
func normalizedSumsGeneric(dy, x, gamma []float32, mean, rstd float32) (sumG, sumGX float32) {
	var s, t float64
	for i, v := range x {
		g := dy[i] * gamma[i]
		s += float64(g)
		t += float64(g) * float64((v-mean)*rstd)
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
		d := rstd * (dy[i]*gamma[i] - meanG - (v-mean)*rstd*meanGX)
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}
