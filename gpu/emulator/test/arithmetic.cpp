// Every instruction of arithmetic against the processor's, over values at the edges and random ones.
#include <bit>
#include <cmath>
#include <functional>
#include <random>

#include "test.h"

using i8 = int8_t;
using i16 = int16_t;
using i32 = int32_t;
using i64 = int64_t;
using i128 = __int128;
using u128 = unsigned __int128;

// Operands of a case: h w d of 16, 32, 64 bits; p a predicate, read as a value's lowest bit. The first is the result.
// In f, values are bits of 64.
struct Case {
  std::string name, kinds;
  std::function<u64(u64, u64, u64)> f;
  bool exact = true;  // else a float within `error` of the reference, and not the reference itself everywhere
  double error = 0;
  std::string after;  // constant operands behind the others
};
std::vector<Case> cases;

float F(u64 x) { return std::bit_cast<float>((u32)x); }
u64 B(float x) { return std::bit_cast<u32>(x); }
double D(u64 x) { return std::bit_cast<double>(x); }
u64 B64(double x) { return std::bit_cast<u64>(x); }

void add(const std::string &name, const char *kinds, std::function<u64(u64, u64, u64)> f,
         const std::string &after = "") {
  cases.push_back({name, kinds, std::move(f), true, 0, after});
}

template <class T>
void integer(const std::string &type) {
  constexpr int bits = sizeof(T) * 8;
  const std::string k = bits == 16 ? "h" : bits == 32 ? "w" : "d", k2 = k + k + k, k3 = k2 + k;
  const u128 mask = ((u128)1 << bits) - 1;
  auto wrap = [=](i128 v) { return (u64)((u128)v & mask); };
  auto two = [&](const char *op, auto f) {
    add(op + type, k2.c_str(), [=](u64 a, u64 b, u64) { return wrap(f((i128)(T)a, (i128)(T)b)); });
  };
  two("add.", [](i128 a, i128 b) { return a + b; });
  two("sub.", [](i128 a, i128 b) { return a - b; });
  two("mul.lo.", [](i128 a, i128 b) { return (i128)((u128)a * (u128)b); });
  two("mul.hi.",
      [=](i128 a, i128 b) { return std::is_signed_v<T> ? (a * b) >> bits : (i128)((u128)a * (u128)b >> bits); });
  two("div.", [=](i128 a, i128 b) { return b ? a / b : -1; });
  two("rem.", [=](i128 a, i128 b) { return b ? a % b : a; });
  two("min.", [](i128 a, i128 b) { return a < b ? a : b; });
  two("max.", [](i128 a, i128 b) { return a < b ? b : a; });
  add("mad.lo." + type, k3.c_str(), [=](u64 a, u64 b, u64 c) { return wrap((i128)((u128)(T)a * (u128)(T)b) + (T)c); });
  if (bits < 64) {
    const std::string w = bits == 16 ? "w" : "d";
    auto product = [](u64 a, u64 b) { return (u64)((i128)(T)a * (i128)(T)b); };
    auto cut = [=](u64 v) { return bits == 16 ? (u64)(u32)v : v; };
    add("mul.wide." + type, (w + k + k).c_str(), [=](u64 a, u64 b, u64) { return cut(product(a, b)); });
    add("mad.wide." + type, (w + k + k + w).c_str(), [=](u64 a, u64 b, u64 c) { return cut(product(a, b) + c); });
  }
  if (std::is_signed_v<T>) {
    add("neg." + type, (k + k).c_str(), [=](u64 a, u64, u64) { return wrap(-(i128)(T)a); });
    add("abs." + type, (k + k).c_str(), [=](u64 a, u64, u64) { return wrap((T)a < 0 ? -(i128)(T)a : (T)a); });
  }
  // Amounts of a shift come from b, of which mostly the lowest bits are taken.
  add("shr." + type, (k + k + "w").c_str(),
      [=](u64 a, u64 b, u64) { return wrap((i128)(T)a >> std::min<u32>(b, 126)); });
  auto order = [&](const char *name, auto f) {
    add(std::string("setp.") + name + "." + type, ("p" + k + k).c_str(),
        [=](u64 a, u64 b, u64) { return (u64)f((T)a, (T)b); });
    add(std::string("setp.") + name + ".and." + type, ("p" + k + k + "p").c_str(),
        [=](u64 a, u64 b, u64 c) { return (u64)(f((T)a, (T)b) && c & 1); });
    add(std::string("setp.") + name + ".or." + type, ("p" + k + k + "p").c_str(),
        [=](u64 a, u64 b, u64 c) { return (u64)(f((T)a, (T)b) || c & 1); });
    add(std::string("setp.") + name + ".xor." + type, ("p" + k + k + "p").c_str(),
        [=](u64 a, u64 b, u64 c) { return (u64)(f((T)a, (T)b) != (bool)(c & 1)); });
  };
  order("eq", [](T a, T b) { return a == b; });
  order("ne", [](T a, T b) { return a != b; });
  order("lt", [](T a, T b) { return a < b; });
  order("le", [](T a, T b) { return a <= b; });
  order("gt", [](T a, T b) { return a > b; });
  order("ge", [](T a, T b) { return a >= b; });
  if (!std::is_signed_v<T>) {
    order("lo", [](T a, T b) { return a < b; });
    order("hi", [](T a, T b) { return a > b; });
    order("ls", [](T a, T b) { return a <= b; });
    order("hs", [](T a, T b) { return a >= b; });
  }
  add("mov." + type, (k + k).c_str(), [=](u64 a, u64, u64) { return wrap((T)a); });
  add("selp." + type, (k + k + k + "p").c_str(), [=](u64 a, u64 b, u64 c) { return wrap(c & 1 ? (T)a : (T)b); });
}

