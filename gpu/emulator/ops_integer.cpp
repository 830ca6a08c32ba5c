// Integer arithmetic, logic, moves, comparisons and selection of every type.
#include <algorithm>
#include <cmath>

#include "lanes.h"

namespace emu {
void blend(u32 *to, const u32 *from, u32 mask) {
  for (u32 l = 0; l < WarpSize; l++) to[l] = mask >> l & 1 ? from[l] : to[l];
}
void blend(u64 *to, const u64 *from, u32 mask) {
  for (u32 l = 0; l < WarpSize; l++) to[l] = mask >> l & 1 ? from[l] : to[l];
}

namespace {
template <class T>
using Wide =
    std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, i32, u32>,
                       std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, i64, u64>,
                                          std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;
template <class T>
using Bits = std::make_unsigned_t<T>;
template <class T>
constexpr u32 width = sizeof(T) * 8;

template <class T>
T high(T a, T b) {
  return (T)(((Wide<T>)a * (Wide<T>)b) >> width<T>);
}
// Division by zero has some result on a card. Here it has all bits set.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return (T) ~(T)0;
  if (std::is_signed_v<T> && b == (T)-1) return (T)(0 - (Bits<T>)a);
  return (T)(a / b);
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  if (std::is_signed_v<T> && b == (T)-1) return 0;
  return (T)(a % b);
}

template <class T, class F>
void two(Table &t, const char *name, const char *type, F f) {
  define(t, {name, type}, binary<T, T, T>(f));
}
template <class T, class F>
void one(Table &t, const char *name, const char *type, F f) {
  define(t, {name, type}, unary<T, T>(f));
}

// What all integer types have.
template <class T>
void common(Table &t, const char *type) {
  using B = Bits<T>;
  two<T>(t, "add.", type, [](T a, T b) { return (T)((B)a + (B)b); });
  two<T>(t, "sub.", type, [](T a, T b) { return (T)((B)a - (B)b); });
  two<T>(t, "mul.lo.", type, [](T a, T b) { return (T)((u64)a * (u64)b); });
  two<T>(t, "mul.hi.", type, [](T a, T b) { return high(a, b); });
  two<T>(t, "div.", type, [](T a, T b) { return quotient(a, b); });
  two<T>(t, "rem.", type, [](T a, T b) { return remainder(a, b); });
  two<T>(t, "min.", type, [](T a, T b) { return std::min(a, b); });
  two<T>(t, "max.", type, [](T a, T b) { return std::max(a, b); });
  define(t, {"mad.lo.", type}, ternary<T, T, T, T>([](T a, T b, T c) { return (T)((u64)a * (u64)b + (u64)c); }));
  define(t, {"mad.hi.", type}, ternary<T, T, T, T>([](T a, T b, T c) { return (T)((B)high(a, b) + (B)c); }));
  if constexpr (sizeof(T) < 8) {
    using W = Wide<T>;
    define(t, {"mul.wide.", type}, binary<W, T, T>([](T a, T b) { return (W)((W)a * (W)b); }));
    define(t, {"mad.wide.", type},
           ternary<W, T, T, W>([](T a, T b, W c) { return (W)((Bits<W>)((W)a * (W)b) + (Bits<W>)c); }));
  }
  if constexpr (std::is_signed_v<T>) {
    one<T>(t, "neg.", type, [](T a) { return (T)(0 - (B)a); });
    one<T>(t, "abs.", type, [](T a) { return a < 0 ? (T)(0 - (B)a) : a; });
  }
  define(t, {"shr.", type}, binary<T, T, u32>([](T a, u32 n) { return (T)(n < width<T> ? a >> n : a < 0 ? -1 : 0); }));
}

template <class T>
void logic(Table &t, const char *type) {
  two<T>(t, "and.", type, [](T a, T b) { return (T)(a & b); });
  two<T>(t, "or.", type, [](T a, T b) { return (T)(a | b); });
  two<T>(t, "xor.", type, [](T a, T b) { return (T)(a ^ b); });
  one<T>(t, "not.", type, [](T a) { return (T)~a; });
  one<T>(t, "cnot.", type, [](T a) { return (T)!a; });
  define(t, {"shl.", type}, binary<T, T, u32>([](T a, u32 n) { return (T)(n < width<T> ? (u64)a << n : 0); }));
  define(t, {"shr.", type}, binary<T, T, u32>([](T a, u32 n) { return (T)(n < width<T> ? a >> n : 0); }));
}

template <class T>
T extract(T a, u32 pos, u32 len) {
  pos &= 255, len &= 255;
  if (!len) return 0;
  u32 sign = std::min(pos + len - 1, width<T> - 1);
  Bits<T> fill = std::is_signed_v<T> && (Bits<T>)a >> sign & 1 ? ~(Bits<T>)0 : 0;
  Bits<T> v = pos < width<T> ? (Bits<T>)a >> pos : 0;
  u32 have = pos < width<T> ? std::min(len, width<T> - pos) : 0;
  if (have == width<T>) return (T)v;
  Bits<T> keep = ((Bits<T>)1 << have) - 1;
  return (T)((v & keep) | (fill & ~keep));
}

template <class T>
void fields(Table &t, const char *type) {
  define(t, {"bfe.", type}, ternary<T, T, u32, u32>([](T a, u32 p, u32 n) { return extract(a, p, n); }));
}

template <class T>
void insert(Table &t, const char *type) {
  Handler run = [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<T>(w, i.o[1]), b = reg<T>(w, i.o[2]);
    auto p = reg<u32>(w, i.o[3]), n = reg<u32>(w, i.o[4]);
    lanes(mask, reg<T>(w, i.o[0]), [&](u32 l) {
      u32 pos = p[l] & 255, len = n[l] & 255;
      if (pos >= width<T>) return b[l];
      T m = (len >= width<T> ? ~(T)0 : ((T)1 << len) - 1) << pos;
      return (b[l] & ~m) | (a[l] << pos & m);
    });
  };
  define(t, {"bfi.", type}, {run, operands<T, T, T, u32, u32>});
}

template <class T>
T reverse(T a) {
  T r = 0;
  for (u32 k = 0; k < width<T>; k++) r = r << 1 | (a >> k & 1);
  return r;
}

template <class T>
void counts(Table &t, const char *type) {
  define(t, {"popc.", type}, unary<u32, T>([](T a) { return (u32)std::popcount(a); }));
  define(t, {"clz.", type}, unary<u32, T>([](T a) { return (u32)std::countl_zero(a); }));
  one<T>(t, "brev.", type, [](T a) { return reverse(a); });
}

template <class T>
void highest(Table &t, const char *type) {
  define(t, {"bfind.", type}, unary<u32, T>([](T a) {
           Bits<T> b = a < 0 ? ~(Bits<T>)a : (Bits<T>)a;
           return (u32)(width<T> - 1 - std::countl_zero(b));
         }));
}

i32 within(i64 x) { return (i32)std::clamp<i64>(x, INT32_MIN, INT32_MAX); }

u32 permute(u32 a, u32 b, u32 c) {
  u64 bytes = (u64)b << 32 | a;
  u32 r = 0;
  for (int k = 0; k < 4; k++) {
    u32 s = c >> (4 * k), v = bytes >> (8 * (s & 7)) & 255;
    if (s & 8) v = v & 128 ? 255 : 0;
    r |= v << (8 * k);
  }
  return r;
}

u32 logic3(u32 a, u32 b, u32 c, u32 table) {
  u32 r = 0;
  for (u32 k = 0; k < 8; k++)
    if (table >> k & 1) r |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
  return r;
}

template <class T, class F>
[[gnu::noinline]] u32 test(Warp &w, const Ins &i) {
  auto a = reg<T>(w, i.o[2]), b = reg<T>(w, i.o[3]);
  return bits([&](u32 l) { return F{}(get<T>(a[l]), get<T>(b[l])); });
}
// Combine: with no, and, or, xor a third predicate; q gets the same of the opposite.
template <class T, class F, int Combine>
void compare(Warp &w, const Ins &i, u32 mask) {
  u32 r = test<T, F>(w, i), c = Combine ? w.source(i.o[4]) : 0;
  auto with = [&](u32 x) { return Combine == 0 ? x : Combine == 1 ? x & c : Combine == 2 ? x | c : x ^ c; };
  u32 p = with(r), q = with(~r);
  w.predicate(i.o[0]) = (w.predicate(i.o[0]) & ~mask) | (p & mask);
  if (i.o[1] != None) w.predicate(i.o[1]) = (w.predicate(i.o[1]) & ~mask) | (q & mask);
}

template <class T, class F>
void comparison(Table &t, const char *cmp, const char *type, F) {
  constexpr std::string_view two = operands<PredicateWritten, T, T>;
  constexpr std::string_view three = operands<PredicateWritten, T, T, PredicateRead>;
  define(t, {"setp.", cmp, ".", type}, {compare<T, F, 0>, two});
  define(t, {"setp.", cmp, ".and.", type}, {compare<T, F, 1>, three});
  define(t, {"setp.", cmp, ".or.", type}, {compare<T, F, 2>, three});
  define(t, {"setp.", cmp, ".xor.", type}, {compare<T, F, 3>, three});
}

template <class T>
void equality(Table &t, const char *type) {
  comparison<T>(t, "eq", type, [](T a, T b) { return a == b; });
  comparison<T>(t, "ne", type, [](T a, T b) { return a != b; });
}
template <class T>
void order(Table &t, const char *type) {
  equality<T>(t, type);
  auto lt = [](T a, T b) { return a < b; };
  auto le = [](T a, T b) { return a <= b; };
  auto gt = [](T a, T b) { return a > b; };
  auto ge = [](T a, T b) { return a >= b; };
  comparison<T>(t, "lt", type, lt);
  comparison<T>(t, "le", type, le);
  comparison<T>(t, "gt", type, gt);
  comparison<T>(t, "ge", type, ge);
  if constexpr (std::is_unsigned_v<T>) {
    comparison<T>(t, "lo", type, lt);
    comparison<T>(t, "ls", type, le);
    comparison<T>(t, "hi", type, gt);
    comparison<T>(t, "hs", type, ge);
  }
}
// An ordered comparison with NaN is false, also ne; an unordered one is true.
template <class T>
void floatOrder(Table &t, const char *type) {
  comparison<T>(t, "eq", type, [](T a, T b) { return a == b; });
  comparison<T>(t, "ne", type, [](T a, T b) { return a < b || a > b; });
  comparison<T>(t, "lt", type, [](T a, T b) { return a < b; });
  comparison<T>(t, "le", type, [](T a, T b) { return a <= b; });
  comparison<T>(t, "gt", type, [](T a, T b) { return a > b; });
  comparison<T>(t, "ge", type, [](T a, T b) { return a >= b; });
  comparison<T>(t, "equ", type, [](T a, T b) { return !(a < b || a > b); });
  comparison<T>(t, "neu", type, [](T a, T b) { return a != b; });
  comparison<T>(t, "ltu", type, [](T a, T b) { return !(a >= b); });
  comparison<T>(t, "leu", type, [](T a, T b) { return !(a > b); });
  comparison<T>(t, "gtu", type, [](T a, T b) { return !(a <= b); });
  comparison<T>(t, "geu", type, [](T a, T b) { return !(a < b); });
  comparison<T>(t, "num", type, [](T a, T b) { return a == a && b == b; });
  comparison<T>(t, "nan", type, [](T a, T b) { return a != a || b != b; });
}

template <class T>
void select(Warp &w, const Ins &i, u32 mask) {
  auto a = reg<T>(w, i.o[1]), b = reg<T>(w, i.o[2]);
  u32 p = w.source(i.o[3]);
  lanes(mask, reg<T>(w, i.o[0]), [&](u32 l) { return p >> l & 1 ? a[l] : b[l]; });
}

template <class T>
void moves(Table &t, std::initializer_list<const char *> types) {
  for (const char *type : types) {
    one<T>(t, "mov.", type, [](T a) { return a; });
    define(t, {"selp.", type}, {select<T>, operands<T, T, T, PredicateRead>});
  }
}

// Parts of a register, the lowest first.
template <class T, class Part, int N>
void pack(Warp &w, const Ins &i, u32 mask) {
  lanes(mask, reg<T>(w, i.o[0]), [&](u32 l) {
    T v = 0;
    for (int n = 0; n < N; n++) v |= (T)(Part)reg<Part>(w, i.o[1 + n])[l] << (n * width<Part>);
    return v;
  });
}
template <class T, class Part, int N>
void unpack(Warp &w, const Ins &i, u32 mask) {
  T v[WarpSize];
  std::copy_n(reg<T>(w, i.o[N]), WarpSize, v);
  for (int n = 0; n < N; n++)
    lanes(mask, reg<Part>(w, i.o[n]), [&](u32 l) { return put<Part>((Part)(v[l] >> (n * width<Part>))); });
}

template <class F>
void predicates(Table &t, const char *name, const char *ops, F) {
  Handler run = [](Warp &w, const Ins &i, u32 mask) {
    u32 r = F{}(w.source(i.o[1]), i.o[2] == None ? 0 : w.source(i.o[2])), &p = w.predicate(i.o[0]);
    p = (p & ~mask) | (r & mask);
  };
  define(t, {name}, {run, ops});
}

// add.cc, addc, sub.cc, subc: In: with the carry of the last; Out: sets it.
template <class T, bool Sub, bool In, bool Out>
void carried(Warp &w, const Ins &i, u32 mask) {
  auto a = reg<T>(w, i.o[1]), b = reg<T>(w, i.o[2]), d = reg<T>(w, i.o[0]);
  for (u32 l = 0; l < WarpSize; l++) {
    if (!(mask >> l & 1)) continue;
    unsigned __int128 c = In ? w.carry >> l & 1 : 0;
    unsigned __int128 r = Sub ? (unsigned __int128)a[l] - b[l] - c : (unsigned __int128)a[l] + b[l] + c;
    d[l] = (T)r;
    if (Out) w.carry = (w.carry & ~(1u << l)) | (u32)(r >> width<T> & 1) << l;
  }
}
template <class T>
void carries(Table &t, std::initializer_list<const char *> types) {
  constexpr std::string_view ops = operands<T, T, T>;
  for (const char *type : types) {
    define(t, {"add.cc.", type}, {carried<T, false, false, true>, ops});
    define(t, {"addc.", type}, {carried<T, false, true, false>, ops});
    define(t, {"addc.cc.", type}, {carried<T, false, true, true>, ops});
    define(t, {"sub.cc.", type}, {carried<T, true, false, true>, ops});
    define(t, {"subc.", type}, {carried<T, true, true, false>, ops});
    define(t, {"subc.cc.", type}, {carried<T, true, true, true>, ops});
  }
}

void funnels(Table &t) {
  auto left = [](u32 lo, u32 hi, u32 n) { return (u32)((((u64)hi << 32 | lo) << n) >> 32); };
  auto right = [](u32 lo, u32 hi, u32 n) { return (u32)(((u64)hi << 32 | lo) >> n); };
  using L = decltype(left);
  using R = decltype(right);
  define(t, {"shf.l.wrap.b32"}, ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 n) { return L{}(a, b, n & 31); }));
  define(t, {"shf.r.wrap.b32"}, ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 n) { return R{}(a, b, n & 31); }));
  define(t, {"shf.l.clamp.b32"},
         ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 n) { return L{}(a, b, std::min(n, 32u)); }));
  define(t, {"shf.r.clamp.b32"},
         ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 n) { return R{}(a, b, std::min(n, 32u)); }));
}
}  // namespace

