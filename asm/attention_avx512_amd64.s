//go:build amd64 && !purego

#include "textflag.h"
#include "avx512_amd64.h"
#include "vec_loop_amd64.h"
#include "exp_amd64.h"

#define ATTENTION_MAX ·attentionMaxAVX512
#define ATTENTION_EXP ·attentionExpAVX512
#define ATTENTION_GRADIENT ·attentionGradientAVX512
#define ATTENTION_DROPOUT ·attentionDropoutAVX512
#define ATTENTION_SCALE ·attentionScaleAVX512
#define ATTENTION_DOTS ·attentionDotsAVX512
#include "attention_amd64.h"
