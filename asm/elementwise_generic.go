package asm

func addGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func mulGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func axpyGeneric(alpha float32, x, y []float32) {
	for i := range y {
		y[i] += float32(alpha * x[i])
	}
}

func scaleGeneric(dst []float32, alpha float32, x []float32) {
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}

// addRows4Generic adds the four rows x[0:], x[ld:], x[2*ld:], x[3*ld:] to dst.
func addRows4Generic(dst, x []float32, ld int) {
	for j := range dst {
		dst[j] = dst[j] + x[j] + x[ld+j] + x[2*ld+j] + x[3*ld+j]
	}
}

// affineGeneric computes dst[i] = alpha*x[i] + beta.
func affineGeneric(dst []float32, alpha float32, x []float32, beta float32) {
	for i, v := range x {
		dst[i] = float32(alpha*v) + beta
	}
}
