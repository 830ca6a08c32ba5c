// Layer norm, AdamW, dropout and bfloat16, for either instruction set.

// for i := range x { ret += (x[i]-mean) * (x[i]-mean) }
TEXT SUM_SQUARES_FROM(SB), NOSPLIT, $0-36
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS mean+24(FP), V8
	ZERO(V0)
	ZERO(V2)
	UNROLLED(2)
	VMOVUPS     (SI)(AX*4), V3
	VMOVUPS     VBYTES(SI)(AX*4), V4
	VSUBPS      V8, V3, V3
	VSUBPS      V8, V4, V4
	VFMADD231PS V3, V3, V0
	VFMADD231PS V4, V4, V2
	LOOP_REST(2)
	VMOVUPS     (SI)(AX*4), V3
	VSUBPS      V8, V3, V3
	VFMADD231PS V3, V3, V0
	TAIL
	LOAD_TAIL((SI)(AX*4), V3)
	VSUBPS      V8, V3, V3
	TAIL_ZERO(V3)
	VFMADD231PS V3, V3, V2
done:
	VADDPS V2, V0, V0
	SUM_LANES
	VMOVSS X0, ret+32(FP)
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
	LOOP
	VMOVUPS     (SI)(AX*4), V0
	VMOVUPS     (R9)(AX*4), V1
	VSUBPS      V8, V0, V0
	VMULPS      V9, V0, V0
	VFMADD231PS (DX)(AX*4), V0, V1
	VMOVUPS     V1, (DI)(AX*4)
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

