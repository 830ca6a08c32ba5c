// Attention of numbers rounded to TF32.
#include "attention_mma_backward.h"

ATTENTION(attention_tf32, 32, TF32)
ATTENTION(attention_tf32, 64, TF32)
ATTENTION(attention_tf32, 128, TF32)
ATTENTION_BACKWARD(attention_tf32, 32, TF32)
ATTENTION_BACKWARD(attention_tf32, 64, TF32)
ATTENTION_BACKWARD(attention_tf32, 128, TF32)
