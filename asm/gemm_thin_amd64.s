//go:build amd64 && !purego

#include "textflag.h"

// Dot products of 1 to 4 rows of x with 4 rows of f, for GEMM with few rows.

#define OUT  DI
#define LDX  DX // bytes between rows of x
#define XROW SI
#define LDX3 R8 // three rows of x
#define LDF  R9 // bytes between rows of f
#define F0   BX
#define LDF3 R10 // three rows of f
#define AHEAD R11 // what is fetched ahead of f
#define K    CX

#define ARGS \
	MOVQ out+0(FP), OUT \
	MOVQ x_base+8(FP), XROW \
	MOVQ ldx+32(FP), LDX \
	MOVQ f_base+40(FP), F0 \
	MOVQ ldf+64(FP), LDF \
	MOVQ k+72(FP), K \
	SHLQ $2, LDX \
	SHLQ $2, LDF \
	LEAQ (LDX)(LDX*2), LDX3 \
	LEAQ (LDF)(LDF*2), LDF3 \
	LEAQ (LDF*4), AHEAD \
	MOVQ $FAR, R12 \
	CMPQ AHEAD, $FETCHROWS \
	CMOVQGT R12, AHEAD \
	ADDQ F0, AHEAD

// Four accumulators: one row of x with the rows of f.
#define ZERO512(a, b, c, d) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD d, d, d

#define ZERO256(a, b, c, d) \
	VXORPS a, a, a \
	VXORPS b, b, b \
	VXORPS c, c, c \
	VXORPS d, d, d

// LOADF also prefetches the next four rows into the second-level cache, for the
// reason given in vec_loop_amd64.h: the hardware does not predict the change from
// one short row to the next. In rows of more than FETCHROWS bytes it prefetches FAR
// bytes ahead, since the hardware stops at the end of every page.
#define FETCHROWS 16384
#define FAR 4096

#define LOADF(f0, f1, f2, f3) \
	VMOVUPS (F0), f0 \
	VMOVUPS (F0)(LDF*1), f1 \
	VMOVUPS (F0)(LDF*2), f2 \
	VMOVUPS (F0)(LDF3*1), f3 \
	PREFETCHT1 (AHEAD) \
	PREFETCHT1 (AHEAD)(LDF*1) \
	PREFETCHT1 (AHEAD)(LDF*2) \
	PREFETCHT1 (AHEAD)(LDF3*1)

#define MULADD512(x, a, b, c, d) \
	VMOVUPS x, Z20 \
	VFMADD231PS Z16, Z20, a \
	VFMADD231PS Z17, Z20, b \
	VFMADD231PS Z18, Z20, c \
	VFMADD231PS Z19, Z20, d

#define MULADD256(x, a, b, c, d) \
	VMOVUPS x, Y12 \
	VFMADD231PS Y8, Y12, a \
	VFMADD231PS Y9, Y12, b \
	VFMADD231PS Y10, Y12, c \
	VFMADD231PS Y11, Y12, d

// NEXT moves on by n lanes, and sets the flags for the loop.
#define NEXT(n) \
	ADDQ $(4*n), XROW \
	ADDQ $(4*n), F0 \
	ADDQ $(4*n), AHEAD \
	SUBQ $n, K

// FOLD adds the upper half of z to the lower, y.
#define FOLD(z, y) \
	VEXTRACTF64X4 $1, z, Y20 \
	VADDPS Y20, y, y

// SUMS stores the sums over the lanes of four accumulators; d may be Y15.
#define SUMS(a, b, c, d, x, off) \
	VHADDPS b, a, a \
	VHADDPS d, c, c \
	VHADDPS c, a, a \
	VEXTRACTF128 $1, a, X15 \
	VADDPS X15, x, x \
	VMOVUPS x, off(OUT)

// func gemmDots4x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
TEXT ·gemmDots4x4avx512(SB), NOSPLIT, $0-80
	ARGS
	ZERO512(Z0, Z1, Z2, Z3)
	ZERO512(Z4, Z5, Z6, Z7)
	ZERO512(Z8, Z9, Z10, Z11)
	ZERO512(Z12, Z13, Z14, Z15)