template <class T>
void bitwise(const std::string &type) {
  constexpr int bits = sizeof(T) * 8;
  const std::string k = bits == 16 ? "h" : bits == 32 ? "w" : "d";
  add("and." + type, (k + k + k).c_str(), [](u64 a, u64 b, u64) { return (u64)(T)(a & b); });
  add("or." + type, (k + k + k).c_str(), [](u64 a, u64 b, u64) { return (u64)(T)(a | b); });
  add("xor." + type, (k + k + k).c_str(), [](u64 a, u64 b, u64) { return (u64)(T)(a ^ b); });
  add("not." + type, (k + k).c_str(), [](u64 a, u64, u64) { return (u64)(T)~a; });
  add("cnot." + type, (k + k).c_str(), [](u64 a, u64, u64) { return (u64)((T)a == 0); });
  add("shl." + type, (k + k + "w").c_str(),
      [](u64 a, u64 b, u64) { return (u32)b >= bits ? 0 : (u64)(T)((u128)(T)a << (u32)b); });
  add("shr." + type, (k + k + "w").c_str(), [](u64 a, u64 b, u64) { return (u32)b >= bits ? 0 : (u64)(T)a >> (u32)b; });
  add("setp.eq." + type, ("p" + k + k).c_str(), [](u64 a, u64 b, u64) { return (u64)((T)a == (T)b); });
  add("mov." + type, (k + k).c_str(), [](u64 a, u64, u64) { return (u64)(T)a; });
  if (bits == 16) return;
  add("popc." + type, ("w" + k).c_str(), [](u64 a, u64, u64) {
    u64 n = 0;
    for (T x = a; x; x &= x - 1) n++;
    return n;
  });
  add("clz." + type, ("w" + k).c_str(), [](u64 a, u64, u64) {
    u64 n = 0;
    while (n < bits && !((T)a >> (bits - 1 - n) & 1)) n++;
    return n;
  });
  add("brev." + type, (k + k).c_str(), [](u64 a, u64, u64) {
    u64 r = 0;
    for (int i = 0; i < bits; i++)
      if (a >> i & 1) r |= 1ull << (bits - 1 - i);
    return r;
  });
}

