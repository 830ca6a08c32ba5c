package asm

import "fmt"

// checkLen panics unless got, the length of the named slice, is want.
func checkLen(op, name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("%s: len(%s) is %d, want %d", op, name, got, want))
	}
}

// Add computes dst[i] = a[i] + b[i]. dst may be a or b.
func Add(dst, a, b []float32) {
	checkLen("add", "a", len(a), len(dst))
	checkLen("add", "b", len(b), len(dst))
	add(dst, a, b)
}

// Axpy computes y[i] += alpha * x[i].
func Axpy(alpha float32, x, y []float32) {
	checkLen("axpy", "x", len(x), len(y))
	axpy(alpha, x, y)
}

// AxpyFetch is [Axpy], and prefetches nextX and nextY, the operands of the next
// call. They have the same length as x and y.
func AxpyFetch(alpha float32, x, y, nextX, nextY []float32) {
	checkLen("axpy", "x", len(x), len(y))
	checkLen("axpy", "nextX", len(nextX), len(y))
	checkLen("axpy", "nextY", len(nextY), len(y))
	axpyFetch(alpha, x, y, nextX, nextY)
}

// Scale computes dst[i] = alpha * x[i]. dst may be x.
func Scale(dst []float32, alpha float32, x []float32) {
	checkLen("scale", "x", len(x), len(dst))
	scale(dst, alpha, x)
}

// AddRows adds to dst, of length cols, the rows of the matrix x [rows, cols],
// whose row i starts at x[i*ld]. It adds them one after the other, so that the
// result does not depend on the instruction set:
//
//	for i := range rows {
//		for j := range cols {
//			dst[j] += x[i*ld+j]
//		}
//	}
//
// It is the gradient of a bias that was added to every row.
func AddRows(dst, x []float32, rows, cols, ld int) {
	checkLen("add rows", "dst", len(dst), cols)
	if rows < 0 || rows > 1 && ld < cols {
		panic(fmt.Sprintf("add rows: %d rows of %d columns with a leading dimension of %d", rows, cols, ld))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if need := (rows-1)*ld + cols; len(x) < need {
		panic(fmt.Sprintf("add rows: x has %d elements, %d rows of %d columns with a leading dimension of %d need %d",
			len(x), rows, cols, ld, need))
	}
	for ; rows >= 4; rows -= 4 {
		addRows4(dst, x[:3*ld+cols], ld)
		x = x[min(4*ld, len(x)):]
	}
	for ; rows > 0; rows-- {
		add(dst, dst, x[:cols])
		x = x[min(ld, len(x)):]
	}
}
