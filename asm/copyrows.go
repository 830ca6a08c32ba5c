package asm

import "fmt"

// CopyRows copies the rows src[i*ldSrc:i*ldSrc+cols] to dst[i*ldDst:i*ldDst+cols].
func CopyRows(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	if rows < 0 || cols < 0 || rows > 0 && (len(dst) < (rows-1)*ldDst+cols || len(src) < (rows-1)*ldSrc+cols) ||
		rows > 1 && ldDst < cols || ldSrc < 0 {
		panic(fmt.Sprintf("copy rows: %d rows of %d columns, %d apart in %d elements, to rows %d apart in %d elements",
			rows, cols, ldSrc, len(src), ldDst, len(dst)))
	}
	if rows > 0 && cols > 0 {
		copyRows(dst, ldDst, src, ldSrc, rows, cols)
	}
}

func copyRowsGeneric(dst []float32, ldDst int, src []float32, ldSrc, rows, cols int) {
	for i := range rows {
		copy(dst[i*ldDst:i*ldDst+cols], src[i*ldSrc:])
	}
}
