// The vocabulary of the vector kernels (vec_*_amd64.h) for AVX-512 F, CD, BW,
// DQ and VL. avx2_amd64.h explains the conventions.

#define LANES 16
#define VBYTES 64 // bytes of a vector
#define HBYTES 32 // bytes of half a vector

// For GELU the processor's own prefetching is faster.
#define GELU_FETCH(mem)

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

// Jump if x < y in any lane; t is scratch.
#define JUMP_LESS(x, y, label, t) \
	VCMPPS   $17, y, x, K2 \
	KORTESTW K2, K2        \
	JNZ      label

// dst = x < y ? a : b
#define SELECT_LESS(x, y, a, b, dst, t) \
	VCMPPS    $17, y, x, K2 \
	VBLENDMPS a, b, K2, dst

// dst = x == y ? a : b
#define SELECT_EQUAL(x, y, a, b, dst, t) \
	VCMPPS    $0, y, x, K2 \
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

// Exponentials of scores: exp(r) in sixteenths, see EXP_SCORE.
#define C_LOWEST Z16
#define C_ROUND  Z17
#define C_LOG2E_SCORE Z18
#define C_NLN2   Z19
#define C_X2     Z20
#define C_X3     Z21
#define C_TABLE  Z22
#define SCORE_CONSTS \
	VBROADCASTSS CONSTANT(11), C_LOWEST     \
	VBROADCASTSS CONSTANT(15), C_ROUND      \
	VBROADCASTSS CONSTANT(0), C_LOG2E_SCORE \
	VBROADCASTSS CONSTANT(2), C_NLN2        \
	VBROADCASTSS CONSTANT(19), C_X2         \
	VBROADCASTSS CONSTANT(20), C_X3         \
	VBROADCASTSS CONSTANT(9), C_ONE         \
	VMOVUPS      ·vecExp16(SB), C_TABLE

// p = (1+p) * 2**m for m in sixteenths; n holds 16*m in its low bits.
#define SCORE_SCALE(p, n, m) \
	VPERMPS     C_TABLE, n, n \
	VFMADD213PS n, n, p       \
	VSCALEFPS   m, p, p

// Powers of 2 in sixteenths, see POWER.
#define C_DEEPEST Z16
#define C_EIGHTHS Z17
#define C_B1      Z18
#define C_B2      Z19
#define C_B3      Z20
#define C_POWERS  Z21
#define POWER_CONSTS \
	VBROADCASTSS CONSTANT(62), C_DEEPEST \
	VBROADCASTSS CONSTANT(15), C_EIGHTHS \
	VBROADCASTSS CONSTANT(63), C_B1      \
	VBROADCASTSS CONSTANT(66), C_B2      \
	VBROADCASTSS CONSTANT(67), C_B3      \
	VMOVUPS      ·vecExp16Large(SB), C_POWERS

// p = (1+p) * 2**(m+24) for m in sixteenths; n holds 16*m in its low bits.
#define POWER_SCALE(p, n, m) \
	VPERMPS     C_POWERS, n, n \
	VFMADD213PS n, n, p        \
	VSCALEFPS   m, p, p

// The normal distribution's tail, see NORMAL_TAIL: 16 intervals, degree 5.
#define C_TMAX   Z16
#define C_HALF_LOG2E Z17
#define C_TWOLN2HI Z18
#define C_TWOLN2LO Z19
#define C_ROUND_TAIL Z20
#define C_Y1     Z21
#define C_Y2     Z23
#define C_Y3     Z24
#define C_ABS    Z26
#define C_CENTER Z28
#define C_R0     Z29
#define C_R1     Z30
#define C_R2     Z31
#define C_R3     Z8
#define C_R4     Z9
#define C_R5     Z10
#define TAIL_SHIFT 21
#define TAIL_CONSTS \
	VBROADCASTSS CONSTANT(13), C_TMAX       \
	VBROADCASTSS CONSTANT(51), C_HALF_LOG2E \
	VBROADCASTSS CONSTANT(52), C_TWOLN2HI   \
	VBROADCASTSS CONSTANT(53), C_TWOLN2LO   \
	VBROADCASTSS CONSTANT(15), C_ROUND_TAIL \
	VBROADCASTSS CONSTANT(21), C_Y1         \
	VBROADCASTSS CONSTANT(24), C_Y2         \
	VBROADCASTSS CONSTANT(25), C_Y3         \
	VBROADCASTSS CONSTANT(12), C_ABS        \
	VBROADCASTSS CONSTANT(9), C_ONE         \
	VMOVUPS      ·vecExp16(SB), C_TABLE     \
	VMOVUPS      ·vecTail16+0(SB), C_CENTER \
	VMOVUPS      ·vecTail16+64(SB), C_R0    \
	VMOVUPS      ·vecTail16+128(SB), C_R1   \
	VMOVUPS      ·vecTail16+192(SB), C_R2   \
	VMOVUPS      ·vecTail16+256(SB), C_R3   \
	VMOVUPS      ·vecTail16+320(SB), C_R4   \
	VMOVUPS      ·vecTail16+384(SB), C_R5

