//go:build amd64 && !purego

package asm

//go:noescape
func copyRowsAVX2(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int)

func copyRows(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	if isa == Generic {
		copyRowsGeneric(dst, ldDst, src, ldSrc, rows, cols)
	} else {
		copyRowsAVX2(dst, ldDst, src, ldSrc, rows, cols)
	}
}
