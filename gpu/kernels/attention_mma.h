// Attention on tensor cores, for heads of W columns. A block has 64 rows, of queries or of keys, and each of its warps
// has 16 of them; the other side comes in tiles of N = tile_of(W) rows, few enough to keep all in registers.
#pragma once
#include "attention.h"
#include "mma.h"

const int ROWS = 64, THREADS = 128;

constexpr int tile_of(int W) { return W > 64 ? 16 : 32; }

// Rows in shared memory are W+12 apart, so that fragments of a warp lie in different banks. The numbers behind each row
// have what is known of it.
constexpr int distance(int W) { return W + 12; }

// load copies R rows, of which some may not exist.
template <int W, int R>
DEVICE void load(float *to, const float *x, long ld, int rows, bool aligned) {
#pragma unroll 1 // addresses would take registers
  for (int i = 0; i < R * W / 4 / THREADS; i++) {
    int e = tid() + i * THREADS, row = e / (W / 4), col = e % (W / 4) * 4;
    copy4(to + row * distance(W) + col, row < rows ? x + row * ld + col : x, row < rows ? 4 : 0, aligned);
  }
}

#define INLINE __attribute__((always_inline))

// Of narrow heads there are two pairs of tiles in shared memory: while one is used, the next is copied.
constexpr int pairs_of(int W) { return W > 64 ? 1 : 2; }

// walk calls fetch(pair, i) and then use(pair, i) for the tiles that begin at from, from + N ... before to. A pair are
// two tiles of N rows.
template <int W, class Fetch, class Use>
DEVICE void walk(float *pairs, int from, int to, Fetch fetch, Use use) {
  const int N = tile_of(W), PAIRS = pairs_of(W), PAIR = 2 * N * distance(W);
  if (from < to) fetch(pairs, from);
  commit();
  for (int i = from, k = 0; i < to; i += N, k = PAIRS - 1 - k) {
    if (PAIRS == 2) {
      if (i + N < to) fetch(pairs + (1 - k) * PAIR, i + N);
      commit();
    }
    wait<PAIRS - 1>();
    sync();
    use(pairs + k * PAIR, i);
    sync();
    if (PAIRS == 1) {
      if (i + N < to) fetch(pairs, i + N);
      commit();
    }
  }
}

// products sets s to the inner products of the warp's 16 rows of x with N rows of y. With g = lane/4 and t = lane%4,
// s[j] has those of the rows g, g, g+8, g+8 and 8j+2t, 8j+2t+1, 8j+2t, 8j+2t+1. Sums of 16 terms are added up in
// float32 if MODE is TF32x3, as tensor cores cut off what they add.
template <int W, Mode MODE>
DEVICE void products(float (*s)[4], const float *x, const float *y) {
  const int N = tile_of(W), LD = distance(W);
  int g = lane() >> 2, t = lane() & 3;
#pragma unroll
  for (int j = 0; j < N / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) s[j][e] = 0;
#pragma unroll 1
  for (int c = 0; c < W; c += 16) {
    float fresh[N / 8][4] = {};
    float(*d)[4] = MODE == TF32x3 ? fresh : s;
#pragma unroll
    for (int l = c; l < c + 16; l += 8) {
      Fragment<4, MODE> a;
#pragma unroll
      for (int j = 0; j < 4; j++) set(a, j, x[(g + j % 2 * 8) * LD + l + t + j / 2 * 4]);
#pragma unroll
      for (int j = 0; j < N / 8; j++) {
        Fragment<2, MODE> b;
        set(b, 0, y[(j * 8 + g) * LD + l + t]);
        set(b, 1, y[(j * 8 + g) * LD + l + t + 4]);
        mma(d[j], a, b);
      }
    }
    if constexpr (MODE == TF32x3)
#pragma unroll
      for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) s[j][e] += fresh[j][e];
  }
}

// add adds to sum [16, W] the products of the warp's weights [16, N] with N rows of y. The weights are where products
// leaves scores, which serve as fragments as they are: column t stands for row 2t of y, and column t+4 for row 2t+1.
template <int W, Mode MODE>
DEVICE void add(float (*sum)[4], const float (*p)[4], const float *y) {
  const int N = tile_of(W), LD = distance(W);
  int g = lane() >> 2, t = lane() & 3;
#pragma unroll
  for (int n = 0; n < N / 8; n += 2) {
    Fragment<4, MODE> a[2];
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) set(a[i], j, p[n + i][j / 2 + j % 2 * 2]);
#pragma unroll
    for (int j = 0; j < W / 8; j++) {
      float fresh[4] = {};
      float *d = MODE == TF32x3 ? fresh : sum[j];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        Fragment<2, MODE> b;
        const float *row = y + ((n + i) * 8 + 2 * t) * LD + j * 8 + g;
        set(b, 0, row[0]);
        set(b, 1, row[LD]);
        mma(d, a[i], b);
      }
      if constexpr (MODE == TF32x3)
#pragma unroll
        for (int e = 0; e < 4; e++) sum[j][e] += fresh[e];
    }
  }
}

// output sets (adds) the warp's rows of a matrix, of n that exist in the block, to a result times a factor for each of
// the thread's two rows.
template <int W>
DEVICE void output(float *to, long ld, int n, const float (*sum)[4], const float factor[2], bool accumulate) {
  int g = lane() >> 2, t = lane() & 3;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    int row = warp() * 16 + g + 8 * i;
    if (row >= n) continue;
#pragma unroll
    for (int j = 0; j < W / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float *at = to + row * ld + j * 8 + 2 * t + e, x = factor[i] * sum[j][2 * i + e];
        *at = accumulate ? *at + x : x;
      }
  }
}

