//go:build !amd64 || purego

package asm

// fetchRows leaves it to the processor what comes to its caches.
func fetchRows(x []float32, ld, rows, width int) {}
