//go:build !amd64 || purego

package asm

func rowDots(dst, q, k []float32, ldk int, rows []int32) { rowDotsGeneric(dst, q, k, ldk, rows) }

func rowSum(dst, weights, v []float32, ldv int, rows []int32) {
	rowSumGeneric(dst, weights, v, ldv, rows)
}
