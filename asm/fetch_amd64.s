//go:build amd64 && !purego

#include "textflag.h"

// func fetchRows(x []float32, ld, rows, width int)
TEXT ·fetchRows(SB), NOSPLIT, $0-48
	MOVQ  x_base+0(FP), SI
	MOVQ  ld+24(FP), R9
	MOVQ  rows+32(FP), DX
	MOVQ  width+40(FP), CX
	SHLQ  $2, R9
	SHLQ  $2, CX
	TESTQ DX, DX
	JLE   done
row:
	XORL AX, AX
line:
	PREFETCHT1 (SI)(AX*1)
	ADDQ       $64, AX
	CMPQ       AX, CX
	JLT        line
	ADDQ R9, SI
	DECQ DX
	JNZ  row
done:
	RET
