package asm

import "fmt"

// Rows of fewer than longRow elements are reduced four at a time. Longer ones are worth
// the steps at their ends, and are read in order, as memory gives them fastest.
const longRow = 128

// SumRows sets dst[i] to the sum of the row x[i*ld:i*ld+cols], accumulated in float64
// and rounded once.
func SumRows(dst, x []float32, cols, ld int) {
	reduceRows("sum rows", sumRows, dst, x, cols, ld)
}

// MaxRows sets dst[i] to the greatest element of the row x[i*ld:i*ld+cols]: NaN if
// there is one, -Inf if cols is 0.
func MaxRows(dst, x []float32, cols, ld int) {
	reduceRows("max rows", func(dst, x []float32, rows, cols, ld int) { maxRows(dst, x, rows, cols, ld, 1) }, dst, x, cols, ld)
}

// MinRows sets dst[i] to the smallest element of the row x[i*ld:i*ld+cols]: NaN if
// there is one, +Inf if cols is 0.
func MinRows(dst, x []float32, cols, ld int) {
	reduceRows("min rows", func(dst, x []float32, rows, cols, ld int) { maxRows(dst, x, rows, cols, ld, -1) }, dst, x, cols, ld)
}

// reduceRows calls f for groups of four rows, and for the last rows with a place for
// four results: f always writes that many.
func reduceRows(op string, f func(dst, x []float32, rows, cols, ld int), dst, x []float32, cols, ld int) {
	rows := len(dst)
	if rows == 0 {
		return
	}
	if cols < 0 || rows > 1 && ld < cols || len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("%s: %d elements hold no %d rows of %d columns that are %d apart", op, len(x), rows, cols, ld))
	}
	whole := rows &^ 3
	if whole > 0 {
		f(dst[:whole], x, whole, cols, ld)
	}
	if whole < rows {
		var last [4]float32
		f(last[:], x[whole*ld:], rows-whole, cols, ld)
		copy(dst[whole:], last[:])
	}
}
