// The vocabulary of the vector kernels (vec_*_amd64.h) for AVX-512 F, CD, BW,
// DQ and VL. avx2_amd64.h explains the conventions.

#define LANES 16
#define VBYTES 64 // bytes of a vector
#define HBYTES 32 // bytes of half a vector

#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V14 Z14
#define V15 Z15

// Lower halves.
#define H0 Y0
#define H1 Y1

// v = 0
#define ZERO(v) VPXORD v, v, v

// The mask of the CX < 16 first lanes.
#define TAIL_MASK \
	MOVL  $1, R8  \
	SHLL  CX, R8  \
	DECL  R8      \
	KMOVW R8, K1

#define LOAD_TAIL(mem, v) VMOVUPS.Z mem, K1, v
#define STORE_TAIL(v, mem) VMOVUPS v, K1, mem

// Lanes of v beyond the tail become 0, or those of other.
#define TAIL_ZERO(v) VMOVAPS.Z v, K1, v
#define TAIL_ELSE(v, other) VBLENDMPS v, other, K1, v

// dst = x is negative ? a : b
#define SELECT_SIGN(x, a, b, dst) \
	VPMOVD2M  x, K2 \
	VBLENDMPS a, b, K2, dst

// dst = x < y ? a : b
#define SELECT_LESS(x, y, a, b, dst, t) \
	VCMPPS    $17, y, x, K2 \
	VBLENDMPS a, b, K2, dst

// v = v, or other where x is NaN
#define IF_NAN(x, other, v, t) \
	VCMPPS    $3, x, x, K2 \
	VBLENDMPS other, v, K2, v

// v = v where the unsigned lanes of h >= limit, else 0
#define KEEP_NOT_BELOW(h, limit, v, t) \
	VPCMPUD   $5, limit, h, K2 \
	VMOVAPS.Z v, K2, v

// Whether any lane so far was NaN, in K3.
#define NAN_CLEAR KXORW K3, K3, K3
#define NAN_TRACK(a, b, t) \
	VCMPPS $3, a, b, K2 \
	KORW   K2, K3, K3
#define NAN_FLAG(r) KMOVW K3, r

// p *= 2**n for integral n, rounded once.
#define SCALE2(p, n, t) VSCALEFPS n, p, p

// The lanes of v as 16-bit words.
#define STORE_WORDS(v, x, mem) VPMOVDW v, mem

// The upper half of V0 in H1.
#define UPPER_HALF VEXTRACTF64X4 $1, Z0, Y1

// Reductions of V0 to its lower half.
#define FOLD_PS(op) \
	VEXTRACTF64X4 $1, Z0, Y1 \
	op            Y1, Y0, Y0
#define FOLD_PD FOLD_PS(VADDPD)

// p = p*x + c with a constant in memory.
#define FMADD_MEM(c, x, p) VFMADD213PS.BCST c, x, p

// Constants are registers, filled at the start of a kernel.
#define CONSTANT(i) ·vecConst+(32*i)(SB)
#define C_LOG2E  Z16
#define C_MAGIC  Z17
#define C_NLN2HI Z18
#define C_NLN2LO Z19
#define C_E2     Z20
#define C_E3     Z21
#define C_E4     Z22
#define C_E5     Z23
#define C_E6     Z24
#define C_ONE    Z25
#define EXP_CONSTS \
	VBROADCASTSS CONSTANT(0), C_LOG2E  \
	VBROADCASTSS CONSTANT(1), C_MAGIC  \
	VBROADCASTSS CONSTANT(2), C_NLN2HI \
	VBROADCASTSS CONSTANT(3), C_NLN2LO \
	VBROADCASTSS CONSTANT(4), C_E2     \
	VBROADCASTSS CONSTANT(5), C_E3     \
	VBROADCASTSS CONSTANT(6), C_E4     \
	VBROADCASTSS CONSTANT(7), C_E5     \
	VBROADCASTSS CONSTANT(8), C_E6     \
	VBROADCASTSS CONSTANT(9), C_ONE

#define C_EXPHI Z26
#define C_EXPLO Z27
#define EXP_RANGE \
	VBROADCASTSS CONSTANT(10), C_EXPHI \
	VBROADCASTSS CONSTANT(11), C_EXPLO

#define C_ABS   Z26
#define C_TMAX  Z27
#define C_FOUR  Z28
#define C_NHALF Z29
#define C_S0    Z30
#define C_S1    Z31
#define C_S2    Z7
#define C_S3    Z8
#define C_S4    Z9
#define C_S5    Z10
#define C_S6    Z11
#define C_S7    Z12
#define C_S8    Z13
#define C_S9    Z14
#define C_DENSITY Z15
#define GELU_CONSTS \
	VBROADCASTSS CONSTANT(12), C_ABS   \
	VBROADCASTSS CONSTANT(13), C_TMAX  \
	VBROADCASTSS CONSTANT(14), C_FOUR  \
	VBROADCASTSS CONSTANT(15), C_NHALF \
	VBROADCASTSS CONSTANT(16), C_S0    \
	VBROADCASTSS CONSTANT(17), C_S1    \
	VBROADCASTSS CONSTANT(18), C_S2    \
	VBROADCASTSS CONSTANT(19), C_S3    \
	VBROADCASTSS CONSTANT(20), C_S4    \
	VBROADCASTSS CONSTANT(21), C_S5    \
	VBROADCASTSS CONSTANT(22), C_S6    \
	VBROADCASTSS CONSTANT(23), C_S7    \
	VBROADCASTSS CONSTANT(24), C_S8    \
	VBROADCASTSS CONSTANT(25), C_S9    \
	VBROADCASTSS CONSTANT(26), C_DENSITY
