// The gradients of attention on tensor cores; see attention_plain_backward.cu for what they are.
#pragma once
#include "attention_mma.h"

// Known is what the forward pass left of rows: exp(score - top)*share is a probability, d the sum of dout*out.
struct Known {
  const float *top, *share, *d;
};

template <int W, Mode MODE>
DEVICE void attention_queries(float *memory, float *dq, long lddq, int accumulate, float *partial, const Known &known,
                              const float *dout, long lddout, const float *q, long ldq, const float *k, long ldk,
                              const float *v, long ldv, long group, long rows, long keys, const Seen &seen,
                              const Dropped &dropped, const Queries &tile, int aligned) {
  const int N = tile_of(W), LD = distance(W);
  float *qs = memory, *ds = qs + ROWS * LD, *pairs = ds + ROWS * LD;
  int g = lane() >> 2, t = lane() & 3, r = warp() * 16 + g;
  long head = bid_y(), kcol = head / group * W;
  k += tile.key * ldk + kcol;
  v += tile.key * ldv + kcol;
  load<W, ROWS>(qs, q + tile.row * ldq + head * W, ldq, tile.rows, aligned & alignedQ);
  load<W, ROWS>(ds, dout + tile.row * lddout + head * W, lddout, tile.rows, aligned & alignedOut);
  RowDropout drop[2];
  float top[2], share[2], d[2], sum[W / 8][4] = {};
#pragma unroll
  for (int i = 0; i < 2; i++) {
    bool inside = r + 8 * i < tile.rows;
    long row = head * rows + tile.row + (inside ? r + 8 * i : 0);
    top[i] = known.top[row];
    share[i] = inside ? known.share[row] : 0.f;
    d[i] = known.d[row];
    drop[i] = row_dropout(dropped, row, keys);
  }
  BiasSums bs = {partial ? partial + (head * grid() + bid()) * seen.segments : nullptr, 0, 0};
  int last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  auto fetch = [&](float *ks, int key) INLINE {
    load<W, N>(ks, k + key * ldk, ldk, tile.keys - key, aligned & alignedK);
    load<W, N>(ks + N * LD, v + key * ldv, ldv, tile.keys - key, aligned & alignedV);
    keep_biases<W>(ks, seen, tile.segment, key, tile.keys);
  };
  walk<W>(pairs, first_key(seen, tile.position) / N * N, last, fetch, [&](float *ks, int key) INLINE {
    float s[N / 8][4], dp[N / 8][4], *vs = ks + N * LD;
    products<W, MODE>(s, qs + warp() * 16 * LD, ks);
    products<W, MODE>(dp, ds + warp() * 16 * LD, vs);
    scores<W>(s, ks, seen, tile, key);
    each<N>([&](int j, int e, int) { s[j][e] = exp_less(s[j][e], top[e / 2]) * share[e / 2]; });
    if (dropped.threshold) {
      each<N>([&](int j, int e, int column) {
        dp[j][e] = kept(dropped, drop[e / 2], key + column) ? dp[j][e] * dropped.inverse : 0.f;
      });
    }
    each<N>([&](int j, int e, int) { s[j][e] = s[j][e] == 0 ? 0.f : s[j][e] * (dp[j][e] - d[e / 2]); });
    add<W, MODE>(sum, s, ks);
    if (!partial) return;
    // The sums of columns lie behind the rows of vs, a number for each warp, and then behind those of ks.
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float x = s[j][e] + s[j][e + 2];
#pragma unroll
        for (int i = 4; i < 32; i *= 2) x += swap(x, i);
        if (g == 0) vs[(j * 8 + 2 * t + e) * LD + W + warp()] = x;
      }
    sync();
    if (tid() < N) {
      const float *x = vs + tid() * LD + W;
      ks[tid() * LD + W + 1] = x[0] + x[1] + x[2] + x[3];
    }
    sync();
    if (warp() == 0) add_columns(bs, seen, ks + W + 1, LD, N, key, tile.keys);
  });
  if (partial && warp() == 0) finish(bs, seen);
  float factor[2] = {seen.scale, seen.scale};
  if (dq) output<W>(dq + tile.row * lddq + head * W, lddq, tile.rows, sum, factor, accumulate);
}

