package asm

func sumRowsGeneric(dst, x []float32, rows, cols, ld int) {
	for i := range rows {
		dst[i] = float32(sumGeneric(x[i*ld : i*ld+cols]))
	}
}

func maxRowsGeneric(dst, x []float32, rows, cols, ld int, sign float32) {
	for i := range rows {
		dst[i] = sign * maxScaledGeneric(x[i*ld:i*ld+cols], sign)
	}
}
