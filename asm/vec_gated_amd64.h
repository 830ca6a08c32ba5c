// The activation of networks with a gate, and rotary positions, for either
// instruction set. TANH_VALUE is that of vec_exp_amd64.h.

// The sigmoid of V5 in V0, by tanh(x/2)/2 + 1/2; 1/2 is in V9.
#define GATE_CONSTS \
	EXP_CONSTS                             \
	VBROADCASTSS CONSTANT(43), V10         \
	VBROADCASTSS CONSTANT(44), V11         \
	VBROADCASTSS CONSTANT(12), V12         \
	VBROADCASTSS CONSTANT(26), V9
#define GATE_VALUE \
	VMULPS      V9, V5, V0 \
	TANH_VALUE             \
	VFMADD213PS V9, V9, V0

// V0 = silu(V5) * V6
#define SWIGLU_STEP \
	GATE_VALUE      \
	VMULPS V5, V0, V0  \
	VMULPS V6, V0, V0

// for i := range dst { dst[i] = gate[i] * sigmoid(gate[i]) * up[i] }
TEXT SWIGLU(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ gate_base+24(FP), SI
	MOVQ up_base+48(FP), DX
	GATE_CONSTS
	LOOP
	VMOVUPS (SI)(AX*4), V5
	VMOVUPS (DX)(AX*4), V6
	SWIGLU_STEP
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V5)
	LOAD_TAIL((DX)(AX*4), V6)
	SWIGLU_STEP
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

// From gate in V5, dy in V6 and up in V7: dup in V5 and dgate in V1.
#define SWIGLU_BACKWARD_STEP \
	GATE_VALUE             \
	VMULPS       V0, V5, V5   \
	VMOVAPS      V5, V1       \
	VFNMADD213PS V5, V0, V1   \
	VADDPS       V0, V1, V1   \
	VMULPS       V6, V7, V7   \
	VMULPS       V7, V1, V1   \
	VMULPS       V6, V5, V5

// for i := range dgate {
//	s := sigmoid(gate[i])
//	silu := gate[i] * s
//	dgate[i], dup[i] = dy[i]*up[i]*(s+silu*(1-s)), dy[i]*silu
// }
TEXT SWIGLU_BACKWARD(SB), NOSPLIT, $0-120
	MOVQ dgate_base+0(FP), DI
	MOVQ dgate_len+8(FP), CX
	MOVQ dup_base+24(FP), R9
	MOVQ dy_base+48(FP), R10
	MOVQ gate_base+72(FP), SI
	MOVQ up_base+96(FP), DX
	GATE_CONSTS
	LOOP
	VMOVUPS (SI)(AX*4), V5
	VMOVUPS (R10)(AX*4), V6
	VMOVUPS (DX)(AX*4), V7
	SWIGLU_BACKWARD_STEP
	VMOVUPS V5, (R9)(AX*4)
	VMOVUPS V1, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V5)
	LOAD_TAIL((R10)(AX*4), V6)
	LOAD_TAIL((DX)(AX*4), V7)
	SWIGLU_BACKWARD_STEP
	STORE_TAIL(V5, (R9)(AX*4))
	STORE_TAIL(V1, (DI)(AX*4))
done:
	RETURN

// From columns in V0 and V1, cosine in V2 and sine in V3: the turned ones in V4 and V5.
#define ROTATE_STEP \
	VMULPS       V8, V3, V3 \
	VMULPS       V0, V2, V4 \
	VFNMADD231PS V1, V3, V4 \
	VMULPS       V1, V2, V5 \
	VFMADD231PS  V0, V3, V5

// for range heads {
//	for i, c := range cos {
//		s := sign * sin[i]
//		dst[i], dst[i+len(cos)] = x[i]*c-x[i+len(cos)]*s, x[i+len(cos)]*c+x[i]*s
//	}
//	dst, x = dst[2*len(cos):], x[2*len(cos):]
// }
// heads and len(cos) are at least 1.
TEXT ROTATE(SB), NOSPLIT, $0-108
	MOVQ dst_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ cos_base+48(FP), DX
	MOVQ cos_len+56(FP), R10
	MOVQ sin_base+72(FP), R9
	MOVQ heads+96(FP), R11
	VBROADCASTSS sign+104(FP), V8
head:
	MOVQ R10, CX
	LEAQ (SI)(R10*4), R12
	LEAQ (DI)(R10*4), R13
	LOOP
	VMOVUPS (SI)(AX*4), V0
	VMOVUPS (R12)(AX*4), V1
	VMOVUPS (DX)(AX*4), V2
	VMOVUPS (R9)(AX*4), V3
	ROTATE_STEP
	VMOVUPS V4, (DI)(AX*4)
	VMOVUPS V5, (R13)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	LOAD_TAIL((R12)(AX*4), V1)
	LOAD_TAIL((DX)(AX*4), V2)
	LOAD_TAIL((R9)(AX*4), V3)
	ROTATE_STEP
	STORE_TAIL(V4, (DI)(AX*4))
	STORE_TAIL(V5, (R13)(AX*4))
done:
	LEAQ (SI)(R10*8), SI
	LEAQ (DI)(R10*8), DI
	DECQ R11
	JNZ  head
	RETURN
