// The operations of attention on scores between its matrix products, for either
// instruction set; attention_generic.go has the loops. Scores have a row for each
// key and a lane for each query. Kernels go down the rows, one or two vectors of
// lanes at a time.
//
// AX is the lane, BX the number of lanes, CX the rows to go, SI the first row,
// DI the current row, R9 the bytes between rows.

#define BROADCAST(imm, x, v) \
	MOVL         $imm, R8 \
	VMOVD        R8, x    \
	VPBROADCASTD x, v

#define HIDDEN V4 // per lane: the keys left to see, negative where hidden

// HIDDEN = the number of keys from base on that the lanes at AX see, less 1.
#define KEYS_LEFT(base) \
	VPBROADCASTD base, V3          \
	VMOVUPS      (R12)(AX*4), V4   \
	VPSUBD       V3, V4, HIDDEN

// Lanes where x is -Inf see nothing; t0, t1, t2 are scratch.
#define HIDE_INFINITE(x, x0, t0, x1, t1, t2) \
	BROADCAST(0xff7fffff, x0, t0)  \
	BROADCAST(0xc0000000, x1, t1)  \
	SELECT_LESS(x, t0, t1, HIDDEN, HIDDEN, t2)

// m[j] = max(m[j], max of s[i*ld+j] + bias[j]), over the rows i <= last[j]-base,
// or all where last is empty; m[j] stays where bias[j] is -Inf. NaN may be lost:
// ATTENTION_EXP gives NaN for it whatever m[j] is.
TEXT ATTENTION_MAX(SB), NOSPLIT, $0-120
	MOVQ m_base+0(FP), DX
	MOVQ m_len+8(FP), BX
	MOVQ s_base+24(FP), SI
	MOVQ ld+48(FP), R9
	MOVQ bias_base+64(FP), R10
	MOVQ last_base+88(FP), R12
	MOVQ last_len+96(FP), R11
	SHLQ $2, R9
	BROADCAST(0xff800000, X10, V10)
	BROADCAST(0xff7fffff, X9, V9)
	HIDDEN_CONSTS
	XORL AX, AX
lanes:
	LEAQ  (SI)(AX*4), DI
	MOVQ  rows+56(FP), CX
	TESTQ R11, R11
	JNZ   hidden
	VMOVUPS (DI), V0
	VMOVUPS VBYTES(DI), V1
	VMOVAPS V0, V2
	VMOVAPS V1, V3
	TESTL   $1, CX
	JZ      even
	ADDQ    R9, DI
	DECQ    CX
	JZ      maxima
even:
	VMAXPS (DI), V0, V0
	VMAXPS VBYTES(DI), V1, V1
	VMAXPS (DI)(R9*1), V2, V2
	VMAXPS VBYTES(DI)(R9*1), V3, V3
	LEAQ   (DI)(R9*2), DI
	SUBQ   $2, CX
	JNZ    even
	VMAXPS V2, V0, V0
	VMAXPS V3, V1, V1
	JMP    maxima
hidden:
	KEYS_LEFT(base+112(FP))
	VMOVUPS VBYTES(R12)(AX*4), V5
	VPSUBD  V3, V5, V5
	VMOVAPS V10, V0
	VMOVAPS V10, V1
row:
	VMOVUPS     (DI), V2
	VMOVUPS     VBYTES(DI), V3
	SELECT_SIGN(V4, V10, V2, V2)
	SELECT_SIGN(V5, V10, V3, V3)
	VMAXPS      V2, V0, V0
	VMAXPS      V3, V1, V1
	VPADDD      MINUS1, V4, V4
	VPADDD      MINUS1, V5, V5
	ADDQ        R9, DI
	DECQ        CX
	JNZ         row
maxima:
	VMOVUPS     (R10)(AX*4), V2
	VMOVUPS     VBYTES(R10)(AX*4), V3
	VADDPS      V2, V0, V0
	VADDPS      V3, V1, V1
	VMOVUPS     (DX)(AX*4), V4
	VMOVUPS     VBYTES(DX)(AX*4), V5
	VMAXPS      V4, V0, V0
	VMAXPS      V5, V1, V1
	SELECT_LESS(V2, V9, V4, V0, V0, V6)
	SELECT_LESS(V3, V9, V5, V1, V1, V6)
	VMOVUPS     V0, (DX)(AX*4)
	VMOVUPS     V1, VBYTES(DX)(AX*4)
	ADDQ        $(2*LANES), AX
	CMPQ        AX, BX
	JLT         lanes
	RETURN

