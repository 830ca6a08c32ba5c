//go:build !amd64 || purego

package asm

const hasBF16 = false

func bf16Kernels() *gemmKernels { return &gemmGenericBF16 }

func gemmPairs(dst, src []float32) { gemmPairsGeneric(dst, src) }

func gemmZip(dst []float32, width int, src []float32, ld, cols, rows int) {
	gemmZipGeneric(dst, width, src, ld, cols, rows)
}

func gemmZipPanels(dst []float32, pitch int, src []float32, ld, cols, panels, rows int) {
	for p := range panels {
		gemmZipGeneric(dst[p*pitch:], cols, src[p*cols:], ld, cols, rows)
	}
}

func dotPeak(int) (flopsPerRound float64) { panic("asm: no instruction for bfloat16") }
