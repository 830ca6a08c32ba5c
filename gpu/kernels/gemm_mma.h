// Matrix products on tensor cores.
#pragma once
#include "gemm.h"
#include "mma.h"

// Tensor cores cut off what they add. TF32x3 therefore begins a sum for every BK terms and adds those up in float32,
// which rounds. Elements have the same bits in tiles of any size.
const int BK = 16, STAGES = 4;

// Factor is a tile of a factor in shared memory, BK terms of R rows (or columns) of the result: neighbours are terms,
// or rows if TRANS is set. Which term a slot of an mma stands for is free, as long as both factors agree: thread t of
// four has terms 4t to 4t+3, so that it reads four numbers at once. The distance, and the place of the last terms, keep
// the eight threads that are served together in different banks.
template <int R, bool TRANS, int THREADS>
struct Factor {
  static const int LD = TRANS ? R + 4 : BK, SIZE = TRANS ? BK * LD : R * LD, COPIES = R * BK / 4 / THREADS;
  // The thread copies four numbers from (row, term) on, and others STEP rows or, if TRANS is set, terms behind.
  static const int STEP = TRANS ? THREADS / (R / 4) : THREADS / 4;
  const float *next;       // what the thread copies first of the next tile
  int ld, row, term, left; // left: rows of the matrix from row on
  bool aligned, whole;     // whole: the matrix has all rows of the tile, and four neighbours can be copied at once

  METHOD Factor(long ld, int row0, long rows, bool aligned) : ld((int)ld), aligned(aligned) {
    row = TRANS ? tid() % (R / 4) * 4 : tid() / 4;
    term = TRANS ? tid() / (R / 4) : tid() % 4 * 4;
    long r = rows - row0 - row;
    left = r < R ? (int)r : R;
    whole = aligned && row0 + R <= rows;
  }

  // begin sets the first term of the next tile, of a matrix.
  METHOD void begin(const float *of, int row0, long k) {
    next = of + (TRANS ? (k + term) * ld + row0 + row : (long)(row0 + row) * ld + k + term);
  }

  // at is the place of a number.
  DEVICE int at(int row, int term) { return TRANS ? term * LD + (row ^ (term & 8)) : row * LD + term; }

  // load copies the next tile, of which the first k terms exist.
  METHOD void load(float *to, long k) {
    int ld = this->ld;
    asm volatile("" : "+r"(ld)); // its multiples would take registers all along
    if (whole && k >= BK) {
#pragma unroll
      for (int i = 0; i < COPIES; i++) {
        copy4(to + (TRANS ? at(row, term + i * STEP) : at(row + i * STEP, term)), next + (long)(i * STEP) * ld);
      }
    } else {
#pragma unroll 1 // seldom: at the ends of a matrix
      for (int i = 0; i < COPIES; i++) {
        int r = TRANS ? row : row + i * STEP, t = TRANS ? term + i * STEP : term;
        long n = TRANS ? (t < k ? left : 0) : (i * STEP < left ? k - t : 0);
        n = n < 0 ? 0 : n < 4 ? n : 4;
        copy4(to + at(r, t), next + (long)(i * STEP) * ld, (int)n, aligned); // reads nothing where n is 0
      }
    }
    next += TRANS ? (long)BK * ld : BK;
  }
};

// row_of returns the row, of 32, that slot s of eight rows has for lanes with the same g.
template <bool TRANS>
DEVICE int row_of(int s, int g) {
  return TRANS ? 4 * g + s : 8 * s + g;
}

// take reads what a thread needs of 32 rows from row on: x[s] are its four terms of slot s.
template <class F, bool TRANS>
DEVICE void take(float (*x)[4], const float *tile, int row) {
  int g = lane() >> 2, t = lane() & 3;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    f4 v = *(const f4 *)(tile + (TRANS ? F::at(row + 4 * g, 4 * t + i) : F::at(row + 8 * i + g, 4 * t)));
#pragma unroll
    for (int j = 0; j < 4; j++) (TRANS ? x[j][i] : x[i][j]) = v.v[j];
  }
}

// fragment makes a fragment for one mma out of terms of some slots: in TF32 two terms of each, of the first or the
// second half; in bfloat16 all four.
template <int SLOTS, Mode MODE>
DEVICE Fragment<2 * SLOTS, MODE> fragment(const float (*x)[4], int half) {
  Fragment<2 * SLOTS, MODE> f;
#pragma unroll
  for (int s = 0; s < SLOTS; s++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if constexpr (MODE == BF16) {
        f.high[s + i * SLOTS] = bf16(x[s][2 * i], x[s][2 * i + 1]);
      } else {
        set(f, s + i * SLOTS, x[s][2 * half + i]);
      }
    }
  return f;
}

