// What the kernels of matrix products, attention and losses share.
#pragma once
#include "device.h"

// KERNEL_OF is a kernel for blocks of a number of threads, of which so many should fit on a multiprocessor: what the
// compiler divides the registers by.
#define KERNEL_OF(threads, blocks) extern "C" __attribute__((global, launch_bounds(threads, blocks))) void

constexpr float INFINITY = __builtin_inff();

// f4 is read and written at once.
struct alignas(16) f4 {
  float v[4];
};

DEVICE long grid() { return __nvvm_read_ptx_sreg_nctaid_x(); }

// max returns the greater number, and the other one of NaN.
DEVICE float max(float a, float b) { return __nvvm_fmax_f(a, b); }
DEVICE float abs(float x) { return __builtin_fabsf(x); }
