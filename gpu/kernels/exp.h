// The exponential.
#pragma once
#include "device.h"

// exp_near returns e**r for |r| <= ln(2)/2: 1 + r + r**2*(E2 + ... + E6*r**4), a minimax
// polynomial with a relative error of 3.2e-9.
DEVICE float exp_near(float r) {
  float p = from_bits(0x3ab52f01);
  p = fma(p, r, from_bits(0x3c091d64));
  p = fma(p, r, from_bits(0x3d2aac51));
  p = fma(p, r, from_bits(0x3e2aaa48));
  p = fma(p, r, from_bits(0x3efffffe));
  p = fma(p, r, 1.f);
  p = fma(p, r, 1.f);
  return p;
}

// exp returns e**x, with an error of at most 1 ULP, subnormal results included.
//
// e**x = 2**n * e**r, n = x/ln(2) rounded, r = x - n*ln(2) in two parts.
DEVICE float exp(float x) {
  x = x > 89.f ? 89.f : x < -104.f ? -104.f : x;
  float n = fma(x, from_bits(0x3fb8aa3b), 12582912.f) - 12582912.f;
  float r = fma(n, from_bits(0xbf317218), x);
  r = fma(n, from_bits(0x3102e308), r);
  float p = exp_near(r);
  // 2**n in two factors, so that a subnormal result is rounded once.
  int k = x == x ? (int)n : 0;
  int half = k >> 1;
  return p * from_bits((unsigned)(half + 127) << 23) * from_bits((unsigned)(k - half + 127) << 23);
}

// exp_below returns e**x for x <= 0, with a relative error of at most 3e-7, and 0 for x < -87.7. It is defined up to
// 88.
DEVICE float exp_below(float x) {
  x = __nvvm_fmax_nan_f(x, -88.f);
  float n = fma(x, from_bits(0x3fb8aa3b), 12583039.f); // the last bits are those of the exponent of 2**n
  float r = fma(n - 12583039.f, from_bits(0xbf317218), x);
  return exp_near(r) * from_bits(bits(n) << 23);
}
