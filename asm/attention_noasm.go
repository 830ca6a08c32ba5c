//go:build !amd64 || purego

package asm

func attentionMax(m, s []float32, ld, rows int, bias []float32, last []int32, base int) {
	attentionMaxGeneric(m, s, ld, rows, bias, last, base)
}

func attentionExp(sum, s []float32, ld, rows int, bias, m []float32, last []int32, base int) {
	attentionExpGeneric(sum, s, ld, rows, bias, m, last, base)
}

func attentionGradient(sum, s, dp []float32, ld, rows int, bias, lse, delta []float32, last []int32, base int) {
	attentionGradientGeneric(sum, s, dp, ld, rows, bias, lse, delta, last, base)
}

func attentionDropout(x []float32, ld, rows int, counters, keys []uint32, inv float32, threshold uint32) {
	attentionDropoutGeneric(x, ld, rows, counters, keys, inv, threshold)
}

func attentionScale(dst []float32, ld int, x []float32, ldx, width int, factors []float32) {
	attentionScaleGeneric(dst, ld, x, ldx, width, factors)
}

func attentionCopy(dst []float32, ld int, x []float32, ldx, rows, width int) {
	attentionCopyGeneric(dst, ld, x, ldx, rows, width)
}

func attentionAdd(dst []float32, ld int, x []float32, ldx, rows, width int, alpha float32, accumulate bool) {
	attentionAddGeneric(dst, ld, x, ldx, rows, width, alpha, accumulate)
}

func attentionDots(dst, x []float32, ldx int, y []float32, ldy, width int) {
	attentionDotsGeneric(dst, x, ldx, y, ldy, width)
}

func attentionProductRows(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	attentionProductRowsGeneric(c, ldc, a, lda, b, ldb, k, rows, add)
}

func attentionProductColumns(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	attentionProductColumnsGeneric(c, ldc, a, lda, b, ldb, k, rows, add)
}
