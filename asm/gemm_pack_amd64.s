//go:build amd64 && !purego

#include "textflag.h"

// Packing for GEMM. All but gemmPackCols16avx512 need AVX2 only and serve both
// instruction sets; the stubs in gemm_amd64.go say what each computes.

#define DST   DI
#define WIDTH DX // bytes between rows of dst
#define COUNT CX
#define COL   AX // byte offset of the current column in each row of src

// NEXTROW sets row to prev + R9 bytes, or to prev where src has no row i.
#define NEXTROW(i, prev, row) \
	LEAQ (prev)(R9*1), row \
	CMPQ R8, $i \
	CMOVQLE prev, row

// PAIR interleaves the low and high lanes of two rows.
#define PAIR(x, y, lo, hi) \
	VUNPCKLPS y, x, lo \
	VUNPCKHPS y, x, hi

// QUAD turns two interleaved pairs into 4 x 4 columns.
#define QUAD(x, y, lo, hi) \
	VSHUFPS $0x44, y, x, lo \
	VSHUFPS $0xee, y, x, hi

// PUT stores one column of eight rows, whose halves are in x and y.
#define PUT(half, x, y) \
	VPERM2F128 $half, y, x, Y15 \
	VMOVUPS Y15, (DST) \
	ADDQ WIDTH, DST

// COPY8 copies eight values at an offset in a row.
#define COPY8(offset, y) \
	VMOVUPS offset(SI), y \
	VMOVUPS y, offset(DST)

// COPYROWS is the body of a kernel that copies rows by ROW.
#define COPYROWS(ROW) \
	MOVQ dst_base+0(FP), DST \
	MOVQ width+24(FP), WIDTH \
	MOVQ src_base+32(FP), SI \
	MOVQ ld+56(FP), R9 \
	MOVQ rows+64(FP), COUNT \
	SHLQ $2, WIDTH \
	SHLQ $2, R9 \
row: \
	ROW \
	ADDQ R9, SI \
	ADDQ WIDTH, DST \
	DECQ COUNT \
	JNZ row \
	VZEROUPPER \
	RET

// SPLIT is the body of a kernel that packs 8 columns of tiles side by side;
// ROWS copies them. Each row overwrites what the row before wrote beyond its tile;
// the last row writes its tile only.
#define SPLIT(bytes, ROWS) \
	MOVQ dst_base+0(FP), DST \
	MOVQ pitch+24(FP), AX \
	MOVQ src_base+32(FP), SI \
	MOVQ ld+56(FP), R9 \
	MOVQ tiles+64(FP), COUNT \
	SHLQ $2, AX \
	SHLQ $2, R9 \
	LEAQ (R9)(R9*2), R10 \
	LEAQ (SI)(R9*4), R11 \
tile: \
	ROWS \
	ADDQ $bytes, SI \
	ADDQ $bytes, R11 \
	ADDQ AX, DST \
	DECQ COUNT \
	JNZ tile \
	VZEROUPPER \
	RET

#define ROWS14 \
	VMOVUPS (SI), Y0 \
	VMOVUPS 32(SI), Y1 \
	VMOVUPS (SI)(R9*1), Y2 \
	VMOVUPS 32(SI)(R9*1), Y3 \
	VMOVUPS (SI)(R9*2), Y4 \
	VMOVUPS 32(SI)(R9*2), Y5 \
	VMOVUPS (SI)(R10*1), Y6 \
	VMOVUPS 32(SI)(R10*1), Y7 \
	VMOVUPS (R11), Y8 \
	VMOVUPS 32(R11), Y9 \
	VMOVUPS (R11)(R9*1), Y10 \
	VMOVUPS 32(R11)(R9*1), Y11 \
	VMOVUPS (R11)(R9*2), Y12 \
	VMOVUPS 32(R11)(R9*2), Y13 \
	VMOVUPS (R11)(R10*1), Y14 \
	VMOVUPS 24(R11)(R10*1), Y15 \
	VMOVUPS Y0, (DST) \
	VMOVUPS Y1, 32(DST) \
	VMOVUPS Y2, 56(DST) \
	VMOVUPS Y3, 88(DST) \
	VMOVUPS Y4, 112(DST) \
	VMOVUPS Y5, 144(DST) \
	VMOVUPS Y6, 168(DST) \
	VMOVUPS Y7, 200(DST) \
	VMOVUPS Y8, 224(DST) \
	VMOVUPS Y9, 256(DST) \
	VMOVUPS Y10, 280(DST) \
	VMOVUPS Y11, 312(DST) \
	VMOVUPS Y12, 336(DST) \
	VMOVUPS Y13, 368(DST) \
	VMOVUPS Y14, 392(DST) \
	VMOVUPS Y15, 416(DST)

