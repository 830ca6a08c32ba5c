// Kernels in two versions, for either instruction set. STORE_RESULT is VMOVUPS, or
// VMOVNTPS to write past the caches, which needs alignment to VBYTES.

// for i := range dst { dst[i] = x[i] * Phi(x[i]) }
TEXT GELU(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	GELU_CONSTS
	UNROLLED(4)
	GELU_FETCH(AHEAD(SI)(AX*4))
	GELU_FETCH((AHEAD+64)(SI)(AX*4))
	GELU_SIZES_JUMP(V6, V7, V8, V9, wide, V0, V1)
	GELU_STEP(0, V6)
	GELU_STEP(VBYTES, V7)
	GELU_STEP(2*VBYTES, V8)
	GELU_STEP(3*VBYTES, V9)
next:
	LOOP_REST(4)
	VMOVUPS (SI)(AX*4), V0
	GELU_ANY
	STORE_RESULT V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	GELU_ANY
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

wide: // four vectors, of which at least one is not near
	LEAQ    (4*LANES)(AX), R9
wideLoop:
	VMOVUPS (SI)(AX*4), V0
	JUMP_LESS(V0, C_WIDE_LOW, far, V1)
	VANDPS  C_NEAR_ABS, V0, V6
	GELU_WIDE(V0, V6, V1, V2, V3, V4, V5)
	STORE_RESULT V4, (DI)(AX*4)
wideNext:
	ADDQ    $LANES, AX
	CMPQ    AX, R9
	JLT     wideLoop
	SUBQ    $(4*LANES), AX
	JMP     next
far:
	GELU_ANY
	STORE_RESULT V0, (DI)(AX*4)
	JMP     wideNext

// for i := range dx { dx[i] = dy[i] * (Phi(x[i]) + x[i]*phi(x[i])) }, or dx[i] +=
TEXT GELU_BACKWARD(SB), NOSPLIT, $0-73
	MOVQ    dx_base+0(FP), DI
	MOVQ    dx_len+8(FP), CX
	MOVQ    dy_base+24(FP), DX
	MOVQ    x_base+48(FP), SI
	MOVBLZX accumulate+72(FP), R9
	SLOPE_CONSTS
	LOOP
	VMOVUPS (SI)(AX*4), V0
	GELU_SLOPE
	VMULPS  (DX)(AX*4), V0, V0
	TESTL   R9, R9
	JZ      store
	VADDPS  (DI)(AX*4), V0, V0
store:
	STORE_RESULT V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	GELU_SLOPE
	LOAD_TAIL((DX)(AX*4), V1)
	VMULPS  V1, V0, V0
	TESTL   R9, R9
	JZ      storeTail
	LOAD_TAIL((DI)(AX*4), V1)
	VADDPS  V1, V0, V0
storeTail:
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

// for i := range x { y[i] = (x[i]-mean)*rstd*gamma[i] + beta[i] }
TEXT NORMALIZE(SB), NOSPLIT, $0-104
	MOVQ y_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	MOVQ gamma_base+48(FP), DX
	MOVQ beta_base+72(FP), R9
	VBROADCASTSS mean+96(FP), V8
	VBROADCASTSS rstd+100(FP), V9
	UNROLLED(2)
	NORMALIZE_STEP(0, V0, V1)
	NORMALIZE_STEP(VBYTES, V2, V3)
	LOOP_REST(2)
	NORMALIZE_STEP(0, V0, V1)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	LOAD_TAIL((R9)(AX*4), V1)
	LOAD_TAIL((DX)(AX*4), V2)
	VSUBPS      V8, V0, V0
	VMULPS      V9, V0, V0
	VFMADD231PS V2, V0, V1
	STORE_TAIL(V1, (DI)(AX*4))
done:
	RETURN

// for i := range x { dx[i] = rstd * (dy[i]*gamma[i] - meanG - (x[i]-mean)*rstd*meanGX) }, or dx[i] +=
TEXT NORMALIZE_BACKWARD(SB), NOSPLIT, $0-113
	MOVQ    dx_base+0(FP), DI
	MOVQ    dy_base+24(FP), DX
	MOVQ    x_base+48(FP), SI
	MOVQ    x_len+56(FP), CX
	MOVQ    gamma_base+72(FP), R10
	VBROADCASTSS mean+96(FP), V8
	VBROADCASTSS rstd+100(FP), V9
	VBROADCASTSS meanG+104(FP), V10
	VBROADCASTSS meanGX+108(FP), V11
	MOVBLZX accumulate+112(FP), R9
	UNROLLED(2)
	NORMALIZE_BACKWARD_STEP(0, store0)
	NORMALIZE_BACKWARD_STEP(VBYTES, store1)
	LOOP_REST(2)
	NORMALIZE_BACKWARD_STEP(0, store2)
	TAIL
	LOAD_TAIL((DX)(AX*4), V0)
	LOAD_TAIL((R10)(AX*4), V1)
	LOAD_TAIL((SI)(AX*4), V2)
	NORMALIZE_BACKWARD_VALUE
	TESTL   R9, R9
	JZ      storeTail
	LOAD_TAIL((DI)(AX*4), V1)
	VADDPS  V1, V0, V0
storeTail:
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN
