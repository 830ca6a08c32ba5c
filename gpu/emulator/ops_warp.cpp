// Instructions for a whole warp, and those about threads, spaces and time.
#include <cmath>
#include <cstring>

#include "access.h"
#include "lanes.h"

namespace emu {
namespace {
// shfl.sync d|p, a, b, c, members
enum Mode { Up, Down, Butterfly, Index };
template <Mode M>
void shuffle(Warp &w, const Ins &i, u32 mask) {
  u32 a[WarpSize], r[WarpSize], valid = 0;
  memcpy(a, reg<u32>(w, i.o[2]), sizeof a);
  auto b = reg<u32>(w, i.o[3]), c = reg<u32>(w, i.o[4]);
  for (u32 l = 0; l < WarpSize; l++) {
    if (!(mask >> l & 1)) continue;
    i32 by = b[l] & 31, segment = c[l] >> 8 & 31, lane = l, low = lane & segment;
    i32 end = low | ((i32)(c[l] & 31) & ~segment), j;
    bool in;
    switch (M) {
    case Up:
      j = lane - by, in = j >= end;
      break;
    case Down:
      j = lane + by, in = j <= end;
      break;
    case Butterfly:
      j = lane ^ by, in = j <= end;
      break;
    case Index:
      j = low | (by & ~segment), in = j <= end;
      break;
    }
    if (!in) j = lane;
    valid |= (u32)in << l;
    if (!(mask >> j & 1))
      w.block->fault(w, i, l, LaunchFailed, "shuffle from lane " + std::to_string(j) + ", which does not take part");
    r[l] = a[j];
  }
  u32 *d = reg<u32>(w, i.o[0]);
  for (u32 l = 0; l < WarpSize; l++)
    if (mask >> l & 1) d[l] = r[l];
  if (i.o[1] != None) w.predicate(i.o[1]) = (w.predicate(i.o[1]) & ~mask) | valid;
}

enum Vote { All_, Any, Uni };
template <Vote V>
void vote(Warp &w, const Ins &i, u32 mask) {
  u32 p = w.source(i.o[1]) & mask, &d = w.predicate(i.o[0]);
  bool yes = V == All_ ? p == mask : V == Any ? p != 0 : p == mask || p == 0;
  d = (d & ~mask) | (yes ? mask : 0);
}
void ballot(Warp &w, const Ins &i, u32 mask) {
  u32 p = w.source(i.o[1]) & mask;
  lanes(mask, reg<u32>(w, i.o[0]), [&](u32) { return p; });
}

template <class T, class F>
Handler reduce(F) {
  return [](Warp &w, const Ins &i, u32 mask) {
    auto a = reg<T>(w, i.o[1]);
    u32 first = std::countr_zero(mask);
    T r = get<T>(a[first]);
    for (u32 l = first + 1; l < WarpSize; l++)
      if (mask >> l & 1) r = F{}(r, get<T>(a[l]));
    lanes(mask, reg<T>(w, i.o[0]), [&](u32) { return put<T>(r); });
  };
}

void syncWarp(Warp &w, const Ins &, u32) { w.epoch++; }
void nothing(Warp &, const Ins &, u32) {}
void trap(Warp &w, const Ins &i, u32 mask) { w.block->fault(w, i, std::countr_zero(mask), LaunchFailed, "trap"); }

void whole(Warp &w, const Ins &i, u32 mask) {
  if (mask != All) w.block->fault(w, i, std::countr_zero(mask), LaunchFailed, "needs a whole warp");
}

// Tensor cores, as a model: the sum of all products and the addend is exact (nearly: it is of float64) and then cut off
// towards zero.
typedef double Doubles __attribute__((vector_size(64)));
typedef i64 Longs __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(32)));
typedef i32 Ints __attribute__((vector_size(32)));

Floats truncated(Doubles s) {
  Floats z = __builtin_convertvector(s, Floats);
  Doubles back = __builtin_convertvector(z, Doubles);
  const Longs magnitude = Longs{} + INT64_MAX;
  // 1 where z is farther from zero. Floats of one sign are ordered as their bits, NaNs are farther than none.
  Longs far = (Doubles)((Longs)back & magnitude) > (Doubles)((Longs)s & magnitude);
  return (Floats)((Ints)z + __builtin_convertvector(far, Ints));
}

// d = a b + addend. Rows of results and addends are halves of registers, which alternate.
template <int K>
void multiply(Warp &w, const Ins &i, const double (*a)[K], const Doubles *b, const u32 *addend) {
  float c[4][WarpSize];
  for (int r = 0; r < 4; r++) memcpy(c[r], reg<u32>(w, addend[r]), sizeof c[r]);
  for (int row = 0; row < 16; row++) {
    float *even = &c[row / 8 * 2][row % 8 * 4], *odd = even + WarpSize;
    Doubles s = {even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]};
    for (int k = 0; k < K; k++) s += a[row][k] * b[k];
    Floats z = truncated(s);
    for (int n = 0; n < 4; n++) even[n] = z[2 * n], odd[n] = z[2 * n + 1];
  }
  for (int r = 0; r < 4; r++) memcpy(reg<u32>(w, i.o[r]), c[r], sizeof c[r]);
}