// r = the polynomial of interval n at d; t is scratch.
#define TAIL_POLY(n, d, r, t) \
	VPERMPS     C_R5, n, r \
	VPERMPS     C_R4, n, t \
	VFMADD213PS t, d, r    \
	VPERMPS     C_R3, n, t \
	VFMADD213PS t, d, r    \
	VPERMPS     C_R2, n, t \
	VFMADD213PS t, d, r    \
	VPERMPS     C_R1, n, t \
	VFMADD213PS t, d, r    \
	VPERMPS     C_R0, n, t \
	VFMADD213PS t, d, r

// p = 1+p times the fraction of 2**m, m and n as in SCORE_SCALE; the rest of
// 2**m comes last.
#define TAIL_SCALE(p, n, m) \
	VPERMPS     C_TABLE, n, n \
	VFMADD213PS n, n, p
#define TAIL_FINISH(p, m) VSCALEFPS m, p, p

// GELU near 0, see GELU_PLACE, and its slope, see NEAREST.
#define C_WIDE_MAX   Z16
#define C_NEAR_ROUND Z18
#define C_NEAR_ABS   Z19
#define C_WIDE_LOW   Z17
#define GELU_CONSTS \
	VBROADCASTSS CONSTANT(56), C_WIDE_MAX   \
	VBROADCASTSS CONSTANT(55), C_NEAR_ROUND \
	VBROADCASTSS CONSTANT(57), C_WIDE_LOW   \
	VBROADCASTSS CONSTANT(12), C_NEAR_ABS   \
	VMOVUPS ·vecGELU16+0(SB), Z20   \
	VMOVUPS ·vecGELU16+64(SB), Z21  \
	VMOVUPS ·vecGELU16+128(SB), Z22 \
	VMOVUPS ·vecGELU16+192(SB), Z23 \
	VMOVUPS ·vecGELU16+256(SB), Z24 \
	VMOVUPS ·vecGELU16+320(SB), Z25 \
	VMOVUPS ·vecGELU16+384(SB), Z26 \
	VMOVUPS ·vecGELU16+448(SB), Z27
#define GELU_WIDE(x, t, n, d, p, y, q) \
	VMINPS      t, C_WIDE_MAX, t \
	GELU_PLACE(t, n, d)          \
	VPERMPS     Z27, n, p        \
	HORNER(Z26, n, d, p, q)      \
	HORNER(Z25, n, d, p, q)      \
	HORNER(Z24, n, d, p, q)      \
	HORNER(Z23, n, d, p, q)      \
	HORNER(Z22, n, d, p, q)      \
	HORNER(Z21, n, d, p, q)      \
	HORNER(Z20, n, d, p, q)      \
	GELU_FINISH(x, t, p, p, y)
#define GELU_NEAR(x, t, n, d, p, y) GELU_WIDE(x, t, n, d, p, y, y)

// Take the absolute values of the four vectors at SI. Jump if one is below
// C_WIDE_LOW, and for some NaN, compared as integers.
#define GELU_SIZES_JUMP(t, u, v, w, label, r, s) \
	VMOVUPS  (SI)(AX*4), r                        \
	VPMAXUD  VBYTES(SI)(AX*4), r, r               \
	VPMAXUD  (2*VBYTES)(SI)(AX*4), r, r           \
	VPMAXUD  (3*VBYTES)(SI)(AX*4), r, r           \
	VPCMPUD  $6, C_WIDE_LOW, r, K2                \
	VANDPS   (SI)(AX*4), C_NEAR_ABS, t            \
	VANDPS   VBYTES(SI)(AX*4), C_NEAR_ABS, u      \
	VANDPS   (2*VBYTES)(SI)(AX*4), C_NEAR_ABS, v  \
	VANDPS   (3*VBYTES)(SI)(AX*4), C_NEAR_ABS, w  \
	KORTESTW K2, K2                               \
	JNZ      label