// attention_keys computes dk if K is set, and dv if V is; either may be null. Of wide heads, registers hold one only.
template <int W, Mode MODE, bool K, bool V>
DEVICE void attention_keys(float *memory, float *dk, long lddk, int accumulateK, float *dv, long lddv, int accumulateV,
                           const Known &known, const int *queryOffsets, int querySegments, const float *dout,
                           long lddout, const float *q, long ldq, const float *k, long ldk, const float *v, long ldv,
                           long group, long rows, long keys, const Seen &seen, const Dropped &dropped, const Keys &tile,
                           int aligned) {
  const int N = tile_of(W), LD = distance(W);
  float *ks = memory, *vs = ks + ROWS * LD, *pairs = vs + ROWS * LD;
  int r = warp() * 16 + (lane() >> 2);
  long kcol = bid_y() * W;
  load<W, ROWS>(ks, k + tile.row * ldk + kcol, ldk, tile.valid, aligned & alignedK);
  load<W, ROWS>(vs, v + tile.row * ldv + kcol, ldv, tile.valid, aligned & alignedV);
  float sumK[K ? W / 8 : 1][4] = {}, sumV[V ? W / 8 : 1][4] = {};
  if (seen.bias && tid() < ROWS) { // the segment of a key lies behind its row
    int key = tile.row + (tid() < tile.valid ? tid() : 0);
    ks[tid() * LD + W] = from_bits((unsigned)segment_of(seen.offsets, seen.segments, key));
  }
  int first = first_query(seen, tile) / N * N, last = (K && dk) || (V && dv) ? last_query(seen, tile) : 0;
  for (int h = 0; h < group; h++) {
    long head = bid_y() * group + h;
    auto fetch = [&](float *qs, int from) INLINE {
      long query = tile.query + from;
      load<W, N>(qs, q + query * ldq + head * W, ldq, tile.queries - from, aligned & alignedQ);
      load<W, N>(qs + N * LD, dout + query * lddout + head * W, lddout, tile.queries - from, aligned & alignedOut);
      if (tid() < N) { // what is known of a query lies behind its rows
        bool inside = from + tid() < tile.queries;
        long row = query + (inside ? tid() : 0), at = head * rows + row;
        float *to = qs + tid() * LD + W;
        to[0] = known.top[at];
        to[1] = inside ? known.share[at] : 0.f;
        to[2] = known.d[at];
        to[3] = from_bits(seen.bias ? (unsigned)segment_of(queryOffsets, querySegments, (int)row) : 0);
        *(RowDropout *)(to + 4) = row_dropout(dropped, at, keys);
      }
    };
    walk<W>(pairs, first, last, fetch, [&](const float *qs, int from) INLINE {
      float s[N / 8][4], dp[N / 8][4];
      const float *ds = qs + N * LD;
      products<W, MODE>(s, ks + warp() * 16 * LD, qs);
      if constexpr (K) products<W, MODE>(dp, vs + warp() * 16 * LD, ds);
      if (seen.bias) {
        each<N>([&](int j, int e, int column) {
          long row = bits(qs[column * LD + W + 3]);
          float bias = seen.bias[row * seen.segments + bits(ks[(r + e / 2 * 8) * LD + W])];
          s[j][e] = bias == -INFINITY ? bias : fma(seen.scale, s[j][e], bias);
        });
      } else {
        each<N>([&](int j, int e, int) { s[j][e] *= seen.scale; });
      }
      int key = tile.key + warp() * 16, position = tile.position + from;
      if (warp() * 16 + 15 >= tile.valid || hides(seen, position, position + N - 1, key, key + 15)) {
        each<N>([&](int j, int e, int column) {
          int at = r + e / 2 * 8;
          if (at >= tile.valid || hidden(seen, position + column, tile.key + at)) s[j][e] = -INFINITY;
        });
      }
      each<N>([&](int j, int e, int column) {
        const float *row = qs + column * LD + W;
        s[j][e] = exp_less(s[j][e], row[0]) * row[1];
      });
      // dp becomes the gradients of the scores, and s the weights that were not dropped.
      if (dropped.threshold) {
        each<N>([&](int j, int e, int column) {
          const float *row = qs + column * LD + W;
          bool stays = kept(dropped, *(const RowDropout *)(row + 4), tile.key + r + e / 2 * 8);
          if constexpr (K) {
            float dw = stays ? dp[j][e] * dropped.inverse : 0.f;
            dp[j][e] = s[j][e] == 0 ? 0.f : s[j][e] * (dw - row[2]);
          }
          s[j][e] = stays ? s[j][e] * dropped.inverse : 0.f;
        });
      } else if constexpr (K) {
        each<N>([&](int j, int e, int column) {
          dp[j][e] = s[j][e] == 0 ? 0.f : s[j][e] * (dp[j][e] - qs[column * LD + W + 2]);
        });
      }
      if constexpr (V) {
        if (dv) add<W, MODE>(sumV, s, ds);
      }
      if constexpr (K) {
        if (dk) add<W, MODE>(sumK, dp, qs);
      }
    });
  }
  float factor[2] = {seen.scale, seen.scale}, one[2] = {1, 1};
  if constexpr (K) {
    if (dk) output<W>(dk + tile.row * lddk + kcol, lddk, tile.rows, sumK, factor, accumulateK);
  }
  if constexpr (V) {
    if (dv) output<W>(dv + tile.row * lddv + kcol, lddv, tile.rows, sumV, one, accumulateV);
  }
}

