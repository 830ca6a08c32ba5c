package asm

import "fmt"

// ColumnMax finds the greatest value of each column of the n rows of x, which
// begin ld values apart, and the first row that has it, counted from first:
//
//	y[j], rows[j] = x[i*ld+j], first+i
//
// Of zeros with different signs it takes the first. A NaN compares as neither
// greater nor less: a NaN in the first row stays, others are ignored. n must be
// positive, and y and rows must have the same length.
func ColumnMax(y []float32, rows []int32, x []float32, n, ld int, first int32) {
	checkLen("column max", "rows", len(rows), len(y))
	if n < 1 || ld < len(y) || len(x) < (n-1)*ld+len(y) {
		panic(fmt.Sprintf("column max: %d values hold no %d rows of %d columns that are %d apart", len(x), n, len(y), ld))
	}
	if len(y) > 0 {
		columnMax(y, rows, x, n, ld, first)
	}
}