template <class T>
void field(const std::string &type) {
  constexpr int bits = sizeof(T) * 8;
  const std::string k = bits == 32 ? "w" : "d";
  add("bfe." + type, (k + k + "ww").c_str(), [](u64 a, u64 b, u64 c) {  // as the manual's pseudo code
    int pos = b & 255, len = c & 255, msb = bits - 1, d = 0;
    bool sign =
        std::is_signed_v<T> && len ? (u64)(std::make_unsigned_t<T>)a >> std::min(pos + len - 1, msb) & 1 : false;
    (void)d;
    u64 r = 0;
    for (int i = 0; i <= msb; i++) {
      bool bit = i < len && pos + i <= msb ? (u64)(std::make_unsigned_t<T>)a >> (pos + i) & 1 : sign;
      r |= (u64)bit << i;
    }
    return r;
  });
}

template <class T>
void insertion(const std::string &type) {
  constexpr int bits = sizeof(T) * 8;
  const std::string k = bits == 32 ? "w" : "d";
  for (int pos : {0, 5, 31, 40})
    for (int len : {0, 1, 9, 32, 70})
      add(
          "bfi." + type, (k + k + k).c_str(),
          [=](u64 a, u64 b, u64) {
            T r = b;
            for (int i = 0; i < len && pos + i < bits; i++)
              r = (r & ~((T)1 << (pos + i))) | (T)(a >> i & 1) << (pos + i);
            return (u64)r;
          },
          ", " + std::to_string(pos) + ", " + std::to_string(len));
}

template <class T>
T fminmax(T a, T b, bool max) {
  if (std::isnan(a)) return b;
  if (std::isnan(b)) return a;
  if (a == 0 && b == 0) return max ? (std::signbit(a) ? b : a) : (std::signbit(a) ? a : b);
  return max ? (a > b ? a : b) : (a < b ? a : b);
}

template <class T>
void real(const std::string &type) {
  const std::string k = sizeof(T) == 4 ? "w" : "d";
  auto get = [](u64 x) {
    if constexpr (sizeof(T) == 4)
      return F(x);
    else
      return D(x);
  };
  auto put = [](T x) {
    if constexpr (sizeof(T) == 4)
      return B(x);
    else
      return B64(x);
  };
  auto one = [&](const char *op, auto f) {
    add(op + type, (k + k).c_str(), [=](u64 a, u64, u64) { return put(f(get(a))); });
  };
  auto two = [&](const char *op, auto f) {
    add(op + type, (k + k + k).c_str(), [=](u64 a, u64 b, u64) { return put(f(get(a), get(b))); });
  };
  for (std::string r : {"", "rn."}) {
    two(("add." + r).c_str(), [](T a, T b) { return a + b; });
    two(("sub." + r).c_str(), [](T a, T b) { return a - b; });
    two(("mul." + r).c_str(), [](T a, T b) { return a * b; });
  }
  two("div.rn.", [](T a, T b) { return a / b; });
  two("min.", [](T a, T b) { return fminmax(a, b, false); });
  two("max.", [](T a, T b) { return fminmax(a, b, true); });
  one("sqrt.rn.", [](T a) { return std::sqrt(a); });
  one("rcp.rn.", [](T a) { return 1 / a; });
  one("neg.", [](T a) { return -a; });
  one("abs.", [](T a) { return std::fabs(a); });
  two("copysign.", [](T a, T b) { return std::copysign(b, a); });
  add("fma.rn." + type, (k + k + k + k).c_str(),
      [=](u64 a, u64 b, u64 c) { return put(std::fma(get(a), get(b), get(c))); });
  add("selp." + type, (k + k + k + "p").c_str(),
      [=](u64 a, u64 b, u64 c) { return c & 1 ? put(get(a)) : put(get(b)); });
  auto compare = [&](const char *name, auto f) {
    add(std::string("setp.") + name + "." + type, ("p" + k + k).c_str(),
        [=](u64 a, u64 b, u64) { return (u64)f(get(a), get(b)); });
  };
  auto un = [](T a, T b) { return std::isnan(a) || std::isnan(b); };
  compare("eq", [=](T a, T b) { return !un(a, b) && a == b; });
  compare("ne", [=](T a, T b) { return !un(a, b) && a != b; });
  compare("lt", [=](T a, T b) { return !un(a, b) && a < b; });
  compare("le", [=](T a, T b) { return !un(a, b) && a <= b; });
  compare("gt", [=](T a, T b) { return !un(a, b) && a > b; });
  compare("ge", [=](T a, T b) { return !un(a, b) && a >= b; });
  compare("equ", [=](T a, T b) { return un(a, b) || a == b; });
  compare("neu", [=](T a, T b) { return un(a, b) || a != b; });
  compare("ltu", [=](T a, T b) { return un(a, b) || a < b; });
  compare("leu", [=](T a, T b) { return un(a, b) || a <= b; });
  compare("gtu", [=](T a, T b) { return un(a, b) || a > b; });
  compare("geu", [=](T a, T b) { return un(a, b) || a >= b; });
  compare("num", [=](T a, T b) { return !un(a, b); });
  compare("nan", un);
}

