//go:build amd64 && !purego

package asm

//go:noescape
func columnMaxAVX2(y []float32, rows []int32, x []float32, n, ld int, first int32)

//go:noescape
func columnMaxAVX512(y []float32, rows []int32, x []float32, n, ld int, first int32)

func columnMax(y []float32, rows []int32, x []float32, n, ld int, first int32) {
	switch isa {
	case AVX512:
		columnMaxAVX512(y, rows, x, n, ld, first)
	case AVX2:
		columnMaxAVX2(y, rows, x, n, ld, first)
	default:
		columnMaxGeneric(y, rows, x, n, ld, first)
	}
}