// for i := range x { dst[i] += dy[i] * (x[i]-mean)*rstd }
TEXT ADD_NORMALIZED_PRODUCT(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ dy_base+24(FP), DX
	MOVQ x_base+48(FP), SI
	MOVQ x_len+56(FP), CX
	VBROADCASTSS mean+72(FP), V8
	VBROADCASTSS rstd+76(FP), V9
	LOOP
	VMOVUPS     (SI)(AX*4), V0
	VMOVUPS     (DI)(AX*4), V1
	VSUBPS      V8, V0, V0
	VMULPS      V9, V0, V0
	VFMADD231PS (DX)(AX*4), V0, V1
	VMOVUPS     V1, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	LOAD_TAIL((DI)(AX*4), V1)
	LOAD_TAIL((DX)(AX*4), V2)
	VSUBPS      V8, V0, V0
	VMULPS      V9, V0, V0
	VFMADD231PS V2, V0, V1
	STORE_TAIL(V1, (DI)(AX*4))
done:
	RETURN

// for i := range x { g := dy[i]*gamma[i]; sumG += g; sumGX += g*(x[i]-mean)*rstd }
TEXT NORMALIZED_SUMS(SB), NOSPLIT, $0-88
	MOVQ dy_base+0(FP), DX
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	MOVQ gamma_base+48(FP), DI
	VBROADCASTSS mean+72(FP), V8
	VBROADCASTSS rstd+76(FP), V9
	ZERO(V2)
	ZERO(V3)
	LOOP
	VMOVUPS     (DX)(AX*4), V0
	VMULPS      (DI)(AX*4), V0, V0
	VMOVUPS     (SI)(AX*4), V1
	VSUBPS      V8, V1, V1
	VADDPS      V0, V2, V2
	VFMADD231PS V0, V1, V3
	TAIL
	LOAD_TAIL((DX)(AX*4), V0)
	LOAD_TAIL((DI)(AX*4), V4)
	LOAD_TAIL((SI)(AX*4), V1)
	VMULPS      V4, V0, V0
	VSUBPS      V8, V1, V1
	TAIL_ZERO(V0)
	TAIL_ZERO(V1)
	VADDPS      V0, V2, V2
	VFMADD231PS V0, V1, V3
done:
	VMOVAPS V2, V0
	SUM_LANES
	VMOVSS  X0, sumG+80(FP)
	VMULPS  V9, V3, V0
	SUM_LANES
	VMOVSS  X0, sumGX+84(FP)
	RETURN

// V0 = rstd * (dy*gamma - meanG - (x-mean)*rstd*meanGX) from dy in V0, gamma in
// V1, x in V2.
#define NORMALIZE_BACKWARD_VALUE \
	VSUBPS       V8, V2, V2     \
	VMULPS       V9, V2, V2     \
	VFMSUB213PS  V10, V1, V0    \
	VFNMADD231PS V11, V2, V0    \
	VMULPS       V9, V0, V0

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
	LOOP
	VMOVUPS (DX)(AX*4), V0
	VMOVUPS (R10)(AX*4), V1
	VMOVUPS (SI)(AX*4), V2
	NORMALIZE_BACKWARD_VALUE
	TESTL   R9, R9
	JZ      store
	VADDPS  (DI)(AX*4), V0, V0
store:
	VMOVUPS V0, (DI)(AX*4)
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

// The coefficients of AdamW, in the order of the fields of adamWCoef.
#define GRAD_SCALE V4
#define BETA1 V5
#define GRAD1 V6
#define BETA2 V7
#define GRAD2 V8
#define DECAY V9
#define INV_SQRT2 V10
#define EPS V11
#define RATE V12

// One step, from p in V0, g in V1, m in V2, v in V3: new p in V0, m in V2, v in
// V3; V14 and V15 are scratch.
#define ADAMW_VALUE \
	VMULPS       GRAD_SCALE, V1, V1    \
	VMULPS       BETA1, V2, V2         \
	VFMADD231PS  GRAD1, V1, V2         \
	VMULPS       V1, V1, V1            \
	VMULPS       BETA2, V3, V3         \
	VFMADD231PS  GRAD2, V1, V3         \
	VSQRTPS      V3, V14               \
	VFMADD213PS  EPS, INV_SQRT2, V14   \
	VMULPS       RATE, V2, V15         \
	VDIVPS       V14, V15, V15         \
	VFMSUB213PS  V15, DECAY, V0

// for i := range p {
//	gi := g[i] * c.gradScale
//	m[i] = c.beta1*m[i] + c.grad1*gi
//	v[i] = c.beta2*v[i] + c.grad2*gi*gi
//	p[i] = c.decay*p[i] - c.rate*m[i]/(sqrt(v[i])*c.invSqrt2 + c.eps)
// }
TEXT ADAMW(SB), NOSPLIT, $0-104
	MOVQ p_base+0(FP), DI
	MOVQ p_len+8(FP), CX
	MOVQ g_base+24(FP), SI
	MOVQ m_base+48(FP), R9
	MOVQ v_base+72(FP), R10
	MOVQ c+96(FP), DX
	VBROADCASTSS 0(DX), GRAD_SCALE
	VBROADCASTSS 4(DX), BETA1
	VBROADCASTSS 8(DX), GRAD1
	VBROADCASTSS 12(DX), BETA2
	VBROADCASTSS 16(DX), GRAD2
	VBROADCASTSS 20(DX), DECAY
	VBROADCASTSS 24(DX), INV_SQRT2
	VBROADCASTSS 28(DX), EPS
	VBROADCASTSS 32(DX), RATE
	LOOP
	VMOVUPS (DI)(AX*4), V0
	VMOVUPS (SI)(AX*4), V1
	VMOVUPS (R9)(AX*4), V2
	VMOVUPS (R10)(AX*4), V3
	ADAMW_VALUE
	VMOVUPS V0, (DI)(AX*4)
	VMOVUPS V2, (R9)(AX*4)
	VMOVUPS V3, (R10)(AX*4)
	TAIL
	LOAD_TAIL((DI)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	LOAD_TAIL((R9)(AX*4), V2)
	LOAD_TAIL((R10)(AX*4), V3)
	ADAMW_VALUE
	STORE_TAIL(V0, (DI)(AX*4))
	STORE_TAIL(V2, (R9)(AX*4))
	STORE_TAIL(V3, (R10)(AX*4))
done:
	RETURN

// V1 = dropoutHash(counter in V7, key); V2 is scratch. The counter advances.
#define DROPOUT_HASH \
	VPSRLD  $16, V7, V1  \
	VXORPS  V7, V1, V1   \
	VPADDD  V8, V7, V7   \
	VPMULLD V10, V1, V1  \
	VPSRLD  $15, V1, V2  \
	VXORPS  V2, V1, V1   \
	VPADDD  V9, V1, V1   \
	VPMULLD V11, V1, V1  \
	VPSRLD  $16, V1, V2  \
	VXORPS  V2, V1, V1   \
	VPMULLD V12, V1, V1  \
	VPSRLD  $15, V1, V2  \
	VXORPS  V2, V1, V1

// for i := range x { dst[i] = dropoutHash(counter+i, key) >= threshold ? x[i]*inv : 0 }
TEXT DROPOUT(SB), NOSPLIT, $0-64
	MOVQ dst_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	VBROADCASTSS inv+48(FP), V14
	VBROADCASTSS threshold+52(FP), V15
	VBROADCASTSS counter+56(FP), V7
	VPADDD       ·vecIota(SB), V7, V7
	VBROADCASTSS key+60(FP), V9
	MOVL         $LANES, R8
	VMOVD        R8, X8
	VPBROADCASTD X8, V8
	VBROADCASTSS CONSTANT(48), V10
	VBROADCASTSS CONSTANT(49), V11
	VBROADCASTSS CONSTANT(50), V12
	LOOP
	DROPOUT_HASH
	VMULPS  (SI)(AX*4), V14, V0
	KEEP_NOT_BELOW(V1, V15, V0, V2)
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	DROPOUT_HASH
	VMULPS  V14, V0, V0
	KEEP_NOT_BELOW(V1, V15, V0, V2)
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

// for i := range dst { dst[i] = bfloat16(x[i]) }, len(dst) a multiple of LANES
TEXT TO_BF16(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VBROADCASTSS CONSTANT(45), V8  // 1
	VBROADCASTSS CONSTANT(46), V9  // 0x7fff
	VBROADCASTSS CONSTANT(47), V10 // 0x40
	XORL AX, AX
loop:
	CMPQ    AX, CX
	JGE     done
	VMOVUPS (SI)(AX*4), V0
	VPSRLD  $16, V0, V1
	VORPS   V10, V1, V2             // the quiet NaN
	VANDPS  V8, V1, V1              // round to even: add 0x7fff and the last bit
	VPADDD  V9, V1, V1
	VPADDD  V0, V1, V1
	VPSRLD  $16, V1, V1
	IF_NAN(V0, V2, V1, V3)
	STORE_WORDS(V1, X1, (DI)(AX*2))
	ADDQ    $LANES, AX
	JMP     loop
done:
	RETURN

// for i := range dst { dst[i] = float32(x[i]) }, len(dst) a multiple of LANES
TEXT FROM_BF16(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	XORL AX, AX
loop:
	CMPQ      AX, CX
	JGE       done
	VPMOVZXWD (SI)(AX*2), V0
	VPSLLD    $16, V0, V0
	VMOVUPS   V0, (DI)(AX*4)
	ADDQ      $LANES, AX
	JMP       loop
done:
	RETURN
