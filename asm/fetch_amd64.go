//go:build amd64 && !purego

package asm

// fetchRows has the cache lines of rows of width values, which begin ld values
// apart, come to the second-level cache. Meanwhile the caller goes on.
//
//go:noescape
func fetchRows(x []float32, ld, rows, width int)
