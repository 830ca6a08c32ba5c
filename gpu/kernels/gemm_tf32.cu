// Matrix products of numbers rounded to TF32.
#include "gemm_mma.h"

GEMMS(gemm_tf32, TF32, 64)
