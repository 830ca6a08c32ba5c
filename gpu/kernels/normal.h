// GELU, x*Phi(x), where Phi is the distribution function of the normal distribution.
#pragma once
#include "exp.h"

// normal_tail returns Phi(-t) for t >= 0 in two factors: it is ratio times density,
// and density is exp(-t*t/2). No digits are lost where it is small.
//
// With q = 1/(1 + 0.35*t), ratio is q times a polynomial in 2*q-1, whose relative
// error is 3.2e-8 up to t = 14.5, where density vanishes, and 2.8e-7 with rounding.
DEVICE float normal_tail(float t, float &density) {
  t = t > 14.5f ? 14.5f : t;
  float q = divide(1.f, fma(t, 0.35f, 1.f)), y = fma(q, 2.f, -1.f);
  float p = from_bits(0xb8eedd16);
  p = fma(p, y, from_bits(0x39607514));
  p = fma(p, y, from_bits(0x3a34e55a));
  p = fma(p, y, from_bits(0xbae5f34c));
  p = fma(p, y, from_bits(0xbba7673a));
  p = fma(p, y, from_bits(0x3c27abe9));
  p = fma(p, y, from_bits(0x3d919c53));
  p = fma(p, y, from_bits(0x3e2f9c99));
  p = fma(p, y, from_bits(0x3e81a93c));
  // The rounding error of t*t matters where the exponential is small.
  float square = t * t, error = fma(t, t, -square);
  float e = exp(-0.5f * square);
  density = fma(-0.5f * error, e, e);
  return p * q;
}

// gelu_value returns x*Phi(x) = max(x, 0) - |x|*Phi(-|x|).
DEVICE float gelu_value(float x) {
  float t = x < 0 ? -x : x, density;
  float ratio = normal_tail(t, density);
  t = t > 14.5f ? 14.5f : t;
  return fma(-t * density, ratio, x > 0 ? x : 0);
}

// gelu_slope returns the derivative Phi(x) + x*phi(x), which is
// density*(ratio - t/sqrt(2*pi)) for x = -t, and 1 less that for x = t.
DEVICE float gelu_slope(float x) {
  float t = x < 0 ? -x : x, density;
  float ratio = normal_tail(t, density);
  t = t > 14.5f ? 14.5f : t;
  float slope = density * fma(-t, 0.3989422804f, ratio);
  return x > 0 ? 1 - slope : slope;
}