template <class Dst, class Src>
void convertInteger(const std::string &d, const std::string &s) {
  const std::string kd = sizeof(Dst) == 8   ? "d"
                         : sizeof(Dst) == 4 ? "w"
                                            : "h",
                    ks = sizeof(Src) == 8   ? "d"
                         : sizeof(Src) == 4 ? "w"
                                            : "h";
  auto out = [](Dst v) { return sizeof(Dst) == 8 ? (u64)v : sizeof(Dst) == 4 ? (u64)(u32)v : (u64)(u16)v; };
  add("cvt." + d + "." + s, (kd + ks).c_str(), [=](u64 a, u64, u64) { return out((Dst)(Src)a); });
  add("cvt.sat." + d + "." + s, (kd + ks).c_str(), [=](u64 a, u64, u64) {
    i128 v = (Src)a, lo = std::numeric_limits<Dst>::min(), hi = std::numeric_limits<Dst>::max();
    return out((Dst)(v < lo ? lo : v > hi ? hi : v));
  });
}
template <class T>
void convert(const std::string &t) {
  convertInteger<u8, T>("u8", t);
  convertInteger<i8, T>("s8", t);
  convertInteger<u16, T>("u16", t);
  convertInteger<i16, T>("s16", t);
  convertInteger<u32, T>("u32", t);
  convertInteger<i32, T>("s32", t);
  convertInteger<u64, T>("u64", t);
  convertInteger<i64, T>("s64", t);
  const std::string k = sizeof(T) == 8 ? "d" : sizeof(T) == 4 ? "w" : "h";
  auto out = [](T v) { return sizeof(T) == 8 ? (u64)v : sizeof(T) == 4 ? (u64)(u32)v : (u64)(u16)v; };
  add("cvt.rn.f32." + t, ("w" + k).c_str(), [](u64 a, u64, u64) { return B((float)(T)a); });
  add("cvt.rn.f64." + t, ("d" + k).c_str(), [](u64 a, u64, u64) { return B64((double)(T)a); });
  add("cvt.rz.f32." + t, ("w" + k).c_str(), [](u64 a, u64, u64) {
    float f = (float)(T)a;
    if (std::fabs((long double)f) > std::fabs((long double)(T)a)) f = std::nextafter(f, 0.0f);
    return B(f);
  });
  auto from = [=](auto x, double (*round)(double)) {
    long double v = round(x), lo = std::numeric_limits<T>::min(), hi = std::numeric_limits<T>::max();
    return std::isnan(x) ? out(0)
           : v < lo      ? out(std::numeric_limits<T>::min())
           : v > hi      ? out(std::numeric_limits<T>::max())
                         : out((T)v);
  };
  std::pair<std::string, double (*)(double)> modes[] = {
      {"rni", std::nearbyint}, {"rzi", std::trunc}, {"rmi", std::floor}, {"rpi", std::ceil}};
  for (auto &m : modes) {
    auto r = m.second;
    add("cvt." + m.first + "." + t + ".f32", (k + "w").c_str(), [=](u64 a, u64, u64) { return from(F(a), r); });
    add("cvt." + m.first + "." + t + ".f64", (k + "d").c_str(), [=](u64 a, u64, u64) { return from(D(a), r); });
  }
}

