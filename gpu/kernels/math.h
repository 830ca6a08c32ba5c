// The functions of the kernels: polynomials of ours, with fused multiply-adds only where they are written, so that
// the bits are the same on every card. Errors are in units in the last place (ULP).
#pragma once
#include "exp.h"
#include "normal.h"

constexpr float INFINITY = __builtin_inff(), NAN = __builtin_nanf("");
constexpr unsigned ONE_BITS = 0x3f800000;
constexpr float TO_INTEGER = 0x1.8p23f; // adding it leaves a rounded integer in the low bits

DEVICE float abs(float x) { return from_bits(bits(x) & 0x7fffffffu); }

// with_sign returns x >= 0 with the sign of another number.
DEVICE float with_sign(float x, float sign) { return from_bits(bits(x) | (bits(sign) & 0x80000000u)); }

// times_power_of_2 returns p * 2**n, rounded once, for n from -252 to 254.
DEVICE float times_power_of_2(float p, int n) {
  int half = n >> 1;
  return p * from_bits(ONE_BITS + ((unsigned)half << 23)) * from_bits(ONE_BITS + ((unsigned)(n - half) << 23));
}

// log_of returns log(1+f) + e*ln(2), where log(1+f) = f - f**2/2 + f**3*(L0 + ... + L7*f**7).
DEVICE float log_of(float f, float e) {
  float square = f * f, p = -0x1.38b582p-4f;
  p = fma(p, f, 0x1.055b72p-3f);
  p = fma(p, f, -0x1.0d8544p-3f);
  p = fma(p, f, 0x1.22da1cp-3f);
  p = fma(p, f, -0x1.547244p-3f);
  p = fma(p, f, 0x1.99a008p-3f);
  p = fma(p, f, -0x1.000226p-2f);
  p = fma(p, f, 0x1.555554p-2f);
  p = fma(p * f, square, e * 0x1.c85fep-10f); // the lower part of ln(2)
  p = f + fma(square, -0.5f, p);
  return fma(e, 0x1.62p-1f, p); // the upper part has 8 bits
}

// exponent_of returns e for x = 2**e * m with m from sqrt(1/2) to sqrt(2), and fraction_of m-1.
DEVICE int exponent_of(float x) { return (int)(bits(x) - 0x3f3504f3u) >> 23; }
DEVICE float fraction_of(float x, int e) { return from_bits(bits(x) - ((unsigned)e << 23)) - 1; }

// log_ends returns y, but what a logarithm is of x at and below its pole, of infinity and of NaN.
DEVICE float log_ends(float x, float pole, float y) {
  y = x < INFINITY ? y : x;
  y = x == pole ? -INFINITY : y;
  return x < pole ? NAN : y;
}

// log returns the natural logarithm: 1 ULP.
DEVICE float log(float x) {
  bool small = x < 0x1p-126f; // subnormal
  float normal = small ? x * 0x1p23f : x;
  int e = exponent_of(normal);
  return log_ends(x, 0, log_of(fraction_of(normal, e), (float)(small ? e - 23 : e)));
}

// log1p returns log(1+x): 1.5 ULP. What the rounding of u = 1+x loses is added to the fraction.
DEVICE float log1p(float x) {
  float u = 1 + x, part = u - 1, lost = (x - part) + (1 - (u - part));
  int e = exponent_of(u), power = (int)(ONE_BITS - ((unsigned)e << 23)); // 2**-e, if it is not subnormal
  float f = fraction_of(u, e) + lost * from_bits((unsigned)(power > 0 ? power : 0));
  return log_ends(x, -1, log_of(f, (float)e));
}

// sigmoid returns 1/(1 + exp(-x)): 2.5 ULP.
DEVICE float sigmoid(float x) {
  float e = exp(-abs(x));
  return (x < 0 ? e : 1.0f) / (1 + e);
}

