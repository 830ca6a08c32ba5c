// Macros of the GEMM micro-kernels with AVX-512. Row i of a tile accumulates in
// Z(2i) and Z(2i+1).

#define C     DI  // the current row of C
#define LDC   DX  // bytes between rows of C
#define A     SI  // rows 0-2 of A at the current k
#define A3    R10 // rows 3-5
#define A6    R11 // rows 6-8
#define A9    R12 // rows 9-11
#define A12   R13 // rows 12-13
#define AROW  R8  // bytes between rows of A
#define ACOL  R9  // bytes between columns of A
#define B     BX  // the current row of the panel of B
#define BROW  R15 // bytes between rows of B
#define K     CX
#define STEPS R14 // steps until the next prefetch
#define BIAS  AX
#define B0    Z28
#define B1    Z29
#define A0    Z30
#define A1    Z31
#define MASK0 K1
#define MASK1 K2

// ROWSn(OP) expands to OP(address in A, accumulators, number of the first) for each
// of n rows.
#define ROWS1(OP) OP((A), Z0, Z1, 0)
#define ROWS2(OP) ROWS1(OP); OP((A)(AROW*1), Z2, Z3, 2)
#define ROWS3(OP) ROWS2(OP); OP((A)(AROW*2), Z4, Z5, 4)
#define ROWS4(OP) ROWS3(OP); OP((A3), Z6, Z7, 6)
#define ROWS5(OP) ROWS4(OP); OP((A3)(AROW*1), Z8, Z9, 8)
#define ROWS6(OP) ROWS5(OP); OP((A3)(AROW*2), Z10, Z11, 10)
#define ROWS7(OP) ROWS6(OP); OP((A6), Z12, Z13, 12)
#define ROWS8(OP) ROWS7(OP); OP((A6)(AROW*1), Z14, Z15, 14)
#define ROWS9(OP) ROWS8(OP); OP((A6)(AROW*2), Z16, Z17, 16)
#define ROWS10(OP) ROWS9(OP); OP((A9), Z18, Z19, 18)
#define ROWS11(OP) ROWS10(OP); OP((A9)(AROW*1), Z20, Z21, 20)
#define ROWS12(OP) ROWS11(OP); OP((A9)(AROW*2), Z22, Z23, 22)
#define ROWS13(OP) ROWS12(OP); OP((A12), Z24, Z25, 24)
#define ROWS14(OP) ROWS13(OP); OP((A12)(AROW*1), Z26, Z27, 26)

#define ZERO(a, c0, c1, n) \
	VPXORD c0, c0, c0 \
	VPXORD c1, c1, c1

// c *= alpha, with alpha in A0
#define SCALE(a, c0, c1, n) \
	VMULPS A0, c0, c0 \
	VMULPS A0, c1, c1

// c += beta * C[row], with beta in A0 and the row at R8
#define ADDC(a, c0, c1, n) \
	VMOVUPS.Z (R8), MASK0, B0 \
	VMOVUPS.Z 64(R8), MASK1, B1 \
	VFMADD231PS B0, A0, c0 \
	VFMADD231PS B1, A0, c1 \
	ADDQ LDC, R8

// c += bias, with bias in B0 and B1
#define ADDBIAS(a, c0, c1, n) \
	VADDPS B0, c0, c0 \
	VADDPS B1, c1, c1

#define STORE(a, c0, c1, n) \
	VMOVUPS c0, MASK0, (C) \
	VMOVUPS c1, MASK1, 64(C) \
	ADDQ LDC, C

// STEP adds the products at the current k and goes on to the next.
#define STEP(ROWS, MULADD, COUNT) \
	VMOVUPS (B), B0 \
	VMOVUPS 64(B), B1 \
	ROWS(MULADD) \
	ADDQ ACOL, A \
	ADDQ ACOL, A3 \
	ADDQ ACOL, A6 \
	ADDQ ACOL, A9 \
	ADDQ ACOL, A12 \
	ADDQ BROW, B \
	DECQ COUNT

