// Matrix products of numbers rounded to bfloat16.
#include "gemm_mma.h"

GEMMS(gemm_bf16, BF16, 64)
