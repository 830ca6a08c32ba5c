//go:build amd64 && !purego

package asm

// The matrix products of attention; their specification is in
// attention_generic.go. k and rows are at least 1.

//go:noescape
func attentionProductRowsAVX2(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)

//go:noescape
func attentionProductColumnsAVX2(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)

//go:noescape
func attentionProductRowsAVX512(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)

//go:noescape
func attentionProductColumnsAVX512(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)

func attentionProductRows(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	switch isa {
	case AVX512:
		attentionProductRowsAVX512(c, ldc, a, lda, b, ldb, k, rows, add)
	case AVX2:
		attentionProductRowsAVX2(c, ldc, a, lda, b, ldb, k, rows, add)
	default:
		attentionProductRowsGeneric(c, ldc, a, lda, b, ldb, k, rows, add)
	}
}

func attentionProductColumns(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	switch isa {
	case AVX512:
		attentionProductColumnsAVX512(c, ldc, a, lda, b, ldb, k, rows, add)
	case AVX2:
		attentionProductColumnsAVX2(c, ldc, a, lda, b, ldb, k, rows, add)
	default:
		attentionProductColumnsGeneric(c, ldc, a, lda, b, ldb, k, rows, add)
	}
}
