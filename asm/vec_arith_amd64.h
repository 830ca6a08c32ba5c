// Arithmetic and comparisons, element by element, for either instruction set.

// BINARY is the body of a kernel that sets V0 = op of V0 and V1. op is a name: the
// commas of an instruction would divide it.
#define BINARY(op) \
	MOVQ dst_base+0(FP), DI    \
	MOVQ dst_len+8(FP), CX     \
	MOVQ a_base+24(FP), SI     \
	MOVQ b_base+48(FP), DX     \
	LOOP                       \
	VMOVUPS (SI)(AX*4), V0     \
	VMOVUPS (DX)(AX*4), V1     \
	op                         \
	VMOVUPS V0, (DI)(AX*4)     \
	TAIL                       \
	LOAD_TAIL((SI)(AX*4), V0)  \
	LOAD_TAIL((DX)(AX*4), V1)  \
	op                         \
	STORE_TAIL(V0, (DI)(AX*4)) \
done: \
	RETURN

// UNARY is the body of a kernel that sets V0 = op of V0.
#define UNARY(op) \
	MOVQ dst_base+0(FP), DI    \
	MOVQ dst_len+8(FP), CX     \
	MOVQ x_base+24(FP), SI     \
	LOOP                       \
	VMOVUPS (SI)(AX*4), V0     \
	op                         \
	VMOVUPS V0, (DI)(AX*4)     \
	TAIL                       \
	LOAD_TAIL((SI)(AX*4), V0)  \
	op                         \
	STORE_TAIL(V0, (DI)(AX*4)) \
done: \
	RETURN

#define SUB_STEP VSUBPS V1, V0, V0

// for i := range dst { dst[i] = a[i] - b[i] }
TEXT SUB(SB), NOSPLIT, $0-72
	BINARY(SUB_STEP)

#define DIV_STEP VDIVPS V1, V0, V0

// for i := range dst { dst[i] = a[i] / b[i] }
TEXT DIV(SB), NOSPLIT, $0-72
	BINARY(DIV_STEP)

// VMAXPS and VMINPS return V1 where one is NaN.
#define EXTREME(op) \
	op      V1, V0, V2         \
	IF_NAN(V0, V0, V2, V3)     \
	VMOVAPS V2, V0

// for i := range dst { dst[i] = max(a[i], b[i]) }
TEXT MAXIMUM(SB), NOSPLIT, $0-72
	BINARY(EXTREME(VMAXPS))

// for i := range dst { dst[i] = min(a[i], b[i]) }
TEXT MINIMUM(SB), NOSPLIT, $0-72
	BINARY(EXTREME(VMINPS))

#define LESS_STEP SELECT_LESS(V0, V1, V8, V9, V0, V2)

// for i := range dst { if a[i] < b[i] { dst[i] = 1 } else { dst[i] = 0 } }
TEXT LESS(SB), NOSPLIT, $0-72
	VBROADCASTSS CONSTANT(9), V8
	ZERO(V9)
	BINARY(LESS_STEP)

#define EQUAL_STEP SELECT_EQUAL(V0, V1, V8, V9, V0, V2)

// for i := range dst { if a[i] == b[i] { dst[i] = 1 } else { dst[i] = 0 } }
TEXT EQUAL(SB), NOSPLIT, $0-72
	VBROADCASTSS CONSTANT(9), V8
	ZERO(V9)
	BINARY(EQUAL_STEP)

// for i := range dst { if mask[i] != 0 { dst[i] = a[i] } else { dst[i] = b[i] } }
TEXT WHERE(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ mask_base+24(FP), R9
	MOVQ a_base+48(FP), SI
	MOVQ b_base+72(FP), DX
	ZERO(V9)
	LOOP
	VMOVUPS (R9)(AX*4), V0
	VMOVUPS (SI)(AX*4), V1
	VMOVUPS (DX)(AX*4), V2
	SELECT_EQUAL(V0, V9, V2, V1, V0, V3)
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((R9)(AX*4), V0)
	LOAD_TAIL((SI)(AX*4), V1)
	LOAD_TAIL((DX)(AX*4), V2)
	SELECT_EQUAL(V0, V9, V2, V1, V0, V3)
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

#define ABS_STEP VANDPS V8, V0, V0

// for i := range dst { dst[i] = |x[i]| }
TEXT ABS(SB), NOSPLIT, $0-48
	VBROADCASTSS CONSTANT(12), V8
	UNARY(ABS_STEP)

#define SQRT_STEP VSQRTPS V0, V0

// for i := range dst { dst[i] = sqrt(x[i]) }
TEXT SQRT(SB), NOSPLIT, $0-48
	UNARY(SQRT_STEP)