// Sets V8 to the bias of the lanes at AX, GREATEST to m, HIDDEN to the keys that
// they see from base on, V5 to their sums so far and DI to their first score. An m
// of -Inf becomes the lowest finite number, so that scores of -Inf give 0 and a
// score of NaN gives NaN. An m of NaN stays NaN because it is the last source of
// VMAXPS.
#define WEIGHT_LANES(base) \
	KEYS_LEFT(base)                         \
	VMOVUPS (R10)(AX*4), V8                 \
	VMOVUPS (R11)(AX*4), V5                 \
	HIDE_INFINITE(V8, X1, V1, X2, V2, V3)   \
	BROADCAST(0xff7fffff, X1, V1)           \
	VMAXPS  V5, V1, GREATEST                \
	VMOVUPS (DX)(AX*4), V5                  \
	LEAQ    (SI)(AX*4), DI

// Jumps to hidden if one of the lanes does not see all CX rows.
#define IF_HIDDEN(hidden) \
	LEAQ         -1(CX), R8     \
	VMOVD        R8, X1         \
	VPBROADCASTD X1, V1         \
	VPSUBD       V1, HIDDEN, V1 \
	SIGNS(V1, R8)               \
	TESTL        R8, R8         \
	JNZ          hidden

// Turns the scores at DI into weights, in V1. It adds the bias first, as
// ATTENTION_MAX does, so that the greatest score gives 1 however large the numbers
// are.
#define WEIGHT \
	VADDPS (DI), V8, V0       \
	VSUBPS GREATEST, V0, V0   \
	EXP_SCORE(V0, V1, V2, V3)

// x = 0 in the lanes that HIDDEN hides; t is scratch.
#define HIDE(x, t) \
	VPSRAD $31, HIDDEN, t \
	VANDNPS x, t, x

// s[i*ld+j] = exp(s[i*ld+j] + bias[j] - m[j]), and sum[j] += that; 0 where
// i > last[j]-base or bias[j] is -Inf.
TEXT ATTENTION_EXP(SB), NOSPLIT, $0-144
	MOVQ sum_base+0(FP), DX
	MOVQ sum_len+8(FP), BX
	MOVQ s_base+24(FP), SI
	MOVQ ld+48(FP), R9
	MOVQ bias_base+64(FP), R10
	MOVQ m_base+88(FP), R11
	MOVQ last_base+112(FP), R12
	SHLQ $2, R9
	SCORE_CONSTS
	HIDDEN_CONSTS
	XORL AX, AX
lanes:
	WEIGHT_LANES(base+136(FP))
	MOVQ rows+56(FP), CX
	IF_HIDDEN(hidden)
row:
	WEIGHT
	VMOVUPS V1, (DI)
	VADDPS  V1, V5, V5
	ADDQ    R9, DI
	DECQ    CX
	JNZ     row
next:
	VMOVUPS V5, (DX)(AX*4)
	ADDQ    $LANES, AX
	CMPQ    AX, BX
	JLT     lanes
	RETURN
hidden:
	WEIGHT
	HIDE(V1, V2)
	VMOVUPS V1, (DI)
	VADDPS  V1, V5, V5
	VPADDD  MINUS1, HIDDEN, HIDDEN
	ADDQ    R9, DI
	DECQ    CX
	JNZ     hidden
	JMP     next

// s[i*ld+j] = p, as ATTENTION_EXP computes it with lse as m;
// dp[i*ld+j] = p * (dp[i*ld+j] - delta[j]), and sum[j] += that. Both are 0 where
// ATTENTION_EXP gives 0.
TEXT ATTENTION_GRADIENT(SB), NOSPLIT, $0-192
	MOVQ sum_base+0(FP), DX
	MOVQ sum_len+8(FP), BX
	MOVQ s_base+24(FP), SI
	MOVQ ld+72(FP), R9
	MOVQ bias_base+88(FP), R10
	MOVQ lse_base+112(FP), R11
	MOVQ last_base+160(FP), R12
	SHLQ $2, R9
	SCORE_CONSTS
	HIDDEN_CONSTS
	XORL AX, AX
lanes:
	WEIGHT_LANES(base+184(FP))
	MOVQ    delta_base+136(FP), R8
	VMOVUPS (R8)(AX*4), V9
	MOVQ    dp_base+48(FP), R13
	LEAQ    (R13)(AX*4), R13
	MOVQ    rows+80(FP), CX
	IF_HIDDEN(hidden)
