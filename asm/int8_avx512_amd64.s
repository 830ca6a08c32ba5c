//go:build amd64 && !purego

#include "textflag.h"

// The tiles of int8Kernel with AVX512_VNNI: 32 columns of C. Row i accumulates in
// Z(2i) and Z(2i+1).

#define C     DI  // the current row of C
#define LDC   DX  // bytes between rows of C
#define A     SI  // rows 0-2 of A at the current block
#define A3    R8  // rows 3-5
#define A6    R9  // rows 6-7
#define LDA   R10 // bytes between rows of A
#define B     BX  // the current block of the panel
#define K     CX
#define SCALE R11 // of the columns
#define SUM   R12
#define BIAS  R13
#define RSCALE R14 // of the current row
#define B0    Z28
#define B1    Z29
#define A0    Z30

// ROWSn(OP) expands to OP(address in A, accumulators) for each of n rows.
#define ROWS1(OP) OP((A), Z0, Z1)
#define ROWS2(OP) ROWS1(OP); OP((A)(LDA*1), Z2, Z3)
#define ROWS4(OP) ROWS2(OP); OP((A)(LDA*2), Z4, Z5); OP((A3), Z6, Z7)
#define ROWS8(OP) ROWS4(OP); OP((A3)(LDA*1), Z8, Z9); OP((A3)(LDA*2), Z10, Z11); \
	OP((A6), Z12, Z13); OP((A6)(LDA*1), Z14, Z15)

#define ZERO(a, c0, c1) \
	VPXORD c0, c0, c0 \
	VPXORD c1, c1, c1

// c += four values of a times those of each column
#define DOTADD(a, c0, c1) \
	VPBROADCASTD a, A0 \
	VPDPBUSD B0, A0, c0 \
	VPDPBUSD B1, A0, c1

// Take off the sums, with those in B0 and B1, and convert.
#define CONVERT(a, c0, c1) \
	VPSUBD B0, c0, c0 \
	VPSUBD B1, c1, c1 \
	VCVTDQ2PS c0, c0 \
	VCVTDQ2PS c1, c1

// Multiply by the scales of the columns, in B0 and B1, and then of the row.
#define SCALES(a, c0, c1) \
	VBROADCASTSS (RSCALE), A0 \
	VMULPS B0, c0, c0 \
	VMULPS B1, c1, c1 \
	VMULPS A0, c0, c0 \
	VMULPS A0, c1, c1 \
	ADDQ $4, RSCALE

// Add the bias, in B0 and B1, and store.
#define STORE(a, c0, c1) \
	VADDPS B0, c0, c0 \
	VADDPS B1, c1, c1 \
	VMOVUPS c0, (C) \
	VMOVUPS c1, 64(C) \
	ADDQ LDC, C

// B is read once and in order. It is prefetched, since the hardware stops at the end of
// every page.
#define TILE(ROWS) \
	MOVQ c_base+0(FP), C \
	MOVQ ldc+24(FP), LDC \
	MOVQ a_base+32(FP), A \
	MOVQ lda+56(FP), LDA \
	MOVQ b_base+64(FP), B \
	MOVQ blocks+88(FP), K \
	MOVQ scales_base+96(FP), SCALE \
	MOVQ sums_base+120(FP), SUM \
	MOVQ bias_base+144(FP), BIAS \
	MOVQ rowScales_base+168(FP), RSCALE \
	SHLQ $2, LDC \
	LEAQ (LDA)(LDA*2), A3 \
	LEAQ (A)(A3*2), A6 \
	ADDQ A, A3 \
	ROWS(ZERO) \
loop: \
	VMOVDQU32 (B), B0 \
	VMOVDQU32 64(B), B1 \
	PREFETCHT1 4096(B) \
	PREFETCHT1 4160(B) \
	ROWS(DOTADD) \
	ADDQ $128, B \
	ADDQ $4, A \
	ADDQ $4, A3 \
	ADDQ $4, A6 \
	DECQ K \
	JNZ loop \
	VMOVDQU32 (SUM), B0 \
	VMOVDQU32 64(SUM), B1 \
	ROWS(CONVERT) \
	VMOVUPS (SCALE), B0 \
	VMOVUPS 64(SCALE), B1 \
	ROWS(SCALES) \
	VMOVUPS (BIAS), B0 \
	VMOVUPS 64(BIAS), B1 \
	ROWS(STORE) \
	VZEROUPPER \
	RET

// func int8Tile8x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile8x32avx512vnni(SB), NOSPLIT, $0-192
	TILE(ROWS8)

// func int8Tile4x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile4x32avx512vnni(SB), NOSPLIT, $0-192
	TILE(ROWS4)

// func int8Tile2x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile2x32avx512vnni(SB), NOSPLIT, $0-192
	TILE(ROWS2)

// func int8Tile1x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile1x32avx512vnni(SB), NOSPLIT, $0-192
	TILE(ROWS1)