#define ROWS6 \
	VMOVUPS (SI), Y0 \
	VMOVUPS (SI)(R9*1), Y1 \
	VMOVUPS (SI)(R9*2), Y2 \
	VMOVUPS (SI)(R10*1), Y3 \
	VMOVUPS (R11), Y4 \
	VMOVUPS (R11)(R9*1), Y5 \
	VMOVUPS (R11)(R9*2), Y6 \
	VMOVUPS (R11)(R10*1), X7 \
	VMOVUPS 8(R11)(R10*1), X8 \
	VMOVUPS Y0, (DST) \
	VMOVUPS Y1, 24(DST) \
	VMOVUPS Y2, 48(DST) \
	VMOVUPS Y3, 72(DST) \
	VMOVUPS Y4, 96(DST) \
	VMOVUPS Y5, 120(DST) \
	VMOVUPS Y6, 144(DST) \
	VMOVUPS X7, 168(DST) \
	VMOVUPS X8, 176(DST)

// func gemmPackCols8(dst []float32, width int, src []float32, ld, rows, count int)
TEXT ·gemmPackCols8(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ rows+64(FP), R8
	MOVQ count+72(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
	NEXTROW(1, SI, R10)
	NEXTROW(2, R10, R11)
	NEXTROW(3, R11, R12)
	NEXTROW(4, R12, R13)
	NEXTROW(5, R13, R15)
	NEXTROW(6, R15, BX)
	NEXTROW(7, BX, R9)
	XORQ COL, COL
loop:
	VMOVUPS (SI)(COL*1), Y0
	VMOVUPS (R10)(COL*1), Y1
	VMOVUPS (R11)(COL*1), Y2
	VMOVUPS (R12)(COL*1), Y3
	VMOVUPS (R13)(COL*1), Y4
	VMOVUPS (R15)(COL*1), Y5
	VMOVUPS (BX)(COL*1), Y6
	VMOVUPS (R9)(COL*1), Y7
	PAIR(Y0, Y1, Y8, Y9)
	PAIR(Y2, Y3, Y10, Y11)
	PAIR(Y4, Y5, Y12, Y13)
	PAIR(Y6, Y7, Y14, Y15)
	QUAD(Y8, Y10, Y0, Y1)
	QUAD(Y9, Y11, Y2, Y3)
	QUAD(Y12, Y14, Y4, Y5)
	QUAD(Y13, Y15, Y6, Y7)
	PUT(0x20, Y0, Y4)
	PUT(0x20, Y1, Y5)
	PUT(0x20, Y2, Y6)
	PUT(0x20, Y3, Y7)
	PUT(0x31, Y0, Y4)
	PUT(0x31, Y1, Y5)
	PUT(0x31, Y2, Y6)
	PUT(0x31, Y3, Y7)
	ADDQ $32, COL
	SUBQ $8, COUNT
	JG loop
	VZEROUPPER
	RET

// func gemmCopyRows8(dst []float32, width int, src []float32, ld, rows int)
TEXT ·gemmCopyRows8(SB), NOSPLIT, $0-72
	COPYROWS(COPY8(0, Y0))

// func gemmCopyRows16(dst []float32, width int, src []float32, ld, rows int)
TEXT ·gemmCopyRows16(SB), NOSPLIT, $0-72
	COPYROWS(COPY8(0, Y0); COPY8(32, Y1))

// func gemmCopyRows32(dst []float32, width int, src []float32, ld, rows int)
TEXT ·gemmCopyRows32(SB), NOSPLIT, $0-72
	COPYROWS(COPY8(0, Y0); COPY8(32, Y1); COPY8(64, Y2); COPY8(96, Y3))

// LANES transposes 4 x 4 lanes of four registers and stores them, under the mask
// K1, as every fourth row of dst from (DST) on.
#define LANES(t0, t1, t2, t3, u0, u1, u2, u3) \
	VSHUFF32X4 $0x44, t1, t0, u0 \
	VSHUFF32X4 $0x44, t3, t2, u1 \
	VSHUFF32X4 $0xee, t1, t0, u2 \
	VSHUFF32X4 $0xee, t3, t2, u3 \
	VSHUFF32X4 $0x88, u1, u0, t0 \
	VSHUFF32X4 $0xdd, u1, u0, t1 \
	VSHUFF32X4 $0x88, u3, u2, t2 \
	VSHUFF32X4 $0xdd, u3, u2, t3 \
	VMOVUPS t0, K1, (DST) \
	VMOVUPS t1, K1, (DST)(WIDTH*4) \
	VMOVUPS t2, K1, (DST)(WIDTH*8) \
	VMOVUPS t3, K1, (DST)(R8*4) \
	ADDQ WIDTH, DST

// func gemmPackCols16avx512(dst []float32, width int, src []float32, ld, rows, count int)
TEXT ·gemmPackCols16avx512(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ rows+64(FP), CX
	MOVQ $-1, R8
	SHLQ CX, R8
	NOTQ R8
	KMOVW R8, K1
	MOVQ count+72(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
	LEAQ (WIDTH)(WIDTH*2), R8
	LEAQ (R9)(R9*2), R10
	LEAQ (SI)(R9*4), R11
	LEAQ (SI)(R9*8), R12
	LEAQ (R11)(R9*8), R13
cols16:
	VMOVUPS (SI), Z0
	VMOVUPS (SI)(R9*1), Z1
	VMOVUPS (SI)(R9*2), Z2
	VMOVUPS (SI)(R10*1), Z3
	VMOVUPS (R11), Z4
	VMOVUPS (R11)(R9*1), Z5
	VMOVUPS (R11)(R9*2), Z6
	VMOVUPS (R11)(R10*1), Z7
	VMOVUPS (R12), Z8
	VMOVUPS (R12)(R9*1), Z9
	VMOVUPS (R12)(R9*2), Z10
	VMOVUPS (R12)(R10*1), Z11
	VMOVUPS (R13), Z12
	VMOVUPS (R13)(R9*1), Z13
	VMOVUPS (R13)(R9*2), Z14
	VMOVUPS (R13)(R10*1), Z15
	PAIR(Z0, Z1, Z16, Z17)
	PAIR(Z2, Z3, Z18, Z19)
	PAIR(Z4, Z5, Z20, Z21)
	PAIR(Z6, Z7, Z22, Z23)
	PAIR(Z8, Z9, Z24, Z25)
	PAIR(Z10, Z11, Z26, Z27)
	PAIR(Z12, Z13, Z28, Z29)
	PAIR(Z14, Z15, Z30, Z31)
	QUAD(Z16, Z18, Z0, Z1)
	QUAD(Z17, Z19, Z2, Z3)
	QUAD(Z20, Z22, Z4, Z5)
	QUAD(Z21, Z23, Z6, Z7)
	QUAD(Z24, Z26, Z8, Z9)
	QUAD(Z25, Z27, Z10, Z11)
	QUAD(Z28, Z30, Z12, Z13)
	QUAD(Z29, Z31, Z14, Z15)
	LANES(Z0, Z4, Z8, Z12, Z16, Z17, Z18, Z19)
	LANES(Z1, Z5, Z9, Z13, Z20, Z21, Z22, Z23)
	LANES(Z2, Z6, Z10, Z14, Z24, Z25, Z26, Z27)
	LANES(Z3, Z7, Z11, Z15, Z28, Z29, Z30, Z31)
	LEAQ (DST)(R8*4), DST
	ADDQ $64, SI
	ADDQ $64, R11
	ADDQ $64, R12
	ADDQ $64, R13
	SUBQ $16, COUNT
	JG cols16
	VZEROUPPER
	RET

// func gemmSplit8x14avx2(dst []float32, pitch int, src []float32, ld, tiles int)
TEXT ·gemmSplit8x14avx2(SB), NOSPLIT, $0-72
	SPLIT(56, ROWS14)

// func gemmSplit8x6avx2(dst []float32, pitch int, src []float32, ld, tiles int)
TEXT ·gemmSplit8x6avx2(SB), NOSPLIT, $0-72
	SPLIT(24, ROWS6)