row:
	WEIGHT
	VMOVUPS (R13), V0
	VSUBPS  V9, V0, V0
	VMULPS  V1, V0, V0
	VMOVUPS V1, (DI)
	VMOVUPS V0, (R13)
	VADDPS  V0, V5, V5
	ADDQ    R9, DI
	ADDQ    R9, R13
	DECQ    CX
	JNZ     row
next:
	VMOVUPS V5, (DX)(AX*4)
	ADDQ    $LANES, AX
	CMPQ    AX, BX
	JLT     lanes
	RETURN
hidden:
	WEIGHT
	HIDE(V1, V2)
	VMOVUPS (R13), V0
	VSUBPS  V9, V0, V0
	VMULPS  V1, V0, V0
	HIDE(V0, V2)
	VMOVUPS V1, (DI)
	VMOVUPS V0, (R13)
	VADDPS  V0, V5, V5
	VPADDD  MINUS1, HIDDEN, HIDDEN
	ADDQ    R9, DI
	ADDQ    R9, R13
	DECQ    CX
	JNZ     hidden
	JMP     next

// x[i*ld+j] = dropoutHash(counters[j]+i, keys[j]) >= threshold ? x[i*ld+j]*inv : 0
TEXT ATTENTION_DROPOUT(SB), NOSPLIT, $0-96
	MOVQ x_base+0(FP), SI
	MOVQ ld+24(FP), R9
	MOVQ counters_base+40(FP), R10
	MOVQ counters_len+48(FP), BX
	MOVQ keys_base+64(FP), R11
	VBROADCASTSS inv+88(FP), V14
	VBROADCASTSS threshold+92(FP), V15
	SHLQ $2, R9
	BROADCAST(0xffffffff, X8, V8)
	VBROADCASTSS CONSTANT(48), V10
	VBROADCASTSS CONSTANT(49), V11
	VBROADCASTSS CONSTANT(50), V12
	XORL AX, AX
lanes:
	VMOVUPS (R10)(AX*4), V7
	VMOVUPS (R11)(AX*4), V9
	LEAQ    (SI)(AX*4), DI
	MOVQ    rows+32(FP), CX
row:
	VPSRLD  $16, V7, V1
	VXORPS  V7, V1, V1
	VPSUBD  V8, V7, V7
	VPMULLD V10, V1, V1
	VPSRLD  $15, V1, V2
	VXORPS  V2, V1, V1
	VPADDD  V9, V1, V1
	VPMULLD V11, V1, V1
	VPSRLD  $16, V1, V2
	VXORPS  V2, V1, V1
	VPMULLD V12, V1, V1
	VPSRLD  $15, V1, V2
	VXORPS  V2, V1, V1
	VMULPS  (DI), V14, V0
	KEEP_NOT_BELOW(V1, V15, V0, V2)
	VMOVUPS V0, (DI)
	ADDQ    R9, DI
	DECQ    CX
	JNZ     row
	ADDQ    $LANES, AX
	CMPQ    AX, BX
	JLT     lanes
	RETURN