double tf32(u32 v) { return std::bit_cast<float>(v & 0xffffe000); }
template <int K>
void mmaTF32(Warp &w, const Ins &i, u32 mask) {
  whole(w, i, mask);
  constexpr int A = K / 2, B = K / 4;  // registers
  double a[16][K];
  Doubles b[K];
  for (int r = 0; r < A; r++) {
    const u32 *x = reg<u32>(w, i.o[4 + r]);
    for (u32 l = 0; l < WarpSize; l++) a[l / 4 + r % 2 * 8][l % 4 + r / 2 * 4] = tf32(x[l]);
  }
  for (int r = 0; r < B; r++) {
    const u32 *x = reg<u32>(w, i.o[4 + A + r]);
    for (u32 l = 0; l < WarpSize; l++) b[l % 4 + r * 4][l / 4] = tf32(x[l]);
  }
  multiply<K>(w, i, a, b, i.o + 4 + A + B);
}
template <int K>
void mmaBF16(Warp &w, const Ins &i, u32 mask) {
  whole(w, i, mask);
  constexpr int A = K / 4, B = K / 8;
  double a[16][K];
  Doubles b[K];
  auto half = [](u32 v, int k) { return (double)std::bit_cast<float>(k ? v & 0xffff0000 : v << 16); };
  for (int k = 0; k < 2; k++) {
    for (int r = 0; r < A; r++) {
      const u32 *x = reg<u32>(w, i.o[4 + r]);
      for (u32 l = 0; l < WarpSize; l++) a[l / 4 + r % 2 * 8][l % 4 * 2 + k + r / 2 * 8] = half(x[l], k);
    }
    for (int r = 0; r < B; r++) {
      const u32 *x = reg<u32>(w, i.o[4 + A + r]);
      for (u32 l = 0; l < WarpSize; l++) b[l % 4 * 2 + k + r * 8][l / 4] = half(x[l], k);
    }
  }
  multiply<K>(w, i, a, b, i.o + 4 + A + B);
}

// ldmatrix: lane 8m + r gives the address of row r of matrix m.
template <int X, bool Transposed>
void loadMatrix(Warp &w, const Ins &i, u32 mask) {
  whole(w, i, mask);
  u64 address[WarpSize];
  addresses(w, i, X, 0, address);
  u16 rows[X * 8][8];
  for (u32 l = 0; l < X * 8; l++) memcpy(rows[l], resolve(w, i, l, i.space, address[l], 16, Access::Read, nullptr), 16);
  for (int m = 0; m < X; m++)
    for (u32 l = 0; l < WarpSize; l++) {
      u32 r = l / 4, c = l % 4 * 2;
      u32 lo = Transposed ? rows[m * 8 + c][r] : rows[m * 8 + r][c];
      u32 hi = Transposed ? rows[m * 8 + c + 1][r] : rows[m * 8 + r][c + 1];
      reg<u32>(w, i.o[m])[l] = hi << 16 | lo;
    }
}

template <int Sign, u64 Window>
Made convertAddress() {
  return unary<u64, u64>([](u64 a) { return a + Sign * Window; });
}
template <u64 Window>
void isSpace(Warp &w, const Ins &i, u32 mask) {
  auto a = reg<u64>(w, i.o[1]);
  u32 r = bits([&](u32 l) { return (a[l] & WindowMask) == Window; }), &p = w.predicate(i.o[0]);
  p = (p & ~mask) | (r & mask);
}

template <int X, bool Transposed>
void addLoad(Table &t, const char *name, const char *operands) {
  for (const char *space : {"", ".shared", ".shared::cta"})
    define(t, {"ldmatrix.sync.aligned.m8n8.", name, space, ".b16"}, {loadMatrix<X, Transposed>, operands}, Flow::Warp,
           -1, *space ? Space::Shared : Space::Generic);
}
void addMatrices(Table &t) {
  auto mma = [&](const char *name, Handler run, const char *operands) {
    define(t, {"mma.sync.aligned.", name}, {run, operands}, Flow::Warp);
  };
  mma("m16n8k4.row.col.f32.tf32.tf32.f32", mmaTF32<4>, "4w 2w 1w 4w");
  mma("m16n8k8.row.col.f32.tf32.tf32.f32", mmaTF32<8>, "4w 4w 2w 4w");
  mma("m16n8k8.row.col.f32.bf16.bf16.f32", mmaBF16<8>, "4w 2w 1w 4w");
  mma("m16n8k16.row.col.f32.bf16.bf16.f32", mmaBF16<16>, "4w 4w 2w 4w");
  addLoad<1, false>(t, "x1", "1w m");
  addLoad<2, false>(t, "x2", "2w m");
  addLoad<4, false>(t, "x4", "4w m");
  addLoad<1, true>(t, "x1.trans", "1w m");
  addLoad<2, true>(t, "x2.trans", "2w m");
  addLoad<4, true>(t, "x4.trans", "4w m");
}