void approximate(const std::string &name, double (*f)(double), double error) {
  cases.push_back({name, "ww", [=](u64 a, u64, u64) { return B((float)f(F(a))); }, false, error, ""});
}

void collect() {
  integer<u16>("u16"), integer<i16>("s16"), integer<u32>("u32"), integer<i32>("s32"), integer<u64>("u64"),
      integer<i64>("s64");
  bitwise<u16>("b16"), bitwise<u32>("b32"), bitwise<u64>("b64");
  field<u32>("u32"), field<i32>("s32"), field<u64>("u64"), field<i64>("s64");
  insertion<u32>("b32"), insertion<u64>("b64");
  real<float>("f32"), real<double>("f64");
  convert<u8>("u8"), convert<i8>("s8"), convert<u16>("u16"), convert<i16>("s16");
  convert<u32>("u32"), convert<i32>("s32"), convert<u64>("u64"), convert<i64>("s64");
  add("mul.hi.u64", "ddd", [](u64 a, u64 b, u64) { return (u64)((u128)a * b >> 64); });
  add("shf.l.wrap.b32", "wwww", [](u64 a, u64 b, u64 c) {
    int n = c & 31;
    return n ? (u64)(u32)((u32)b << n | (u32)a >> (32 - n)) : (u64)(u32)b;
  });
  add("shf.r.wrap.b32", "wwww", [](u64 a, u64 b, u64 c) {
    int n = c & 31;
    return n ? (u64)(u32)((u32)b << (32 - n) | (u32)a >> n) : (u64)(u32)a;
  });
  add("shf.l.clamp.b32", "wwww", [](u64 a, u64 b, u64 c) {
    u32 n = std::min<u32>(c, 32);
    return n == 32 ? (u64)(u32)a : n ? (u64)(u32)((u32)b << n | (u32)a >> (32 - n)) : (u64)(u32)b;
  });
  add("shf.r.clamp.b32", "wwww", [](u64 a, u64 b, u64 c) {
    u32 n = std::min<u32>(c, 32);
    return n == 32 ? (u64)(u32)b : n ? (u64)(u32)((u32)b << (32 - n) | (u32)a >> n) : (u64)(u32)a;
  });
  add("prmt.b32", "wwww", [](u64 a, u64 b, u64 c) {
    u8 in[8], out[4];
    for (int i = 0; i < 4; i++) in[i] = a >> 8 * i, in[4 + i] = b >> 8 * i;
    for (int i = 0; i < 4; i++) {
      int s = c >> 4 * i & 15;
      out[i] = s & 8 ? (in[s & 7] & 0x80 ? 0xff : 0) : in[s];
    }
    return (u64)(out[0] | out[1] << 8 | out[2] << 16 | (u32)out[3] << 24);
  });
  add("lop3.b32", "wwww", [](u64 a, u64 b, u64 c) { return (u64)(u32)((a & b) ^ c); }, ", 0x6a");
  add("lop3.b32", "wwww", [](u64 a, u64 b, u64 c) { return (u64)(u32)((a | ~b) & c); }, ", 0xa2");
  add("bfind.u32", "ww", [](u64 a, u64, u64) {
    u32 x = a;
    return (u64)(u32)(x ? 31 - __builtin_clz(x) : -1);
  });
  add("bfind.s32", "ww", [](u64 a, u64, u64) {
    u32 x = (int)a < 0 ? ~a : a;
    return (u64)(u32)(x ? 31 - __builtin_clz(x) : -1);
  });
  add("add.sat.s32", "www", [](u64 a, u64 b, u64) {
    i64 s = (i64)(i32)a + (i32)b;
    return (u64)(u32)std::max<i64>(INT32_MIN, std::min<i64>(INT32_MAX, s));
  });
  add("sad.u32", "wwww",
      [](u64 a, u64 b, u64 c) { return (u64)(u32)(c + (u32)std::llabs((i64)(u32)a - (i64)(u32)b)); });
  add("not.pred", "pp", [](u64 a, u64, u64) { return ~a & 1; });
  add("and.pred", "ppp", [](u64 a, u64 b, u64) { return a & b & 1; });
  add("or.pred", "ppp", [](u64 a, u64 b, u64) { return (a | b) & 1; });
  add("xor.pred", "ppp", [](u64 a, u64 b, u64) { return (a ^ b) & 1; });

  auto flush = [](float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; };
  add("add.ftz.f32", "www", [=](u64 a, u64 b, u64) { return B(flush(flush(F(a)) + flush(F(b)))); });
  add("mul.ftz.f32", "www", [=](u64 a, u64 b, u64) { return B(flush(flush(F(a)) * flush(F(b)))); });
  add("fma.rn.ftz.f32", "wwww",
      [=](u64 a, u64 b, u64 c) { return B(flush(std::fma(flush(F(a)), flush(F(b)), flush(F(c))))); });
  add("add.sat.f32", "www", [](u64 a, u64 b, u64) {
    float s = F(a) + F(b);
    return B(s >= 1 ? 1.0f : s > 0 ? s : 0.0f);
  });
  add("min.NaN.f32", "www",
      [](u64 a, u64 b, u64) { return B(std::isnan(F(a)) || std::isnan(F(b)) ? NAN : fminmax(F(a), F(b), false)); });
  add("cvt.f64.f32", "dw", [](u64 a, u64, u64) { return B64(F(a)); });
  add("cvt.rn.f32.f64", "wd", [](u64 a, u64, u64) { return B((float)D(a)); });
  add("cvt.rz.f32.f64", "wd", [](u64 a, u64, u64) {
    float f = (float)D(a);
    return B(std::fabs((double)f) > std::fabs(D(a)) ? std::nextafter(f, 0.0f) : f);
  });
  add("cvt.rm.f32.f64", "wd", [](u64 a, u64, u64) {
    float f = (float)D(a);
    return B((double)f > D(a) ? std::nextafter(f, -INFINITY) : f);
  });
  add("cvt.rp.f32.f64", "wd", [](u64 a, u64, u64) {
    float f = (float)D(a);
    return B((double)f < D(a) ? std::nextafter(f, INFINITY) : f);
  });
  add("cvt.rni.f32.f32", "ww", [](u64 a, u64, u64) { return B(std::nearbyint(F(a))); });
  add("cvt.rzi.f32.f32", "ww", [](u64 a, u64, u64) { return B(std::trunc(F(a))); });
  add("cvt.rmi.f32.f32", "ww", [](u64 a, u64, u64) { return B(std::floor(F(a))); });
  add("cvt.rpi.f64.f64", "dd", [](u64 a, u64, u64) { return B64(std::ceil(D(a))); });
  add("cvt.sat.f32.f32", "ww", [](u64 a, u64, u64) {
    float x = F(a);
    return B(x >= 1 ? 1.0f : x > 0 ? x : 0.0f);
  });
  // bfloat16 and TF32 by exhaustion: the nearest of the two neighbours.
  auto nearest = [](float x, int keep, bool even) {  // keep bits of the 23 behind the point
    u32 u = B(x), step = 1u << (23 - keep), down = u & ~(step - 1), up = down + step;
    u32 d = u - down, e = up - u;
    return d < e ? down : e < d ? up : even ? (down & step ? up : down) : up;
  };
  auto brain = [=](float x) { return std::isnan(x) ? 0x7fffu : nearest(x, 7, true) >> 16; };
  add("cvt.rna.tf32.f32", "ww",
      [=](u64 a, u64, u64) { return std::isnan(F(a)) ? 0x7fffffffull : (u64)nearest(F(a), 10, false); });
  add("cvt.rn.bf16.f32", "hw", [=](u64 a, u64, u64) { return (u64)brain(F(a)); });
  add("cvt.rn.bf16x2.f32", "www", [=](u64 a, u64 b, u64) { return (u64)brain(F(a)) << 16 | brain(F(b)); });
  add("cvt.f32.f16", "wh", [](u64 a, u64, u64) {
    int e = a >> 10 & 31, m = a & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? std::ldexp(1024 + m, e - 25) : std::ldexp(m, -24);
    return B((float)(a & 0x8000 ? -v : v));
  });

  // As accurate as documented, within a factor of two, but never exact everywhere.
  approximate("ex2.approx.f32", std::exp2, 0x1p-21);
  approximate("lg2.approx.f32", std::log2, 0x1p-21);
  approximate("rcp.approx.f32", [](double x) { return 1 / x; }, 0x1p-21);
  approximate("sqrt.approx.f32", std::sqrt, 0x1p-21);
  approximate("rsqrt.approx.f32", [](double x) { return 1 / std::sqrt(x); }, 0x1p-21);
  approximate("tanh.approx.f32", std::tanh, 0x1p-10);
  approximate("sin.approx.f32", std::sin, 0x1p-20);
  approximate("cos.approx.f32", std::cos, 0x1p-20);
}