void addIntegers(Table &t) {
  logic<u16>(t, "b16");
  logic<u32>(t, "b32");
  logic<u64>(t, "b64");
  common<u16>(t, "u16");
  common<i16>(t, "s16");
  common<u32>(t, "u32");
  common<i32>(t, "s32");
  common<u64>(t, "u64");
  common<i64>(t, "s64");
  fields<u32>(t, "u32");
  fields<i32>(t, "s32");
  fields<u64>(t, "u64");
  fields<i64>(t, "s64");
  insert<u32>(t, "b32");
  insert<u64>(t, "b64");
  counts<u32>(t, "b32");
  counts<u64>(t, "b64");
  highest<u32>(t, "u32");
  highest<i32>(t, "s32");
  highest<u64>(t, "u64");
  highest<i64>(t, "s64");
  funnels(t);
  carries<u32>(t, {"u32", "s32"});
  carries<u64>(t, {"u64", "s64"});
  define(t, {"prmt.b32"}, ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return permute(a, b, c); }));
  Handler lop3 = [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<u32>(w, i.o[1]), b = reg<u32>(w, i.o[2]), c = reg<u32>(w, i.o[3]);
    u32 table = reg<u32>(w, i.o[4])[0];
    lanes(mask, reg<u32>(w, i.o[0]), [&](u32 l) { return logic3(a[l], b[l], c[l], table); });
  };
  define(t, {"lop3.b32"}, {lop3, "w w w w c"});
  define(t, {"add.sat.s32"}, binary<i32, i32, i32>([](i32 a, i32 b) { return within((i64)a + b); }));
  define(t, {"sub.sat.s32"}, binary<i32, i32, i32>([](i32 a, i32 b) { return within((i64)a - b); }));
  define(t, {"sad.u32"}, ternary<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return c + (a > b ? a - b : b - a); }));

  equality<u16>(t, "b16");
  equality<u32>(t, "b32");
  equality<u64>(t, "b64");
  order<u16>(t, "u16");
  order<i16>(t, "s16");
  order<u32>(t, "u32");
  order<i32>(t, "s32");
  order<u64>(t, "u64");
  order<i64>(t, "s64");
  floatOrder<float>(t, "f32");
  floatOrder<double>(t, "f64");

  moves<u16>(t, {"b16", "u16", "s16"});
  moves<u32>(t, {"b32", "u32", "s32", "f32"});
  moves<u64>(t, {"b64", "u64", "s64", "f64"});
  define(t, {"mov.b32 1<-2"}, {pack<u32, u16, 2>, "w 2h"});
  define(t, {"mov.b32 2<-1"}, {unpack<u32, u16, 2>, "2h w"});
  define(t, {"mov.b64 1<-2"}, {pack<u64, u32, 2>, "d 2w"});
  define(t, {"mov.b64 2<-1"}, {unpack<u64, u32, 2>, "2w d"});
  define(t, {"mov.b64 1<-4"}, {pack<u64, u16, 4>, "d 4h"});
  define(t, {"mov.b64 4<-1"}, {unpack<u64, u16, 4>, "4h d"});
  predicates(t, "mov.pred", "p q", [](u32 a, u32) { return a; });
  predicates(t, "not.pred", "p q", [](u32 a, u32) { return ~a; });
  predicates(t, "and.pred", "p q q", [](u32 a, u32 b) { return a & b; });
  predicates(t, "or.pred", "p q q", [](u32 a, u32 b) { return a | b; });
  predicates(t, "xor.pred", "p q q", [](u32 a, u32 b) { return a ^ b; });
}
}  // namespace emu
