// Arithmetic and comparisons, element by element, for either instruction set, and for
// AVX2 in two versions. STORE_RESULT is VMOVUPS, or VMOVNTPS to write past the caches,
// which needs alignment to VBYTES. FETCH prefetches an operand, or does nothing: in
// the caches it costs more than it brings.

// Steps of four vectors and of one.
#define LOAD4 \
	VMOVUPS (SI)(AX*4), V0            \
	VMOVUPS VBYTES(SI)(AX*4), V1      \
	VMOVUPS (2*VBYTES)(SI)(AX*4), V2  \
	VMOVUPS (3*VBYTES)(SI)(AX*4), V3

#define STORE4 \
	STORE_RESULT V0, (DI)(AX*4)           \
	STORE_RESULT V1, VBYTES(DI)(AX*4)     \
	STORE_RESULT V2, (2*VBYTES)(DI)(AX*4) \
	STORE_RESULT V3, (3*VBYTES)(DI)(AX*4)

// BINARY is the body of a kernel that sets dst = a op b. step(b, a, t) computes it
// in a, with the scratch t; b may be in memory.
#define BINARY(step) \
	MOVQ dst_base+0(FP), DI    \
	MOVQ dst_len+8(FP), CX     \
	MOVQ a_base+24(FP), SI     \
	MOVQ b_base+48(FP), DX     \
	UNROLLED(4)                \
	FETCH(SI)                  \
	FETCH(DX)                  \
	LOAD4                      \
	step((DX)(AX*4), V0, V4)           \
	step(VBYTES(DX)(AX*4), V1, V5)     \
	step((2*VBYTES)(DX)(AX*4), V2, V6) \
	step((3*VBYTES)(DX)(AX*4), V3, V7) \
	STORE4                     \
	LOOP_REST(4)               \
	VMOVUPS (SI)(AX*4), V0     \
	step((DX)(AX*4), V0, V4)   \
	STORE_RESULT V0, (DI)(AX*4) \
	TAIL                       \
	LOAD_TAIL((SI)(AX*4), V0)  \
	LOAD_TAIL((DX)(AX*4), V1)  \
	step(V1, V0, V4)           \
	STORE_TAIL(V0, (DI)(AX*4)) \
done: \
	RETURN

// UNARY is the body of a kernel that sets dst = op x; step(x) computes it in x.
#define UNARY(step) \
	UNROLLED(4)                \
	FETCH(SI)                  \
	LOAD4                      \
	step(V0)                   \
	step(V1)                   \
	step(V2)                   \
	step(V3)                   \
	STORE4                     \
	LOOP_REST(4)               \
	VMOVUPS (SI)(AX*4), V0     \
	step(V0)                   \
	STORE_RESULT V0, (DI)(AX*4) \
	TAIL                       \
	LOAD_TAIL((SI)(AX*4), V0)  \
	step(V0)                   \
	STORE_TAIL(V0, (DI)(AX*4)) \
done: \
	RETURN

#define UNARY_ARGS \
	MOVQ dst_base+0(FP), DI    \
	MOVQ dst_len+8(FP), CX     \
	MOVQ x_base+24(FP), SI

#define ADD_STEP(b, a, t) VADDPS b, a, a

// for i := range dst { dst[i] = a[i] + b[i] }
TEXT ADD(SB), NOSPLIT, $0-72
	BINARY(ADD_STEP)

#define SUB_STEP(b, a, t) VSUBPS b, a, a

// for i := range dst { dst[i] = a[i] - b[i] }
TEXT SUB(SB), NOSPLIT, $0-72
	BINARY(SUB_STEP)

#define MUL_STEP(b, a, t) VMULPS b, a, a

// for i := range dst { dst[i] = a[i] * b[i] }
TEXT MUL(SB), NOSPLIT, $0-72
	BINARY(MUL_STEP)

#define DIV_STEP(b, a, t) VDIVPS b, a, a

// for i := range dst { dst[i] = a[i] / b[i] }
TEXT DIV(SB), NOSPLIT, $0-72
	BINARY(DIV_STEP)

// VMAXPS and VMINPS return b where one is NaN. V8 is scratch.
#define EXTREME(op, b, a, t) \
	op      b, a, t        \
	IF_NAN(a, a, t, V8)    \
	VMOVAPS t, a

#define MAXIMUM_STEP(b, a, t) EXTREME(VMAXPS, b, a, t)