// One kernel for each case: result[i] = op(a[i], b[i], c[i]), all of 64 bits.
std::string write(const Case &c, size_t number) {
  std::string s = ".visible .entry k" + std::to_string(number) +
                  "(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd, .param .u32 n) {\n"
                  ".reg .b16 %h<4>; .reg .b32 %w<4>; .reg .b64 %d<4>; .reg .pred %p<4>, %out;\n"
                  ".reg .b32 %i, %n, %x, %y; .reg .b64 %q, %v;\n"
                  "mov.u32 %i, %tid.x; mov.u32 %x, %ctaid.x; mov.u32 %y, %ntid.x; mad.lo.u32 %i, %x, %y, %i;\n"
                  "ld.param.u32 %n, [n]; setp.ge.u32 %out, %i, %n; @%out bra END;\n";
  for (int k = 0; k < 3; k++) {
    std::string n = std::to_string(k + 1);
    s += std::string("ld.param.u64 %q, [p") + "abc"[k] + "]; mad.wide.u32 %q, %i, 8, %q; ld.global.u64 %d" + n +
         ", [%q];\n";
    s += "cvt.u32.u64 %w" + n + ", %d" + n + "; cvt.u16.u64 %h" + n + ", %d" + n + ";\n";
    s += "and.b32 %x, %w" + n + ", 1; setp.ne.u32 %p" + n + ", %x, 0;\n";
  }
  s += c.name;
  for (size_t k = 0; k < c.kinds.size(); k++) s += std::string(k ? ", %" : " %") + c.kinds[k] + std::to_string(k);
  s += c.after + ";\n";
  s += c.kinds[0] == 'h'   ? "cvt.u64.u16 %v, %h0;\n"
       : c.kinds[0] == 'w' ? "cvt.u64.u32 %v, %w0;\n"
       : c.kinds[0] == 'd' ? "mov.b64 %v, %d0;\n"
                           : "selp.b64 %v, 1, 0, %p0;\n";
  return s + "ld.param.u64 %q, [pd]; mad.wide.u32 %q, %i, 8, %q; st.global.u64 [%q], %v;\nEND: ret;\n}\n";
}