loop:
	LOADF(Z16, Z17, Z18, Z19)
	MULADD512((XROW), Z0, Z1, Z2, Z3)
	MULADD512((XROW)(LDX*1), Z4, Z5, Z6, Z7)
	MULADD512((XROW)(LDX*2), Z8, Z9, Z10, Z11)
	MULADD512((XROW)(LDX3*1), Z12, Z13, Z14, Z15)
	NEXT(16)
	JNZ loop
	FOLD(Z0, Y0)
	FOLD(Z1, Y1)
	FOLD(Z2, Y2)
	FOLD(Z3, Y3)
	FOLD(Z4, Y4)
	FOLD(Z5, Y5)
	FOLD(Z6, Y6)
	FOLD(Z7, Y7)
	FOLD(Z8, Y8)
	FOLD(Z9, Y9)
	FOLD(Z10, Y10)
	FOLD(Z11, Y11)
	FOLD(Z12, Y12)
	FOLD(Z13, Y13)
	FOLD(Z14, Y14)
	FOLD(Z15, Y15)
	SUMS(Y12, Y13, Y14, Y15, X12, 48)
	SUMS(Y8, Y9, Y10, Y11, X8, 32)
	SUMS(Y4, Y5, Y6, Y7, X4, 16)
	SUMS(Y0, Y1, Y2, Y3, X0, 0)
	VZEROUPPER
	RET

// func gemmDots2x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
TEXT ·gemmDots2x4avx512(SB), NOSPLIT, $0-80
	ARGS
	ZERO512(Z0, Z1, Z2, Z3)
	ZERO512(Z4, Z5, Z6, Z7)
loop:
	LOADF(Z16, Z17, Z18, Z19)
	MULADD512((XROW), Z0, Z1, Z2, Z3)
	MULADD512((XROW)(LDX*1), Z4, Z5, Z6, Z7)
	NEXT(16)
	JNZ loop
	FOLD(Z0, Y0)
	FOLD(Z1, Y1)
	FOLD(Z2, Y2)
	FOLD(Z3, Y3)
	FOLD(Z4, Y4)
	FOLD(Z5, Y5)
	FOLD(Z6, Y6)
	FOLD(Z7, Y7)
	SUMS(Y0, Y1, Y2, Y3, X0, 0)
	SUMS(Y4, Y5, Y6, Y7, X4, 16)
	VZEROUPPER
	RET

// func gemmDots1x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
TEXT ·gemmDots1x4avx512(SB), NOSPLIT, $0-80
	ARGS
	ZERO512(Z0, Z1, Z2, Z3)
loop:
	LOADF(Z16, Z17, Z18, Z19)
	MULADD512((XROW), Z0, Z1, Z2, Z3)
	NEXT(16)
	JNZ loop
	FOLD(Z0, Y0)
	FOLD(Z1, Y1)
	FOLD(Z2, Y2)
	FOLD(Z3, Y3)
	SUMS(Y0, Y1, Y2, Y3, X0, 0)
	VZEROUPPER
	RET

// func gemmDots2x4avx2(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
TEXT ·gemmDots2x4avx2(SB), NOSPLIT, $0-80
	ARGS
	ZERO256(Y0, Y1, Y2, Y3)
	ZERO256(Y4, Y5, Y6, Y7)
loop:
	LOADF(Y8, Y9, Y10, Y11)
	MULADD256((XROW), Y0, Y1, Y2, Y3)
	MULADD256((XROW)(LDX*1), Y4, Y5, Y6, Y7)
	NEXT(8)
	JNZ loop
	SUMS(Y0, Y1, Y2, Y3, X0, 0)
	SUMS(Y4, Y5, Y6, Y7, X4, 16)
	VZEROUPPER
	RET

// func gemmDots1x4avx2(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)
TEXT ·gemmDots1x4avx2(SB), NOSPLIT, $0-80
	ARGS
	ZERO256(Y0, Y1, Y2, Y3)
loop:
	LOADF(Y8, Y9, Y10, Y11)
	MULADD256((XROW), Y0, Y1, Y2, Y3)
	NEXT(8)
	JNZ loop
	SUMS(Y0, Y1, Y2, Y3, X0, 0)
	VZEROUPPER
	RET
