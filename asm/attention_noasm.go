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

func attentionScale(x []float32, ld, width int, factors []float32) {
	attentionScaleGeneric(x, ld, width, factors)
}

func attentionDots(dst, x []float32, ldx int, y []float32, ldy, width int) {
	attentionDotsGeneric(dst, x, ldx, y, ldy, width)
}
