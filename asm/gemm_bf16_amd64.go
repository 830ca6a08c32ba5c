//go:build amd64 && !purego

package asm

import "github.com/klauspost/cpuid/v2"

// hasBF16 tells whether the processor multiplies bfloat16 values.
var hasBF16 = cpuid.CPU.Supports(cpuid.AVX512BF16)

// The micro-kernels are those of gemm_amd64.go, but a and b hold pairs of bfloat16
// values, of which that with the even number is in the lower half of a float32's
// bits, and k counts pairs:
//
//	x = fma(upper(a), upper(b), x)
//	x = fma(lower(a), lower(b), x)
//
// Denormal values are taken as zeros, and so are denormal sums.

//go:noescape
func gemm1x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm2x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm3x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm4x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm5x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm6x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm7x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm8x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm9x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm10x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm11x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm12x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm13x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm14x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

// gemmPairsAVX512BF16 rounds values to bfloat16, in order: count pairs, a positive
// multiple of 16.
//
//go:noescape
func gemmPairsAVX512BF16(dst, src []float32, count int)

// gemmZipAVX512BF16 makes pairs of two rows each of src, of which it reads 2*count, and
// there vectors of 1 to 16 columns one after the other. Where they go changes by step
// after each vector with an even number and by next after each with an odd one:
//
//	for k := range count {
//		for v := range vectors {
//			at := k*width + (v+1)/2*step + v/2*next
//			for j := range cols {
//				dst[at+j] = pair(src[2*k*ld+v*cols+j], src[(2*k+1)*ld+v*cols+j])
//			}
//		}
//	}
//
//go:noescape
func gemmZipAVX512BF16(dst []float32, width, step, next int, src []float32, ld, cols, vectors, count int)

var gemmAVX512BF16 = gemmKernels{
	mr: 14, nr: 32, kc: 384, group: 8,
	tile: []gemmTile{
		nil,
		gemm1x32avx512bf16,
		gemm2x32avx512bf16,
		gemm3x32avx512bf16,
		gemm4x32avx512bf16,
		gemm5x32avx512bf16,
		gemm6x32avx512bf16,
		gemm7x32avx512bf16,
		gemm8x32avx512bf16,
		gemm9x32avx512bf16,
		gemm10x32avx512bf16,
		gemm11x32avx512bf16,
		gemm12x32avx512bf16,
		gemm13x32avx512bf16,
		gemm14x32avx512bf16,
	},
	transpose: gemmTransposeAVX512,
}

// bf16Kernels returns the kernels for bfloat16.
func bf16Kernels() *gemmKernels {
	if BF16() {
		return &gemmAVX512BF16
	}
	return &gemmGenericBF16
}

// gemmPairs is gemmPairsGeneric.
func gemmPairs(dst, src []float32) {
	n := 0
	if BF16() && len(src) >= 32 {
		n = len(src) / 32 * 16
		gemmPairsAVX512BF16(dst, src, n)
	}
	gemmPairsGeneric(dst[n:], src[2*n:])
}

// gemmZip is gemmZipGeneric.
func gemmZip(dst []float32, width int, src []float32, ld, cols, rows int) {
	pairs, whole := 0, cols/16
	if BF16() {
		pairs = rows / 2
	}
	if pairs > 0 && whole > 0 {
		gemmZipAVX512BF16(dst, width, 16, 16, src, ld, 16, whole, pairs)
	}
	if j := whole * 16; pairs > 0 && j < cols {
		gemmZipAVX512BF16(dst[j:], width, 0, 0, src[j:], ld, cols-j, 1, pairs)
	}
	if 2*pairs < rows {
		gemmZipGeneric(dst[pairs*width:], width, src[2*pairs*ld:], ld, cols, rows-2*pairs)
	}
}

// gemmZipPanels is gemmZip of panels of cols columns that lie side by side in src, into
// panels pitch values apart. It reads src row by row, which memory is made for.
func gemmZipPanels(dst []float32, pitch int, src []float32, ld, cols, panels, rows int) {
	pairs := 0
	if BF16() && cols == 32 && panels > 0 && rows > 1 {
		pairs = rows / 2
		gemmZipAVX512BF16(dst, cols, 16, pitch-16, src, ld, 16, 2*panels, pairs)
	}
	for p := 0; p < panels && 2*pairs < rows; p++ {
		gemmZipGeneric(dst[p*pitch+pairs*cols:], cols, src[2*pairs*ld+p*cols:], ld, cols, rows-2*pairs)
	}
}

// dotPeakAVX512BF16 does 24 independent products of 16 pairs a round; iters is at
// least 1.
//
//go:noescape
func dotPeakAVX512BF16(iters int)

// dotPeak runs iters rounds and returns the operations of one.
func dotPeak(iters int) (flopsPerRound float64) {
	dotPeakAVX512BF16(iters)
	return 2 * 24 * 32
}
