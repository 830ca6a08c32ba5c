// Matrix products on tensor cores.
#pragma once
#include "gemm.h"
#include "mma.h"

// Tensor cores cut off what they add. TF32x3 therefore begins a sum for every BK terms and adds those up in float32,
// which rounds. Elements have the same bits in tiles of any size.
const int BK = 16, STAGES = 4;

// Layout is how a tile of a factor, BK terms of R rows (or columns) of the result, lies in shared memory: neighbours
// are terms, or rows if TRANS is set. The distances keep the fragments of a warp in different banks.
template <int R, bool TRANS>
struct Layout {
  static const int LD = TRANS ? R + 8 : BK + 4, SIZE = TRANS ? BK * LD : R * LD;
  DEVICE int at(int row, int term) { return TRANS ? term * LD + row : row * LD + term; }
};

// load copies a tile of a factor, whose rows in memory are ld apart.
template <int R, bool TRANS, int THREADS>
DEVICE void load(float *to, const float *from, long ld, long row0, long rows, long k0, long k, bool aligned) {
#pragma unroll
  for (int i = 0; i < R * BK / 4 / THREADS; i++) {
    int e = tid() + i * THREADS;
    int term = TRANS ? e / (R / 4) : e % (BK / 4) * 4, row = TRANS ? e % (R / 4) * 4 : e / (BK / 4);
    long r = row0 + row, t = k0 + term, left = TRANS ? rows - r : k - t;
    bool inside = TRANS ? t < k : r < rows;
    int n = !inside || left < 0 ? 0 : left < 4 ? (int)left : 4;
    const float *at = n > 0 ? from + (TRANS ? t * ld + r : r * ld + t) : from; // never behind the end
    copy4(to + Layout<R, TRANS>::at(row, term), at, n, aligned);
  }
}

// gemm_mma computes tiles of BM x BN elements with warps of WM x WN each.
template <int BM, int BN, int WM, int WN, bool TA, bool TB, Mode MODE>
DEVICE void gemm_mma(float *memory, Product p, const long *batch, float *partial, int splits, int aligned) {
  const int WARPS_M = BM / WM, THREADS = BM / WM * (BN / WN) * 32, TM = WM / 16, TN = WN / 8;
  typedef Layout<BM, TA> LA;
  typedef Layout<BN, !TB> LB;
  const int STAGE = LA::SIZE + LB::SIZE;
  Part q = part<BM, BN, BK>(p, batch, splits);
  int warp = tid() >> 5, lane = tid() & 31, g = lane >> 2, t = lane & 3;
  int wm = warp % WARPS_M * WM, wn = warp / WARPS_M * WN;
  auto fetch = [&] (unsigned tile) {
    if (tile < q.to) {
      Terms from = terms<BK>(p, q, tile);
      float *to = memory + (tile - q.from) % STAGES * STAGE;
      load<BM, TA, THREADS>(to, from.a, p.lda, q.m0, p.m, from.k, p.k, aligned & 1);
      load<BN, !TB, THREADS>(to + LA::SIZE, from.b, p.ldb, q.n0, p.n, from.k, p.k, aligned & 2);
    }
    commit();
  };
  float sum[TM][TN][4] = {};
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) fetch(q.from + i);
  for (unsigned tile = q.from; tile < q.to; tile++) {
    wait<STAGES - 2>();
    sync();
    fetch(tile + STAGES - 1); // where the tile before this one was, which all have read
    const float *as = memory + (tile - q.from) % STAGES * STAGE, *bs = as + LA::SIZE;
    float fresh[TM][TN][4] = {};
    float(*d)[TN][4] = MODE == TF32x3 ? fresh : sum;
    const int STEP = MODE == BF16 ? 16 : 8;
#pragma unroll
    for (int l = 0; l < BK; l += STEP) {
      Fragment<4, MODE> a[TM];
      Fragment<2, MODE> b[TN];
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
          int row = wm + i * 16 + g + j % 2 * 8;
          if constexpr (MODE == BF16) {
            int term = l + 2 * t + j / 2 * 8;
            a[i].high[j] = bf16(as[LA::at(row, term)], as[LA::at(row, term + 1)]);
          } else {
            set(a[i], j, as[LA::at(row, l + t + j / 2 * 4)]);
          }
        }
#pragma unroll
      for (int i = 0; i < TN; i++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
          int row = wn + i * 8 + g;
          if constexpr (MODE == BF16) {
            int term = l + 2 * t + j * 8;
            b[i].high[j] = bf16(bs[LB::at(row, term)], bs[LB::at(row, term + 1)]);
          } else {
            set(b[i], j, bs[LB::at(row, l + t + j * 4)]);
          }
        }
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) mma(d[i][j], a[i], b[j]);
    }
    if constexpr (MODE == TF32x3) {
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++)
#pragma unroll
          for (int e = 0; e < 4; e++) sum[i][j][e] += fresh[i][j][e];
    }
  }
  sync();
  const int LD = BN + 8;
  static_assert(BM * LD <= STAGES * STAGE, "the result does not fit where the factors were");
#pragma unroll
  for (int i = 0; i < TM; i++)
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        memory[(wm + i * 16 + g + e / 2 * 8) * LD + wn + j * 8 + 2 * t + e % 2] = sum[i][j][e];
      }
  sync();
  store<BM, BN, LD, THREADS>(p, q, memory, partial);
}

#define GEMM(name, BM, BN, WM, WN, TA, TB, MODE)                                                                 \
  KERNEL_OF(BM / WM * (BN / WN) * 32, 1) name(PRODUCT, int aligned) {                                            \
    alignas(16) extern SHARED float memory[];                                                                        \
    gemm_mma<BM, BN, WM, WN, TA, TB, MODE>(memory, PRODUCT_VALUE, batch, partial, splits, aligned);              \
  }
#define GEMMS(name, MODE)                                   \
  GEMM(name##_nn_128, 128, 128, 64, 32, false, false, MODE) \
  GEMM(name##_nt_128, 128, 128, 64, 32, false, true, MODE)  \
  GEMM(name##_tn_128, 128, 128, 64, 32, true, false, MODE)  \
  GEMM(name##_tt_128, 128, 128, 64, 32, true, true, MODE)   \
  GEMM(name##_nn_64, 64, 64, 32, 32, false, false, MODE)    \
  GEMM(name##_nt_64, 64, 64, 32, 32, false, true, MODE)     \
  GEMM(name##_tn_64, 64, 64, 32, 32, true, false, MODE)     \
  GEMM(name##_tt_64, 64, 64, 32, 32, true, true, MODE)
