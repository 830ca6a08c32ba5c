// Layer norm, AdamW, dropout and bfloat16, for either instruction set.

// d = x[i] - shift, sum += d, squares += d*d
#define MOMENTS_STEP(mem, d, sum, squares) \
	VMOVUPS     mem, d           \
	VSUBPS      V8, d, d         \
	VADDPS      d, sum, sum      \
	VFMADD231PS d, d, squares

// for i := range x { d := x[i]-shift; sum += d; squares += d*d }
TEXT MOMENTS(SB), NOSPLIT, $0-40
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS shift+24(FP), V8
	ZERO(V0)
	ZERO(V2)
	ZERO(V3)
	ZERO(V4)
	ZERO(V5)
	ZERO(V6)
	ZERO(V7)
	ZERO(V9)
	UNROLLED(4)
	MOMENTS_STEP((SI)(AX*4), V10, V0, V4)
	MOMENTS_STEP(VBYTES(SI)(AX*4), V11, V2, V5)
	MOMENTS_STEP((2*VBYTES)(SI)(AX*4), V12, V3, V6)
	MOMENTS_STEP((3*VBYTES)(SI)(AX*4), V14, V9, V7)
	LOOP_REST(4)
	MOMENTS_STEP((SI)(AX*4), V10, V0, V4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V10)
	VSUBPS      V8, V10, V10
	TAIL_ZERO(V10)
	VADDPS      V10, V2, V2
	VFMADD231PS V10, V10, V5
done:
	VADDPS V2, V0, V0
	VADDPS V9, V3, V3
	VADDPS V3, V0, V0
	SUM_LANES
	VMOVSS X0, sum+32(FP)
	VADDPS V5, V4, V4
	VADDPS V7, V6, V6
	VADDPS V6, V4, V0
	SUM_LANES
	VMOVSS X0, squares+36(FP)
	RETURN

#define NORMALIZE_STEP(offset, x, y) \
	VMOVUPS     offset(SI)(AX*4), x    \
	VMOVUPS     offset(R9)(AX*4), y    \
	VSUBPS      V8, x, x               \
	VMULPS      V9, x, x               \
	VFMADD231PS offset(DX)(AX*4), x, y \
	STORE_RESULT y, offset(DI)(AX*4)

// How far ahead, in bytes, the gradient of layer norm prefetches: dy in the first
// pass over a row and x in the second, so that memory is busy in both. Prefetching
// both in the second pass takes longer: this takes 0.87 to 0.9 of that time.
#define NORMALIZE_AHEAD 6144

// One vector of NORMALIZE_GRADIENT; the labels skip a nil dgamma or dbeta.
#define NORMALIZE_GRADIENT_STEP(offset, sumG, sumGX, noGamma, noBeta) \
	PREFETCHT1 (offset+NORMALIZE_AHEAD)(DX)(AX*4) \
	VMOVUPS     offset(DX)(AX*4), V0       \
	VMOVUPS     offset(SI)(AX*4), V1       \
	VSUBPS      V8, V1, V1                 \
	VMULPS      V9, V1, V1                 \
	TESTQ       DI, DI                     \
	JZ          noGamma                    \
	VMOVUPS     offset(DI)(AX*4), V6       \
	VFMADD231PS V0, V1, V6                 \
	VMOVUPS     V6, offset(DI)(AX*4)       \
noGamma: \
	TESTQ       R9, R9                     \
	JZ          noBeta                     \
	VADDPS      offset(R9)(AX*4), V0, V7   \
	VMOVUPS     V7, offset(R9)(AX*4)       \
noBeta: \
	VMULPS      offset(R10)(AX*4), V0, V0  \
	VADDPS      V0, sumG, sumG             \
	VFMADD231PS V0, V1, sumGX