// tanh returns the hyperbolic tangent: 1.5 ULP. Near 0 it is a polynomial, elsewhere 1 - 2/(exp(2*abs(x)) + 1).
DEVICE float tanh(float x) {
  float t = abs(x), square = x * x;
  float p = -0x1.75e1cep-8f;
  p = fma(p, square, 0x1.52269cp-6f);
  p = fma(p, square, -0x1.b83c5ap-5f);
  p = fma(p, square, 0x1.110726p-3f);
  p = fma(p, square, -0x1.555532p-2f);
  float near = fma(p * square, x, x);
  t = t > 10 ? 10 : t; // tanh(10) rounds to 1
  float far = 1 - 2 / (exp(2 * t) + 1);
  return t < 0.625f ? near : with_sign(far, x);
}

// erf returns the error function: 1.25 ULP. With t = abs(x) it is
//
//	x + x*(P0 + ... + P6*t**12) for t < 0.9
//	1 - exp(Q0 + ... + Q6*t**6) for t <= 4, with the sign of x
DEVICE float erf(float x) {
  float t = abs(x), square = t * t;
  float p = 0x1.5fff4cp-14f;
  p = fma(p, square, -0x1.aafd0ap-11f);
  p = fma(p, square, 0x1.54d5a2p-8f);
  p = fma(p, square, -0x1.b80ee8p-6f);
  p = fma(p, square, 0x1.ce2dfap-4f);
  p = fma(p, square, -0x1.812742p-2f);
  p = fma(p, square, 0x1.06eba8p-3f);
  float near = fma(p, x, x);
  t = t > 4 ? 4 : t; // erf(4) rounds to 1
  float q = 0x1.9fd6fep-13f;
  q = fma(q, t, -0x1.91e0cp-9f);
  q = fma(q, t, 0x1.6da5a8p-6f);
  q = fma(q, t, -0x1.aa7738p-4f);
  q = fma(q, t, -0x1.462134p-1f);
  q = fma(q, t, -0x1.20b776p0f);
  q = fma(q, t, -0x1.5c13dcp-13f);
  float far = 1 - exp(q);
  return t < 0.9f ? near : with_sign(far, x);
}

// A quarter turn is pi/2. Turn is an angle as a number of quarter turns, of which the last two bits count, and a rest
// between -pi/4 and pi/4.
struct Turn {
  unsigned quarters;
  float rest;
};

// turn_of_large reduces an angle of at least 2**17 in absolute value (Payne and Hanek 1983). The 24 bits of x are
// multiplied by those 96 bits of 2/pi that matter: bits before them make whole turns.
DEVICE Turn turn_of_large(float x) {
  constexpr unsigned words[8] = {
      0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
  };
  int exponent = (int)(bits(x) >> 23 & 255), first = exponent - 120; // of the 96 bits among those of words
  unsigned w[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    w[i] = words[i];
#pragma unroll
    for (int k = 1; k < 5; k++) w[i] = first >> 5 == k ? words[i + k] : w[i];
  }
  unsigned long upper = (unsigned long)w[0] << 32 | w[1], lower = (unsigned long)w[2] << 32 | w[3];
  int shift = first & 31;
  upper = upper << shift | lower >> 1 >> (63 - shift);
  lower = lower << shift >> 32;
  unsigned long m = (bits(x) & 0x7fffff) | 0x800000;
  unsigned long turn = m * upper + (m * lower >> 32); // in units of 2**-62 quarters, modulo 4 quarters
  if (x < 0) turn = 0 - turn;
  unsigned long quarters = (turn + (1ul << 61)) >> 62;
  float rest = (float)((double)(long)(turn - (quarters << 62)) * 0x1.921fb54442d18p-62); // pi/2 * 2**-62
  return {(unsigned)quarters, exponent < 255 ? rest : x - x};
}

// turn_of reduces an angle, those up to 2**17 with pi/2 in three parts.
DEVICE Turn turn_of(float x) {
  if (!(abs(x) <= 0x1p17f)) return turn_of_large(x);
  float shifted = fma(x, 0x1.45f306p-1f, TO_INTEGER), n = shifted - TO_INTEGER;
  return {bits(shifted), fma(n, 0x1.ee59dap-50f, fma(n, 0x1.777a5cp-25f, fma(n, -0x1.921fb6p0f, x)))};
}

