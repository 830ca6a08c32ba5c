//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"

#define AXPY ·axpyAVX2
#define AXPY_FETCH ·axpyFetchAVX2
#define ADD_ROWS4 ·addRows4AVX2
#define SUM_SQUARES ·sumSquaresAVX2
#define DOT ·dotAVX2
#define MAX_SCALED ·maxScaledAVX2
#define COLUMN_MAX ·columnMaxAVX2
#include "vec_basic_amd64.h"

#define EXP ·expAVX2
#define SIGMOID ·sigmoidAVX2
#define POWER_SUM ·powerSumAVX2
#define POWER_SUM_MAX ·powerSumMaxAVX2
#define SOFTMAX_STEP ·softmaxStepAVX2
#define SUM_EXP ·sumExpAVX2
#define ERF ·erfAVX2
#define TANH ·tanhAVX2
#include "vec_exp_amd64.h"

#define STORE_RESULT VMOVUPS
#define FETCH(operand)
#define ADD ·addAVX2
#define SUB ·subAVX2
#define MUL ·mulAVX2
#define DIV ·divAVX2
#define MAXIMUM ·maximumAVX2
#define MINIMUM ·minimumAVX2
#define LESS ·lessAVX2
#define EQUAL ·equalAVX2
#define WHERE ·whereAVX2
#define ABS ·absAVX2
#define SQRT ·sqrtAVX2
#define SCALE ·scaleAVX2
#define AFFINE ·affineAVX2
#define CLAMP ·clampAVX2
#include "vec_arith_amd64.h"

#define LOG ·logAVX2
#define LOG1P ·log1pAVX2
#define SIN ·sinAVX2
#define COS ·cosAVX2
#include "vec_log_amd64.h"

#define SWIGLU ·swiGLUAVX2
#define SWIGLU_BACKWARD ·swiGLUBackwardAVX2
#define ROTATE ·rotateAVX2
#include "vec_gated_amd64.h"

#define MOMENTS ·momentsAVX2
#define NORMALIZE_GRADIENT ·normalizeGradientAVX2
#define ADAMW ·adamWAVX2
#define DROPOUT ·dropoutAVX2
#define TO_BF16 ·toBF16AVX2
#define FROM_BF16 ·fromBF16AVX2
#include "vec_train_amd64.h"

#define GELU ·geluAVX2
#define GELU_BACKWARD ·geluBackwardAVX2
#define NORMALIZE ·normalizeAVX2
#define NORMALIZE_BACKWARD ·normalizeBackwardAVX2
#include "vec_result_amd64.h"

#undef STORE_RESULT
#undef GELU
#undef GELU_BACKWARD
#undef NORMALIZE
#undef NORMALIZE_BACKWARD
#define STORE_RESULT VMOVNTPS
#define GELU ·geluStreamAVX2
#define GELU_BACKWARD ·geluBackwardStreamAVX2
#define NORMALIZE ·normalizeStreamAVX2
#define NORMALIZE_BACKWARD ·normalizeBackwardStreamAVX2
#include "vec_result_amd64.h"
