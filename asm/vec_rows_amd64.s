//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"

// Sums, and reductions of rows, four at a time. They use AVX2 for both instruction
// sets: the conversions of AVX-512 take longer on Zen 4.

// lo, hi += eight floats, as float64. The products by Y15 = 1 are exact; they leave the
// units that add to the conversions (Zen 4: twice the speed).
#define ADD_DOUBLES(base, offset, lo, hi) \
	VCVTPS2PD   offset(base)(AX*4), Y0      \
	VCVTPS2PD   (offset+16)(base)(AX*4), Y1 \
	VFMADD231PD Y0, Y15, lo                 \
	VFMADD231PD Y1, Y15, hi

#define ADD_DOUBLES_TAIL(base, lo, hi) \
	LOAD_TAIL((base)(AX*4), Y0)   \
	VEXTRACTF128 $1, Y0, X1       \
	VCVTPS2PD    X0, Y0           \
	VCVTPS2PD    X1, Y1           \
	VADDPD       Y0, lo, lo       \
	VADDPD       Y1, hi, hi

#define ZERO_SUMS \
	VBROADCASTSD ·vecOne64(SB), Y15 \
	ZERO(Y2)  \
	ZERO(Y3)  \
	ZERO(Y4)  \
	ZERO(Y5)  \
	ZERO(Y8)  \
	ZERO(Y9)  \
	ZERO(Y10) \
	ZERO(Y11)

#define JOIN_SUMS \
	VADDPD Y3, Y2, Y2    \
	VADDPD Y5, Y4, Y4    \
	VADDPD Y9, Y8, Y8    \
	VADDPD Y11, Y10, Y10

// A group of rows that has fewer than four takes its last one several times.

// row = the row after prev, or prev where there are not more than i rows
#define NEXT_ROW(i, prev, row) \
	LEAQ    (prev)(R9*1), row \
	CMPQ    R8, $i            \
	CMOVQLE prev, row

// The rows SI, R10, R11 and R12, R9 bytes apart, of R8 that are left; BX the end of
// their whole vectors.
#define ROW_ARGS \
	MOVQ dst_base+0(FP), DI  \
	MOVQ x_base+24(FP), SI   \
	MOVQ rows+48(FP), DX     \
	MOVQ cols+56(FP), CX     \
	MOVQ ld+64(FP), R9       \
	SHLQ $2, R9              \
	MOVQ CX, BX              \
	ANDQ $(-LANES), BX       \
	SUBQ BX, CX              \
	MOVQ CX, R13             \
	TAIL_MASK                \
	MOVQ DX, R8

#define FOUR_ROWS \
	NEXT_ROW(1, SI, R10)  \
	NEXT_ROW(2, R10, R11) \
	NEXT_ROW(3, R11, R12) \
	XORL  AX, AX          \
	TESTQ BX, BX

#define NEXT_ROWS \
	ADDQ $16, DI          \
	LEAQ (SI)(R9*4), SI   \
	SUBQ $4, R8           \
	JGT  group            \
	VZEROUPPER            \
	RET

// greatest, nan = the greatest of each lane of a row times sign, and whether one is NaN
#define ROW_MAX(row, greatest, nan) \
	VMULPS (row)(AX*4), Y15, Y0   \
	VCMPPS $3, Y0, Y0, Y1         \
	VMAXPS Y0, greatest, greatest \
	VORPS  Y1, nan, nan

#define ROW_MAX_TAIL(row, greatest, nan) \
	LOAD_TAIL((row)(AX*4), Y0)    \
	VMULPS Y0, Y15, Y0            \
	TAIL_ELSE(Y0, Y14)            \
	VCMPPS $3, Y0, Y0, Y1         \
	VMAXPS Y0, greatest, greatest \
	VORPS  Y1, nan, nan

// X0 = op over the lanes of a, of b, of c and of d; Y1 is scratch
#define FOLD_ROWS(op, a, b, c, d) \
	VUNPCKLPS    b, a, Y0        \
	VUNPCKHPS    b, a, Y1        \
	op           Y1, Y0, a       \
	VUNPCKLPS    d, c, Y0        \
	VUNPCKHPS    d, c, Y1        \
	op           Y1, Y0, c       \
	VSHUFPS      $0x44, c, a, Y0 \
	VSHUFPS      $0xee, c, a, Y1 \
	op           Y1, Y0, Y0      \
	VEXTRACTF128 $1, Y0, X1      \
	op           X1, X0, X0