// sine_of returns the sine of an angle with a rest r:
//
//	sin(r) = r + r**3*(S0 + ... + S3*r**6)
//	cos(r) = 1 - r**2/2 + r**4*(T0 + ... + T3*r**6)
DEVICE float sine_of(Turn t) {
  float r = t.rest, square = r * r;
  float p = 0x1.6cd732p-19f;
  p = fma(p, square, -0x1.a00f98p-13f);
  p = fma(p, square, 0x1.111108p-7f);
  p = fma(p, square, -0x1.555556p-3f);
  float q = -0x1.2429fcp-22f;
  q = fma(q, square, 0x1.a0111cp-16f);
  q = fma(q, square, -0x1.6c16b8p-10f);
  q = fma(q, square, 0x1.555556p-5f);
  q = fma(q, square, -0.5f);
  float y = t.quarters & 1 ? fma(q, square, 1) : fma(p * square, r, r);
  return t.quarters & 2 ? -y : y;
}

// sin returns sin(x): 1.6 ULP.
DEVICE float sin(float x) { return sine_of(turn_of(x)); }

// cos returns cos(x): 1.6 ULP.
DEVICE float cos(float x) {
  Turn t = turn_of(x);
  return sine_of({t.quarters + 1, t.rest});
}

// log2_of returns log2(x) for x >= 0 with a relative error of 1e-12. With x = 2**e * m, m from sqrt(1/2) to
// sqrt(2) and s = (m-1)/(m+1), it is e + 2/ln(2) * (s + s**3/3 + ... + s**13/13).
DEVICE double log2_of(float x) {
  long word = __builtin_bit_cast(long, (double)x); // a subnormal float is no subnormal double
  long e = (word - 0x3fe6a09e667f3bcd) >> 52;
  double m = __builtin_bit_cast(double, word - (e << 52));
  double s = (m - 1) / (m + 1), square = s * s;
  double p = 1. / 13;
  p = p * square + 1. / 11;
  p = p * square + 1. / 9;
  p = p * square + 1. / 7;
  p = p * square + 1. / 5;
  p = p * square + 1. / 3;
  p = p * square + 1;
  double y = (double)e + p * s * 0x1.71547652b82fep1; // 2/ln(2)
  double infinity = (double)INFINITY;
  return x == 0 ? -infinity : x < infinity ? y : infinity;
}

// power_of_2 returns 2**x, by the Taylor series of exp, for x that is not NaN.
DEVICE float power_of_2(double x) {
  x = x > 200 ? 200 : x; // where the result is infinite; at the other bound it is 0
  x = x < -200 ? -200 : x;
  double shifted = x + 0x1.8p52, r = (x - (shifted - 0x1.8p52)) * 0x1.62e42fefa39efp-1; // ln(2)
  double p = 1. / 40320;
  p = p * r + 1. / 5040;
  p = p * r + 1. / 720;
  p = p * r + 1. / 120;
  p = p * r + 1. / 24;
  p = p * r + 1. / 6;
  p = p * r + 1. / 2;
  p = p * r + 1;
  p = p * r + 1;
  return times_power_of_2((float)p, (int)__builtin_bit_cast(long, shifted));
}

// pow returns x to the power of y, computed in float64: 1 ULP, and what Go's math.Pow returns in special cases.
DEVICE float pow(float x, float y) {
  float size = abs(y);
  bool whole = size >= 0x1p23f || size == (float)(int)size;
  bool odd = size < 0x1p24f && whole && ((int)size & 1);
  if (y == 0 || x == 1 || (x == -1 && size == INFINITY)) return 1;
  if (x != x || y != y) return x + y;
  if (x < 0 && x > -INFINITY && !whole) return NAN;
  float p = power_of_2((double)y * log2_of(abs(x)));
  return odd && bits(x) >> 31 ? -p : p;
}
