//go:build !amd64 || purego

package asm

func sumColumns(dst []float64, x []float32, rows, ld int) { sumColumnsGeneric(dst, x, rows, ld) }
func maxColumns(dst, x []float32, rows, ld int)           { maxColumnsGeneric(dst, x, rows, ld) }
func minColumns(dst, x []float32, rows, ld int)           { minColumnsGeneric(dst, x, rows, ld) }