int main() {
  start();
  collect();
  std::vector<u64> edges = {0,
                            1,
                            2,
                            3,
                            7,
                            31,
                            32,
                            33,
                            63,
                            64,
                            127,
                            128,
                            255,
                            256,
                            0x7fff,
                            0x8000,
                            0xffff,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            0x100000000,
                            0x7fffffffffffffff,
                            0x8000000000000000,
                            ~0ull,
                            ~1ull};
  for (float f :
       {1.0f, -1.0f, 0.5f, 1.5f, -2.5f, 1e10f, -1e20f, 3e38f, 1e-40f, -1e-45f, 0.99999994f, 255.5f, -0.0f, 65504.0f})
    edges.push_back(B(f)), edges.push_back(B64(f)), edges.push_back(B64(f * 1.0000001));
  for (float f : {INFINITY, -INFINITY, NAN}) edges.push_back(B(f)), edges.push_back(B64(f));
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<u64> a, b, c;
  for (u64 x : edges)
    for (u64 y : edges) a.push_back(x), b.push_back(y), c.push_back(edges[random() % edges.size()]);
  for (int i = 0; i < 800; i++) {
    bool real = i % 2, wide = i % 4 == 1;
    for (auto v : {&a, &b, &c})
      v->push_back(!real ? random() >> random() % 64 : wide ? B64(normal(random) * 100) : B(normal(random) * 4));
  }
  size_t n = a.size() - a.size() % 32 - 5;  // the last warp is not whole
  Buffer<u64> da(a), db(b), dc(c);
  std::string text;
  for (size_t k = 0; k < cases.size(); k++) text += write(cases[k], k);
  Handle m;
  if (cuModuleLoadData(&m, module(text).c_str())) return 1;
  for (size_t k = 0; k < cases.size(); k++) {
    const Case &x = cases[k];
    Handle f;
    if (cuModuleGetFunction(&f, m, ("k" + std::to_string(k)).c_str())) return 1;
    Buffer<u64> dd(a.size());
    int r = launch(f, (a.size() + 127) / 128, 128, {da.at, db.at, dc.at, dd.at, n});
    CHECK(!r, "%s: %s", x.name.c_str(), errorText(r).c_str());
    auto d = dd.get();
    bool different = false;
    for (size_t i = 0; i < n; i++) {
      u64 want = x.f(a[i], b[i], c[i]);
      bool wide = x.kinds[0] == 'd',
           isReal = x.name.find(".f32") != std::string::npos || x.name.find(".f64") != std::string::npos;
      if (x.exact) {
        bool bothNaN =
            isReal && (wide ? std::isnan(D(want)) && std::isnan(D(d[i])) : std::isnan(F(want)) && std::isnan(F(d[i])));
        CHECK(d[i] == want || bothNaN, "%s %#lx %#lx %#lx: %#lx, not %#lx", x.name.c_str(), a[i], b[i], c[i], d[i],
              want);
      } else if (std::fabs(F(a[i])) < 50 && std::fabs(F(a[i])) > 1e-6f) {
        float w = F(want), g = F(d[i]);
        bool near = w == g || (std::isnan(w) && std::isnan(g)) ||
                    std::fabs((double)w - g) <= x.error * std::max(1.0, std::fabs((double)w));
        CHECK(near, "%s %g: %g, not %g", x.name.c_str(), F(a[i]), g, w);
        different |= w != g && !std::isnan(w);
      }
    }
    CHECK(x.exact || different, "%s is exact", x.name.c_str());
    for (size_t i = n; i < a.size(); i++) CHECK(d[i] == ~0ull, "%s wrote for a thread that left", x.name.c_str());
  }
  return finish("arithmetic");
}