// TILE is the body of a kernel with n rows; ROWS is ROWSn, and MULADD adds the
// products of a row. Each of the first n
// steps prefetches a row of C, to which the kernel adds at the end: all rows at once
// would fill the queue of cache misses, and loads of A would wait. For the same
// reason it prefetches only two other cache lines every so many steps as EVERY says.
#define TILE(n, ROWS, MULADD) \
	MOVQ ldc+24(FP), LDC \
	MOVQ acs+64(FP), ACOL \
	MOVQ brs+96(FP), BROW \
	SHLQ $2, LDC \
	SHLQ $2, ACOL \
	SHLQ $2, BROW \
	SHLQ $2, bps+104(FP) \
	SHLQ $2, fetch_pair+168(FP) \
	SHLQ $2, fetch_slot+176(FP) \
	SHLQ $2, fetch_panel+184(FP) \
panel: \
	MOVQ c_base+0(FP), C \
	MOVQ a_base+32(FP), A \
	MOVQ ars+56(FP), AROW \
	MOVQ b_base+72(FP), B \
	MOVQ k+112(FP), K \
	SHLQ $2, AROW \
	LEAQ (A)(AROW*2), A3 \
	ADDQ AROW, A3 \
	LEAQ (A3)(AROW*2), A6 \
	ADDQ AROW, A6 \
	LEAQ (A6)(AROW*2), A9 \
	ADDQ AROW, A9 \
	LEAQ (A9)(AROW*2), A12 \
	ADDQ AROW, A12 \
	MOVQ C, AX \
	ROWS(ZERO) \
	CMPQ K, $n \
	JLE fetch \
	MOVQ $n, K \
	PCALIGN $64 \
fetch: \
	PREFETCHT0 (AX) \
	PREFETCHT0 124(AX) \
	ADDQ LDC, AX \
	STEP(ROWS, MULADD, K) \
	JNZ fetch \
	MOVQ k+112(FP), K \
	SUBQ $n, K \
	JLE summed \
	MOVQ fetch_at+160(FP), AX \
	TESTQ AX, AX \
	JZ loop \
slot: \
	SUBQ $EVERY, K \
	JLT rest \
	MOVQ fetch_pair+168(FP), STEPS \
	PREFETCHT1 (AX) \
	PREFETCHT1 (AX)(STEPS*1) \
	ADDQ fetch_slot+176(FP), AX \
	MOVQ $EVERY, STEPS \
	PCALIGN $64 \
steps: \
	STEP(ROWS, MULADD, STEPS) \
	JNZ steps \
	JMP slot \
rest: \
	ADDQ $EVERY, K \
	JZ summed \
	PCALIGN $64 \
loop: \
	STEP(ROWS, MULADD, K) \
	JNZ loop \
summed: \
	MOVQ cols+152(FP), CX \
	MOVQ $-1, R8 \
	CMPQ CX, $32 \
	JGE whole \
	SHLQ CX, R8 \
	NOTQ R8 \
whole: \
	KMOVW R8, MASK0 \
	SHRQ $16, R8 \
	KMOVW R8, MASK1 \
	CMPL alpha+144(FP), $0x3f800000 \
	JEQ scaled \
	VBROADCASTSS alpha+144(FP), A0 \
	ROWS(SCALE) \
scaled: \
	CMPL beta+148(FP), $0 \
	JEQ added \
	VBROADCASTSS beta+148(FP), A0 \
	MOVQ C, R8 \
	ROWS(ADDC) \
added: \
	MOVQ bias_base+120(FP), BIAS \
	TESTQ BIAS, BIAS \
	JZ biased \
	VMOVUPS.Z (BIAS), MASK0, B0 \
	VMOVUPS.Z 64(BIAS), MASK1, B1 \
	ROWS(ADDBIAS) \
	ADDQ $128, bias_base+120(FP) \
biased: \
	ROWS(STORE) \
	SUBQ $32, cols+152(FP) \
	JLE done \
	ADDQ $128, c_base+0(FP) \
	MOVQ bps+104(FP), AX \
	ADDQ AX, b_base+72(FP) \
	MOVQ fetch_panel+184(FP), AX \
	ADDQ AX, fetch_at+160(FP) \
	JMP panel \
done: \
	VZEROUPPER \
	RET
