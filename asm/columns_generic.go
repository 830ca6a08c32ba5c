package asm

func sumColumnsGeneric(dst []float64, x []float32, rows, ld int) {
	for i := range rows {
		for j, v := range x[i*ld : i*ld+len(dst)] {
			dst[j] += float64(v)
		}
	}
}

func maxColumnsGeneric(dst, x []float32, rows, ld int) {
	for i := range rows {
		maximumGeneric(dst, dst, x[i*ld:])
	}
}

func minColumnsGeneric(dst, x []float32, rows, ld int) {
	for i := range rows {
		minimumGeneric(dst, dst, x[i*ld:])
	}
}