// for i := range x { ret += float64(x[i]) }
TEXT ·sumAVX2(SB), NOSPLIT, $0-32
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	ZERO_SUMS
	UNROLLED(4)
	ADD_DOUBLES(SI, 0, Y2, Y3)
	ADD_DOUBLES(SI, VBYTES, Y4, Y5)
	ADD_DOUBLES(SI, 2*VBYTES, Y8, Y9)
	ADD_DOUBLES(SI, 3*VBYTES, Y10, Y11)
	LOOP_REST(4)
	ADD_DOUBLES(SI, 0, Y2, Y3)
	TAIL
	ADD_DOUBLES_TAIL(SI, Y4, Y5)
done:
	JOIN_SUMS
	VADDPD Y4, Y2, Y2
	VADDPD Y10, Y8, Y8
	VADDPD Y8, Y2, Y0
	SUM_DOUBLES
	VMOVSD X0, ret+24(FP)
	RETURN

// The next of the rows SI, R9 bytes apart, of which R8 are left, and its result at DI.
#define NEXT_LONG_ROW \
	ADDQ $4, DI  \
	ADDQ R9, SI  \
	DECQ R8      \
	JNZ  group   \
	VZEROUPPER   \
	RET

// for i := range rows { dst[i] = sum(x[i*ld:i*ld+cols]) }, one row after the other
TEXT ·sumLongRowsAVX2(SB), NOSPLIT, $0-72
	ROW_ARGS
	MOVQ cols+56(FP), R10
	ANDQ $(-4*LANES), R10
group:
	ZERO_SUMS
	XORL  AX, AX
	TESTQ R10, R10
	JZ    rest
unrolled:
	ADD_DOUBLES(SI, 0, Y2, Y3)
	ADD_DOUBLES(SI, VBYTES, Y4, Y5)
	ADD_DOUBLES(SI, 2*VBYTES, Y8, Y9)
	ADD_DOUBLES(SI, 3*VBYTES, Y10, Y11)
	ADDQ  $(4*LANES), AX
	CMPQ  AX, R10
	JLT   unrolled
rest:
	CMPQ  AX, BX
	JGE   tail
	ADD_DOUBLES(SI, 0, Y2, Y3)
	ADDQ  $LANES, AX
	JMP   rest
tail:
	TESTQ R13, R13
	JZ    sums
	ADD_DOUBLES_TAIL(SI, Y4, Y5)
sums:
	JOIN_SUMS
	VADDPD Y4, Y2, Y2
	VADDPD Y10, Y8, Y8
	VADDPD Y8, Y2, Y0
	SUM_DOUBLES
	VCVTSD2SS X0, X0, X0
	VMOVSS X0, (DI)
	NEXT_LONG_ROW

// for i := range rows { dst[i] = sign * max(sign * x[i*ld:i*ld+cols]) }; NaN if one is;
// one row after the other
TEXT ·maxLongRowsAVX2(SB), NOSPLIT, $0-76
	ROW_ARGS
	VBROADCASTSS sign+72(FP), Y15
	VBROADCASTSS ·vecNegInf(SB), Y14
	MOVQ cols+56(FP), R10
	ANDQ $(-4*LANES), R10
group:
	VMOVAPS Y14, Y2
	VMOVAPS Y14, Y3
	VMOVAPS Y14, Y4
	VMOVAPS Y14, Y5
	ZERO(Y8)
	ZERO(Y9)
	XORL  AX, AX
	TESTQ R10, R10
	JZ    rest
unrolled:
	VMULPS (SI)(AX*4), Y15, Y0
	VMULPS VBYTES(SI)(AX*4), Y15, Y1
	VMULPS (2*VBYTES)(SI)(AX*4), Y15, Y10
	VMULPS (3*VBYTES)(SI)(AX*4), Y15, Y11
	VMAXPS Y0, Y2, Y2
	VMAXPS Y1, Y3, Y3
	VMAXPS Y10, Y4, Y4
	VMAXPS Y11, Y5, Y5
	VCMPPS $3, Y0, Y1, Y0
	VCMPPS $3, Y10, Y11, Y10
	VORPS  Y0, Y8, Y8
	VORPS  Y10, Y9, Y9
	ADDQ  $(4*LANES), AX
	CMPQ  AX, R10
	JLT   unrolled
