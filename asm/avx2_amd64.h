// The vocabulary of the vector kernels (vec_*_amd64.h) for AVX2 and FMA.
//
// Kernels are written once, on registers V0 to V15, and assembled for each
// instruction set with the definitions of avx2_amd64.h or avx512_amd64.h.
// Register use common to all kernels: AX index, BX end of the whole vectors,
// CX length, later length of the tail; R8 scratch; V13 (and K1) tail mask.

#define LANES 8
#define VBYTES 32 // bytes of a vector
#define HBYTES 16 // bytes of half a vector

#define GELU_FETCH(mem) PREFETCHT1 mem

#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V14 Y14
#define V15 Y15

// Lower halves.
#define H0 X0
#define H1 X1

// v = 0
#define ZERO(v) VXORPS v, v, v

// The mask of the CX < 8 first lanes, by a sliding window over 8 ones and 8
// zeros.
#define TAIL_MASK \
	LEAQ    ·vecMask+32(SB), R8 \
	SHLQ    $2, CX              \
	SUBQ    CX, R8              \
	VMOVUPS (R8), Y13

#define LOAD_TAIL(mem, v) VMASKMOVPS mem, Y13, v
#define STORE_TAIL(v, mem) VMASKMOVPS v, Y13, mem

// Lanes of v beyond the tail become 0, or those of other.
#define TAIL_ZERO(v) VANDPS Y13, v, v
#define TAIL_ELSE(v, other) VBLENDVPS Y13, v, other, v

// dst = x is negative ? a : b
#define SELECT_SIGN(x, a, b, dst) VBLENDVPS x, a, b, dst

// Jump if x < y in any lane; t is scratch.
#define JUMP_LESS(x, y, label, t) \
	VCMPPS    $17, y, x, t \
	VMOVMSKPS t, R8        \
	TESTL     R8, R8       \
	JNZ       label

// dst = x < y ? a : b; t is scratch.
#define SELECT_LESS(x, y, a, b, dst, t) \
	VCMPPS    $17, y, x, t \
	VBLENDVPS t, a, b, dst

// dst = x == y ? a : b; t is scratch.
#define SELECT_EQUAL(x, y, a, b, dst, t) \
	VCMPPS    $0, y, x, t \
	VBLENDVPS t, a, b, dst

// v = v, or other where x is NaN; t is scratch.
#define IF_NAN(x, other, v, t) \
	VCMPPS    $3, x, x, t     \
	VBLENDVPS t, other, v, v

// v = v where the unsigned lanes of h >= limit, else 0; t is scratch.
#define KEEP_NOT_BELOW(h, limit, v, t) \
	VPMAXUD  limit, h, t \
	VPCMPEQD t, h, t     \
	VANDPS   t, v, v

// Whether any lane so far was NaN, in V7; t is scratch.
#define NAN_CLEAR ZERO(V7)
#define NAN_TRACK(a, b, t) \
	VCMPPS $3, a, b, t  \
	VORPS  t, V7, V7
#define NAN_FLAG(r) VMOVMSKPS V7, r

// p *= 2**n for integral n in [-252, 254], in two steps, so that a subnormal
// result is rounded once; t is scratch.
#define SCALE2(p, n, t) \
	VCVTPS2DQ n, n          \
	VPSRAD    $1, n, t      \
	VPSUBD    t, n, n       \
	VPSLLD    $23, t, t     \
	VPADDD    t, p, p       \
	VPSLLD    $23, n, n     \
	VPADDD    C_ONE, n, n   \
	VMULPS    n, p, p

// The lanes of v as 16-bit words, from unsigned 32-bit lanes < 65536.
#define STORE_WORDS(v, x, mem) \
	VPACKUSDW v, v, v       \
	VPERMQ    $0xd8, v, v   \
	VMOVDQU   x, mem

// The upper half of V0 in H1.
#define UPPER_HALF VEXTRACTF128 $1, Y0, X1

// Reductions of V0 to lane 0; V1 is scratch.
#define FOLD_PS(op)
#define FOLD_PD

// p = p*x + c with a constant in memory.
#define FMADD_MEM(c, x, p) VFMADD213PS c, x, p

// Constants are memory operands, except those that must be registers.
#define CONSTANT(i) ·vecConst+(32*i)(SB)
#define C_LOG2E  CONSTANT(0)
#define C_MAGIC  CONSTANT(1)
#define C_NLN2HI CONSTANT(2)
#define C_NLN2LO CONSTANT(3)
#define C_E2     CONSTANT(4)
#define C_E3     CONSTANT(5)
#define C_E4     CONSTANT(6)
#define C_E5     CONSTANT(7)
#define C_E6     CONSTANT(8)
#define C_ONE    CONSTANT(9)
#define EXP_CONSTS

#define C_EXPHI Y15
#define C_EXPLO Y14
#define EXP_RANGE \
	VMOVUPS CONSTANT(10), C_EXPHI \
	VMOVUPS CONSTANT(11), C_EXPLO

#define C_ABS CONSTANT(12)

