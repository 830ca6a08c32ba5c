// Matrix products as exact as in float32: each is three of numbers in TF32.
#include "gemm_mma.h"

GEMMS(gemm_3xtf32, TF32x3, 32)
