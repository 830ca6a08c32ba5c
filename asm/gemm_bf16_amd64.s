//go:build amd64 && !purego

#include "textflag.h"
#include "gemm_avx512_amd64.h"

#define EVERY 8

// The GEMM micro-kernels for pairs of bfloat16 values, and their packing. Go's
// assembler lacks the instructions of AVX512_BF16, so their bytes are written down;
// see Intel's manual, volume 2, sections 2.7.1 (EVEX) and 5 (VDPBF16PS and the
// like). TestInstructionSets reads them back.

// VDPBF16PS adds to Zc the products of the upper and then those of the lower values
// in A0 and in Z(24+b), with b = 4 for B0 and 5 for B1.
#define VDPBF16PS(b, c) \
	LONG $(0x400e9262 ^ ((((c)>>3)&1)<<15) ^ ((((c)>>4)&1)<<12)) \
	WORD $(0xc052 + (((c)&7)<<11) + ((b)<<8))

// VCVTNE2PS2BF16 sets Z2 to the values of Z0 and, behind them, those of Z1.
#define VCVTNE2PS2BF16_Z0_Z1_Z2 \
	LONG $0x4877f262 \
	WORD $0xd072

// VCVTNEPS2BF16 sets Y2 to the values of Z0, or Y3 to those of Z1.
#define VCVTNEPS2BF16_Z0_Y2 \
	LONG $0x487ef262 \
	WORD $0xd072
#define VCVTNEPS2BF16_Z1_Y3 \
	LONG $0x487ef262 \
	WORD $0xd972

// c += a[k] * b[k][:], both values of each pair
#define DOTADD(a, c0, c1, n) \
	VBROADCASTSS a, A0 \
	VDPBF16PS(4, n) \
	VDPBF16PS(5, n+1)

// func gemm1x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm1x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(1, ROWS1, DOTADD)

// func gemm2x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm2x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(2, ROWS2, DOTADD)

// func gemm3x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm3x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(3, ROWS3, DOTADD)

// func gemm4x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm4x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(4, ROWS4, DOTADD)

// func gemm5x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm5x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(5, ROWS5, DOTADD)

// func gemm6x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm6x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(6, ROWS6, DOTADD)

// func gemm7x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm7x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(7, ROWS7, DOTADD)

// func gemm8x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm8x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(8, ROWS8, DOTADD)

// func gemm9x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm9x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(9, ROWS9, DOTADD)

// func gemm10x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm10x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(10, ROWS10, DOTADD)

// func gemm11x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm11x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(11, ROWS11, DOTADD)

// func gemm12x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm12x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(12, ROWS12, DOTADD)

// func gemm13x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm13x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(13, ROWS13, DOTADD)

// func gemm14x32avx512bf16(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
//	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)
TEXT ·gemm14x32avx512bf16(SB), NOSPLIT, $0-192
	TILE(14, ROWS14, DOTADD)

// func gemmPairsAVX512BF16(dst, src []float32, count int)
TEXT ·gemmPairsAVX512BF16(SB), NOSPLIT, $0-56
	MOVQ dst_base+0(FP), DI
	MOVQ src_base+24(FP), SI
	MOVQ count+48(FP), CX
pairs:
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VCVTNE2PS2BF16_Z0_Z1_Z2
	VMOVDQU32 Z2, (DI)
	ADDQ $128, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JG pairs
	VZEROUPPER
	RET

// Words of a vector of two rows of 16, in pairs of one of each.
DATA gemmZipOrder<>+0(SB)/8, $0x0011000100100000
DATA gemmZipOrder<>+8(SB)/8, $0x0013000300120002
DATA gemmZipOrder<>+16(SB)/8, $0x0015000500140004
DATA gemmZipOrder<>+24(SB)/8, $0x0017000700160006
DATA gemmZipOrder<>+32(SB)/8, $0x0019000900180008
DATA gemmZipOrder<>+40(SB)/8, $0x001b000b001a000a
DATA gemmZipOrder<>+48(SB)/8, $0x001d000d001c000c
DATA gemmZipOrder<>+56(SB)/8, $0x001f000f001e000e
GLOBL gemmZipOrder<>(SB), RODATA|NOPTR, $64

// func gemmZipAVX512BF16(dst []float32, width, step, next int, src []float32, ld, cols, vectors, count int)
TEXT ·gemmZipAVX512BF16(SB), NOSPLIT, $0-104
	MOVQ dst_base+0(FP), DI
	MOVQ width+24(FP), DX
	MOVQ step+32(FP), R10
	MOVQ next+40(FP), R11
	MOVQ src_base+48(FP), SI
	MOVQ ld+72(FP), R9
	MOVQ cols+80(FP), CX
	MOVQ vectors+88(FP), R12
	MOVQ count+96(FP), R13
	VMOVDQU64 gemmZipOrder<>(SB), Z4
	MOVQ $-1, R8
	SHLQ CX, R8
	NOTQ R8
	KMOVW R8, K1
	SHLQ $2, DX
	SHLQ $2, R10
	SHLQ $2, R11
	SHLQ $2, R9
	SHLQ $2, CX
rows:
	MOVQ DI, AX
	MOVQ SI, BX
	MOVQ R10, R14
	MOVQ R11, R15
	MOVQ R12, R8
zip:
	VMOVUPS.Z (BX), K1, Z0
	VMOVUPS.Z (BX)(R9*1), K1, Z1
	VCVTNE2PS2BF16_Z0_Z1_Z2
	VPERMW Z2, Z4, Z2
	VMOVDQU32 Z2, K1, (AX)
	ADDQ CX, BX
	ADDQ R14, AX
	XCHGQ R14, R15
	DECQ R8
	JNZ zip
	LEAQ (SI)(R9*2), SI
	ADDQ DX, DI
	DECQ R13
	JNZ rows
	VZEROUPPER
	RET

#define PEAK4(n) \
	VDPBF16PS(4, n) \
	VDPBF16PS(4, n+1) \
	VDPBF16PS(4, n+2) \
	VDPBF16PS(4, n+3)

#define ZERO8(a, b, c, d, e, f, g, h) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD d, d, d \
	VPXORD e, e, e \
	VPXORD f, f, f \
	VPXORD g, g, g \
	VPXORD h, h, h

// func dotPeakAVX512BF16(iters int)
TEXT ·dotPeakAVX512BF16(SB), NOSPLIT, $0-8
	MOVQ iters+0(FP), CX
	ZERO8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	ZERO8(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	ZERO8(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	VPXORD B0, B0, B0
	VPXORD A0, A0, A0
	PCALIGN $64
peak:
	PEAK4(0)
	PEAK4(4)
	PEAK4(8)
	PEAK4(12)
	PEAK4(16)
	PEAK4(20)
	DECQ CX
	JNZ peak
	VZEROUPPER
	RET