#define C_NEAR_MAX   Z16
#define C_NEAR_INV   Z17
#define C_HALF       Z28
#define SLOPE_CONSTS \
	VBROADCASTSS CONSTANT(60), C_NEAR_INV  \
	VBROADCASTSS CONSTANT(61), C_NEAR_MAX  \
	VBROADCASTSS CONSTANT(1), C_NEAR_ROUND \
	VBROADCASTSS CONSTANT(12), C_NEAR_ABS  \
	VBROADCASTSS CONSTANT(26), C_HALF \
	VMOVUPS ·vecSlope16+0(SB), Z20 \
	VMOVUPS ·vecSlope16+64(SB), Z21 \
	VMOVUPS ·vecSlope16+128(SB), Z22 \
	VMOVUPS ·vecSlope16+192(SB), Z23 \
	VMOVUPS ·vecSlope16+256(SB), Z24 \
	VMOVUPS ·vecSlope16+320(SB), Z25

// p = the polynomial of interval n at d; q is scratch.
#define SLOPE_POLY(n, d, p, q) \
	VPERMPS Z25, n, p       \
	HORNER(Z24, n, d, p, q) \
	HORNER(Z23, n, d, p, q) \
	HORNER(Z22, n, d, p, q) \
	HORNER(Z21, n, d, p, q) \
	HORNER(Z20, n, d, p, q)

// Logarithms, see LOG_SPLIT.
#define C_SQRT_HALF Z16
#define C_TINY   Z17
#define C_2P23   Z18
#define C_23     Z19
#define C_INF    Z20
#define C_NEGINF Z21
#define C_NAN    Z22
#define C_LN2HI  Z23
#define C_LN2LO  Z24
#define C_L7     Z26
#define C_LOG_HALF Z27
#define LOG_CONSTS \
	VBROADCASTSS CONSTANT(68), C_SQRT_HALF \
	VBROADCASTSS CONSTANT(69), C_TINY      \
	VBROADCASTSS CONSTANT(70), C_2P23      \
	VBROADCASTSS CONSTANT(71), C_23        \
	VBROADCASTSS CONSTANT(72), C_INF       \
	VBROADCASTSS CONSTANT(73), C_NEGINF    \
	VBROADCASTSS CONSTANT(74), C_NAN       \
	VBROADCASTSS CONSTANT(75), C_LN2HI     \
	VBROADCASTSS CONSTANT(76), C_LN2LO     \
	VBROADCASTSS CONSTANT(84), C_L7        \
	VBROADCASTSS CONSTANT(26), C_LOG_HALF  \
	VBROADCASTSS CONSTANT(9), C_ONE

// Sine and cosine, see TRIG_VALUE.
#define C_TRIG_ABS Z16
#define C_TRIG_MAX Z18
#define C_TWO_PI Z19
#define C_NPI1   Z20
#define C_NPI2   Z21
#define C_NPI3   Z22
#define C_S3     Z23
#define C_T3     Z24
#define C_NHALF  Z26
#define C_BIT    Z27
#define TRIG_CONSTS \
	VBROADCASTSS CONSTANT(12), C_TRIG_ABS \
	VBROADCASTSS CONSTANT(1), C_MAGIC     \
	VBROADCASTSS CONSTANT(97), C_TRIG_MAX \
	VBROADCASTSS CONSTANT(85), C_TWO_PI   \
	VBROADCASTSS CONSTANT(86), C_NPI1     \
	VBROADCASTSS CONSTANT(87), C_NPI2     \
	VBROADCASTSS CONSTANT(88), C_NPI3     \
	VBROADCASTSS CONSTANT(92), C_S3       \
	VBROADCASTSS CONSTANT(96), C_T3       \
	VBROADCASTSS CONSTANT(21), C_NHALF    \
	VBROADCASTSS CONSTANT(45), C_BIT      \
	VBROADCASTSS CONSTANT(9), C_ONE
