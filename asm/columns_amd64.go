//go:build amd64 && !purego

package asm

// The kernels are in vec_columns_amd64.s.

//go:noescape
func sumColumnsAVX2(dst []float64, x []float32, rows, ld int)

func sumColumns(dst []float64, x []float32, rows, ld int) {
	if isa == Generic {
		sumColumnsGeneric(dst, x, rows, ld)
	} else {
		sumColumnsAVX2(dst, x, rows, ld)
	}
}

//go:noescape
func maxColumnsAVX2(dst, x []float32, rows, ld int)

func maxColumns(dst, x []float32, rows, ld int) {
	if isa == Generic {
		maxColumnsGeneric(dst, x, rows, ld)
	} else {
		maxColumnsAVX2(dst, x, rows, ld)
	}
}

//go:noescape
func minColumnsAVX2(dst, x []float32, rows, ld int)

func minColumns(dst, x []float32, rows, ld int) {
	if isa == Generic {
		minColumnsGeneric(dst, x, rows, ld)
	} else {
		minColumnsAVX2(dst, x, rows, ld)
	}
}
