// cvt. A value passes through a wide form in between: i64 or u64 for integers, double for floats.
#include <cmath>
#include <limits>

#include "lanes.h"

namespace emu {
namespace {

// Source and destination of cvt may be registers that are wider than their type.
template <class T>
T source(Warp &w, const Ins &i, u32 l) {
  if (sizeof(T) < 8 && i.wide & 2) return get<T>((u32)((u64 *)(w.file + i.o[1]))[l]);
  return get<T>(reg<T>(w, i.o[1])[l]);
}
template <class T>
void result(Warp &w, const Ins &i, u32 mask, const T *v) {
  if (sizeof(T) < 8 && i.wide & 1) {
    if constexpr (std::is_integral_v<T>)
      lanes(mask, (u64 *)(w.file + i.o[0]), [&](u32 l) { return std::is_signed_v<T> ? (u64)(i64)v[l] : (u64)v[l]; });
    else
      lanes(mask, (u64 *)(w.file + i.o[0]), [&](u32 l) { return (u64)put<T>(v[l]); });
  } else {
    lanes(mask, reg<T>(w, i.o[0]), [&](u32 l) { return put<T>(v[l]); });
  }
}

template <class S, class V>
[[gnu::noinline]] void read(Warp &w, const Ins &i, V *v) {
  if (sizeof(S) < 8 && i.wide & 2) {
    for (u32 l = 0; l < WarpSize; l++) v[l] = (V)source<S>(w, i, l);
  } else {
    auto s = reg<S>(w, i.o[1]);
    for (u32 l = 0; l < WarpSize; l++) v[l] = (V)get<S>(s[l]);
  }
}
template <class D>
[[gnu::noinline]] void cut(Warp &w, const Ins &i, u32 mask, const u64 *v) {
  D d[WarpSize];
  for (u32 l = 0; l < WarpSize; l++) d[l] = (D)v[l];
  result<D>(w, i, mask, d);
}

template <class D, class S>
void integer(Warp &w, const Ins &i, u32 mask) {
  u64 v[WarpSize];
  read<S>(w, i, v);
  cut<D>(w, i, mask, v);
}
template <class D, class S>
void saturate(Warp &w, const Ins &i, u32 mask) {
  __int128 lo = std::numeric_limits<D>::min(), hi = std::numeric_limits<D>::max();
  D d[WarpSize];
  for (u32 l = 0; l < WarpSize; l++) {
    __int128 v = source<S>(w, i, l);
    d[l] = (D)(v < lo ? lo : v > hi ? hi : v);
  }
  result<D>(w, i, mask, d);
}

enum Rounding { Nearest, Zero, Down, Up };
double whole(double x, Rounding r) {
  return r == Nearest ? std::nearbyint(x) : r == Zero ? std::trunc(x) : r == Down ? std::floor(x) : std::ceil(x);
}

// To an integer, within its range; NaN gives 0.
template <class D>
D clamp(double x) {
  using L = std::numeric_limits<D>;
  constexpr double end = sizeof(D) == 8 ? (std::is_signed_v<D> ? 0x1p63 : 0x1p64) : (double)L::max() + 1;
  return x >= end ? L::max() : x <= (double)L::min() ? L::min() : x == x ? (D)x : 0;
}
template <class D, class S, Rounding R>
void fromFloat(Warp &w, const Ins &i, u32 mask) {
  double v[WarpSize];
  read<S>(w, i, v);
  D d[WarpSize];
  for (u32 l = 0; l < WarpSize; l++) d[l] = clamp<D>(whole(v[l], R));
  result<D>(w, i, mask, d);
}

// x in type D, rounded in a direction. A long double holds all integers and floats exactly.
template <class D>
D directed(long double x, Rounding r) {
  D d = (D)x;
  if (r == Nearest || d != d || d == x) return d;
  D towards = r == Up ? INFINITY : r == Down ? -INFINITY : (D)0;
  bool beyond = r == Up ? d < x : r == Down ? d > x : std::fabs((long double)d) > std::fabs(x);
  return beyond ? std::nextafter(d, towards) : d;
}
template <class D, class S, Rounding R, bool Sat>
void toFloat(Warp &w, const Ins &i, u32 mask) {
  S s[WarpSize];
  read<S>(w, i, s);
  D d[WarpSize];
  for (u32 l = 0; l < WarpSize; l++) {
    d[l] = R == Nearest ? (D)s[l] : directed<D>(s[l], R);
    if (Sat) d[l] = d[l] > 0 ? (d[l] < 1 ? d[l] : (D)1) : (D)0;
  }
  result<D>(w, i, mask, d);
}
template <class T, Rounding R>
T integral(T x) {
  return (T)whole(x, R);
}

// Operands of so many bytes, in registers of so many or more.
template <class D, class S>
constexpr char widerText[] = {'b', '0' + sizeof(D), ' ', 'b', '0' + sizeof(S)};
template <class D, class S>
constexpr std::string_view wider(widerText<D, S>, 5);

template <class D, class S>
void pair(Table &t, const char *d, const char *s) {
  constexpr std::string_view ops = wider<D, S>;
  define(t, {"cvt.", d, ".", s}, {integer<D, S>, ops});
  define(t, {"cvt.sat.", d, ".", s}, {saturate<D, S>, ops});
}
template <class D, class S>
void floatToInteger(Table &t, const char *d, const char *s) {
  constexpr std::string_view ops = wider<D, S>;
  for (const char *sat : {"", ".sat"}) {
    define(t, {"cvt.rni", sat, ".", d, ".", s}, {fromFloat<D, S, Nearest>, ops});
    define(t, {"cvt.rzi", sat, ".", d, ".", s}, {fromFloat<D, S, Zero>, ops});
    define(t, {"cvt.rmi", sat, ".", d, ".", s}, {fromFloat<D, S, Down>, ops});
    define(t, {"cvt.rpi", sat, ".", d, ".", s}, {fromFloat<D, S, Up>, ops});
  }
}
template <class D, class S>
void rounded(Table &t, const char *d, const char *s) {
  constexpr std::string_view ops = wider<D, S>;
  define(t, {"cvt.rn.", d, ".", s}, {toFloat<D, S, Nearest, false>, ops});
  define(t, {"cvt.rz.", d, ".", s}, {toFloat<D, S, Zero, false>, ops});
  define(t, {"cvt.rm.", d, ".", s}, {toFloat<D, S, Down, false>, ops});
  define(t, {"cvt.rp.", d, ".", s}, {toFloat<D, S, Up, false>, ops});
  define(t, {"cvt.rn.sat.", d, ".", s}, {toFloat<D, S, Nearest, true>, ops});
}
template <class T>
void toIntegral(Table &t, const char *type) {
  define(t, {"cvt.rni.", type, ".", type}, unary<T, T>([](T x) { return integral<T, Nearest>(x); }));
  define(t, {"cvt.rzi.", type, ".", type}, unary<T, T>([](T x) { return integral<T, Zero>(x); }));
  define(t, {"cvt.rmi.", type, ".", type}, unary<T, T>([](T x) { return integral<T, Down>(x); }));
  define(t, {"cvt.rpi.", type, ".", type}, unary<T, T>([](T x) { return integral<T, Up>(x); }));
}

template <class T>
void integerTo(Table &t, const char *s) {
  pair<u8, T>(t, "u8", s);
  pair<i8, T>(t, "s8", s);
  pair<u16, T>(t, "u16", s);
  pair<i16, T>(t, "s16", s);
  pair<u32, T>(t, "u32", s);
  pair<i32, T>(t, "s32", s);
  pair<u64, T>(t, "u64", s);
  pair<i64, T>(t, "s64", s);
  rounded<float, T>(t, "f32", s);
  rounded<double, T>(t, "f64", s);
  floatToInteger<T, float>(t, s, "f32");
  floatToInteger<T, double>(t, s, "f64");
}

// bfloat16, to nearest even.
u32 brain(float x) {
  u32 u = std::bit_cast<u32>(x);
  return x != x ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
// TF32: 10 bits after the point, ties away from zero. A NaN stays one.
u32 tensorFloat(float x) {
  u32 u = std::bit_cast<u32>(x);
  return x != x ? 0x7fffffff : (u + 0x1000) & 0xffffe000;
}
}  // namespace

void addConversions(Table &t) {
  integerTo<u8>(t, "u8");
  integerTo<i8>(t, "s8");
  integerTo<u16>(t, "u16");
  integerTo<i16>(t, "s16");
  integerTo<u32>(t, "u32");
  integerTo<i32>(t, "s32");
  integerTo<u64>(t, "u64");
  integerTo<i64>(t, "s64");
  rounded<float, double>(t, "f32", "f64");
  define(t, {"cvt.f64.f32"}, {toFloat<double, float, Nearest, false>, "d w"});
  define(t, {"cvt.f32.f32"}, unary<float, float>([](float x) { return x; }));
  define(t, {"cvt.sat.f32.f32"}, {toFloat<float, float, Nearest, true>, "w w"});
  toIntegral<float>(t, "f32");
  toIntegral<double>(t, "f64");
  define(t, {"cvt.rna.tf32.f32"}, unary<u32, float>([](float x) { return tensorFloat(x); }));
  define(t, {"cvt.rn.bf16.f32"}, unary<u16, float>([](float x) { return (u16)brain(x); }));
  define(t, {"cvt.rn.bf16x2.f32"},
         binary<u32, float, float>([](float hi, float lo) { return brain(hi) << 16 | brain(lo); }));
  define(t, {"cvt.f32.f16"}, unary<float, u16>([](u16 x) { return (float)std::bit_cast<_Float16>(x); }));
  define(t, {"cvt.rn.f16.f32"}, unary<u16, float>([](float x) { return std::bit_cast<u16>((_Float16)x); }));
}
}  // namespace emu