// Exponentials of scores: exp(r) in eighths, see EXP_SCORE.
#define C_LOWEST Y14
#define C_ROUND  Y15
#define C_LOG2E_SCORE Y12
#define C_NLN2   Y11
#define C_X2     Y7
#define C_X3     CONSTANT(18)
#define C_SMALL  Y6
#define C_TABLE  Y10
#define SCORE_CONSTS \
	VMOVUPS CONSTANT(11), C_LOWEST     \
	VMOVUPS CONSTANT(14), C_ROUND      \
	VMOVUPS CONSTANT(0), C_LOG2E_SCORE \
	VMOVUPS CONSTANT(2), C_NLN2        \
	VMOVUPS CONSTANT(17), C_X2         \
	VMOVUPS CONSTANT(16), C_SMALL      \
	VMOVUPS ·vecExp8(SB), C_TABLE

// p = (1+p) * 2**m for m, in eighths, in [-150, 103]; n holds 8*m in its low
// bits; both are scratch. The table contains a factor 2**24, so that a subnormal
// result is rounded once.
#define SCORE_SCALE(p, n, m) \
	VPERMPS     C_TABLE, n, m \
	VPSLLD      $20, n, n     \
	VPADDD      n, m, m       \
	VFMADD213PS m, m, p       \
	VMULPS      C_SMALL, p, p

// Powers of 2 in eighths, see POWER.
#define C_DEEPEST Y15
#define C_EIGHTHS Y14
#define C_B1      Y12
#define C_B2      Y11
#define C_B3      Y10
#define C_POWERS  Y7
#define POWER_CONSTS \
	VMOVUPS CONSTANT(62), C_DEEPEST \
	VMOVUPS CONSTANT(14), C_EIGHTHS \
	VMOVUPS CONSTANT(63), C_B1      \
	VMOVUPS CONSTANT(64), C_B2      \
	VMOVUPS CONSTANT(65), C_B3      \
	VMOVUPS ·vecExp8(SB), C_POWERS

// p = (1+p) * 2**(m+24) for m in eighths; n holds 8*m in its low bits; both are
// scratch.
#define POWER_SCALE(p, n, m) \
	VPERMPS     C_POWERS, n, m \
	VPSLLD      $20, n, n      \
	VPADDD      n, m, m        \
	VFMADD213PS m, m, p

// The normal distribution's tail, see NORMAL_TAIL: 8 intervals, degree 7.
#define C_TMAX   Y15
#define C_HALF_LOG2E Y14
#define C_TWOLN2HI Y12
#define C_TWOLN2LO CONSTANT(53)
#define C_ROUND_TAIL Y11
#define C_Y1     Y10
#define C_Y2     Y9
#define C_Y3     Y8
#define TAIL_SHIFT 22
#define TAIL_TABLE(i) ·vecTail8+(32*i)(SB)
#define C_CENTER TAIL_TABLE(0)
#define TAIL_CONSTS \
	VMOVUPS CONSTANT(13), C_TMAX       \
	VMOVUPS CONSTANT(14), C_ROUND_TAIL \
	VMOVUPS CONSTANT(51), C_HALF_LOG2E \
	VMOVUPS CONSTANT(52), C_TWOLN2HI   \
	VMOVUPS CONSTANT(21), C_Y1         \
	VMOVUPS CONSTANT(22), C_Y2         \
	VMOVUPS CONSTANT(23), C_Y3

// r = the polynomial of interval n at d; t is scratch.
#define TAIL_POLY(n, d, r, t) \
	VPERMPS     TAIL_TABLE(8), n, r \
	VPERMPS     TAIL_TABLE(7), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(6), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(5), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(4), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(3), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(2), n, t \
	VFMADD213PS t, d, r             \
	VPERMPS     TAIL_TABLE(1), n, t \
	VFMADD213PS t, d, r

// p = (1+p) * 2**m * 2**24; the tables of R(t) contain the inverse factor. m and n
// as in SCORE_SCALE.
#define TAIL_SCALE(p, n, m) \
	VPERMPS     ·vecExp8(SB), n, m \
	VPSLLD      $20, n, n          \
	VPADDD      n, m, m            \
	VFMADD213PS m, m, p
#define TAIL_FINISH(p, m)

// GELU near 0, see GELU_PLACE: up to C_NEAR_MAX the product of three cube roots.
#define C_NEAR_MAX   Y15
#define C_WIDE_MAX   Y14
#define C_NEAR_ROUND Y12
#define C_WIDE_LOW   Y11
#define C_NEAR_ABS   Y10
#define GELU_CONSTS \
	VMOVUPS CONSTANT(54), C_NEAR_MAX   \
	VMOVUPS CONSTANT(56), C_WIDE_MAX   \
	VMOVUPS CONSTANT(55), C_NEAR_ROUND \
	VMOVUPS CONSTANT(57), C_WIDE_LOW   \
	VMOVUPS CONSTANT(12), C_NEAR_ABS
#define GELU_NEAR(x, t, n, d, p, y) \
	GELU_PLACE(t, n, d)                  \
	GELU_POLY(n, d, p, y)                \
	VMULPS       p, p, n                 \
	GELU_FINISH(x, t, p, n, y)
