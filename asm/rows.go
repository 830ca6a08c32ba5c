package asm

import "fmt"

// Rows of fewer than longRow elements are reduced four at a time. Longer ones are worth
// the steps at their ends, and are read in order, as memory gives them fastest.
const longRow = 128

// SumRows sets dst[i] to the sum of the row x[i*ld:i*ld+cols], accumulated in float64
// and rounded once.
func SumRows(dst, x []float32, cols, ld int) {
	checkStrided("sum rows", len(x), len(dst), cols, ld)
	whole := len(dst) &^ 3
	if whole > 0 {
		sumRows(dst[:whole], x, whole, cols, ld)
	}
	if rest := len(dst) - whole; rest > 0 {
		var last [4]float32 // the kernels write as many
		sumRows(last[:], x[whole*ld:], rest, cols, ld)
		copy(dst[whole:], last[:])
	}
}

// MaxRows sets dst[i] to the greatest element of the row x[i*ld:i*ld+cols]: NaN if
// there is one, -Inf if cols is 0.
func MaxRows(dst, x []float32, cols, ld int) { extremeRows("max rows", dst, x, cols, ld, 1) }

// MinRows sets dst[i] to the smallest element of the row x[i*ld:i*ld+cols]: NaN if
// there is one, +Inf if cols is 0.
func MinRows(dst, x []float32, cols, ld int) { extremeRows("min rows", dst, x, cols, ld, -1) }

// extremeRows is MaxRows of sign times x, and sign times the result.
func extremeRows(op string, dst, x []float32, cols, ld int, sign float32) {
	checkStrided(op, len(x), len(dst), cols, ld)
	whole := len(dst) &^ 3
	if whole > 0 {
		maxRows(dst[:whole], x, whole, cols, ld, sign)
	}
	if rest := len(dst) - whole; rest > 0 {
		var last [4]float32
		maxRows(last[:], x[whole*ld:], rest, cols, ld, sign)
		copy(dst[whole:], last[:])
	}
}

// checkStrided panics unless n elements hold rows of cols elements that begin ld apart.
func checkStrided(op string, n, rows, cols, ld int) {
	if rows < 0 || rows > 0 && (cols < 0 || rows > 1 && ld < cols || n < (rows-1)*ld+cols) {
		panic(fmt.Sprintf("%s: %d elements hold no %d rows of %d columns that are %d apart", op, n, rows, cols, ld))
	}
}
