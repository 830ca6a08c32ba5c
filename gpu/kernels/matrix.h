// What the kernels of matrix products, attention and losses share.
#pragma once
#include "device.h"

constexpr float INFINITY = __builtin_inff();

DEVICE long grid() { return __nvvm_read_ptx_sreg_nctaid_x(); }

// max returns the greater number, and the other one of NaN.
DEVICE float max(float a, float b) { return __nvvm_fmax_f(a, b); }
DEVICE float abs(float x) { return __builtin_fabsf(x); }