// for i := range dst { dst[i] = max(a[i], b[i]) }
TEXT MAXIMUM(SB), NOSPLIT, $0-72
	BINARY(MAXIMUM_STEP)

#define MINIMUM_STEP(b, a, t) EXTREME(VMINPS, b, a, t)

// for i := range dst { dst[i] = min(a[i], b[i]) }
TEXT MINIMUM(SB), NOSPLIT, $0-72
	BINARY(MINIMUM_STEP)

#define LESS_STEP(b, a, t) SELECT_LESS(a, b, V8, V9, a, t)

// for i := range dst { if a[i] < b[i] { dst[i] = 1 } else { dst[i] = 0 } }
TEXT LESS(SB), NOSPLIT, $0-72
	VBROADCASTSS CONSTANT(9), V8
	ZERO(V9)
	BINARY(LESS_STEP)

#define EQUAL_STEP(b, a, t) SELECT_EQUAL(a, b, V8, V9, a, t)

// for i := range dst { if a[i] == b[i] { dst[i] = 1 } else { dst[i] = 0 } }
TEXT EQUAL(SB), NOSPLIT, $0-72
	VBROADCASTSS CONSTANT(9), V8
	ZERO(V9)
	BINARY(EQUAL_STEP)

// v = the mask at an offset is not 0 ? a : b
#define WHERE_LOAD(offset, v, b, t) \
	VMOVUPS offset(R9)(AX*4), v     \
	VMOVUPS offset(SI)(AX*4), b     \
	SELECT_EQUAL(v, V9, offset(DX)(AX*4), b, v, t)

// for i := range dst { if mask[i] != 0 { dst[i] = a[i] } else { dst[i] = b[i] } }
TEXT WHERE(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ mask_base+24(FP), R9
	MOVQ a_base+48(FP), SI
	MOVQ b_base+72(FP), DX
	ZERO(V9)
	UNROLLED(4)
	FETCH(R9)
	FETCH(SI)
	FETCH(DX)
	WHERE_LOAD(0, V0, V4, V8)
	WHERE_LOAD(VBYTES, V1, V5, V10)
	WHERE_LOAD(2*VBYTES, V2, V6, V11)
	WHERE_LOAD(3*VBYTES, V3, V7, V12)
	STORE4
	LOOP_REST(4)
	WHERE_LOAD(0, V0, V4, V8)
	STORE_RESULT V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((R9)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	LOAD_TAIL((DX)(AX*4), V2)
	SELECT_EQUAL(V0, V9, V2, V1, V0, V3)
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

#define ABS_STEP(x) VANDPS V8, x, x

// for i := range dst { dst[i] = |x[i]| }
TEXT ABS(SB), NOSPLIT, $0-48
	UNARY_ARGS
	VBROADCASTSS CONSTANT(12), V8
	UNARY(ABS_STEP)

#define SQRT_STEP(x) VSQRTPS x, x

// for i := range dst { dst[i] = sqrt(x[i]) }
TEXT SQRT(SB), NOSPLIT, $0-48
	UNARY_ARGS
	UNARY(SQRT_STEP)

#define SCALE_STEP(x) VMULPS x, V8, x

// for i := range dst { dst[i] = alpha * x[i] }
TEXT SCALE(SB), NOSPLIT, $0-56
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	VBROADCASTSS alpha+24(FP), V8
	MOVQ x_base+32(FP), SI
	UNARY(SCALE_STEP)

#define AFFINE_STEP(x) VFMADD213PS V9, V8, x

// for i := range dst { dst[i] = alpha*x[i] + beta }
TEXT AFFINE(SB), NOSPLIT, $0-60
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	VBROADCASTSS alpha+24(FP), V8
	MOVQ x_base+32(FP), SI
	VBROADCASTSS beta+56(FP), V9
	UNARY(AFFINE_STEP)

// VMAXPS and VMINPS return x where it is NaN.
#define CLAMP_STEP(x) \
	VMAXPS x, V8, x \
	VMINPS x, V9, x

// for i := range dst { dst[i] = min(max(x[i], lo), hi) }
TEXT CLAMP(SB), NOSPLIT, $0-56
	UNARY_ARGS
	VBROADCASTSS lo+48(FP), V8
	VBROADCASTSS hi+52(FP), V9
	UNARY(CLAMP_STEP)
