//go:build amd64 && !purego

#include "textflag.h"

// Greatest values of columns; columnmax.go gives the loop. The maxima of some
// vectors of columns, and the rows that have them, stay in registers while the
// rows pass by.

#define Y     DI
#define ROWS  R8
#define X     SI
#define LD    DX  // bytes between rows
#define COLS  CX  // columns that are left
#define AT    BX  // in the present row
#define LEFT  R11 // rows

#define ARGUMENTS \
	MOVQ y_base+0(FP), Y        \
	MOVQ y_len+8(FP), COLS      \
	MOVQ rows_base+24(FP), ROWS \
	MOVQ x_base+48(FP), X       \
	MOVQ ld+80(FP), LD          \
	SHLQ $2, LD

// The first row, whose values are the greatest so far.
#define FIRST \
	MOVQ X, AT          \
	MOVQ n+72(FP), LEFT

// Go to the next vectors of columns, that many bytes further.
#define ADVANCE(bytes) \
	ADDQ $bytes, X    \
	ADDQ $bytes, Y    \
	ADDQ $bytes, ROWS

// x at off is greater than max: it becomes max, and row the present row, Z8.
#define GREATER512(off, x, max, row, k) \
	VMOVUPS   off(AT), x       \
	VCMPPS    $30, max, x, k   \
	VMOVAPS   x, k, max        \
	VMOVDQA32 Z8, k, row

// func columnMaxAVX512(y []float32, rows []int32, x []float32, n, ld int, first int32)
TEXT ·columnMaxAVX512(SB), NOSPLIT, $0-92
	ARGUMENTS
	MOVL first+88(FP), AX
	VMOVD AX, X9
	VPBROADCASTD X9, Z9
	MOVL $1, AX
	VMOVD AX, X10
	VPBROADCASTD X10, Z10 // 1
wide:
	CMPQ COLS, $64
	JLT  narrow
	FIRST
	VMOVUPS   (AT), Z0
	VMOVUPS   64(AT), Z1
	VMOVUPS   128(AT), Z2
	VMOVUPS   192(AT), Z3
	VMOVDQA32 Z9, Z4
	VMOVDQA32 Z9, Z5
	VMOVDQA32 Z9, Z6
	VMOVDQA32 Z9, Z7
	VMOVDQA32 Z9, Z8
	JMP  nextWide
rowWide:
	VPADDD Z10, Z8, Z8
	GREATER512(0, Z11, Z0, Z4, K1)
	GREATER512(64, Z12, Z1, Z5, K2)
	GREATER512(128, Z13, Z2, Z6, K3)
	GREATER512(192, Z14, Z3, Z7, K4)
nextWide:
	ADDQ LD, AT
	DECQ LEFT
	JNZ  rowWide
	VMOVUPS   Z0, (Y)
	VMOVUPS   Z1, 64(Y)
	VMOVUPS   Z2, 128(Y)
	VMOVUPS   Z3, 192(Y)
	VMOVDQU32 Z4, (ROWS)
	VMOVDQU32 Z5, 64(ROWS)
	VMOVDQU32 Z6, 128(ROWS)
	VMOVDQU32 Z7, 192(ROWS)
	ADVANCE(256)
	SUBQ $64, COLS
	JMP  wide
narrow:
	CMPQ COLS, $16
	JLT  done
	FIRST
	VMOVUPS   (AT), Z0
	VMOVDQA32 Z9, Z4
	VMOVDQA32 Z9, Z8
	JMP  next
row:
	VPADDD Z10, Z8, Z8
	GREATER512(0, Z11, Z0, Z4, K1)
next:
	ADDQ LD, AT
	DECQ LEFT
	JNZ  row
	VMOVUPS   Z0, (Y)
	VMOVDQU32 Z4, (ROWS)
	ADVANCE(64)
	SUBQ $16, COLS
	JMP  narrow
done:
	VZEROUPPER
	RET

// The same with Y8 as the present row.
#define GREATER256(off, x, max, row, mask) \
	VMOVUPS   off(AT), x           \
	VCMPPS    $30, max, x, mask    \
	VBLENDVPS mask, x, max, max    \
	VBLENDVPS mask, Y8, row, row

// func columnMaxAVX2(y []float32, rows []int32, x []float32, n, ld int, first int32)
TEXT ·columnMaxAVX2(SB), NOSPLIT, $0-92
	ARGUMENTS
	MOVL first+88(FP), AX
	VMOVD AX, X9
	VPBROADCASTD X9, Y9
	MOVL $1, AX
	VMOVD AX, X10
	VPBROADCASTD X10, Y10 // 1
wide:
	CMPQ COLS, $32
	JLT  narrow
	FIRST
	VMOVUPS (AT), Y0
	VMOVUPS 32(AT), Y1
	VMOVUPS 64(AT), Y2
	VMOVUPS 96(AT), Y3
	VMOVDQA Y9, Y4
	VMOVDQA Y9, Y5
	VMOVDQA Y9, Y6
	VMOVDQA Y9, Y7
	VMOVDQA Y9, Y8
	JMP  nextWide
rowWide:
	VPADDD Y10, Y8, Y8
	GREATER256(0, Y11, Y0, Y4, Y12)
	GREATER256(32, Y13, Y1, Y5, Y14)
	GREATER256(64, Y11, Y2, Y6, Y12)
	GREATER256(96, Y13, Y3, Y7, Y14)
nextWide:
	ADDQ LD, AT
	DECQ LEFT
	JNZ  rowWide
	VMOVUPS Y0, (Y)
	VMOVUPS Y1, 32(Y)
	VMOVUPS Y2, 64(Y)
	VMOVUPS Y3, 96(Y)
	VMOVDQU Y4, (ROWS)
	VMOVDQU Y5, 32(ROWS)
	VMOVDQU Y6, 64(ROWS)
	VMOVDQU Y7, 96(ROWS)
	ADVANCE(128)
	SUBQ $32, COLS
	JMP  wide
narrow:
	CMPQ COLS, $8
	JLT  done
	FIRST
	VMOVUPS (AT), Y0
	VMOVDQA Y9, Y4
	VMOVDQA Y9, Y8
	JMP  next
row:
	VPADDD Y10, Y8, Y8
	GREATER256(0, Y11, Y0, Y4, Y12)
next:
	ADDQ LD, AT
	DECQ LEFT
	JNZ  row
	VMOVUPS Y0, (Y)
	VMOVDQU Y4, (ROWS)
	ADVANCE(32)
	SUBQ $8, COLS
	JMP  narrow
done:
	VZEROUPPER
	RET
