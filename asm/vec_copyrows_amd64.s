//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"

// for i := range rows { copy(dst[i*ldDst:i*ldDst+cols], src[i*ldSrc:]) }
TEXT ·copyRowsAVX2(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ ldDst+24(FP), R9
	MOVQ src_base+32(FP), SI
	MOVQ ldSrc+56(FP), R10
	MOVQ rows+64(FP), R11
	MOVQ cols+72(FP), CX
	SHLQ $2, R9
	SHLQ $2, R10
	MOVQ CX, BX
	ANDQ $(-LANES), BX       // end of the whole vectors
	MOVQ CX, R12
	ANDQ $(-4*LANES), R12    // end of the fours of vectors
	SUBQ BX, CX
	MOVQ CX, R13             // length of the tail
	TAIL_MASK
row:
	XORL  AX, AX
	TESTQ R12, R12
	JZ    rest
loop:
	VMOVUPS (SI)(AX*4), Y0
	VMOVUPS 32(SI)(AX*4), Y1
	VMOVUPS 64(SI)(AX*4), Y2
	VMOVUPS 96(SI)(AX*4), Y3
	VMOVUPS Y0, (DI)(AX*4)
	VMOVUPS Y1, 32(DI)(AX*4)
	VMOVUPS Y2, 64(DI)(AX*4)
	VMOVUPS Y3, 96(DI)(AX*4)
	ADDQ $(4*LANES), AX
	CMPQ AX, R12
	JLT  loop
rest:
	CMPQ AX, BX
	JGE  tail
	VMOVUPS (SI)(AX*4), Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $LANES, AX
	JMP  rest
tail:
	TESTQ R13, R13
	JZ    next
	LOAD_TAIL((SI)(AX*4), Y0)
	STORE_TAIL(Y0, (DI)(AX*4))
next:
	ADDQ R9, DI
	ADDQ R10, SI
	DECQ R11
	JNZ  row
	VZEROUPPER
	RET
