// Logarithms, sine and cosine, for either instruction set.

// V1 = 2**e * m with m from sqrt(1/2) to sqrt(2): m in V1, e in V2, and e<<23 in V3.
#define LOG_SPLIT \
	VPSUBD    C_SQRT_HALF, V1, V2 \
	VPSRAD    $23, V2, V2         \
	VPSLLD    $23, V2, V3         \
	VPSUBD    V3, V1, V1          \
	VCVTDQ2PS V2, V2

// V3 = log(1+f) + e*ln(2) for f in V1 and e in V2, where
//
//	log(1+f) = f - f**2/2 + f**3*(L0 + ... + L7*f**7)
//
// with a relative error of 5.8e-9, and e times the upper part of ln(2) is exact. V4
// and V5 are scratch.
#define LOG_POLY \
	VMULPS       V1, V1, V4          \
	VMOVUPS      C_L7, V3            \
	FMADD_MEM(CONSTANT(83), V1, V3)  \
	FMADD_MEM(CONSTANT(82), V1, V3)  \
	FMADD_MEM(CONSTANT(81), V1, V3)  \
	FMADD_MEM(CONSTANT(80), V1, V3)  \
	FMADD_MEM(CONSTANT(79), V1, V3)  \
	FMADD_MEM(CONSTANT(78), V1, V3)  \
	FMADD_MEM(CONSTANT(77), V1, V3)  \
	VMULPS       V1, V3, V3          \
	VMULPS       C_LN2LO, V2, V5     \
	VFMADD213PS  V5, V4, V3          \
	VFNMADD231PS C_LOG_HALF, V4, V3  \
	VADDPS       V1, V3, V3          \
	VFMADD231PS  C_LN2HI, V2, V3

// V0 = V3, but what the logarithm is of V0 at and below the pole in V7, and at +Inf
// and NaN.
#define LOG_FINISH \
	SELECT_LESS(V0, C_INF, V3, V0, V3, V5)    \
	SELECT_EQUAL(V0, V7, C_NEGINF, V3, V3, V5) \
	SELECT_LESS(V0, V7, C_NAN, V3, V0, V5)

// log(x), in V0, from x in V0, with 0 in V7. Subnormal x are multiplied by 2**23.
#define LOG_VALUE \
	VMULPS C_2P23, V0, V4                  \
	SELECT_LESS(V0, C_TINY, V4, V0, V1, V5)   \
	SELECT_LESS(V0, C_TINY, C_23, V7, V6, V5) \
	LOG_SPLIT                              \
	VSUBPS V6, V2, V2                      \
	VSUBPS C_ONE, V1, V1                   \
	LOG_POLY                               \
	LOG_FINISH

// log(1+x), in V0, from x in V0, with -1 in V7: u = 1+x, and what its rounding loses
// is added to the fraction, times 2**-e, or 0 where that is subnormal.
#define LOG1P_VALUE \
	VMOVUPS C_ONE, V6      \
	VADDPS  V6, V0, V1     \
	VSUBPS  V6, V1, V4     \
	VSUBPS  V4, V1, V5     \
	VSUBPS  V4, V0, V4     \
	VSUBPS  V5, V6, V5     \
	VADDPS  V5, V4, V4     \
	LOG_SPLIT              \
	ZERO(V5)               \
	VPSUBD  V3, V6, V3     \
	VPMAXSD V5, V3, V3     \
	VMULPS  V3, V4, V4     \
	VSUBPS  V6, V1, V1     \
	VADDPS  V4, V1, V1     \
	LOG_POLY               \
	LOG_FINISH

// FUNCTION is the body of a kernel that sets dst = f(x); f computes it in V0.
#define FUNCTION(f) \
	UNARY_ARGS                 \
	LOOP                       \
	VMOVUPS (SI)(AX*4), V0     \
	f                          \
	VMOVUPS V0, (DI)(AX*4)     \
	TAIL                       \
	LOAD_TAIL((SI)(AX*4), V0)  \
	f                          \
	STORE_TAIL(V0, (DI)(AX*4)) \
