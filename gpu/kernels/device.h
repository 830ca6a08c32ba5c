// What all kernels share, in place of CUDA's headers.
//
// No result depends on the order in which threads run: there are no atomics, and
// sums have an order that depends on sizes alone. Products are added in one rounding
// where fma says so, and nowhere else.
#pragma once

#define KERNEL extern "C" __attribute__((global)) void
// KERNEL_OF is a kernel for blocks of at most so many threads, of which so many should fit on a multiprocessor: what
// the compiler divides the registers by.
#define KERNEL_OF(threads, blocks) extern "C" __attribute__((global, launch_bounds(threads, blocks))) void
#define DEVICE static inline __attribute__((device, always_inline))
#define METHOD inline __attribute__((device, always_inline))
#define SHARED __attribute__((shared))

// f4 is read and written at once.
struct alignas(16) f4 {
  float v[4];
};

// The place of a thread.
DEVICE int tid() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE int threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE long bid() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE long bid_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE long bid_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE int lane() { return tid() & 31; }
DEVICE int warp() { return tid() >> 5; }

// sync waits for all threads of the block.
DEVICE void sync() { __syncthreads(); }

// Arithmetic, rounded to nearest.
DEVICE float fma(float a, float b, float c) { return __nvvm_fma_rn_f(a, b, c); }
DEVICE double fma(double a, double b, double c) { return __nvvm_fma_rn_d(a, b, c); }
DEVICE float divide(float a, float b) { return __nvvm_div_rn_f(a, b); }
DEVICE double divide(double a, double b) { return __nvvm_div_rn_d(a, b); }
DEVICE float root(float a) { return __nvvm_sqrt_rn_f(a); }
DEVICE double root(double a) { return __nvvm_sqrt_rn_d(a); }

DEVICE unsigned bits(float x) { return __builtin_bit_cast(unsigned, x); }
DEVICE float from_bits(unsigned x) { return __builtin_bit_cast(float, x); }

// swap returns v of the lane whose number differs in the bits of mask. All lanes of
// a warp must call it.
DEVICE float swap(float v, int mask) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, mask, 31); }
DEVICE double swap(double v, int mask) {
  unsigned long x = __builtin_bit_cast(unsigned long, v);
  unsigned low = __nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)x, mask, 31);
  unsigned high = __nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)(x >> 32), mask, 31);
  return __builtin_bit_cast(double, (unsigned long)high << 32 | low);
}

// warp_sum returns the sum over the lanes of a warp, to all of them.
template <class T> DEVICE T warp_sum(T v) {
  for (int mask = 16; mask; mask >>= 1) v += swap(v, mask);
  return v;
}