void addSynchronisation(Table &t) {
  for (const char *name : {"bar.sync", "bar.cta.sync", "barrier.sync", "barrier.cta.sync", "barrier.sync.aligned",
                           "barrier.cta.sync.aligned"})
    define(t, {name}, {nullptr, ": w w?"}, Flow::Barrier);
  for (const char *name : {"bar.arrive", "bar.cta.arrive", "barrier.arrive", "barrier.cta.arrive",
                           "barrier.arrive.aligned", "barrier.cta.arrive.aligned"})
    define(t, {name}, {nothing, ": w w"}, Flow::Barrier);  // a handler tells it from bar.sync
  define(t, {"bar.warp.sync"}, {syncWarp, ": w"}, Flow::Warp, 0);
  for (const char *scope : {"cta", "gl", "sys"}) define(t, {"membar.", scope}, {nothing, ""});
  for (const char *scope : {"cta", "gpu", "sys"})
    for (const char *order : {"", ".sc", ".acq_rel"}) define(t, {"fence", order, ".", scope}, {nothing, ""});
}
}  // namespace

void addWarps(Table &t) {
  define(t, {"shfl.sync.up.b32"}, {shuffle<Up>, "W w w w w"}, Flow::Warp, 5);
  define(t, {"shfl.sync.down.b32"}, {shuffle<Down>, "W w w w w"}, Flow::Warp, 5);
  define(t, {"shfl.sync.bfly.b32"}, {shuffle<Butterfly>, "W w w w w"}, Flow::Warp, 5);
  define(t, {"shfl.sync.idx.b32"}, {shuffle<Index>, "W w w w w"}, Flow::Warp, 5);
  define(t, {"vote.sync.all.pred"}, {vote<All_>, "p q w"}, Flow::Warp, 2);
  define(t, {"vote.sync.any.pred"}, {vote<Any>, "p q w"}, Flow::Warp, 2);
  define(t, {"vote.sync.uni.pred"}, {vote<Uni>, "p q w"}, Flow::Warp, 2);
  define(t, {"vote.sync.ballot.b32"}, {ballot, "w q w"}, Flow::Warp, 2);
  auto redux = [&](const char *name, Handler run) { define(t, {"redux.sync.", name}, {run, "w w w"}, Flow::Warp, 2); };
  redux("add.u32", reduce<u32>([](u32 a, u32 b) { return a + b; }));
  redux("add.s32", reduce<u32>([](u32 a, u32 b) { return a + b; }));
  redux("min.u32", reduce<u32>([](u32 a, u32 b) { return a < b ? a : b; }));
  redux("max.u32", reduce<u32>([](u32 a, u32 b) { return a > b ? a : b; }));
  redux("min.s32", reduce<i32>([](i32 a, i32 b) { return a < b ? a : b; }));
  redux("max.s32", reduce<i32>([](i32 a, i32 b) { return a > b ? a : b; }));
  redux("and.b32", reduce<u32>([](u32 a, u32 b) { return a & b; }));
  redux("or.b32", reduce<u32>([](u32 a, u32 b) { return a | b; }));
  redux("xor.b32", reduce<u32>([](u32 a, u32 b) { return a ^ b; }));
  Handler active = [](Warp &w, const Ins &i, u32 mask) { lanes(mask, reg<u32>(w, i.o[0]), [&](u32) { return mask; }); };
  define(t, {"activemask.b32"}, {active, "w"});
  define(t, {"trap"}, {trap, ""});
  define(t, {"exit"}, {nullptr, ""}, Flow::Exit);
  addMatrices(t);
  addSynchronisation(t);

  // Device and constant memory have generic addresses as they are.
  for (const char *space : {"global", "const"}) {
    define(t, {"cvta.", space, ".u64"}, convertAddress<0, 0>());
    define(t, {"cvta.to.", space, ".u64"}, convertAddress<0, 0>());
  }
  define(t, {"cvta.shared.u64"}, convertAddress<1, SharedWindow>());
  define(t, {"cvta.to.shared.u64"}, convertAddress<-1, SharedWindow>());
  define(t, {"cvta.local.u64"}, convertAddress<1, LocalWindow>());
  define(t, {"cvta.to.local.u64"}, convertAddress<-1, LocalWindow>());
  define(t, {"isspacep.shared"}, {isSpace<SharedWindow>, "p d"});
  define(t, {"isspacep.local"}, {isSpace<LocalWindow>, "p d"});
  define(t, {"isspacep.global"}, {isSpace<0>, "p d"});
}
}  // namespace emu
