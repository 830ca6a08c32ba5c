//go:build amd64 && !purego

#include "textflag.h"
#include "avx512_amd64.h"
#include "vec_loop_amd64.h"
#include "exp_amd64.h"

#define GREATEST Z23
#define MINUS1 Z13
#define HIDDEN_CONSTS BROADCAST(0xffffffff, X13, MINUS1)

// r = the signs of the lanes of x
#define SIGNS(x, r) \
	VPMOVD2M x, K2 \
	KMOVW    K2, r

#define ATTENTION_MAX ·attentionMaxAVX512
#define ATTENTION_EXP ·attentionExpAVX512
#define ATTENTION_GRADIENT ·attentionGradientAVX512
#define ATTENTION_DROPOUT ·attentionDropoutAVX512
#define ATTENTION_SCALE ·attentionScaleAVX512
#define ATTENTION_COPY ·attentionCopyAVX512
#define ATTENTION_ADD ·attentionAddAVX512
#define ATTENTION_DOTS ·attentionDotsAVX512
#include "attention_amd64.h"
