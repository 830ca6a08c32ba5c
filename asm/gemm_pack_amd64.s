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
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ rows+64(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
copy8:
	VMOVUPS (SI), Y0
	VMOVUPS Y0, (DST)
	ADDQ R9, SI
	ADDQ WIDTH, DST
	DECQ COUNT
	JNZ copy8
	VZEROUPPER
	RET

// func gemmCopyRows16(dst []float32, width int, src []float32, ld, rows int)
TEXT ·gemmCopyRows16(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ rows+64(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
copy16:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS Y0, (DST)
	VMOVUPS Y1, 32(DST)
	ADDQ R9, SI
	ADDQ WIDTH, DST
	DECQ COUNT
	JNZ copy16
	VZEROUPPER
	RET

// GATHER4 sets z to four columns of the rows i, i+4, i+8 and i+12, where (p0)
// to (p12) are these rows.
#define GATHER4(p0, p4, p8, p12, x, z) \
	VMOVUPS p0, x \
	VINSERTF32X4 $1, p4, z, z \
	VINSERTF32X4 $2, p8, z, z \
	VINSERTF32X4 $3, p12, z, z

// func gemmPackCols16avx512(dst []float32, width int, src []float32, ld, count int)
TEXT ·gemmPackCols16avx512(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ count+64(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
	LEAQ (WIDTH)(WIDTH*2), R8
	LEAQ (R9)(R9*2), R10
	LEAQ (SI)(R9*4), R11
	LEAQ (SI)(R9*8), R12
	LEAQ (R11)(R9*8), R13
cols4:
	GATHER4((SI), (R11), (R12), (R13), X0, Z0)
	GATHER4((SI)(R9*1), (R11)(R9*1), (R12)(R9*1), (R13)(R9*1), X1, Z1)
	GATHER4((SI)(R9*2), (R11)(R9*2), (R12)(R9*2), (R13)(R9*2), X2, Z2)
	GATHER4((SI)(R10*1), (R11)(R10*1), (R12)(R10*1), (R13)(R10*1), X3, Z3)
	PAIR(Z0, Z1, Z4, Z5)
	PAIR(Z2, Z3, Z6, Z7)
	QUAD(Z4, Z6, Z0, Z1)
	QUAD(Z5, Z7, Z2, Z3)
	VMOVUPS Z0, (DST)
	VMOVUPS Z1, (DST)(WIDTH*1)
	VMOVUPS Z2, (DST)(WIDTH*2)
	VMOVUPS Z3, (DST)(R8*1)
	LEAQ (DST)(WIDTH*4), DST
	ADDQ $16, SI
	ADDQ $16, R11
	ADDQ $16, R12
	ADDQ $16, R13
	SUBQ $4, COUNT
	JG cols4
	VZEROUPPER
	RET

// func gemmCopyRows32(dst []float32, width int, src []float32, ld, rows int)
TEXT ·gemmCopyRows32(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DST
	MOVQ width+24(FP), WIDTH
	MOVQ src_base+32(FP), SI
	MOVQ ld+56(FP), R9
	MOVQ rows+64(FP), COUNT
	SHLQ $2, WIDTH
	SHLQ $2, R9
copy32:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VMOVUPS Y0, (DST)
	VMOVUPS Y1, 32(DST)
	VMOVUPS Y2, 64(DST)
	VMOVUPS Y3, 96(DST)
	ADDQ R9, SI
	ADDQ WIDTH, DST
	DECQ COUNT
	JNZ copy32
	VZEROUPPER
	RET
