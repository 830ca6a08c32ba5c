//go:build amd64 && !purego

#include "textflag.h"

// Comparison of scores with thresholds; select.go gives the loop.

#define BITS  DI
#define X     SI
#define T     DX
#define COUNT CX // groups of 16 values

// Jumps to done if there is no group, to one if there is one threshold.
#define ARGUMENTS \
	MOVQ bits_base+0(FP), BITS \
	MOVQ x_base+24(FP), X \
	MOVQ x_len+32(FP), COUNT \
	MOVQ t_base+48(FP), T \
	SHRQ $4, COUNT \
	JZ done \
	CMPQ t_len+56(FP), $1 \
	JEQ one

// PUTBITS stores the signs of Y0 and Y1.
#define PUTBITS \
	VMOVMSKPS Y0, AX \
	VMOVMSKPS Y1, BX \
	MOVB AX, (BITS) \
	MOVB BX, 1(BITS)

// func aboveAVX512(bits []uint64, x, t []float32)
TEXT ·aboveAVX512(SB), NOSPLIT, $0-72
	ARGUMENTS
each:
	VMOVUPS (X), Z0
	VCMPPS $22, (T), Z0, K1 // not <=
	KMOVW K1, AX
	MOVW AX, (BITS)
	ADDQ $64, X
	ADDQ $64, T
	ADDQ $2, BITS
	DECQ COUNT
	JNZ each
	VZEROUPPER
	RET
one:
	VBROADCASTSS (T), Z1
all:
	VMOVUPS (X), Z0
	VCMPPS $22, Z1, Z0, K1
	KMOVW K1, AX
	MOVW AX, (BITS)
	ADDQ $64, X
	ADDQ $2, BITS
	DECQ COUNT
	JNZ all
done:
	VZEROUPPER
	RET

// func aboveAVX2(bits []uint64, x, t []float32)
TEXT ·aboveAVX2(SB), NOSPLIT, $0-72
	ARGUMENTS
each:
	VMOVUPS (X), Y0
	VMOVUPS 32(X), Y1
	VCMPPS $22, (T), Y0, Y0 // not <=
	VCMPPS $22, 32(T), Y1, Y1
	PUTBITS
	ADDQ $64, X
	ADDQ $64, T
	ADDQ $2, BITS
	DECQ COUNT
	JNZ each
	VZEROUPPER
	RET
one:
	VBROADCASTSS (T), Y2
all:
	VMOVUPS (X), Y0
	VMOVUPS 32(X), Y1
	VCMPPS $22, Y2, Y0, Y0
	VCMPPS $22, Y2, Y1, Y1
	PUTBITS
	ADDQ $64, X
	ADDQ $2, BITS
	DECQ COUNT
	JNZ all
done:
	VZEROUPPER
	RET
