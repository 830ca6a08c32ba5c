// Elementwise operations and reductions, for either instruction set.

// for i := range y { y[i] += alpha * x[i] }
TEXT AXPY(SB), NOSPLIT, $0-56
	VBROADCASTSS alpha+0(FP), V8
	MOVQ x_base+8(FP), SI
	MOVQ y_base+32(FP), DI
	MOVQ y_len+40(FP), CX
	LOOP
	VMOVUPS     (DI)(AX*4), V0
	VFMADD231PS (SI)(AX*4), V8, V0
	VMOVUPS     V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((DI)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	VFMADD231PS V1, V8, V0
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

#ifdef AXPY_FETCH
// for i := range y { y[i] += alpha * x[i] }, and prefetches nextX and nextY
TEXT AXPY_FETCH(SB), NOSPLIT, $0-104
	VBROADCASTSS alpha+0(FP), V8
	MOVQ x_base+8(FP), SI
	MOVQ y_base+32(FP), DI
	MOVQ y_len+40(FP), CX
	MOVQ nextX_base+56(FP), DX
	MOVQ nextY_base+80(FP), R9
	LOOP
	PREFETCHT1  (DX)(AX*4)
	PREFETCHT1  (R9)(AX*4)
	VMOVUPS     (DI)(AX*4), V0
	VFMADD231PS (SI)(AX*4), V8, V0
	VMOVUPS     V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((DI)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	VFMADD231PS V1, V8, V0
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN
#endif

// for i := range dst { dst[i] = dst[i] + x[i] + x[ld+i] + x[2*ld+i] + x[3*ld+i] }
TEXT ADD_ROWS4(SB), NOSPLIT, $0-56
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ ld+48(FP), DX
	LEAQ (SI)(DX*4), R9
	LEAQ (R9)(DX*4), R10
	LEAQ (R10)(DX*4), R11
	LOOP
	VMOVUPS (DI)(AX*4), V0
	VADDPS  (SI)(AX*4), V0, V0
	VADDPS  (R9)(AX*4), V0, V0
	VADDPS  (R10)(AX*4), V0, V0
	VADDPS  (R11)(AX*4), V0, V0
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((DI)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	LOAD_TAIL((R9)(AX*4), V2)
	LOAD_TAIL((R10)(AX*4), V3)
	LOAD_TAIL((R11)(AX*4), V4)
	VADDPS V1, V0, V0
	VADDPS V2, V0, V0
	VADDPS V3, V0, V0
	VADDPS V4, V0, V0
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

#define ADD_SQUARES(offset, a, b, lo, hi) \
	VCVTPS2PD   offset(SI)(AX*4), lo          \
	VCVTPS2PD   (offset+HBYTES)(SI)(AX*4), hi \
	VFMADD231PD lo, lo, a                     \
	VFMADD231PD hi, hi, b

// for i := range x { ret += float64(x[i]) * float64(x[i]) }
TEXT SUM_SQUARES(SB), NOSPLIT, $0-32
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	ZERO(V2)
	ZERO(V3)
	ZERO(V4)
	ZERO(V5)
	UNROLLED(2)
	ADD_SQUARES(0, V2, V3, V6, V7)
	ADD_SQUARES(VBYTES, V4, V5, V8, V9)
	LOOP_REST(2)
	ADD_SQUARES(0, V2, V3, V6, V7)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	UPPER_HALF
	VCVTPS2PD   H0, V6
	VCVTPS2PD   H1, V7
	VFMADD231PD V6, V6, V2
	VFMADD231PD V7, V7, V3
done:
	VADDPD V4, V2, V2
	VADDPD V5, V3, V3
	VADDPD V3, V2, V0
	SUM_DOUBLES
	VMOVSD X0, ret+24(FP)
	RETURN

// for i := range x { ret += x[i] * y[i] }
TEXT DOT(SB), NOSPLIT, $0-52
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	MOVQ y_base+24(FP), DI
	ZERO(V0)
	ZERO(V2)
	ZERO(V3)
	ZERO(V4)
	UNROLLED(4)
	VMOVUPS     (SI)(AX*4), V5
	VMOVUPS     VBYTES(SI)(AX*4), V6
	VMOVUPS     (2*VBYTES)(SI)(AX*4), V7
	VMOVUPS     (3*VBYTES)(SI)(AX*4), V8
	VFMADD231PS (DI)(AX*4), V5, V0
	VFMADD231PS VBYTES(DI)(AX*4), V6, V2
	VFMADD231PS (2*VBYTES)(DI)(AX*4), V7, V3
	VFMADD231PS (3*VBYTES)(DI)(AX*4), V8, V4
	LOOP_REST(4)
	VMOVUPS     (SI)(AX*4), V5
	VFMADD231PS (DI)(AX*4), V5, V0
	TAIL
	LOAD_TAIL((SI)(AX*4), V5)
	LOAD_TAIL((DI)(AX*4), V6)
	VFMADD231PS V6, V5, V2
done:
	VADDPS V3, V2, V2
	VADDPS V4, V0, V0
	VADDPS V2, V0, V0
	SUM_LANES
	VMOVSS X0, ret+48(FP)
	RETURN

// ret = -Inf; for i := range x { ret = max(ret, alpha*x[i]) }; NaN if any product is
TEXT MAX_SCALED(SB), NOSPLIT, $0-36
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS alpha+24(FP), V8
	VBROADCASTSS ·vecNegInf(SB), V0
	VMOVAPS V0, V2
	VMOVAPS V0, V9
	NAN_CLEAR
	UNROLLED(4)
	VMULPS (SI)(AX*4), V8, V3
	VMULPS VBYTES(SI)(AX*4), V8, V4
	VMULPS (2*VBYTES)(SI)(AX*4), V8, V5
	VMULPS (3*VBYTES)(SI)(AX*4), V8, V6
	NAN_TRACK(V3, V4, V1)
	NAN_TRACK(V5, V6, V1)
	VMAXPS V3, V4, V3
	VMAXPS V5, V6, V5
	VMAXPS V3, V0, V0
	VMAXPS V5, V2, V2
	LOOP_REST(4)
	VMULPS (SI)(AX*4), V8, V3
	NAN_TRACK(V3, V3, V1)
	VMAXPS V3, V0, V0
	TAIL
	LOAD_TAIL((SI)(AX*4), V3)
	VMULPS V3, V8, V3
	TAIL_ELSE(V3, V9)
	NAN_TRACK(V3, V3, V1)
	VMAXPS V3, V0, V0
done:
	VMAXPS V2, V0, V0
	MAX_LANES
	NAN_FLAG(R8)
	TESTL  R8, R8
	JZ     store
	VMOVSS ·vecNaN(SB), X0
store:
	VMOVSS X0, ret+32(FP)
	RETURN

// If x at mem is greater than max, max becomes x and row the current row, V8. For
// NaN and for two zeros, VMAXPS keeps max.
#define COLUMN_GREATER(load, mem, max, row, x, t) \
	load(mem, x)                             \
	SELECT_LESS(max, x, V8, row, row, t)     \
	VMAXPS max, x, max

#define LOAD_WHOLE(mem, v) VMOVUPS mem, v

// Starts at the first row, which has the greatest values so far, with R10 rows left.
#define COLUMN_FIRST \
	LEAQ    (SI)(AX*4), R11 \
	MOVQ    n+72(FP), R10   \
	VMOVAPS V9, V8

// columnmax.go has the loop. The maxima of some columns, and their rows, stay in
// registers while the kernel goes down the rows.
TEXT COLUMN_MAX(SB), NOSPLIT, $0-92
	MOVQ  y_base+0(FP), DI
	MOVQ  y_len+8(FP), CX
	MOVQ  rows_base+24(FP), R9
	MOVQ  x_base+48(FP), SI
	MOVQ  ld+80(FP), DX
	SHLQ  $2, DX
	MOVL  first+88(FP), R8
	VMOVD R8, X9
	MOVL  $1, R8
	VMOVD R8, X10
	VPBROADCASTD X9, V9
	VPBROADCASTD X10, V10
	UNROLLED(4)
	COLUMN_FIRST
	VMOVUPS (R11), V0
	VMOVUPS VBYTES(R11), V1
	VMOVUPS (2*VBYTES)(R11), V2
	VMOVUPS (3*VBYTES)(R11), V3
	VMOVAPS V9, V4
	VMOVAPS V9, V5
	VMOVAPS V9, V6
	VMOVAPS V9, V7
	JMP     next4
row4:
	VPADDD V10, V8, V8
	COLUMN_GREATER(LOAD_WHOLE, (R11), V0, V4, V11, V12)
	COLUMN_GREATER(LOAD_WHOLE, VBYTES(R11), V1, V5, V14, V15)
	COLUMN_GREATER(LOAD_WHOLE, (2*VBYTES)(R11), V2, V6, V11, V12)
	COLUMN_GREATER(LOAD_WHOLE, (3*VBYTES)(R11), V3, V7, V14, V15)
next4:
	ADDQ DX, R11
	DECQ R10
	JNZ  row4
	VMOVUPS V0, (DI)(AX*4)
	VMOVUPS V1, VBYTES(DI)(AX*4)
	VMOVUPS V2, (2*VBYTES)(DI)(AX*4)
	VMOVUPS V3, (3*VBYTES)(DI)(AX*4)
	VMOVUPS V4, (R9)(AX*4)
	VMOVUPS V5, VBYTES(R9)(AX*4)
	VMOVUPS V6, (2*VBYTES)(R9)(AX*4)
	VMOVUPS V7, (3*VBYTES)(R9)(AX*4)
	LOOP_REST(4)
	COLUMN_FIRST
	VMOVUPS (R11), V0
	VMOVAPS V9, V4
	JMP     next
row:
	VPADDD V10, V8, V8
	COLUMN_GREATER(LOAD_WHOLE, (R11), V0, V4, V11, V12)
next:
	ADDQ DX, R11
	DECQ R10
	JNZ  row
	VMOVUPS V0, (DI)(AX*4)
	VMOVUPS V4, (R9)(AX*4)
	TAIL
	COLUMN_FIRST
	LOAD_TAIL((R11), V0)
	VMOVAPS V9, V4
	JMP     nextTail
rowTail:
	VPADDD V10, V8, V8
	COLUMN_GREATER(LOAD_TAIL, (R11), V0, V4, V11, V12)
nextTail:
	ADDQ DX, R11
	DECQ R10
	JNZ  rowTail
	STORE_TAIL(V0, (DI)(AX*4))
	STORE_TAIL(V4, (R9)(AX*4))
done:
	RETURN
