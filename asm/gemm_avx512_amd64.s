//go:build amd64 && !purego

#include "textflag.h"
#include "gemm_avx512_amd64.h"

#define EVERY 12

// The GEMM micro-kernels: a tile of 1 to 14 rows and 32 columns of C; see
// gemm_amd64.go for the arguments.

// c += a[k] * b[k][:]
#define MULADD(a, c0, c1, n) \
	VBROADCASTSS a, A0 \
	VFMADD231PS B0, A0, c0 \
	VFMADD231PS B1, A0, c1

// func gemm1x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm1x32avx512(SB), NOSPLIT, $0-192
	TILE(1, ROWS1, MULADD)

// func gemm2x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm2x32avx512(SB), NOSPLIT, $0-192
	TILE(2, ROWS2, MULADD)

// func gemm3x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm3x32avx512(SB), NOSPLIT, $0-192
	TILE(3, ROWS3, MULADD)

// func gemm4x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm4x32avx512(SB), NOSPLIT, $0-192
	TILE(4, ROWS4, MULADD)

// func gemm5x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm5x32avx512(SB), NOSPLIT, $0-192
	TILE(5, ROWS5, MULADD)

// func gemm6x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm6x32avx512(SB), NOSPLIT, $0-192
	TILE(6, ROWS6, MULADD)

// func gemm7x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm7x32avx512(SB), NOSPLIT, $0-192
	TILE(7, ROWS7, MULADD)

// func gemm8x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm8x32avx512(SB), NOSPLIT, $0-192
	TILE(8, ROWS8, MULADD)

// func gemm9x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm9x32avx512(SB), NOSPLIT, $0-192
	TILE(9, ROWS9, MULADD)

// func gemm10x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm10x32avx512(SB), NOSPLIT, $0-192
	TILE(10, ROWS10, MULADD)

// func gemm11x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm11x32avx512(SB), NOSPLIT, $0-192
	TILE(11, ROWS11, MULADD)

// func gemm12x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm12x32avx512(SB), NOSPLIT, $0-192
	TILE(12, ROWS12, MULADD)

// func gemm13x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm13x32avx512(SB), NOSPLIT, $0-192
	TILE(13, ROWS13, MULADD)

// func gemm14x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm14x32avx512(SB), NOSPLIT, $0-192
	TILE(14, ROWS14, MULADD)