// keep_biases keeps the biases of the keys of a tile behind their rows.
template <int W>
DEVICE void keep_biases(float *keys, const Seen &s, int segment, int key, int n) {
  if (tid() < tile_of(W)) {
    int k = key + tid();
    keys[tid() * distance(W) + W] =
        s.bias && k < n ? s.bias[(long)segment * s.segments + segment_of(s.offsets, s.segments, k)] : 0.f;
  }
}

// each calls a function for all numbers that the thread has of what products leaves: with their place there, and the
// row of y.
template <int N, class F>
DEVICE void each(F f) {
  int t = lane() & 3;
#pragma unroll
  for (int j = 0; j < N / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) f(j, e, 8 * j + 2 * t + e % 2);
}

// scores makes products scores of the queries of a tile, for the keys from key on: -Inf for those that are hidden.
template <int W>
DEVICE void scores(float (*s)[4], const float *keys, const Seen &seen, const Queries &tile, int key) {
  const int N = tile_of(W);
  int row = warp() * 16, position = tile.position + row + (lane() >> 2);
  if (seen.bias) {
    each<N>([&](int j, int e, int column) {
      float bias = keys[column * distance(W) + W];
      s[j][e] = bias == -INFINITY ? bias : fma(seen.scale, s[j][e], bias);
    });
  } else {
    each<N>([&](int j, int e, int) { s[j][e] *= seen.scale; });
  }
  if (key + N > tile.keys || hides(seen, tile.position + row, tile.position + row + 15, key, key + N - 1)) {
    each<N>([&](int j, int e, int column) {
      int at = key + column;
      if (at >= tile.keys || hidden(seen, position + e / 2 * 8, at)) s[j][e] = -INFINITY;
    });
  }
}

// Bits of what can be read 16 bytes at once.
const int alignedQ = 1, alignedK = 2, alignedV = 4, alignedOut = 8;

template <int W, Mode MODE>
DEVICE void attention_mma(float *memory, float *out, long ldout, float *lse, const float *q, long ldq, const float *k,
                          long ldk, const float *v, long ldv, long group, long rows, long keys, const Seen &seen,
                          const Dropped &dropped, const Queries &tile, int aligned) {
  const int N = tile_of(W), LD = distance(W);
  float *qs = memory, *pairs = qs + ROWS * LD;
  int g = lane() >> 2, t = lane() & 3, r = warp() * 16 + g;
  long head = bid_y(), kcol = head / group * W;
  k += tile.key * ldk + kcol;
  v += tile.key * ldv + kcol;
  load<W, ROWS>(qs, q + tile.row * ldq + head * W, ldq, tile.rows, aligned & alignedQ);
  RowDropout drop[2];
#pragma unroll
  for (int i = 0; i < 2; i++) drop[i] = row_dropout(dropped, head * rows + tile.row + r + 8 * i, keys);
  float sum[W / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {};
  int last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  auto fetch = [&](float *ks, int key) INLINE {
    load<W, N>(ks, k + key * ldk, ldk, tile.keys - key, aligned & alignedK);
    load<W, N>(ks + N * LD, v + key * ldv, ldv, tile.keys - key, aligned & alignedV);
    keep_biases<W>(ks, seen, tile.segment, key, tile.keys);
  };
  walk<W>(pairs, first_key(seen, tile.position) / N * N, last, fetch, [&](const float *ks, int key) INLINE {
    float s[N / 8][4], less[2];
    products<W, MODE>(s, qs + warp() * 16 * LD, ks);
    scores<W>(s, ks, seen, tile, key);
    float highest[2] = {top[0], top[1]}, weight[2] = {};
    each<N>([&](int j, int e, int) { highest[e / 2] = max(highest[e / 2], s[j][e]); });
#pragma unroll
    for (int i = 0; i < 2; i++) {
      highest[i] = max(highest[i], swap(highest[i], 1));
      highest[i] = max(highest[i], swap(highest[i], 2));
      less[i] = exp_less(top[i], highest[i]);
      top[i] = highest[i];
    }
    each<N>([&](int j, int e, int) {
      s[j][e] = exp_less(s[j][e], top[e / 2]);
      weight[e / 2] += s[j][e];
    });
    if (dropped.threshold) {
      each<N>([&](int j, int e, int column) {
        s[j][e] = kept(dropped, drop[e / 2], key + column) ? s[j][e] * dropped.inverse : 0.f;
      });
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
      weight[i] += swap(weight[i], 1);
      weight[i] += swap(weight[i], 2);
      total[i] = fma(total[i], less[i], weight[i]);
    }
#pragma unroll
    for (int j = 0; j < W / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum[j][e] *= less[e / 2];
    add<W, MODE>(sum, s, ks + N * LD);
  });
  float share[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    bool none = top[i] == -INFINITY;
    share[i] = none ? 0.f : divide(1.f, total[i]);
    if (t == 0 && r + 8 * i < tile.rows) {
      lse[head * rows + tile.row + r + 8 * i] = none ? -INFINITY : (float)(top[i] + log_of(total[i]));
    }
  }
  output<W>(out + tile.row * ldout + head * W, ldout, tile.rows, sum, share, false);
}

#define ATTENTION(name, W, MODE)                                                                                  \
  KERNEL_OF(THREADS, 2) name##_##W(float *out, long ldout, float *lse, int aligned, OPTIONS) {                    \
    alignas(16) extern SHARED float memory[];                                                                         \
    attention_mma<W, MODE>(memory, out, ldout, lse, q, ldq, k, ldk, v, ldv, group, rows, keys, SEEN_VALUE,        \
                           DROPPED_VALUE, queries(tiles), aligned);                                               \
  }
