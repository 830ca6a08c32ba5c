//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"

// Reductions of the columns of matrices, a multiple of eight columns, with AVX2 for both
// instruction sets, as those of vec_rows_amd64.s. Eight rows come together, then each of
// the rest. Fewer rows together take longer: in the caches, as results are loaded and
// stored more often, and in memory, as the processor fetches each row ahead (Zen 4, rows
// of 4 KiB: 16 GB/s by twos, 22 by fours, 28 by eights).

#define COLUMN_ARGS \
	MOVQ dst_base+0(FP), DI  \
	MOVQ dst_len+8(FP), BX   \
	MOVQ x_base+24(FP), SI   \
	MOVQ rows+48(FP), R9     \
	MOVQ ld+56(FP), DX       \
	SHLQ $2, DX

// The rows from SI on.
#define EIGHT_ROWS \
	LEAQ (SI)(DX*1), R10  \
	LEAQ (R10)(DX*1), R11 \
	LEAQ (R11)(DX*1), R12 \
	LEAQ (SI)(DX*4), R13  \
	LEAQ (R10)(DX*4), CX  \
	LEAQ (R11)(DX*4), R8  \
	LEAQ (R12)(DX*4), R15 \
	XORL AX, AX

// COLUMNS is the body of a kernel: eight and one are the steps for eight columns of
// eight rows and of one.
#define COLUMNS(eight, one) \
	CMPQ R9, $8           \
	JLT  rest             \
group: \
	EIGHT_ROWS            \
loop: \
	eight                 \
	ADDQ $LANES, AX       \
	CMPQ AX, BX           \
	JLT  loop             \
	LEAQ (R13)(DX*4), SI  \
	SUBQ $8, R9           \
	CMPQ R9, $8           \
	JGE  group            \
rest: \
	TESTQ R9, R9          \
	JZ    done            \
	XORL  AX, AX          \
loopOne: \
	one                   \
	ADDQ $LANES, AX       \
	CMPQ AX, BX           \
	JLT  loopOne          \
	ADDQ DX, SI           \
	DECQ R9               \
	JMP  rest             \
done: \
	RETURN

// Y2, Y3 += eight columns of a row, as float64; see ADD_DOUBLES.
#define ADD_COLUMNS(row) \
	VCVTPS2PD   (row)(AX*4), Y0   \
	VCVTPS2PD   16(row)(AX*4), Y1 \
	VFMADD231PD Y0, Y15, Y2       \
	VFMADD231PD Y1, Y15, Y3

#define LOAD_SUMS \
	VMOVUPD (DI)(AX*8), Y2   \
	VMOVUPD 32(DI)(AX*8), Y3
#define STORE_SUMS \
	VMOVUPD Y2, (DI)(AX*8)   \
	VMOVUPD Y3, 32(DI)(AX*8)

#define SUM_EIGHT \
	LOAD_SUMS         \
	ADD_COLUMNS(SI)   \
	ADD_COLUMNS(R10)  \
	ADD_COLUMNS(R11)  \
	ADD_COLUMNS(R12)  \
	ADD_COLUMNS(R13)  \
	ADD_COLUMNS(CX)   \
	ADD_COLUMNS(R8)   \
	ADD_COLUMNS(R15)  \
	STORE_SUMS

#define SUM_ONE \
	LOAD_SUMS         \
	ADD_COLUMNS(SI)   \
	STORE_SUMS

// Y2 = op of Y2 and two rows, whose NaN it ignores; Y3 tells where there is one.
#define JOIN_PAIR(op, a, b) \
	VMOVUPS (a)(AX*4), Y0     \
	VMOVUPS (b)(AX*4), Y1     \
	op      Y2, Y0, Y2        \
	op      Y2, Y1, Y2        \
	VCMPPS  $3, Y0, Y1, Y0    \
	VORPS   Y0, Y3, Y3

#define LOAD_EXTREMES \
	VMOVUPS (DI)(AX*4), Y2    \
	ZERO(Y3)
#define STORE_EXTREMES \
	VBLENDVPS Y3, Y14, Y2, Y2 \
	VMOVUPS   Y2, (DI)(AX*4)

#define EXTREME_EIGHT(op) \
	LOAD_EXTREMES             \
	JOIN_PAIR(op, SI, R10)    \
	JOIN_PAIR(op, R11, R12)   \
	JOIN_PAIR(op, R13, CX)    \
	JOIN_PAIR(op, R8, R15)    \
	STORE_EXTREMES

#define EXTREME_ONE(op) \
	LOAD_EXTREMES             \
	JOIN_PAIR(op, SI, SI)     \
	STORE_EXTREMES

// for i := range rows { for j := range dst { dst[j] += float64(x[i*ld+j]) } }
TEXT ·sumColumnsAVX2(SB), NOSPLIT, $0-64
	COLUMN_ARGS
	VBROADCASTSD ·vecOne64(SB), Y15
	COLUMNS(SUM_EIGHT, SUM_ONE)

// for i := range rows { for j := range dst { dst[j] = max(dst[j], x[i*ld+j]) } }
TEXT ·maxColumnsAVX2(SB), NOSPLIT, $0-64
	COLUMN_ARGS
	VBROADCASTSS ·vecNaN(SB), Y14
	COLUMNS(EXTREME_EIGHT(VMAXPS), EXTREME_ONE(VMAXPS))

// for i := range rows { for j := range dst { dst[j] = min(dst[j], x[i*ld+j]) } }
TEXT ·minColumnsAVX2(SB), NOSPLIT, $0-64
	COLUMN_ARGS
	VBROADCASTSS ·vecNaN(SB), Y14
	COLUMNS(EXTREME_EIGHT(VMINPS), EXTREME_ONE(VMINPS))
