//go:build amd64 && !purego

#include "textflag.h"
#include "avx2_amd64.h"

#define HALVES
#define ROW_DOTS ·rowDotsAVX2
#define ROW_SUM ·rowSumAVX2
#include "attention_rows_amd64.h"