// gemm_mma computes tiles of BM x BN elements with warps of WM x WN each.
template <int BM, int BN, int WM, int WN, bool TA, bool TB, Mode MODE>
DEVICE void gemm_mma(float *memory, Product p, const long *batch, float *partial, int splits, int aligned) {
  const int WARPS_M = BM / WM, THREADS = BM / WM * (BN / WN) * 32, TM = WM / 16, TN = WN / 8;
  typedef Factor<BM, TA, THREADS> FA;
  typedef Factor<BN, !TB, THREADS> FB;
  const int STAGE = FA::SIZE + FB::SIZE;
  Part q = part<BM, BN, BK>(p, batch, splits);
  int warp = tid() >> 5, lane = tid() & 31, g = lane >> 2, t = lane & 3;
  int wm = warp % WARPS_M * WM, wn = warp / WARPS_M * WN;
  FA fa(p.lda, q.m0, p.m, aligned & 1);
  FB fb(p.ldb, q.n0, p.n, aligned & 2);
  fa.begin(p.a, q.m0, (long)q.from * BK);
  fb.begin(p.b, q.n0, (long)q.from * BK);
  auto fetch = [&] (unsigned tile) {
    if (tile < q.to) {
      Terms from = terms<BK>(p, q, tile);
      if (q.dims) { // the next tile may be of another matrix
        fa.begin(from.a, q.m0, from.k);
        fb.begin(from.b, q.n0, from.k);
      }
      float *to = memory + tile % STAGES * STAGE;
      fa.load(to, p.k - from.k);
      fb.load(to + FA::SIZE, p.k - from.k);
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
    const float *as = memory + tile % STAGES * STAGE, *bs = as + FA::SIZE;
    float fresh[TM][TN][4] = {};
    float(*d)[TN][4] = MODE == TF32x3 ? fresh : sum;
    const int HALVES = MODE == BF16 ? 1 : 2, PARTS = MODE == TF32x3 ? 3 : 1;
    Fragment<2, MODE> b[HALVES][TN];
#pragma unroll
    for (int i = 0; i < TN; i += 4) {
      float x[4][4];
      take<FB, !TB>(x, bs, wn + 8 * i);
#pragma unroll
      for (int h = 0; h < HALVES; h++)
#pragma unroll
        for (int j = 0; j < 4; j++) b[h][i + j] = fragment<1, MODE>(x + j, h);
    }
#pragma unroll
    for (int i = 0; i < TM; i += 2) {
      float x[4][4];
      take<FA, TA>(x, as, wm + 16 * i);
#pragma unroll
      for (int h = 0; h < HALVES; h++) {
        Fragment<4, MODE> a[2] = {fragment<2, MODE>(x, h), fragment<2, MODE>(x + 2, h)};
        // Of TF32x3 the small products come first, and those that wait for each other are apart.
#pragma unroll
        for (int part = 0; part < PARTS; part++)
#pragma unroll
          for (int k = 0; k < 2; k++)
#pragma unroll
            for (int j = 0; j < TN; j++) {
              const unsigned *left = PARTS == 3 && part == 0 ? a[k].low : a[k].high;
              const unsigned *right = PARTS == 3 && part == 1 ? b[h][j].low : b[h][j].high;
              if constexpr (MODE == BF16) {
                mma_bf16(d[i + k][j], left, right);
              } else {
                mma(d[i + k][j], left, right);
              }
            }
      }
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
  wait<0>();
  sync();
  const int LD = BN + 8;
#pragma unroll
  for (int i = 0; i < TM; i++)
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int row = wm + i / 2 * 32 + row_of<TA>(i % 2 * 2 + e / 2, g);
        int col = wn + j / 4 * 32 + row_of<!TB>(j % 4, 2 * t + e % 2);
        memory[row * LD + col] = sum[i][j][e];
      }
  sync();
  store<BM, BN, LD, THREADS>(p, q, memory, partial, aligned & 4);
}

#define GEMM(name, BM, BN, WM, WN, TA, TB, MODE, BLOCKS)                                                        \
  KERNEL_OF(BM / WM * (BN / WN) * 32, BLOCKS) name(PRODUCT, int aligned) {                                      \
    alignas(16) extern SHARED float memory[];                                                                        \
    gemm_mma<BM, BN, WM, WN, TA, TB, MODE>(memory, PRODUCT_VALUE, batch, partial, splits, aligned);              \
  }
// Warps of large tiles have 64 x WN elements.
#define GEMMS(name, MODE, WN)                                     \
  GEMM(name##_nn_128, 128, 128, 64, WN, false, false, MODE, WN / 32) \
  GEMM(name##_nt_128, 128, 128, 64, WN, false, true, MODE, WN / 32)  \
  GEMM(name##_tn_128, 128, 128, 64, WN, true, false, MODE, WN / 32)  \
  GEMM(name##_tt_128, 128, 128, 64, WN, true, true, MODE, WN / 32)   \
  GEMM(name##_nn_64, 64, 64, 32, 32, false, false, MODE, 1)   \
  GEMM(name##_nt_64, 64, 64, 32, 32, false, true, MODE, 1)    \
  GEMM(name##_tn_64, 64, 64, 32, 32, true, false, MODE, 1)    \
  GEMM(name##_tt_64, 64, 64, 32, 32, true, true, MODE, 1)
