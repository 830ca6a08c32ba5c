//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"

// The kernels that write past the caches. What they read is beyond them, too.
#define STORE_RESULT VMOVNTPS
#define FETCH(operand) \
	PREFETCHT0 2048(operand)(AX*4) \
	PREFETCHT0 2112(operand)(AX*4)
#define ADD ·addStreamAVX2
#define SUB ·subStreamAVX2
#define MUL ·mulStreamAVX2
#define DIV ·divStreamAVX2
#define MAXIMUM ·maximumStreamAVX2
#define MINIMUM ·minimumStreamAVX2
#define LESS ·lessStreamAVX2
#define EQUAL ·equalStreamAVX2
#define WHERE ·whereStreamAVX2
#define ABS ·absStreamAVX2
#define SQRT ·sqrtStreamAVX2
#define SCALE ·scaleStreamAVX2
#define AFFINE ·affineStreamAVX2
#define CLAMP ·clampStreamAVX2
#include "vec_arith_amd64.h"
