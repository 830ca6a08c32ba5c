//go:build amd64 && !purego

package asm

// The kernels are in vec_rows_amd64.s. Those of short rows write four results for each
// group of four rows, of which the last may have fewer.

//go:noescape
func sumShortRowsAVX2(dst, x []float32, rows, cols, ld int)

//go:noescape
func sumLongRowsAVX2(dst, x []float32, rows, cols, ld int)

func sumRows(dst, x []float32, rows, cols, ld int) {
	switch {
	case isa == Generic:
		sumRowsGeneric(dst, x, rows, cols, ld)
	case cols < longRow:
		sumShortRowsAVX2(dst, x, rows, cols, ld)
	default:
		sumLongRowsAVX2(dst, x, rows, cols, ld)
	}
}

//go:noescape
func maxShortRowsAVX2(dst, x []float32, rows, cols, ld int, sign float32)

//go:noescape
func maxLongRowsAVX2(dst, x []float32, rows, cols, ld int, sign float32)

func maxRows(dst, x []float32, rows, cols, ld int, sign float32) {
	switch {
	case isa == Generic:
		maxRowsGeneric(dst, x, rows, cols, ld, sign)
	case cols < longRow:
		maxShortRowsAVX2(dst, x, rows, cols, ld, sign)
	default:
		maxLongRowsAVX2(dst, x, rows, cols, ld, sign)
	}
}
