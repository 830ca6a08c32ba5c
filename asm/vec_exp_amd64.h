// The exponential and functions built on it: softmax, cross-entropy, GELU, erf,
// tanh. For either instruction set.

#include "exp_amd64.h"

// for i := range dst { dst[i] = exp(x[i]) }
TEXT EXP(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP_CONSTS
	EXP_RANGE
	LOOP
	VMOVUPS (SI)(AX*4), V0
	EXP_VALUE(V0, V1, V2, V3)
	VMOVUPS V1, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	EXP_VALUE(V0, V1, V2, V3)
	STORE_TAIL(V1, (DI)(AX*4))
done:
	RETURN

// V1 = 1/(1 + exp(-V0)); the exponential may be infinite. V9 is 0.
#define SIGMOID_VALUE \
	VSUBPS  V0, V9, V0         \
	EXP_VALUE(V0, V1, V2, V3)  \
	VADDPS  C_ONE, V1, V1      \
	VMOVUPS C_ONE, V2          \
	VDIVPS  V1, V2, V1

// for i := range dst { dst[i] = 1/(1 + exp(-x[i])) }
TEXT SIGMOID(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP_CONSTS
	EXP_RANGE
	ZERO(V9)
	LOOP
	VMOVUPS (SI)(AX*4), V0
	SIGMOID_VALUE
	VMOVUPS V1, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	SIGMOID_VALUE
	STORE_TAIL(V1, (DI)(AX*4))
done:
	RETURN

// for i := range x { y[i] = 2**(scale*x[i] + shift + 24); ret += y[i] }
TEXT POWER_SUM(SB), NOSPLIT, $0-60
	MOVQ y_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	VBROADCASTSS scale+48(FP), V8
	VBROADCASTSS shift+52(FP), V9
	POWER_CONSTS
	ZERO(V4)
	LOOP
	PREFETCHT1 AHEAD(SI)(AX*4)
	VMOVUPS     (SI)(AX*4), V0
	VFMADD213PS V9, V8, V0
	POWER(V0, V1, V2, V3)
	VMOVUPS     V1, (DI)(AX*4)
	VADDPS      V1, V4, V4
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	VFMADD213PS V9, V8, V0
	POWER(V0, V1, V2, V3)
	STORE_TAIL(V1, (DI)(AX*4))
	TAIL_ZERO(V1)
	VADDPS      V1, V4, V4
done:
	VMOVAPS V4, V0
	SUM_LANES
	VMOVSS  X0, ret+56(FP)
	RETURN

// V0 = scale*x[i] + shift, and V5 = max(V5, next[i]).
#define SCORE_AND_MAX \
	VMOVUPS     (SI)(AX*4), V0 \
	VFMADD213PS V9, V8, V0     \
	VMOVUPS     (DX)(AX*4), V2 \
	VMAXPS      V5, V2, V5

// for i := range x {
//	y[i] = 2**(scale*x[i] + shift + 24)
//	sum += y[i]
//	greatest = max(greatest, next[i]) // from -Inf; a NaN does not count
// }
// for len(x) a positive multiple of LANES
TEXT POWER_SUM_MAX(SB), NOSPLIT, $0-88
	MOVQ y_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	MOVQ next_base+48(FP), DX
	VBROADCASTSS scale+72(FP), V8
	VBROADCASTSS shift+76(FP), V9
	POWER_CONSTS
	ZERO(V4)
	VBROADCASTSS ·vecNegInf(SB), V5
	XORL AX, AX
loop:
	PREFETCHT1 AHEAD(DX)(AX*4)
	SCORE_AND_MAX
	POWER(V0, V1, V2, V3)
	VMOVUPS V1, (DI)(AX*4)
	VADDPS  V1, V4, V4
	ADDQ $LANES, AX
	CMPQ AX, CX
	JLT  loop
	VMOVAPS V4, V0
	SUM_LANES
	VMOVSS  X0, sum+80(FP)
	VMOVAPS V5, V0
	MAX_LANES
	VMOVSS  X0, greatest+84(FP)
	RETURN

// The same, and the result of the row before, written past the caches to whole
// cache lines:
//
// for i := range x {
//	y[i] = inv * work[i]
//	work[i] = 2**(scale*x[i] + shift + 24)
//	sum += work[i]
//	greatest = max(greatest, next[i]) // from -Inf; a NaN does not count
// }
TEXT SOFTMAX_STEP(SB), NOSPLIT, $0-120
	MOVQ y_base+0(FP), DI
	MOVQ work_base+24(FP), R9
	MOVQ x_base+48(FP), SI
	MOVQ x_len+56(FP), CX
	MOVQ next_base+72(FP), DX
	VBROADCASTSS inv+96(FP), V6
	VBROADCASTSS scale+100(FP), V8
	VBROADCASTSS shift+104(FP), V9
	POWER_CONSTS
	ZERO(V4)
	VBROADCASTSS ·vecNegInf(SB), V5
	XORL AX, AX
loop:
	PREFETCHT1 AHEAD(DX)(AX*4)
	SCORE_AND_MAX
	VMULPS   (R9)(AX*4), V6, V1
	VMOVNTPS V1, (DI)(AX*4)
	POWER(V0, V1, V2, V3)
	VMOVUPS  V1, (R9)(AX*4)
	VADDPS   V1, V4, V4
	ADDQ $LANES, AX
	CMPQ AX, CX
	JLT  loop
	VMOVAPS V4, V0
	SUM_LANES
	VMOVSS  X0, sum+112(FP)
	VMOVAPS V5, V0
	MAX_LANES
	VMOVSS  X0, greatest+116(FP)
	RETURN

// for i := range x { sum += exp(x[i] + shift) }
TEXT SUM_EXP(SB), NOSPLIT, $0-36
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS shift+24(FP), V9
	SCORE_CONSTS
	ZERO(V4)
	LOOP
	VADDPS (SI)(AX*4), V9, V0
	EXP_SCORE(V0, V1, V2, V3)
	VADDPS V1, V4, V4
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	VADDPS V0, V9, V0
	EXP_SCORE(V0, V1, V2, V3)
	TAIL_ZERO(V1)
	VADDPS V1, V4, V4
done:
	VMOVAPS V4, V0
	SUM_LANES
	VMOVSS  X0, sum+32(FP)
	RETURN

// The tail of the normal distribution, t = min(abs(x), 14.4):
//
//	Phi(-t) = R(t) * exp(-t*t/2)
//
// R is a polynomial on each of the intervals of t; the exponent and the upper bits
// of t+1 are the number of the interval. Then z = t*t, m = -z/(2*ln(2)) rounded to
// eighths or sixteenths, u = z + m*2*ln(2), and
//
//	exp(-z/2) = 2**m * (1 + Y1*u + Y2*u**2 + Y3*u**3)
//
// Results are t, r = R(t), z, and n and m for TAIL_SCALE; p is scratch.
#define NORMAL_TAIL(x, t, r, z, n, m, p) \
	VANDPS      C_ABS, x, t         \
	VMINPS      t, C_TMAX, t        \
	VADDPS      C_ONE, t, n         \
	VPSRLD      $TAIL_SHIFT, n, n   \
	VPERMPS     C_CENTER, n, m      \
	VSUBPS      m, t, m             \
	TAIL_POLY(n, m, r, p)           \
	VMULPS      t, t, z             \
	VMOVAPS     C_ROUND_TAIL, n     \
	VFMADD231PS C_HALF_LOG2E, z, n  \
	VSUBPS      C_ROUND_TAIL, n, m

// p = exp(-z/2) from u, in the form of TAIL_SCALE.
#define TAIL_EXP(u, p, n, m) \
	VMOVAPS     C_Y3, p       \
	VFMADD213PS C_Y2, u, p    \
	VFMADD213PS C_Y1, u, p    \
	VMULPS      u, p, p       \
	TAIL_SCALE(p, n, m)

// y = max(x, 0) - t*Phi(-t), in V0, from x in V0. The exponential corrects for the
// rounding of t*t and of ln(2), which matters where it is small.
#define GELU_FAR \
	NORMAL_TAIL(V0, V1, V3, V5, V2, V4, V6) \
	VMOVAPS     V5, V6             \
	VFMSUB231PS V1, V1, V6         \
	VFMADD231PS C_TWOLN2LO, V4, V6 \
	VFMADD231PS C_TWOLN2HI, V4, V5 \
	VADDPS      V6, V5, V5         \
	TAIL_EXP(V5, V6, V2, V4)       \
	VMULPS      V1, V6, V6         \
	VMULPS      V3, V6, V6         \
	TAIL_FINISH(V6, V4)            \
	ZERO(V1)                       \
	VMAXPS      V1, V0, V0         \
	VSUBPS      V6, V0, V0

// p = p*d + the coefficient of interval n; q is scratch.
#define HORNER(table, n, d, p, q) \
	VPERMPS     table, n, q \
	VFMADD213PS q, d, p

// Near 0, GELU does not need the exponential. From t = abs(x) it is
//
//	max(x, 0) - t*P(d)**2, n = 2*t rounded, d = t - n/2
//
// where P is a polynomial for the square root of Phi(-t) on each of 16 intervals,
// whose number is in the low bits of n. A polynomial for Phi would need two degrees
// more. One for the cube root would need one less, but three times its rounding
// error would reach the result.
// GELU_NEAR is for t <= C_NEAR_MAX or NaN, GELU_WIDE for x >= C_WIDE_LOW or NaN;
// beyond C_WIDE_MAX, t*Phi(-t) vanishes beside a positive x. Both set y from x,
// a register or in memory, and give the same; all others are scratch.
#define GELU_PLACE(t, n, d) \
	VADDPS C_NEAR_ROUND, t, n \
	VSUBPS C_NEAR_ROUND, n, d \
	VSUBPS d, t, d

// y = max(x, 0) - t*p*q, for x a NaN too, as t is one.
#define GELU_FINISH(x, t, p, q, y) \
	ZERO(y)               \
	VPMAXSD      x, y, y  \
	VMULPS       p, t, t  \
	VFNMADD231PS q, t, y

// One vector of GELU that is near, from its absolute values in t.
#define GELU_STEP(offset, t) \
	GELU_NEAR(offset(SI)(AX*4), t, V0, V1, V2, V3) \
	STORE_RESULT V3, offset(DI)(AX*4)

// GELU at any x in V0, in V0.
#define GELU_ANY \
	VMOVAPS V0, V7   \
	TAIL_CONSTS      \
	GELU_FAR         \
	GELU_CONSTS      \
	VANDPS  C_NEAR_ABS, V7, V6 \
	GELU_WIDE(V7, V6, V1, V2, V3, V4, V5) \
	SELECT_LESS(V7, C_WIDE_LOW, V0, V4, V0, V5)

// The slope of GELU does not need it either. x lies in one of the intervals around
// the multiples of 1/INV. The low bits of n are the number of the interval, and d is
// the distance from its centre in widths:
//
//	t = min(abs(x), MAX), n = t*INV rounded, d = t*INV - n
//
// d takes the place of t; p is scratch.
#define NEAREST(x, t, n, p) \
	VANDPS      C_NEAR_ABS, x, t       \
	VMINPS      t, C_NEAR_MAX, t       \
	VMOVAPS     C_NEAR_ROUND, n        \
	VFMADD231PS C_NEAR_INV, t, n       \
	VSUBPS      C_NEAR_ROUND, n, p     \
	VFMSUB213PS p, C_NEAR_INV, t

// The slope of GELU at x in V0, in V0: Phi(x) + x*phi(x) less 1/2 is odd, and
// 1/2 at MAX.
#define GELU_SLOPE \
	NEAREST(V0, V1, V2, V3)    \
	SLOPE_POLY(V2, V1, V3, V4) \
	VANDNPS V0, C_NEAR_ABS, V1 \
	VXORPS  V1, V3, V3         \
	VADDPS  C_HALF, V3, V0

// erf(x), in V0, from x in V0. With t = abs(x):
//
//	t < 0.9:  x + x*(P0 + ... + P6*t**12), relative error 9e-10
//	else:     1 - exp(Q0 + ... + Q6*t**6) for t <= 4, with the sign of x
#define ERF_VALUE \
	VANDPS       ERF_ABS, V0, V1            \
	VMULPS       V1, V1, V2                 \
	VMOVUPS      V8, V3                     \
	FMADD_MEM(CONSTANT(32), V2, V3)         \
	FMADD_MEM(CONSTANT(31), V2, V3)         \
	FMADD_MEM(CONSTANT(30), V2, V3)         \
	FMADD_MEM(CONSTANT(29), V2, V3)         \
	FMADD_MEM(CONSTANT(28), V2, V3)         \
	FMADD_MEM(CONSTANT(27), V2, V3)         \
	VFMADD213PS  V0, V0, V3                 \
	VMINPS       V1, V10, V2                \
	VMOVAPS      V9, V4                     \
	FMADD_MEM(CONSTANT(39), V2, V4)         \
	FMADD_MEM(CONSTANT(38), V2, V4)         \
	FMADD_MEM(CONSTANT(37), V2, V4)         \
	FMADD_MEM(CONSTANT(36), V2, V4)         \
	FMADD_MEM(CONSTANT(35), V2, V4)         \
	FMADD_MEM(CONSTANT(34), V2, V4)         \
	EXP_REDUCE(V4, V2)                      \
	EXP_POLY(V4, V5)                        \
	VFMADD213PS  C_ONE, V4, V5              \
	VFMADD213PS  C_ONE, V4, V5              \
	SCALE2(V5, V2, V4)                      \
	VMOVUPS      C_ONE, V2                  \
	VSUBPS       V5, V2, V2                 \
	VANDNPS      V0, ERF_ABS, V4            \
	VORPS        V4, V2, V2                 \
	SELECT_LESS(V1, V11, V3, V2, V0, V4)

#define ERF_ABS V12

// for i := range dst { dst[i] = erf(x[i]) }
TEXT ERF(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP_CONSTS
	VBROADCASTSS CONSTANT(33), V8  // P6
	VBROADCASTSS CONSTANT(40), V9  // Q6
	VBROADCASTSS CONSTANT(41), V10 // 4
	VBROADCASTSS CONSTANT(42), V11 // 0.9
	VBROADCASTSS CONSTANT(12), ERF_ABS
	LOOP
	VMOVUPS (SI)(AX*4), V0
	ERF_VALUE
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	ERF_VALUE
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN

// tanh(x), in V0, from x in V0: with e = exp(2*abs(x)) - 1, computed without
// cancellation as 2**n*(exp(r)-1) + (2**n-1), it is e/(e+2).
#define TANH_VALUE \
	VANDPS      V12, V0, V1    \
	VMINPS      V1, V10, V1    \
	VADDPS      V1, V1, V1     \
	EXP_REDUCE(V1, V2)         \
	EXP_POLY(V1, V3)           \
	VMULPS      V1, V1, V4     \
	VFMADD213PS V1, V4, V3     \
	VCVTPS2DQ   V2, V2         \
	VPSLLD      $23, V2, V2    \
	VPADDD      C_ONE, V2, V2  \
	VSUBPS      C_ONE, V2, V4  \
	VFMADD231PS V3, V2, V4     \
	VADDPS      V11, V4, V3    \
	VDIVPS      V3, V4, V4     \
	VANDNPS     V0, V12, V0    \
	VORPS       V4, V0, V0

// for i := range dst { dst[i] = tanh(x[i]) }
TEXT TANH(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP_CONSTS
	VBROADCASTSS CONSTANT(43), V10 // 10: tanh(10) rounds to 1
	VBROADCASTSS CONSTANT(44), V11 // 2
	VBROADCASTSS CONSTANT(12), V12
	LOOP
	VMOVUPS (SI)(AX*4), V0
	TANH_VALUE
	VMOVUPS V0, (DI)(AX*4)
	TAIL
	LOAD_TAIL((SI)(AX*4), V0)
	TANH_VALUE
	STORE_TAIL(V0, (DI)(AX*4))
done:
	RETURN
