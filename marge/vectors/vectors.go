// Package vectors has what indexes, evaluation and training do to the vectors
// of documents: [Normalize], [Sum], [CenterByLanguage] and [MarginScore].
//
// Vectors are rows of dim float32 values, one after the other in a slice.
// Results are the same for any number of threads and any order of documents.
package vectors

import (
	"fmt"
	"math"
)

// Normalize scales rows to unit length in place. A row of zeros stays as it is,
// and what a row with a value that is not finite becomes is not defined: see
// [CheckFinite]. Normalize panics if the values are not rows of dim.
func Normalize(rows []float32, dim int) {
	checkRows("normalize", rows, dim)
	for ; len(rows) > 0; rows = rows[dim:] {
		normalizeRow(rows[:dim])
	}
}

// normalizeRow computes in float64, where no square of a float32 overflows or
// vanishes.
func normalizeRow(row []float32) {
	sum := 0.0
	for _, x := range row {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	scale := 1 / math.Sqrt(sum)
	for i, x := range row {
		row[i] = float32(float64(x) * scale)
	}
}

// Sum returns the sum of the vectors of each document, scaled to unit length.
// The vectors of document i are rows offsets[i] to offsets[i+1]. Sum panics if
// the values are not rows of dim.
func Sum(rows []float32, dim int, offsets []int) []float32 {
	checkRows("sum", rows, dim)
	sums := make([]float32, (len(offsets)-1)*dim)
	sum := make([]float64, dim)
	for i := range len(offsets) - 1 {
		clear(sum)
		for at, x := range rows[offsets[i]*dim : offsets[i+1]*dim] {
			sum[at%dim] += float64(x)
		}
		for j, x := range sum {
			sums[i*dim+j] = float32(x)
		}
	}
	Normalize(sums, dim)
	return sums
}

// CheckFinite returns an error that names the first value that is infinite or
// not a number, if there is one. It panics if the values are not rows of dim.
func CheckFinite(rows []float32, dim int) error {
	checkRows("check", rows, dim)
	for i, x := range rows {
		if x-x != 0 {
			return fmt.Errorf("vector %d has the value %v at position %d", i/dim, x, i%dim)
		}
	}
	return nil
}

func checkRows(what string, rows []float32, dim int) {
	if dim <= 0 || len(rows)%dim != 0 {
		panic(fmt.Sprintf("vectors: %s: %d values are not rows of dimension %d", what, len(rows), dim))
	}
}
