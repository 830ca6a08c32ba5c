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

// gemmZipAVX512BF16 makes pairs of two rows each of src, of which it reads 2*count;
// cols is 1 to 16.
//
//	for k := range count {
//		for j := range cols {
//			dst[k*width+j] = pair(src[2*k*ld+j], src[(2*k+1)*ld+j])
//		}
//	}
//
//go:noescape
func gemmZipAVX512BF16(dst []float32, width int, src []float32, ld, cols, count int)

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
	if isa == AVX512 && hasBF16 {
		return &gemmAVX512BF16
	}
	return &gemmGenericBF16
}

// gemmPairs is gemmPairsGeneric.
func gemmPairs(dst, src []float32) {
	n := 0
	if isa == AVX512 && hasBF16 && len(src) >= 32 {
		n = len(src) / 32 * 16
		gemmPairsAVX512BF16(dst, src, n)
	}
	gemmPairsGeneric(dst[n:], src[2*n:])
}

// gemmZip is gemmZipGeneric.
func gemmZip(dst []float32, width int, src []float32, ld, cols, rows int) {
	whole := rows / 2
	if !(isa == AVX512 && hasBF16) || whole == 0 {
		gemmZipGeneric(dst, width, src, ld, cols, rows)
		return
	}
	for j := 0; j < cols; j += 16 {
		gemmZipAVX512BF16(dst[j:], width, src[j:], ld, min(cols-j, 16), whole)
	}
	if rows%2 != 0 {
		gemmZipGeneric(dst[whole*width:], width, src[2*whole*ld:], ld, cols, 1)
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
