//go:build !amd64 || purego

package asm

func copyRows(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	copyRowsGeneric(dst, ldDst, src, ldSrc, rows, cols)
}
