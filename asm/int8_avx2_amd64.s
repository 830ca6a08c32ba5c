//go:build amd64 && !purego

#include "textflag.h"

// The tiles of int8Kernel with AVX2, of 16 columns of C, and quantisation.
//
// VPMADDUBSW, which multiplies int8, saturates its sums of two products. So values
// become int16: VPMADDWD adds two products of these as an int32. An accumulator has two
// sums for each of four columns.

#define C     DI
#define LDC   DX  // bytes between rows of C
#define A     SI
#define LDA   R10 // bytes between rows of A
#define B     BX  // the current block, of 128 bytes
#define K     CX
#define SCALE R11 // of the columns
#define SUM   R12
#define BIAS  R13
#define RSCALE R14 // of the rows
#define A0    Y12
#define A1    Y13

#define ARGS \
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
	SHLQ $2, LDC

#define ZERO4(a, b, c, d) \
	VPXOR a, a, a \
	VPXOR b, b, b \
	VPXOR c, c, c \
	VPXOR d, d, d

// LOADA sets y, of which x is the lower half, to four values of A, again and again.
#define LOADA(a, x, y) \
	VPBROADCASTD a, x \
	VPMOVZXBW x, y

// DOTADD1 adds the products of A0, and DOTADD2 also those of A1, with four columns.
#define DOTADD1(off, c0) \
	VPMOVSXBW off(B), Y8 \
	VPMADDWD A0, Y8, Y9 \
	VPADDD Y9, c0, c0

#define DOTADD2(off, c0, c1) \
	VPMOVSXBW off(B), Y8 \
	VPMADDWD A0, Y8, Y9 \
	VPMADDWD A1, Y8, Y10 \
	VPADDD Y9, c0, c0 \
	VPADDD Y10, c1, c1

#define NEXT \
	PREFETCHT1 4096(B) \
	ADDQ $128, B \
	ADDQ $4, A \
	DECQ K

// FINISH stores 8 columns of a row: those of two accumulators, of which the
// instruction adds neighbours and leaves columns 0, 1, 4, 5, 2, 3, 6, 7.
#define FINISH(c0, c1, off, row) \
	VPHADDD c1, c0, c0 \
	VPERMQ $0xd8, c0, c0 \
	VPSUBD off(SUM), c0, c0 \
	VCVTDQ2PS c0, c0 \
	VMULPS off(SCALE), c0, c0 \
	VBROADCASTSS (4*row)(RSCALE), A0 \
	VMULPS A0, c0, c0 \
	VADDPS off(BIAS), c0, c0 \
	VMOVUPS c0, off(C)

// func int8Tile2x16avx2(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile2x16avx2(SB), NOSPLIT, $0-192
	ARGS
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
loop:
	LOADA((A), X12, Y12)
	LOADA((A)(LDA*1), X13, Y13)
	DOTADD2(0, Y0, Y4)
	DOTADD2(16, Y1, Y5)
	DOTADD2(32, Y2, Y6)
	DOTADD2(48, Y3, Y7)
	NEXT
	JNZ loop
	FINISH(Y0, Y1, 0, 0)
	FINISH(Y2, Y3, 32, 0)
	ADDQ LDC, C
	FINISH(Y4, Y5, 0, 1)
	FINISH(Y6, Y7, 32, 1)
	VZEROUPPER
	RET

// func int8Tile1x16avx2(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
//	scales []float32, sums []int32, bias, rowScales []float32)
TEXT ·int8Tile1x16avx2(SB), NOSPLIT, $0-192
	ARGS
	ZERO4(Y0, Y1, Y2, Y3)
loop:
	LOADA((A), X12, Y12)
	DOTADD1(0, Y0)
	DOTADD1(16, Y1)
	DOTADD1(32, Y2)
	DOTADD1(48, Y3)
	NEXT
	JNZ loop
	FINISH(Y0, Y1, 0, 0)
	FINISH(Y2, Y3, 32, 0)
	VZEROUPPER
	RET

// func absMaxAVX2(x []float32) uint32
TEXT ·absMaxAVX2(SB), NOSPLIT, $0-28
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VPCMPEQD Y1, Y1, Y1
	VPSRLD $1, Y1, Y1 // all but the sign
	VPXOR Y0, Y0, Y0
most:
	VPAND (SI), Y1, Y2
	VPMAXUD Y2, Y0, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ most
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPMAXUD X1, X0, X0
	VMOVD X0, AX
	MOVL AX, ret+24(FP)
	VZEROUPPER
	RET

DATA int8Signs<>+0(SB)/8, $0x8080808080808080
GLOBL int8Signs<>(SB), RODATA|NOPTR, $8

// The order in which packing leaves groups of four values, undone.
DATA int8Order<>+0(SB)/8, $0x0000000400000000
DATA int8Order<>+8(SB)/8, $0x0000000500000001
DATA int8Order<>+16(SB)/8, $0x0000000600000002
DATA int8Order<>+24(SB)/8, $0x0000000700000003
GLOBL int8Order<>(SB), RODATA|NOPTR, $32

// func int8RoundAVX2(q []uint8, x []float32, factor float32)
TEXT ·int8RoundAVX2(SB), NOSPLIT, $0-52
	MOVQ q_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	VBROADCASTSS factor+48(FP), Y4
	VPBROADCASTQ int8Signs<>(SB), Y5
	VMOVDQU int8Order<>(SB), Y6
round:
	VMULPS (SI), Y4, Y0
	VMULPS 32(SI), Y4, Y1
	VMULPS 64(SI), Y4, Y2
	VMULPS 96(SI), Y4, Y3
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VCVTPS2DQ Y2, Y2
	VCVTPS2DQ Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKSSWB Y2, Y0, Y0
	VPERMD Y0, Y6, Y0
	VPXOR Y5, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $128, SI
	ADDQ $32, DI
	SUBQ $32, CX
	JNZ round
	VZEROUPPER
	RET

// func dequantizeAVX2(dst []float32, q []int8, scale float32)
TEXT ·dequantizeAVX2(SB), NOSPLIT, $0-52
	MOVQ dst_base+0(FP), DI
	MOVQ q_base+24(FP), SI
	MOVQ q_len+32(FP), CX
	VBROADCASTSS scale+48(FP), Y1
widen:
	VPMOVSXBD (SI), Y0
	VCVTDQ2PS Y0, Y0
	VMULPS Y1, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $8, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ widen
	VZEROUPPER
	RET
