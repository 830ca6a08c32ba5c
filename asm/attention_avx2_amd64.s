//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"
#include "exp_amd64.h"

#define ATTENTION_MAX ·attentionMaxAVX2
#define ATTENTION_EXP ·attentionExpAVX2
#define ATTENTION_GRADIENT ·attentionGradientAVX2
#define ATTENTION_DROPOUT ·attentionDropoutAVX2
#define ATTENTION_SCALE ·attentionScaleAVX2
#define ATTENTION_DOTS ·attentionDotsAVX2
#include "attention_amd64.h"
