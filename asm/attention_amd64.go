//go:build amd64 && !purego

package asm

// The kernels of attention for AVX2 and AVX-512 are in attention_amd64.h; their
// specification is in attention_generic.go. The number of rows and of lanes is
// at least 1, the number of lanes a multiple of the columns of a GEMM tile.

//go:noescape
func attentionMaxAVX2(m, s []float32, ld, rows int, bias []float32, last []int32, base int)

//go:noescape
func attentionMaxAVX512(m, s []float32, ld, rows int, bias []float32, last []int32, base int)

func attentionMax(m, s []float32, ld, rows int, bias []float32, last []int32, base int) {
	switch isa {
	case AVX512:
		attentionMaxAVX512(m, s, ld, rows, bias, last, base)
	case AVX2:
		attentionMaxAVX2(m, s, ld, rows, bias, last, base)
	default:
		attentionMaxGeneric(m, s, ld, rows, bias, last, base)
	}
}

//go:noescape
func attentionExpAVX2(sum, s []float32, ld, rows int, bias, m []float32, last []int32, base int)

//go:noescape
func attentionExpAVX512(sum, s []float32, ld, rows int, bias, m []float32, last []int32, base int)

func attentionExp(sum, s []float32, ld, rows int, bias, m []float32, last []int32, base int) {
	switch isa {
	case AVX512:
		attentionExpAVX512(sum, s, ld, rows, bias, m, last, base)
	case AVX2:
		attentionExpAVX2(sum, s, ld, rows, bias, m, last, base)
	default:
		attentionExpGeneric(sum, s, ld, rows, bias, m, last, base)
	}
}

//go:noescape
func attentionGradientAVX2(sum, s, dp []float32, ld, rows int, bias, lse, delta []float32, last []int32, base int)

//go:noescape
func attentionGradientAVX512(sum, s, dp []float32, ld, rows int, bias, lse, delta []float32, last []int32, base int)

func attentionGradient(sum, s, dp []float32, ld, rows int, bias, lse, delta []float32, last []int32, base int) {
	switch isa {
	case AVX512:
		attentionGradientAVX512(sum, s, dp, ld, rows, bias, lse, delta, last, base)
	case AVX2:
		attentionGradientAVX2(sum, s, dp, ld, rows, bias, lse, delta, last, base)
	default:
		attentionGradientGeneric(sum, s, dp, ld, rows, bias, lse, delta, last, base)
	}
}

//go:noescape
func attentionDropoutAVX2(x []float32, ld, rows int, counters, keys []uint32, inv float32, threshold uint32)

//go:noescape
func attentionDropoutAVX512(x []float32, ld, rows int, counters, keys []uint32, inv float32, threshold uint32)

func attentionDropout(x []float32, ld, rows int, counters, keys []uint32, inv float32, threshold uint32) {
	switch isa {
	case AVX512:
		attentionDropoutAVX512(x, ld, rows, counters, keys, inv, threshold)
	case AVX2:
		attentionDropoutAVX2(x, ld, rows, counters, keys, inv, threshold)
	default:
		attentionDropoutGeneric(x, ld, rows, counters, keys, inv, threshold)
	}
}

//go:noescape
func attentionScaleAVX2(dst []float32, ld int, x []float32, ldx, width int, factors []float32)

//go:noescape
func attentionScaleAVX512(dst []float32, ld int, x []float32, ldx, width int, factors []float32)

func attentionScale(dst []float32, ld int, x []float32, ldx, width int, factors []float32) {
	switch isa {
	case AVX512:
		attentionScaleAVX512(dst, ld, x, ldx, width, factors)
	case AVX2:
		attentionScaleAVX2(dst, ld, x, ldx, width, factors)
	default:
		attentionScaleGeneric(dst, ld, x, ldx, width, factors)
	}
}

//go:noescape
func attentionCopyAVX2(dst []float32, ld int, x []float32, ldx, rows, width int)

//go:noescape
func attentionCopyAVX512(dst []float32, ld int, x []float32, ldx, rows, width int)

func attentionCopy(dst []float32, ld int, x []float32, ldx, rows, width int) {
	switch isa {
	case AVX512:
		attentionCopyAVX512(dst, ld, x, ldx, rows, width)
	case AVX2:
		attentionCopyAVX2(dst, ld, x, ldx, rows, width)
	default:
		attentionCopyGeneric(dst, ld, x, ldx, rows, width)
	}
}

//go:noescape
func attentionAddAVX2(dst []float32, ld int, x []float32, ldx, rows, width int, alpha float32, accumulate bool)

//go:noescape
func attentionAddAVX512(dst []float32, ld int, x []float32, ldx, rows, width int, alpha float32, accumulate bool)

func attentionAdd(dst []float32, ld int, x []float32, ldx, rows, width int, alpha float32, accumulate bool) {
	switch isa {
	case AVX512:
		attentionAddAVX512(dst, ld, x, ldx, rows, width, alpha, accumulate)
	case AVX2:
		attentionAddAVX2(dst, ld, x, ldx, rows, width, alpha, accumulate)
	default:
		attentionAddGeneric(dst, ld, x, ldx, rows, width, alpha, accumulate)
	}
}

//go:noescape
func attentionDotsAVX2(dst, x []float32, ldx int, y []float32, ldy, width int)

//go:noescape
func attentionDotsAVX512(dst, x []float32, ldx int, y []float32, ldy, width int)

func attentionDots(dst, x []float32, ldx int, y []float32, ldy, width int) {
	switch isa {
	case AVX512:
		attentionDotsAVX512(dst, x, ldx, y, ldy, width)
	case AVX2:
		attentionDotsAVX2(dst, x, ldx, y, ldy, width)
	default:
		attentionDotsGeneric(dst, x, ldx, y, ldy, width)
	}
}