// for i, f := range factors { for j := range width { dst[i*ld+j] = x[i*ldx+j] * f } }
TEXT ATTENTION_SCALE(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ ld+24(FP), R9
	MOVQ x_base+32(FP), R11
	MOVQ ldx+56(FP), R12
	MOVQ width+64(FP), CX
	MOVQ factors_base+72(FP), SI
	MOVQ factors_len+80(FP), DX
	SHLQ $2, R9
	SHLQ $2, R12
	MOVQ CX, BX
	ANDQ $(-LANES), BX
	SUBQ BX, CX
	MOVQ CX, R10
	JZ   row
	TAIL_MASK
row:
	VBROADCASTSS (SI), V2
	XORL AX, AX
	CMPQ AX, BX
	JGE  tail
vector:
	VMULPS  (R11)(AX*4), V2, V0
	VMOVUPS V0, (DI)(AX*4)
	ADDQ    $LANES, AX
	CMPQ    AX, BX
	JLT     vector
tail:
	TESTQ R10, R10
	JZ    next
	LOAD_TAIL((R11)(AX*4), V0)
	VMULPS V2, V0, V0
	STORE_TAIL(V0, (DI)(AX*4))
next:
	ADDQ $4, SI
	ADDQ R9, DI
	ADDQ R12, R11
	DECQ DX
	JNZ  row
	RETURN

// for i := range rows { for j := range width { dst[i*ld+j] = x[i*ldx+j] } }
TEXT ATTENTION_COPY(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ ld+24(FP), R9
	MOVQ x_base+32(FP), SI
	MOVQ ldx+56(FP), R12
	MOVQ rows+64(FP), DX
	MOVQ width+72(FP), CX
	SHLQ $2, R9
	SHLQ $2, R12
	MOVQ CX, BX
	ANDQ $(-LANES), BX
	SUBQ BX, CX
	MOVQ CX, R10
	JZ   row
	TAIL_MASK
row:
	LEAQ (SI)(R12*8), R13
	LEAQ (R13)(R12*8), R13 // sixteen rows ahead
	XORL AX, AX
	CMPQ AX, BX
	JGE  tail
vector:
	VMOVUPS    (SI)(AX*4), V0
	PREFETCHT1 (R13)(AX*4)
	VMOVUPS    V0, (DI)(AX*4)
	ADDQ       $LANES, AX
	CMPQ       AX, BX
	JLT        vector
tail:
	TESTQ R10, R10
	JZ    next
	LOAD_TAIL((SI)(AX*4), V0)
	STORE_TAIL(V0, (DI)(AX*4))
next:
	ADDQ R9, DI
	ADDQ R12, SI
	DECQ DX
	JNZ  row
	RETURN

// for i := range rows { for j := range width { dst[i*ld+j] += alpha * x[i*ldx+j] } }
// or, without accumulate, = instead of +=
TEXT ATTENTION_ADD(SB), NOSPLIT, $0-85
	MOVQ dst_base+0(FP), DI
	MOVQ ld+24(FP), R9
	MOVQ x_base+32(FP), SI
	MOVQ ldx+56(FP), R12
	MOVQ rows+64(FP), DX
	MOVQ width+72(FP), CX
	VBROADCASTSS alpha+80(FP), V2
	SHLQ $2, R9
	SHLQ $2, R12
	MOVQ CX, BX
	ANDQ $(-LANES), BX
	SUBQ BX, CX
	MOVQ CX, R10
	JZ   row
	TAIL_MASK
row:
	LEAQ (DI)(R9*8), R13
	LEAQ (R13)(R9*8), R13 // sixteen rows ahead
	MOVBLZX accumulate+84(FP), CX
	XORL AX, AX
	CMPQ AX, BX
	JGE  tail
	TESTL CX, CX
	JZ    set
vector:
	VMOVUPS     (DI)(AX*4), V0
	PREFETCHT1  (R13)(AX*4)
	VFMADD231PS (SI)(AX*4), V2, V0
	VMOVUPS     V0, (DI)(AX*4)
	ADDQ        $LANES, AX
	CMPQ        AX, BX
	JLT         vector
	JMP         tail
set:
	VMULPS     (SI)(AX*4), V2, V0
	PREFETCHT1 (R13)(AX*4)
	VMOVUPS    V0, (DI)(AX*4)
	ADDQ       $LANES, AX
	CMPQ       AX, BX
	JLT        set
tail:
	TESTQ R10, R10
	JZ    next
	LOAD_TAIL((SI)(AX*4), V1)
	VMULPS V1, V2, V0
	TESTL CX, CX
	JZ    store
	LOAD_TAIL((DI)(AX*4), V0)
	VFMADD231PS V1, V2, V0
store:
	STORE_TAIL(V0, (DI)(AX*4))
next:
	ADDQ R9, DI
	ADDQ R12, SI
	DECQ DX
	JNZ  row
	RETURN

// for i := range dst { for j := range width { dst[i] += x[i*ldx+j] * y[i*ldy+j] } }
// from dst[i] = 0
TEXT ATTENTION_DOTS(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), DX
	MOVQ x_base+24(FP), SI
	MOVQ ldx+48(FP), R9
	MOVQ y_base+56(FP), R11
	MOVQ ldy+80(FP), R12
	MOVQ width+88(FP), CX
	SHLQ $2, R9
	SHLQ $2, R12
	MOVQ CX, BX
	ANDQ $(-LANES), BX
	SUBQ BX, CX
	MOVQ CX, R10
	JZ   row
	TAIL_MASK
row:
	ZERO(V0)
	XORL AX, AX
	CMPQ AX, BX
	JGE  tail
vector:
	VMOVUPS     (SI)(AX*4), V2
	VFMADD231PS (R11)(AX*4), V2, V0
	ADDQ        $LANES, AX
	CMPQ        AX, BX
	JLT         vector
tail:
	TESTQ R10, R10
	JZ    next
	LOAD_TAIL((SI)(AX*4), V2)
	LOAD_TAIL((R11)(AX*4), V3)
	VFMADD231PS V3, V2, V0
next:
	SUM_LANES
	VMOVSS X0, (DI)
	ADDQ $4, DI
	ADDQ R9, SI
	ADDQ R12, R11
	DECQ DX
	JNZ  row
	RETURN
