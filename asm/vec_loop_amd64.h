// Loops of the vector kernels, for either instruction set.

// How far ahead of a load, in bytes, a kernel prefetches. It prefetches into the
// second-level cache: on its way to the first, a line would take one of a few miss
// buffers for as long as memory takes, and loads would wait for a buffer (Zen 4,
// softmax on one thread: twice the time).
#define AHEAD 8192

// A loop over single vectors. Between LOOP and TAIL is the body for the lanes at
// index AX; between TAIL and RETURN the same for the last CX < LANES, under the mask.
#define LOOP \
	XORL AX, AX         \
	MOVQ CX, BX         \
	ANDQ $(-LANES), BX  \
	JZ   tail           \
loop:

#define TAIL \
	ADDQ $LANES, AX \
	CMPQ AX, BX     \
	JLT  loop       \
tail: \
	SUBQ AX, CX     \
	JZ   done       \
	TAIL_MASK

#define RETURN \
	VZEROUPPER \
	RET

// A loop over k vectors at a time, before LOOP_REST ... TAIL.
#define UNROLLED(k) \
	XORL AX, AX           \
	MOVQ CX, BX           \
	ANDQ $(-k*LANES), BX  \
	JZ   rest             \
unrolled:

#define LOOP_REST(k) \
	ADDQ $(k*LANES), AX \
	CMPQ AX, BX         \
	JLT  unrolled       \
rest: \
	MOVQ CX, BX         \
	ANDQ $(-LANES), BX  \
	CMPQ AX, BX         \
	JGE  tail           \
loop:

// Reductions of V0 to its lane 0; V1 is scratch.
#define SUM_LANES \
	FOLD_PS(VADDPS)           \
	VEXTRACTF128 $1, Y0, X1   \
	VADDPS       X1, X0, X0   \
	VMOVHLPS     X0, X0, X1   \
	VADDPS       X1, X0, X0   \
	VMOVSHDUP    X0, X1       \
	VADDSS       X1, X0, X0

#define MAX_LANES \
	FOLD_PS(VMAXPS)           \
	VEXTRACTF128 $1, Y0, X1   \
	VMAXPS       X1, X0, X0   \
	VMOVHLPS     X0, X0, X1   \
	VMAXPS       X1, X0, X0   \
	VMOVSHDUP    X0, X1       \
	VMAXSS       X1, X0, X0

#define SUM_DOUBLES \
	FOLD_PD                   \
	VEXTRACTF128 $1, Y0, X1   \
	VADDPD       X1, X0, X0   \
	VUNPCKHPD    X0, X0, X1   \
	VADDSD       X1, X0, X0
