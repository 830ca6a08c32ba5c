//go:build amd64 && !purego

package asm

// The kernels of attention to listed rows; their specification is in
// attention_rows_generic.go. The dots take a positive multiple of 4 rows, the sum at
// least one row and column.

//go:noescape
func rowDotsAVX2(dst, q, k []float32, ldk int, rows []int32)

//go:noescape
func rowDotsAVX512(dst, q, k []float32, ldk int, rows []int32)

//go:noescape
func rowSumAVX2(dst, weights, v []float32, ldv int, rows []int32)

//go:noescape
func rowSumAVX512(dst, weights, v []float32, ldv int, rows []int32)

func rowDots(dst, q, k []float32, ldk int, rows []int32) {
	if isa == Generic || len(q) == 0 {
		rowDotsGeneric(dst, q, k, ldk, rows)
		return
	}
	whole := len(rows) &^ 3
	if whole > 0 {
		rowDotsOf4(dst, q, k, ldk, rows[:whole])
	}
	if whole == len(rows) {
		return
	}
	var out [4]float32
	last := [4]int32{rows[whole], rows[whole], rows[whole], rows[whole]}
	copy(last[:], rows[whole:])
	rowDotsOf4(out[:], q, k, ldk, last[:])
	copy(dst[whole:], out[:])
}

func rowDotsOf4(dst, q, k []float32, ldk int, rows []int32) {
	if isa == AVX512 {
		rowDotsAVX512(dst, q, k, ldk, rows)
	} else {
		rowDotsAVX2(dst, q, k, ldk, rows)
	}
}

func rowSum(dst, weights, v []float32, ldv int, rows []int32) {
	switch {
	case isa == Generic || len(rows) == 0 || len(dst) == 0:
		rowSumGeneric(dst, weights, v, ldv, rows)
	case isa == AVX512:
		rowSumAVX512(dst, weights, v, ldv, rows)
	default:
		rowSumAVX2(dst, weights, v, ldv, rows)
	}
}
