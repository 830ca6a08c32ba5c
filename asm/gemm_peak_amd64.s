//go:build amd64 && !purego

#include "textflag.h"

// The accumulators start at 0 and the factors are 0, so no value overflows or
// becomes denormal however long the loop runs.

#define PEAK4Y(a, b, c, d) \
	VFMADD231PS Y14, Y15, a \
	VFMADD231PS Y14, Y15, b \
	VFMADD231PS Y14, Y15, c \
	VFMADD231PS Y14, Y15, d

#define PEAK4Z(a, b, c, d) \
	VFMADD231PS Z30, Z31, a \
	VFMADD231PS Z30, Z31, b \
	VFMADD231PS Z30, Z31, c \
	VFMADD231PS Z30, Z31, d

#define ZEROZ4(a, b, c, d) \
	VPXORD a, a, a \
	VPXORD b, b, b \
	VPXORD c, c, c \
	VPXORD d, d, d

// func fmaPeakAVX2(iters int)
TEXT ·fmaPeakAVX2(SB), NOSPLIT, $0-8
	MOVQ iters+0(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
	PCALIGN $64
loop:
	PEAK4Y(Y0, Y1, Y2, Y3)
	PEAK4Y(Y4, Y5, Y6, Y7)
	PEAK4Y(Y8, Y9, Y10, Y11)
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET

// func fmaPeakAVX512(iters int)
TEXT ·fmaPeakAVX512(SB), NOSPLIT, $0-8
	MOVQ iters+0(FP), CX
	ZEROZ4(Z0, Z1, Z2, Z3)
	ZEROZ4(Z4, Z5, Z6, Z7)
	ZEROZ4(Z8, Z9, Z10, Z11)
	ZEROZ4(Z12, Z13, Z14, Z15)
	ZEROZ4(Z16, Z17, Z18, Z19)
	ZEROZ4(Z20, Z21, Z22, Z23)
	ZEROZ4(Z28, Z29, Z30, Z31)
	PCALIGN $64
loop:
	PEAK4Z(Z0, Z1, Z2, Z3)
	PEAK4Z(Z4, Z5, Z6, Z7)
	PEAK4Z(Z8, Z9, Z10, Z11)
	PEAK4Z(Z12, Z13, Z14, Z15)
	PEAK4Z(Z16, Z17, Z18, Z19)
	PEAK4Z(Z20, Z21, Z22, Z23)
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
