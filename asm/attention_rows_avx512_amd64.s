//go:build amd64 && !purego

#include "textflag.h"
#include "avx512_amd64.h"

// Adds the upper halves of V0 to V3 to the lower ones.
#define HALVES \
	VEXTRACTF64X4 $1, Z0, Y4 \
	VEXTRACTF64X4 $1, Z1, Y5 \
	VEXTRACTF64X4 $1, Z2, Y6 \
	VEXTRACTF64X4 $1, Z3, Y7 \
	VADDPS        Y4, Y0, Y0 \
	VADDPS        Y5, Y1, Y1 \
	VADDPS        Y6, Y2, Y2 \
	VADDPS        Y7, Y3, Y3

#define ROW_DOTS ·rowDotsAVX512
#define ROW_SUM ·rowSumAVX512
#include "attention_rows_amd64.h"