#define ATTENTION_BACKWARD(name, W, MODE)                                                                        \
  KERNEL_OF(THREADS, 2) name##_queries_##W(float *dq, long lddq, int accumulate, float *partial, const float *top, \
                                           const float *share, const float *d, const float *dout, long lddout,    \
                                           int aligned, OPTIONS) {                                                \
    alignas(16) extern SHARED float memory[];                                                                         \
    attention_queries<W, MODE>(memory, dq, lddq, accumulate, partial, {top, share, d}, dout, lddout, q, ldq, k,  \
                                ldk, v, ldv, group, rows, keys, SEEN_VALUE, DROPPED_VALUE, queries(tiles), aligned); \
  }                                                                                                               \
  KERNEL_OF(THREADS, 2) name##_keys_##W(float *dk, long lddk, int accumulateK, float *dv, long lddv,              \
                                        int accumulateV, const float *top, const float *share, const float *d,    \
                                        const int *queryOffsets, long querySegments, const float *dout,           \
                                        long lddout, int aligned, OPTIONS) {                                      \
    alignas(16) extern SHARED float memory[];                                                                         \
    if (W <= 64) {                                                                                                \
      KEYS(W, MODE, W <= 64, W <= 64);                                                                            \
    } else if (bid_z() == 0) {                                                                                    \
      KEYS(W, MODE, true, false);                                                                                 \
    } else {                                                                                                      \
      KEYS(W, MODE, false, true);                                                                                 \
    }                                                                                                             \
  }
#define KEYS(W, MODE, K, V)                                                                                        \
  attention_keys<W, MODE, K, V>(memory, dk, lddk, accumulateK, dv, lddv, accumulateV, {top, share, d},             \
                                queryOffsets, (int)querySegments, dout, lddout, q, ldq, k, ldk, v, ldv, group,     \
                                rows, keys, SEEN_VALUE, DROPPED_VALUE, keys_of(tiles), aligned)
