//go:build amd64 && !purego

#include "textflag.h"

// The GEMM micro-kernels: a tile of 1 to 6 rows and 16 columns of C. Row i
// accumulates in Y(2i) and Y(2i+1); see gemm_amd64.go for the arguments.

// Eight lanes of ones, then eight of zeros: the mask for n lanes starts at lane 8-n.
DATA gemmMask<>+0(SB)/8, $-1
DATA gemmMask<>+8(SB)/8, $-1
DATA gemmMask<>+16(SB)/8, $-1
DATA gemmMask<>+24(SB)/8, $-1
DATA gemmMask<>+32(SB)/8, $0
DATA gemmMask<>+40(SB)/8, $0
DATA gemmMask<>+48(SB)/8, $0
DATA gemmMask<>+56(SB)/8, $0
GLOBL gemmMask<>(SB), RODATA|NOPTR, $64

#define C     DI  // the current row of C
#define LDC   DX  // bytes between rows of C
#define A     SI  // rows 0-2 of A at the current k
#define A3    R10 // rows 3-5
#define AROW  R8  // bytes between rows of A
#define ACOL  R9  // bytes between columns of A
#define B     BX  // the current row of the panel of B
#define BROW  R15 // bytes between rows of B
#define K     CX
#define STEPS R14 // steps until the next prefetch
#define BIAS  AX
#define B0    Y12
#define B1    Y13
#define A0    Y14
#define A1    Y15
// B is dead when C is stored.
#define MASK0 Y12
#define MASK1 Y13

// ROWSn(OP) expands to OP(address in A, accumulators) for each of n rows.
#define ROWS1(OP) OP((A), Y0, Y1)
#define ROWS2(OP) ROWS1(OP); OP((A)(AROW*1), Y2, Y3)
#define ROWS3(OP) ROWS2(OP); OP((A)(AROW*2), Y4, Y5)
#define ROWS4(OP) ROWS3(OP); OP((A3), Y6, Y7)
#define ROWS5(OP) ROWS4(OP); OP((A3)(AROW*1), Y8, Y9)
#define ROWS6(OP) ROWS5(OP); OP((A3)(AROW*2), Y10, Y11)

#define ZERO(a, c0, c1) \
	VXORPS c0, c0, c0 \
	VXORPS c1, c1, c1

// Prefetches the row of C at AX, to which the kernel adds at the end.
#define FETCHC(a, c0, c1) \
	PREFETCHT0 (AX) \
	PREFETCHT0 60(AX) \
	ADDQ LDC, AX

// c += a[k] * b[k][:]
#define MULADD(a, c0, c1) \
	VBROADCASTSS a, A0 \
	VFMADD231PS B0, A0, c0 \
	VFMADD231PS B1, A0, c1

// c *= alpha, with alpha in A0
#define SCALE(a, c0, c1) \
	VMULPS A0, c0, c0 \
	VMULPS A0, c1, c1

// c += beta * C[row], with beta in A0 and the row at R8
#define ADDC(a, c0, c1) \
	VMASKMOVPS (R8), MASK0, A1 \
	VFMADD231PS A1, A0, c0 \
	VMASKMOVPS 32(R8), MASK1, A1 \
	VFMADD231PS A1, A0, c1 \
	ADDQ LDC, R8

// c += bias, with bias in A0 and A1
#define ADDBIAS(a, c0, c1) \
	VADDPS A0, c0, c0 \
	VADDPS A1, c1, c1

#define STORE(a, c0, c1) \
	VMOVUPS c0, (C) \
	VMOVUPS c1, 32(C) \
	ADDQ LDC, C

#define STOREMASKED(a, c0, c1) \
	VMASKMOVPS c0, MASK0, (C) \
	VMASKMOVPS c1, MASK1, 32(C) \
	ADDQ LDC, C

// STEP adds the products at the current k and goes on to the next.
#define STEP(ROWS, COUNT) \
	VMOVUPS (B), B0 \
	VMOVUPS 32(B), B1 \
	ROWS(MULADD) \
	ADDQ ACOL, A \
	ADDQ ACOL, A3 \
	ADDQ BROW, B \
	DECQ COUNT

