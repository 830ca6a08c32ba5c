// Logarithm and exponential in float64, for what is computed once a row.
#pragma once
#include "device.h"

// log_of returns the logarithm of a positive number that is not subnormal: with x = 2**n * m and s = (m-1)/(m+1),
// n*ln(2) + 2*(s + s**3/3 + s**5/5 + ...).
DEVICE double log_of(double x) {
  unsigned long b = __builtin_bit_cast(unsigned long, x);
  int n = (int)(b >> 52) - 1023;
  double m = __builtin_bit_cast(double, (b & 0xfffffffffffffull) | 0x3ff0000000000000ull); // 1 to 2
  if (m > 1.4142135623730951) {
    m *= 0.5;
    n++;
  }
  double s = divide(m - 1, m + 1), square = s * s, p = 1. / 21;
#pragma unroll
  for (int i = 19; i > 0; i -= 2) p = fma(p, square, 1. / i);
  double log = fma(n, 0.6931471805599453, 2 * s * p);
  return x > 0 && x < __builtin_inf() ? log : x == 0 ? -__builtin_inf() : x; // Inf and NaN stay
}

// exp_of returns e**x of a number below 700, with a relative error of 1e-9.
DEVICE double exp_of(double x) {
  if (x < -700) return 0;
  double shifted = fma(x, 1.4426950408889634, 6755399441055744.); // 1.5 * 2**52: n is in the low bits
  double n = shifted - 6755399441055744., r = fma(n, -0.6931471805599453, x), p = 1. / 40320;
  p = fma(p, r, 1. / 5040);
  p = fma(p, r, 1. / 720);
  p = fma(p, r, 1. / 120);
  p = fma(p, r, 1. / 24);
  p = fma(p, r, 1. / 6);
  p = fma(p, r, 0.5);
  p = fma(p, r, 1.);
  p = fma(p, r, 1.);
  return p * __builtin_bit_cast(double, (unsigned long)((long)n + 1023) << 52);
}
