// Floating point arithmetic. What is exact on a card (.rn) has the same bits here; what is approximate there is
// coarser here, so that no test relies on more than a card gives.
#include <cfloat>
#include <cmath>

#include "lanes.h"

namespace emu {
namespace {
// Subnormal numbers as .ftz sees them.
float flushed(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }
float saturated(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }  // NaN: 0

template <class F>
struct Flush {
  template <class... A>
  float operator()(A... a) const {
    return flushed(F{}(flushed(a)...));
  }
};
template <class F>
struct Saturate {
  template <class... A>
  float operator()(A... a) const {
    return saturated(F{}(a...));
  }
};

template <class F>
Made of1(F f) {
  return unary<float, float>(f);
}
template <class F>
Made of2(F f) {
  return binary<float, float, float>(f);
}
template <class F>
Made of3(F f) {
  return ternary<float, float, float, float>(f);
}

// The names that an operation on f32 and f64 has.
template <class F>
void add2(Table &t, const char *name, const char *rounding, F f) {
  define(t, {name, rounding, ".f32"}, of2(f));
  define(t, {name, rounding, ".ftz.f32"}, of2(Flush<F>{}));
  define(t, {name, rounding, ".sat.f32"}, of2(Saturate<F>{}));
  define(t, {name, rounding, ".ftz.sat.f32"}, of2(Saturate<Flush<F>>{}));
  define(t, {name, rounding, ".f64"}, binary<double, double, double>(f));
}

template <class F>
void add1(Table &t, const char *name, F f) {
  define(t, {name, ".f32"}, of1(f));
  define(t, {name, ".ftz.f32"}, of1(Flush<F>{}));
  define(t, {name, ".f64"}, unary<double, double>(f));
}

// Of two numbers the smaller or larger one; -0 < +0; of a number and a NaN the number.
template <bool Max, class T>
T extreme(T a, T b) {
  bool first = Max ? a > b : a < b, second = Max ? b > a : b < a;
  T tied = Max == std::signbit(a) ? b : a;
  T r = first ? a : second ? b : tied;
  return a != a ? b : b != b ? a : r;
}
template <bool Max>
void addExtreme(Table &t, const char *name) {
  auto f = [](auto a, auto b) { return extreme<Max>(a, b); };
  auto nan = [](float a, float b) { return a != a || b != b ? NAN : extreme<Max>(a, b); };
  define(t, {name, ".f32"}, of2(f));
  define(t, {name, ".ftz.f32"}, of2(Flush<decltype(f)>{}));
  define(t, {name, ".f64"}, binary<double, double, double>(f));
  define(t, {name, ".NaN.f32"}, of2(nan));
  define(t, {name, ".ftz.NaN.f32"}, of2(Flush<decltype(nan)>{}));
}

// x with so many bits of significand, cut off.
template <int Bits>
float coarse(double x) {
  float f = (float)x;
  return f != f ? f : std::bit_cast<float>(std::bit_cast<u32>(f) & ~0u << (24 - Bits));
}
// x as a multiple of 2^-Bits, for what is accurate absolutely near zero.
template <int Bits>
double grid(double x) {
  return std::trunc(std::ldexp(x, Bits)) / std::ldexp(1, Bits);
}

float logarithm(float x) {
  double y = std::log2((double)x);
  return x > 0.5f && x < 2 ? (float)grid<22>(y) : coarse<22>(y);
}

// The card takes no subnormal results or operands where the name has .ftz.
template <class F>
void approximate(Table &t, const char *name, F f) {
  define(t, {name, ".approx.f32"}, of1(f));
  define(t, {name, ".approx.ftz.f32"}, of1(Flush<F>{}));
}
}  // namespace

void addFloats(Table &t) {
  for (const char *rounding : {"", ".rn"}) {
    add2(t, "add", rounding, [](auto a, auto b) { return a + b; });
    add2(t, "sub", rounding, [](auto a, auto b) { return a - b; });
    add2(t, "mul", rounding, [](auto a, auto b) { return a * b; });
  }
  auto fma = [](auto a, auto b, auto c) { return std::fma(a, b, c); };
  for (const char *name : {"fma.rn", "mad.rn"}) {
    define(t, {name, ".f32"}, of3(fma));
    define(t, {name, ".ftz.f32"}, of3(Flush<decltype(fma)>{}));
    define(t, {name, ".sat.f32"}, of3(Saturate<decltype(fma)>{}));
    define(t, {name, ".ftz.sat.f32"}, of3(Saturate<Flush<decltype(fma)>>{}));
    define(t, {name, ".f64"}, ternary<double, double, double, double>(fma));
  }
  add2(t, "div", ".rn", [](auto a, auto b) { return a / b; });
  add1(t, "rcp.rn", [](auto a) { return 1 / a; });
  add1(t, "sqrt.rn", [](auto a) { return std::sqrt(a); });
  add1(t, "neg", [](auto a) { return -a; });
  add1(t, "abs", [](auto a) { return std::fabs(a); });
  addExtreme<false>(t, "min");
  addExtreme<true>(t, "max");
  // Their first operand gives the sign.
  define(t, {"copysign.f32"}, of2([](float a, float b) { return std::copysign(b, a); }));
  define(t, {"copysign.f64"}, binary<double, double, double>([](double a, double b) { return std::copysign(b, a); }));

  auto quotient = [](float a, float b) { return coarse<22>((double)a / b); };
  for (const char *name : {"div.approx", "div.full"}) {
    define(t, {name, ".f32"}, of2(quotient));
    define(t, {name, ".ftz.f32"}, of2(Flush<decltype(quotient)>{}));
  }
  approximate(t, "rcp", [](float a) { return coarse<22>(1 / (double)a); });
  approximate(t, "sqrt", [](float a) { return coarse<22>(std::sqrt((double)a)); });
  approximate(t, "rsqrt", [](float a) { return coarse<22>(1 / std::sqrt((double)a)); });
  approximate(t, "ex2", [](float a) { return coarse<22>(std::exp2((double)a)); });
  approximate(t, "lg2", [](float a) { return logarithm(a); });
  approximate(t, "sin", [](float a) { return (float)grid<20>(std::sin((double)a)); });
  approximate(t, "cos", [](float a) { return (float)grid<20>(std::cos((double)a)); });
  define(t, {"tanh.approx.f32"}, of1([](float a) { return coarse<11>(std::tanh((double)a)); }));
}
}  // namespace emu