// TILE is the body of a kernel; ROWS is one of ROWS1 to ROWS6. It prefetches two
// cache lines every 12 steps: more would fill the queue of cache misses, and loads
// of A would wait.
#define TILE(ROWS) \
	MOVQ ldc+24(FP), LDC \
	MOVQ acs+64(FP), ACOL \
	MOVQ brs+96(FP), BROW \
	SHLQ $2, LDC \
	SHLQ $2, ACOL \
	SHLQ $2, BROW \
	SHLQ $2, bps+104(FP) \
	SHLQ $2, fetch_pair+168(FP) \
	SHLQ $2, fetch_slot+176(FP) \
	SHLQ $2, fetch_panel+184(FP) \
panel: \
	MOVQ c_base+0(FP), C \
	MOVQ a_base+32(FP), A \
	MOVQ ars+56(FP), AROW \
	MOVQ b_base+72(FP), B \
	MOVQ k+112(FP), K \
	SHLQ $2, AROW \
	LEAQ (A)(AROW*2), A3 \
	ADDQ AROW, A3 \
	MOVQ C, AX \
	ROWS(FETCHC) \
	ROWS(ZERO) \
	MOVQ fetch_at+160(FP), AX \
	TESTQ AX, AX \
	JZ loop \
slot: \
	SUBQ $12, K \
	JLT rest \
	MOVQ fetch_pair+168(FP), STEPS \
	PREFETCHT1 (AX) \
	PREFETCHT1 (AX)(STEPS*1) \
	ADDQ fetch_slot+176(FP), AX \
	MOVQ $12, STEPS \
	PCALIGN $64 \
steps: \
	STEP(ROWS, STEPS) \
	JNZ steps \
	JMP slot \
rest: \
	ADDQ $12, K \
	JZ summed \
	PCALIGN $64 \
loop: \
	STEP(ROWS, K) \
	JNZ loop \
summed: \
	MOVQ cols+152(FP), CX \
	MOVQ $16, R9 \
	CMPQ CX, R9 \
	CMOVQGT R9, CX \
	MOVQ $8, R9 \
	CMPQ CX, R9 \
	CMOVQLT CX, R9 \
	SUBQ R9, CX \
	LEAQ gemmMask<>+32(SB), R8 \
	LEAQ gemmMask<>+32(SB), R10 \
	SHLQ $2, R9 \
	SHLQ $2, CX \
	SUBQ R9, R8 \
	SUBQ CX, R10 \
	VMOVUPS (R8), MASK0 \
	VMOVUPS (R10), MASK1 \
	CMPL alpha+144(FP), $0x3f800000 \
	JEQ scaled \
	VBROADCASTSS alpha+144(FP), A0 \
	ROWS(SCALE) \
scaled: \
	CMPL beta+148(FP), $0 \
	JEQ added \
	VBROADCASTSS beta+148(FP), A0 \
	MOVQ C, R8 \
	ROWS(ADDC) \
added: \
	MOVQ bias_base+120(FP), BIAS \
	TESTQ BIAS, BIAS \
	JZ biased \
	VMASKMOVPS (BIAS), MASK0, A0 \
	VMASKMOVPS 32(BIAS), MASK1, A1 \
	ROWS(ADDBIAS) \
	ADDQ $64, bias_base+120(FP) \
biased: \
	CMPQ CX, $32 \
	JNE edge \
	ROWS(STORE) \
	SUBQ $16, cols+152(FP) \
	JLE done \
	MOVQ acs+64(FP), ACOL \
	SHLQ $2, ACOL \
	ADDQ $64, c_base+0(FP) \
	MOVQ bps+104(FP), AX \
	ADDQ AX, b_base+72(FP) \
	MOVQ fetch_panel+184(FP), AX \
	ADDQ AX, fetch_at+160(FP) \
	JMP panel \
edge: \
	ROWS(STOREMASKED) \
done: \
	VZEROUPPER \
	RET

// func gemm1x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm1x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS1)

// func gemm2x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm2x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS2)

// func gemm3x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm3x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS3)

// func gemm4x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm4x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS4)

// func gemm5x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm5x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS5)

// func gemm6x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm6x16avx2(SB), NOSPLIT, $0-192
	TILE(ROWS6)
