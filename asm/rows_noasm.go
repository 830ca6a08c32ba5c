//go:build !amd64 || purego

package asm

func sumRows(dst, x []float32, rows, cols, ld int) { sumRowsGeneric(dst, x, rows, cols, ld) }
func maxRows(dst, x []float32, rows, cols, ld int, sign float32) {
	maxRowsGeneric(dst, x, rows, cols, ld, sign)
}
