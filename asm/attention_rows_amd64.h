// Attention of one query to listed rows, for either instruction set;
// attention_rows_generic.go has the loops.
//
// R9 is the bytes between rows, R10 the list, R11 the rows to go.

// r = the address of the row at an index of the list; DX is that of row 0.
#define ROW_ADDRESS(index, r) \
	MOVLQSX index, r \
	IMULQ   R9, r    \
	ADDQ    DX, r

// dst[t] = dot of q and row rows[t] of k, for a positive multiple of 4 rows. BX is
// the bytes of whole vectors in q, AX those done.
TEXT ROW_DOTS(SB), NOSPLIT, $0-104
	MOVQ dst_base+0(FP), DI
	MOVQ q_base+24(FP), SI
	MOVQ q_len+32(FP), CX
	MOVQ k_base+48(FP), DX
	MOVQ ldk+72(FP), R9
	MOVQ rows_base+80(FP), R10
	MOVQ rows_len+88(FP), R11
	SHLQ $2, R9
	MOVQ CX, BX
	ANDQ $(LANES-1), CX
	SUBQ CX, BX
	SHLQ $2, BX
	TAIL_MASK
group:
	ROW_ADDRESS((R10), R8)
	ROW_ADDRESS(4(R10), R12)
	ROW_ADDRESS(8(R10), R13)
	ROW_ADDRESS(12(R10), CX)
	ZERO(V0)
	ZERO(V1)
	ZERO(V2)
	ZERO(V3)
	XORL AX, AX
	CMPQ AX, BX
	JEQ  tail
whole:
	VMOVUPS     (SI)(AX*1), V4
	VFMADD231PS (R8)(AX*1), V4, V0
	VFMADD231PS (R12)(AX*1), V4, V1
	VFMADD231PS (R13)(AX*1), V4, V2
	VFMADD231PS (CX)(AX*1), V4, V3
	ADDQ        $VBYTES, AX
	CMPQ        AX, BX
	JNE         whole
	TESTQ       $(LANES-1), q_len+32(FP)
	JZ          sums
tail:
	LOAD_TAIL((SI)(AX*1), V4)
	LOAD_TAIL((R8)(AX*1), V5)
	LOAD_TAIL((R12)(AX*1), V6)
	LOAD_TAIL((R13)(AX*1), V7)
	LOAD_TAIL((CX)(AX*1), V8)
	VFMADD231PS V5, V4, V0
	VFMADD231PS V6, V4, V1
	VFMADD231PS V7, V4, V2
	VFMADD231PS V8, V4, V3
sums:
	HALVES
	VHADDPS      Y1, Y0, Y0
	VHADDPS      Y3, Y2, Y2
	VHADDPS      Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VMOVUPS      X0, (DI)
	ADDQ         $16, DI
	ADDQ         $16, R10
	SUBQ         $4, R11
	JNZ          group
	VZEROUPPER
	RET

// The next row of the list at R8, its weight in all lanes of V4.
#define NEXT_ROW \
	ROW_ADDRESS((R10), R8)  \
	VBROADCASTSS (SI), V4   \
	ADDQ         $4, SI     \
	ADDQ         $4, R10

// After a block of columns.
#define NEXT_COLUMNS(n) \
	SUBQ $n, BX      \
	JLE  done        \
	ADDQ $(4*n), DI  \
	ADDQ $(4*n), DX  \
	JMP  columns

// dst = sum of the rows rows[t] of v, each times weights[t], for at least one row
// and column. BX is the columns to go, SI the weight of the current row.
TEXT ROW_SUM(SB), NOSPLIT, $0-104
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), BX
	MOVQ v_base+48(FP), DX
	MOVQ ldv+72(FP), R9
	SHLQ $2, R9
columns:
	MOVQ weights_base+24(FP), SI
	MOVQ rows_base+80(FP), R10
	MOVQ rows_len+88(FP), R11
	ZERO(V0)
	ZERO(V1)
	ZERO(V2)
	ZERO(V3)
	CMPQ BX, $(4*LANES)
	JGE  four
	CMPQ BX, $(2*LANES)
	JGE  two
	MOVQ BX, CX
	CMPQ CX, $LANES
	JLE  masked
	MOVQ $LANES, CX
masked:
	TAIL_MASK
one:
	NEXT_ROW
	LOAD_TAIL((R8), V5)
	VFMADD231PS V5, V4, V0
	DECQ R11
	JNZ  one
	STORE_TAIL(V0, (DI))
	NEXT_COLUMNS(LANES)
two:
	NEXT_ROW
	VFMADD231PS (R8), V4, V0
	VFMADD231PS VBYTES(R8), V4, V1
	DECQ R11
	JNZ  two
	VMOVUPS V0, (DI)
	VMOVUPS V1, VBYTES(DI)
	NEXT_COLUMNS((2*LANES))
four:
	NEXT_ROW
	VFMADD231PS (R8), V4, V0
	VFMADD231PS VBYTES(R8), V4, V1
	VFMADD231PS (2*VBYTES)(R8), V4, V2
	VFMADD231PS (3*VBYTES)(R8), V4, V3
	DECQ R11
	JNZ  four
	VMOVUPS V0, (DI)
	VMOVUPS V1, VBYTES(DI)
	VMOVUPS V2, (2*VBYTES)(DI)
	VMOVUPS V3, (3*VBYTES)(DI)
	NEXT_COLUMNS((4*LANES))
done:
	VZEROUPPER
	RET
