// Handlers made of functions of one lane.
#pragma once
#include <array>
#include <bit>
#include <type_traits>

#include "table.h"

namespace emu {
// A register has 32 slots: of 8 bytes for 64 bits, of 4 for less. Of a register of 16 bits the upper half is undefined.
template <class T>
using Slot = std::conditional_t<sizeof(T) == 8, u64, u32>;

template <class T>
inline T get(Slot<T> v) {
  if constexpr (sizeof(T) >= 4)
    return std::bit_cast<T>(v);
  else
    return (T)v;
}
template <class T>
inline Slot<T> put(T v) {
  if constexpr (sizeof(T) >= 4)
    return std::bit_cast<Slot<T>>(v);
  else
    return (u32)v;  // extended by its sign, if it has one
}
template <class T>
inline Slot<T> *reg(Warp &w, u32 at) {
  return (Slot<T> *)(w.file + at);
}

void blend(u32 *to, const u32 *from, u32 mask);
void blend(u64 *to, const u64 *from, u32 mask);

// d[l] = f(l) for the lanes in mask; f runs for all of them. Registers are the same or apart, so that lanes do not
// depend on each other.
template <class R, class F>
inline void lanes(u32 mask, R *d, F f) {
  alignas(64) R partial[WarpSize];
  R *to = mask == All ? d : partial;
#pragma GCC ivdep
  for (u32 l = 0; l < WarpSize; l++) to[l] = f(l);
  if (mask != All) blend(d, partial, mask);
}

// Bit l is f(l).
template <class F>
inline u32 bits(F f) {
  u32 r = 0;
  for (u32 l = 0; l < WarpSize; l++) r |= (u32)(bool)f(l) << l;
  return r;
}

// Operands of these types: "h", "w" or "d" for each.
struct PredicateRead {};     // q
struct PredicateWritten {};  // P
template <class T>
constexpr char letter = sizeof(T) == 8   ? 'd'
                        : sizeof(T) == 4 ? 'w'
                                         : 'h';
template <>
constexpr char letter<PredicateRead> = 'q';
template <>
constexpr char letter<PredicateWritten> = 'P';
template <class... T>
struct Letters {
  static constexpr char all[] = {letter<T>...};
  static constexpr std::array<char, 2 * sizeof...(T)> text = [] {
    std::array<char, 2 * sizeof...(T)> a{};
    for (size_t k = 0; k < sizeof...(T); k++) a[2 * k] = all[k], a[2 * k + 1] = ' ';
    return a;
  }();
};
template <class... T>
constexpr std::string_view operands(Letters<T...>::text.data(), 2 * sizeof...(T));

template <class D, class A, class F>
Made unary(F) {
  Handler run = [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<A>(w, i.o[1]);
    lanes(mask, reg<D>(w, i.o[0]), [&](u32 l) { return put<D>(F{}(get<A>(a[l]))); });
  };
  return {run, operands<D, A>};
}
template <class D, class A, class B, class F>
Made binary(F) {
  Handler run = [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<A>(w, i.o[1]);
    auto b = reg<B>(w, i.o[2]);
    lanes(mask, reg<D>(w, i.o[0]), [&](u32 l) { return put<D>(F{}(get<A>(a[l]), get<B>(b[l]))); });
  };
  return {run, operands<D, A, B>};
}
template <class D, class A, class B, class C, class F>
Made ternary(F) {
  Handler run = [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<A>(w, i.o[1]);
    auto b = reg<B>(w, i.o[2]);
    auto c = reg<C>(w, i.o[3]);
    lanes(mask, reg<D>(w, i.o[0]), [&](u32 l) { return put<D>(F{}(get<A>(a[l]), get<B>(b[l]), get<C>(c[l]))); });
  };
  return {run, operands<D, A, B, C>};
}

}  // namespace emu