rest:
	CMPQ  AX, BX
	JGE   tail
	ROW_MAX(SI, Y2, Y8)
	ADDQ  $LANES, AX
	JMP   rest
tail:
	TESTQ R13, R13
	JZ    greatest
	ROW_MAX_TAIL(SI, Y3, Y9)
greatest:
	VMAXPS Y3, Y2, Y2
	VMAXPS Y5, Y4, Y4
	VMAXPS Y4, Y2, Y0
	VORPS  Y9, Y8, Y8
	MAX_LANES
	VMULSS X15, X0, X0
	VMOVMSKPS Y8, AX
	TESTL  AX, AX
	JZ     store
	VMOVSS ·vecNaN(SB), X0
store:
	VMOVSS X0, (DI)
	NEXT_LONG_ROW

// for i := range rows { dst[i] = sum(x[i*ld:i*ld+cols]) }, four rows at a time
TEXT ·sumShortRowsAVX2(SB), NOSPLIT, $0-72
	ROW_ARGS
group:
	ZERO_SUMS
	FOUR_ROWS
	JZ   tail
loop:
	ADD_DOUBLES(SI, 0, Y2, Y3)
	ADD_DOUBLES(R10, 0, Y4, Y5)
	ADD_DOUBLES(R11, 0, Y8, Y9)
	ADD_DOUBLES(R12, 0, Y10, Y11)
	ADDQ $LANES, AX
	CMPQ AX, BX
	JLT  loop
tail:
	TESTQ R13, R13
	JZ    sums
	ADD_DOUBLES_TAIL(SI, Y2, Y3)
	ADD_DOUBLES_TAIL(R10, Y4, Y5)
	ADD_DOUBLES_TAIL(R11, Y8, Y9)
	ADD_DOUBLES_TAIL(R12, Y10, Y11)
sums:
	JOIN_SUMS
	VHADDPD    Y4, Y2, Y0
	VHADDPD    Y10, Y8, Y1
	VPERM2F128 $0x20, Y1, Y0, Y2
	VPERM2F128 $0x31, Y1, Y0, Y3
	VADDPD     Y3, Y2, Y2
	VCVTPD2PSY Y2, X2
	VMOVUPS    X2, (DI)
	NEXT_ROWS

// for i := range rows { dst[i] = sign * max(sign * x[i*ld:i*ld+cols]) }; NaN if one is;
// four rows at a time
TEXT ·maxShortRowsAVX2(SB), NOSPLIT, $0-76
	ROW_ARGS
	VBROADCASTSS sign+72(FP), Y15
	VBROADCASTSS ·vecNegInf(SB), Y14
	VBROADCASTSS ·vecNaN(SB), Y12
group:
	VMOVAPS Y14, Y2
	VMOVAPS Y14, Y3
	VMOVAPS Y14, Y4
	VMOVAPS Y14, Y5
	ZERO(Y8)
	ZERO(Y9)
	ZERO(Y10)
	ZERO(Y11)
	FOUR_ROWS
	JZ   tail
loop:
	ROW_MAX(SI, Y2, Y8)
	ROW_MAX(R10, Y3, Y9)
	ROW_MAX(R11, Y4, Y10)
	ROW_MAX(R12, Y5, Y11)
	ADDQ $LANES, AX
	CMPQ AX, BX
	JLT  loop
tail:
	TESTQ R13, R13
	JZ    greatest
	ROW_MAX_TAIL(SI, Y2, Y8)
	ROW_MAX_TAIL(R10, Y3, Y9)
	ROW_MAX_TAIL(R11, Y4, Y10)
	ROW_MAX_TAIL(R12, Y5, Y11)
greatest:
	FOLD_ROWS(VMAXPS, Y2, Y3, Y4, Y5)
	VMULPS    X0, X15, X2
	FOLD_ROWS(VORPS, Y8, Y9, Y10, Y11)
	VBLENDVPS X0, X12, X2, X2
	VMOVUPS   X2, (DI)
	NEXT_ROWS