done: \
	RETURN

// for i := range dst { dst[i] = log(x[i]) }
TEXT LOG(SB), NOSPLIT, $0-48
	LOG_CONSTS
	ZERO(V7)
	FUNCTION(LOG_VALUE)

// for i := range dst { dst[i] = log1p(x[i]) }
TEXT LOG1P(SB), NOSPLIT, $0-48
	LOG_CONSTS
	VBROADCASTSS CONSTANT(98), V7
	FUNCTION(LOG1P_VALUE)

// With n = x*2/pi rounded and r = x - n*pi/2, where pi/2 has three parts,
//
//	sin(r) = r + r**3*(S0 + ... + S3*r**6)
//	cos(r) = 1 - r**2/2 + r**4*(T0 + ... + T3*r**6)
//
// sin(x) is sin(r), cos(r), -sin(r) or -cos(r) for n modulo 4 from 0 on; cos(x) is
// that of the next n. x is in V0, the result too; next makes n, the low bits of V1,
// the next one. A NaN stays; an x beyond C_TRIG_MAX jumps to large.
#define TRIG_VALUE(next) \
	VANDPS      C_TRIG_ABS, V0, V1     \
	JUMP_LESS(C_TRIG_MAX, V1, large, V2) \
	VMOVUPS     C_MAGIC, V1            \
	VFMADD231PS C_TWO_PI, V0, V1       \
	VSUBPS      C_MAGIC, V1, V2        \
	VFMADD231PS C_NPI1, V2, V0         \
	VFMADD231PS C_NPI2, V2, V0         \
	VFMADD231PS C_NPI3, V2, V0         \
	next                               \
	VMULPS      V0, V0, V2             \
	VMOVUPS     C_S3, V3               \
	FMADD_MEM(CONSTANT(91), V2, V3)    \
	FMADD_MEM(CONSTANT(90), V2, V3)    \
	FMADD_MEM(CONSTANT(89), V2, V3)    \
	VMULPS      V2, V3, V3             \
	VFMADD213PS V0, V0, V3             \
	VMOVUPS     C_T3, V4               \
	FMADD_MEM(CONSTANT(95), V2, V4)    \
	FMADD_MEM(CONSTANT(94), V2, V4)    \
	FMADD_MEM(CONSTANT(93), V2, V4)    \
	VFMADD213PS C_NHALF, V2, V4        \
	VFMADD213PS C_ONE, V2, V4          \
	VPSLLD      $31, V1, V5            \
	SELECT_SIGN(V5, V4, V3, V3)        \
	VPSRLD      $1, V1, V1             \
	VPSLLD      $31, V1, V1            \
	VXORPS      V1, V3, V0

// TRIG is the body of a kernel that stops before a vector with large numbers and
// returns the number of results.
#define TRIG(next) \
	TRIG_CONSTS                  \
	MOVQ dst_base+0(FP), DI      \
	MOVQ dst_len+8(FP), CX       \
	MOVQ x_base+24(FP), SI       \
	LOOP                         \
	VMOVUPS (SI)(AX*4), V0       \
	TRIG_VALUE(next)             \
	VMOVUPS V0, (DI)(AX*4)       \
	TAIL                         \
	LOAD_TAIL((SI)(AX*4), V0)    \
	TRIG_VALUE(next)             \
	STORE_TAIL(V0, (DI)(AX*4))   \
done: \
	MOVQ dst_len+8(FP), AX       \
large: \
	MOVQ AX, ret+48(FP)          \
	RETURN

#define THIS
#define NEXT VPADDD C_BIT, V1, V1

// for i := range dst { if |x[i]| > 1<<17 { return }; dst[i] = sin(x[i]) }
TEXT SIN(SB), NOSPLIT, $0-56
	TRIG(THIS)

// for i := range dst { if |x[i]| > 1<<17 { return }; dst[i] = cos(x[i]) }
TEXT COS(SB), NOSPLIT, $0-56
	TRIG(NEXT)
