//go:build amd64 && !purego

package asm

// The kernels do what columnMaxGeneric does for whole vectors of columns, and
// leave the others as they are.

//go:noescape
func columnMaxAVX2(y []float32, rows []int32, x []float32, n, ld int, first int32)

//go:noescape
func columnMaxAVX512(y []float32, rows []int32, x []float32, n, ld int, first int32)

func columnMax(y []float32, rows []int32, x []float32, n, ld int, first int32) {
	whole := 0
	switch isa {
	case AVX512:
		whole = len(y) &^ 15
		columnMaxAVX512(y, rows, x, n, ld, first)
	case AVX2:
		whole = len(y) &^ 7
		columnMaxAVX2(y, rows, x, n, ld, first)
	}
	if whole < len(y) {
		columnMaxGeneric(y[whole:], rows[whole:], x[whole:], n, ld, first)
	}
}