#define GELU_WIDE(x, t, n, d, p, y, q) \
	VMINPS       t, C_WIDE_MAX, t         \
	GELU_PLACE(t, n, d)                   \
	GELU_POLY(n, d, p, y)                 \
	VPERMPS      ·vecGELU16+480(SB), n, q \
	HORNER(·vecGELU16+416(SB), n, d, q, y) \
	HORNER(·vecGELU16+352(SB), n, d, q, y) \
	HORNER(·vecGELU16+288(SB), n, d, q, y) \
	HORNER(·vecGELU16+224(SB), n, d, q, y) \
	HORNER(·vecGELU16+160(SB), n, d, q, y) \
	HORNER(·vecGELU16+96(SB), n, d, q, y)  \
	HORNER(·vecGELU16+32(SB), n, d, q, y)  \
	VMULPS       p, p, d                  \
	VPSLLD       $28, n, n                \
	VBLENDVPS    n, q, p, p               \
	VBLENDVPS    n, q, d, d               \
	GELU_FINISH(x, t, p, d, y)

// p = the cube root of Phi(-t) below 4; q is scratch.
#define GELU_POLY(n, d, p, q) \
	VPERMPS ·vecGELU8+160(SB), n, p      \
	HORNER(·vecGELU8+128(SB), n, d, p, q) \
	HORNER(·vecGELU8+96(SB), n, d, p, q)  \
	HORNER(·vecGELU8+64(SB), n, d, p, q)  \
	HORNER(·vecGELU8+32(SB), n, d, p, q)  \
	HORNER(·vecGELU8+0(SB), n, d, p, q)

// Take the absolute values of the four vectors at SI. Jump if one is beyond
// GELU_NEAR or NaN, compared as integers; r and s are scratch.
#define GELU_SIZES_JUMP(t, u, v, w, label, r, s) \
	VANDPS    (SI)(AX*4), C_NEAR_ABS, t            \
	VANDPS    VBYTES(SI)(AX*4), C_NEAR_ABS, u      \
	VANDPS    (2*VBYTES)(SI)(AX*4), C_NEAR_ABS, v  \
	VANDPS    (3*VBYTES)(SI)(AX*4), C_NEAR_ABS, w  \
	VPMAXUD   t, u, r          \
	VPMAXUD   v, w, s          \
	VPMAXUD   r, s, r          \
	VPCMPGTD  C_NEAR_MAX, r, r \
	VMOVMSKPS r, R8            \
	TESTL     R8, R8           \
	JNZ       label

// The slope of GELU, see NEAREST: 8 intervals, degree 6.
#define C_NEAR_INV   Y14
#define C_HALF       Y11
#define SLOPE_CONSTS \
	VMOVUPS CONSTANT(58), C_NEAR_INV   \
	VMOVUPS CONSTANT(59), C_NEAR_MAX   \
	VMOVUPS CONSTANT(1), C_NEAR_ROUND  \
	VMOVUPS CONSTANT(12), C_NEAR_ABS   \
	VMOVUPS CONSTANT(26), C_HALF

// p = the polynomial of interval n at d; q is scratch.
#define SLOPE_POLY(n, d, p, q) \
	VPERMPS ·vecSlope8+192(SB), n, p      \
	HORNER(·vecSlope8+160(SB), n, d, p, q) \
	HORNER(·vecSlope8+128(SB), n, d, p, q) \
	HORNER(·vecSlope8+96(SB), n, d, p, q)  \
	HORNER(·vecSlope8+64(SB), n, d, p, q)  \
	HORNER(·vecSlope8+32(SB), n, d, p, q)  \
	HORNER(·vecSlope8+0(SB), n, d, p, q)

// Logarithms, see LOG_SPLIT.
#define C_SQRT_HALF CONSTANT(68)
#define C_TINY   Y9
#define C_2P23   CONSTANT(70)
#define C_23     CONSTANT(71)
#define C_INF    Y10
#define C_NEGINF CONSTANT(73)
#define C_NAN    CONSTANT(74)
#define C_LN2HI  CONSTANT(75)
#define C_LN2LO  CONSTANT(76)
#define C_L7     CONSTANT(84)
#define C_LOG_HALF CONSTANT(26)
#define LOG_CONSTS \
	VMOVUPS CONSTANT(69), C_TINY \
	VMOVUPS CONSTANT(72), C_INF

// Sine and cosine, see TRIG_VALUE.
#define C_TRIG_ABS CONSTANT(12)
#define C_TRIG_MAX Y9
#define C_TWO_PI CONSTANT(85)
#define C_NPI1   CONSTANT(86)
#define C_NPI2   CONSTANT(87)
#define C_NPI3   CONSTANT(88)
#define C_S3     CONSTANT(92)
#define C_T3     CONSTANT(96)
#define C_NHALF  CONSTANT(21)
#define C_BIT    CONSTANT(45)
#define TRIG_CONSTS VMOVUPS CONSTANT(97), C_TRIG_MAX
