//go:build amd64 && !purego

package asm

// fetchRows prefetches rows of width values, which start ld values apart, into the
// second-level cache. It does not wait for them.
//
//go:noescape
func fetchRows(x []float32, ld, rows, width int)
