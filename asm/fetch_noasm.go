//go:build !amd64 || purego

package asm

// fetchRows does nothing here: the processor prefetches on its own.
func fetchRows(x []float32, ld, rows, width int) {}