// for i := range x {
//	xhat, g := (x[i]-mean)*rstd, dy[i]*gamma[i]
//	dgamma[i] += dy[i]*xhat // unless dgamma is nil
//	dbeta[i] += dy[i]       // unless dbeta is nil
//	sumG += g
//	sumGX += g*xhat
// }
TEXT NORMALIZE_GRADIENT(SB), NOSPLIT, $0-136
	MOVQ dgamma_base+0(FP), DI
	MOVQ dbeta_base+24(FP), R9
	MOVQ dy_base+48(FP), DX
	MOVQ x_base+72(FP), SI
	MOVQ x_len+80(FP), CX
	MOVQ gamma_base+96(FP), R10
	VBROADCASTSS mean+120(FP), V8
	VBROADCASTSS rstd+124(FP), V9
	ZERO(V2)
	ZERO(V3)
	ZERO(V4)
	ZERO(V5)
	UNROLLED(2)
	NORMALIZE_GRADIENT_STEP(0, V2, V3, noGamma0, noBeta0)
	NORMALIZE_GRADIENT_STEP(VBYTES, V4, V5, noGamma1, noBeta1)
	LOOP_REST(2)
	NORMALIZE_GRADIENT_STEP(0, V2, V3, noGamma2, noBeta2)
	TAIL
	LOAD_TAIL((DX)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	LOAD_TAIL((R10)(AX*4), V10)
	VSUBPS      V8, V1, V1
	VMULPS      V9, V1, V1
	TAIL_ZERO(V1)
	TESTQ       DI, DI
	JZ          noGamma3
	LOAD_TAIL((DI)(AX*4), V6)
	VFMADD231PS V0, V1, V6
	STORE_TAIL(V6, (DI)(AX*4))
noGamma3:
	TESTQ       R9, R9
	JZ          noBeta3
	LOAD_TAIL((R9)(AX*4), V7)
	VADDPS      V7, V0, V7
	STORE_TAIL(V7, (R9)(AX*4))
noBeta3:
	VMULPS      V10, V0, V0
	VADDPS      V0, V2, V2
	VFMADD231PS V0, V1, V3
done:
	VADDPS  V4, V2, V0
	SUM_LANES
	VMOVSS  X0, sumG+128(FP)
	VADDPS  V5, V3, V0
	SUM_LANES
	VMOVSS  X0, sumGX+132(FP)
	RETURN

// V0 = rstd * (dy*gamma - meanG - (x-mean)*rstd*meanGX) from dy in V0, gamma in
// V1, x in V2.
#define NORMALIZE_BACKWARD_VALUE \
	VSUBPS       V8, V2, V2     \
	VMULPS       V9, V2, V2     \
	VFMSUB213PS  V10, V1, V0    \
	VFNMADD231PS V11, V2, V0    \
	VMULPS       V9, V0, V0

#define NORMALIZE_BACKWARD_STEP(offset, store) \
	PREFETCHT1 (offset+NORMALIZE_AHEAD)(SI)(AX*4) \
	VMOVUPS offset(DX)(AX*4), V0     \
	VMOVUPS offset(R10)(AX*4), V1    \
	VMOVUPS offset(SI)(AX*4), V2     \
	NORMALIZE_BACKWARD_VALUE         \
	TESTL   R9, R9                   \
	JZ      store                    \
	VADDPS  offset(DI)(AX*4), V0, V0 \
store: \
	STORE_RESULT V0, offset(DI)(AX*4)

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
// V3; V14 and V15 are scratch. v is computed as grad2*g*g, as the loop below says:
// g*g alone can overflow.
#define ADAMW_VALUE \
	VMULPS       GRAD_SCALE, V1, V1    \
	VMULPS       BETA1, V2, V2         \
	VFMADD231PS  GRAD1, V1, V2         \
	VMULPS       GRAD2, V1, V14        \
	VMULPS       BETA2, V3, V3         \
	VFMADD231PS  V14, V1, V3           \
	VSQRTPS      V3, V14               \
	VFMADD213PS  EPS, INV_SQRT2, V14   \
	VMULPS       RATE, V2, V15         \
	VDIVPS       V14, V15, V15         \
	VFMSUB213PS  V15, DECAY, V0

// The processor's own prefetching does not keep up with four arrays.
#define ADAMW_FETCH(offset) \
	PREFETCHT1 (offset+2048)(DI)(AX*4)  \
	PREFETCHT1 (offset+2048)(SI)(AX*4)  \
	PREFETCHT1 (offset+2048)(R9)(AX*4)  \
	PREFETCHT1 (offset+2048)(R10)(AX*4)

#define ADAMW_STEP(offset) \
	VMOVUPS offset(DI)(AX*4), V0  \
	VMOVUPS offset(SI)(AX*4), V1  \
	VMOVUPS offset(R9)(AX*4), V2  \
	VMOVUPS offset(R10)(AX*4), V3 \
	ADAMW_VALUE                   \
	VMOVUPS V0, offset(DI)(AX*4)  \
	VMOVUPS V2, offset(R9)(AX*4)  \
	VMOVUPS V3, offset(R10)(AX*4)

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
	UNROLLED(2)
	ADAMW_FETCH(0)
	ADAMW_FETCH(VBYTES)
	ADAMW_STEP(0)
	ADAMW_STEP(VBYTES)
	LOOP_REST(2)
	ADAMW_STEP(0)
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
