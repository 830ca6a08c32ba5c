// Attention as exact as in float32: each product is three of numbers in TF32.
#include "attention_mma_backward.h"

ATTENTION(attention_3xtf32, 32, TF32x3)
ATTENTION(attention_3xtf32, 64, TF32x3)
ATTENTION(attention_3xtf32, 128, TF32x3)
ATTENTION_BACKWARD(attention_3xtf32, 32, TF32x3)
ATTENTION_BACKWARD(attention_3xtf32, 64, TF32x3)
ATTENTION_BACKWARD(attention_3xtf32, 128, TF32x3)
