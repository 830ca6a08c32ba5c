//go:build !amd64 || purego

package asm

func columnMax(y []float32, rows []int32, x []float32, n, ld int, first int32) {
	columnMaxGeneric(y, rows, x, n, ld, first)
}
