//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"
#include "vec_loop_amd64.h"
#include "exp_amd64.h"

#define GREATEST Y13
#define MINUS1 ·vecMask(SB)
#define HIDDEN_CONSTS

// r = the signs of the lanes of x
#define SIGNS(x, r) VMOVMSKPS x, r

#define ATTENTION_MAX ·attentionMaxAVX2
#define ATTENTION_EXP ·attentionExpAVX2
#define ATTENTION_GRADIENT ·attentionGradientAVX2
#define ATTENTION_DROPOUT ·attentionDropoutAVX2
#define ATTENTION_SCALE ·attentionScaleAVX2
#define ATTENTION_COPY ·attentionCopyAVX2
#define ATTENTION_ADD ·attentionAddAVX2
#define ATTENTION_DOTS ·attentionDotsAVX2
#include "attention_amd64.h"
