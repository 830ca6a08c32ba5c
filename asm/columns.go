package asm

// The kernels reduce a multiple of eight columns, the portable versions the rest.

// SumColumns adds the rows of the matrix x [rows, len(dst)], which start ld elements
// apart, to dst, in order and in float64:
//
//	for i := range rows {
//		for j := range dst {
//			dst[j] += float64(x[i*ld+j])
//		}
//	}
func SumColumns(dst []float64, x []float32, rows, ld int) {
	checkStrided("sum columns", len(x), rows, len(dst), ld)
	if whole := len(dst) &^ 7; rows > 0 {
		if whole > 0 {
			sumColumns(dst[:whole], x, rows, ld)
		}
		sumColumnsGeneric(dst[whole:], x[whole:], rows, ld)
	}
}

// MaxColumns joins the rows of the matrix x [rows, len(dst)], which start ld elements
// apart, to dst:
//
//	for i := range rows {
//		for j := range dst {
//			dst[j] = max(dst[j], x[i*ld+j])
//		}
//	}
//
// Of two zeros it takes either.
func MaxColumns(dst, x []float32, rows, ld int) {
	checkStrided("max columns", len(x), rows, len(dst), ld)
	if whole := len(dst) &^ 7; rows > 0 {
		if whole > 0 {
			maxColumns(dst[:whole], x, rows, ld)
		}
		maxColumnsGeneric(dst[whole:], x[whole:], rows, ld)
	}
}

// MinColumns is [MaxColumns] for the smallest elements.
func MinColumns(dst, x []float32, rows, ld int) {
	checkStrided("min columns", len(x), rows, len(dst), ld)
	if whole := len(dst) &^ 7; rows > 0 {
		if whole > 0 {
			minColumns(dst[:whole], x, rows, ld)
		}
		minColumnsGeneric(dst[whole:], x[whole:], rows, ld)
	}
}
