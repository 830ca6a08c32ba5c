//go:build amd64 && !purego

#include "textflag.h"
#include "avx512_amd64.h"
#include "vec_loop_amd64.h"

#define AXPY ·axpyAVX512
#define ADD_ROWS4 ·addRows4AVX512
#define SUM_SQUARES ·sumSquaresAVX512
#define DOT ·dotAVX512
#define MAX_SCALED ·maxScaledAVX512
#define COLUMN_MAX ·columnMaxAVX512
#include "vec_basic_amd64.h"

#define EXP ·expAVX512
#define SIGMOID ·sigmoidAVX512
#define POWER_SUM ·powerSumAVX512
#define POWER_SUM_MAX ·powerSumMaxAVX512
#define SOFTMAX_STEP ·softmaxStepAVX512
#define SUM_EXP ·sumExpAVX512
#define ERF ·erfAVX512
#define TANH ·tanhAVX512
#include "vec_exp_amd64.h"

#define STORE_RESULT VMOVUPS
#define FETCH(operand)
#define ADD ·addAVX512
#define SUB ·subAVX512
#define MUL ·mulAVX512
#define DIV ·divAVX512
#define MAXIMUM ·maximumAVX512
#define MINIMUM ·minimumAVX512
#define LESS ·lessAVX512
#define EQUAL ·equalAVX512
#define WHERE ·whereAVX512
#define ABS ·absAVX512
#define SQRT ·sqrtAVX512
#define SCALE ·scaleAVX512
#define AFFINE ·affineAVX512
#define CLAMP ·clampAVX512
#include "vec_arith_amd64.h"

#define LOG ·logAVX512
#define LOG1P ·log1pAVX512
#define SIN ·sinAVX512
#define COS ·cosAVX512
#include "vec_log_amd64.h"

#define SWIGLU ·swiGLUAVX512
#define SWIGLU_BACKWARD ·swiGLUBackwardAVX512
#define ROTATE ·rotateAVX512
#include "vec_gated_amd64.h"

#define MOMENTS ·momentsAVX512
#define NORMALIZE_GRADIENT ·normalizeGradientAVX512
#define ADAMW ·adamWAVX512
#define DROPOUT ·dropoutAVX512
#define TO_BF16 ·toBF16AVX512
#define FROM_BF16 ·fromBF16AVX512
#include "vec_train_amd64.h"

#define GELU ·geluAVX512
#define GELU_BACKWARD ·geluBackwardAVX512
#define NORMALIZE ·normalizeAVX512
#define NORMALIZE_BACKWARD ·normalizeBackwardAVX512
#include "vec_result_amd64.h"

#undef STORE_RESULT
#undef GELU
#undef GELU_BACKWARD
#undef NORMALIZE
#undef NORMALIZE_BACKWARD
#define STORE_RESULT VMOVNTPS
#define GELU ·geluStreamAVX512
#define GELU_BACKWARD ·geluBackwardStreamAVX512
#define NORMALIZE ·normalizeStreamAVX512
#define NORMALIZE_BACKWARD ·normalizeBackwardStreamAVX512
#include "vec_result_amd64.h"
