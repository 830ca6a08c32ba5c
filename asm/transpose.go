package asm

import "fmt"

// Transpose copies the matrix src [rows, cols], whose rows start ldSrc elements
// apart, to the columns of dst [cols, rows]:
//
//	dst[j*ldDst+i] = src[i*ldSrc+j]
func Transpose(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	if rows < 0 || cols < 0 || rows > 0 && cols > 0 && (ldDst < rows || ldSrc < cols ||
		len(dst) < (cols-1)*ldDst+rows || len(src) < (rows-1)*ldSrc+cols) {
		panic(fmt.Sprintf("transpose: %d rows of %d, %d apart in %d elements, to rows %d apart in %d elements",
			rows, cols, ldSrc, len(src), ldDst, len(dst)))
	}
	if cols == 0 {
		return
	}
	if rows >= 8 && cols >= 8 { // with fewer rows the kernels write more columns
		gemmKernelsOf(isa).transpose(dst, ldDst, src, ldSrc, rows, cols)
		return
	}
	for i := range rows {
		for j, v := range src[i*ldSrc : i*ldSrc+cols] {
			dst[j*ldDst+i] = v
		}
	}
}
