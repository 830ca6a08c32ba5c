// The gradients of attention on tensor cores; see attention_plain_backward.cu for what they are.
#pragma once
#include "attention_mma.h"

const int ROWS = 16 * WARPS;

// Of narrow heads there are two pairs of tiles in shared memory.
constexpr int pairs_of(int W) { return W > 64 ? 1 : 2; }

// Known is what the forward pass left of rows: exp(score - top)*share is a probability, d the sum of dout*out.
struct Known {
  const float *top, *share, *d;
};

// QueryRow is what is known of a query, in shared memory. RowDropout of all queries follow those of a tile.
struct alignas(16) QueryRow {
  float top, share, d;
  int segment;
};
static_assert(sizeof(QueryRow) + sizeof(RowDropout) == EXTRA * sizeof(float));

// WarpBiasSums adds up the gradients of a warp's scores by segments of keys: partial [segments] receives the sums.
// Those of a segment that has not ended are with each lane, for each of its two rows; rows have the shares of the two.
struct WarpBiasSums {
  float *partial, sum[2];
  const QueryRow *rows;
  int segment, end;
};

// write writes the sum of the segment, and goes on to the next.
DEVICE void write(WarpBiasSums &b, const Seen &seen) {
  float x = warp_sum(b.sum[0] * b.rows[0].share + b.sum[1] * b.rows[8].share);
  if (lane() == 0) b.partial[b.segment] = x;
  b.sum[0] = b.sum[1] = 0;
  b.segment++;
  b.end = b.segment < seen.segments ? seen.offsets[b.segment + 1] : 0x7fffffff;
}

// add_scores adds the gradients of the N keys from one on. Of keys that do not exist they are 0.
template <int N>
DEVICE void add_scores(WarpBiasSums &b, const Seen &seen, const float (*s)[4], int key) {
  int from = key;
  for (; b.end < key + N && b.segment < seen.segments; write(b, seen)) {
    each<N, 1>([&](int, int j, int e, int column) {
      int at = key + column;
      b.sum[e / 2] += at >= from && at < b.end ? s[j][e] : 0.f;
    });
    from = b.end;
  }
  if (from <= key) {
    each<N, 1>([&](int, int j, int e, int) { b.sum[e / 2] += s[j][e]; });
  } else {
    each<N, 1>([&](int, int j, int e, int column) { b.sum[e / 2] += key + column >= from ? s[j][e] : 0.f; });
  }
}

template <int W, Mode MODE>
DEVICE void attention_queries(float *memory, float *dq, long lddq, int accumulate, float *partial, const Known &known,
                              const float *dout, long lddout, const float *q, long ldq, const float *k, long ldk,
                              const float *v, long ldv, long group, long rows, long keys, const Seen &seen,
                              const Dropped &dropped, const int *tiles, int aligned) {
  Queries tile = queries(tiles);
  const int N = tile_of(W), LD = distance(W);
  float *qs = memory, *ds = qs + ROWS * W;
  QueryRow *known_rows = (QueryRow *)(ds + ROWS * W);
  RowDropout *drops = (RowDropout *)(known_rows + ROWS);
  float *pairs = ds + ROWS * (W + EXTRA);
  int r = warp() * 16 + (lane() >> 2), row = warp() * 16;
  long head = bid_y(), kcol = head / group * W;
  k += tile.key * ldk + kcol;
  v += tile.key * ldv + kcol;
  hold<W, ROWS>(qs, q + tile.row * ldq + head * W, ldq, tile.rows);
  hold<W, ROWS>(ds, dout + tile.row * lddout + head * W, lddout, tile.rows);
  if (tid() < ROWS) { // of rows that do not exist all gradients are 0
    bool inside = tid() < tile.rows;
    long at = head * rows + tile.row + (inside ? tid() : 0);
    known_rows[tid()] = {inside ? known.top[at] * unit<MODE> : INFINITY, inside ? known.share[at] : 0.f,
                         inside ? known.d[at] : 0.f, tile.segment};
    if (dropped.threshold) drops[tid()] = row_dropout(dropped, at, keys);
  }
  float sum[1][W / 8][4] = {};
  int first = first_key(seen, tile.position) / N * N, last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  Bias *bias = biases_of<W>(pairs, seen, tile.segment, first);
  WarpBiasSums bs = {nullptr, {0, 0}, known_rows + r, 0, 0};
  if (partial) {
    bs.partial = partial + ((head * grid() + bid()) * WARPS + warp()) * seen.segments;
    bs.end = seen.offsets[1];
  }
  auto fetch = [&](float *ks, int key) INLINE {
    load<W>(ks, k + key * ldk, ldk, tile.keys - key, aligned & alignedK);
    load<W>(ks + N * LD, v + key * ldv, ldv, tile.keys - key, aligned & alignedV);
    keep<N, MODE>(ks + 2 * N * LD, bias, seen, tile.segment, key, tile.keys);
  };
  auto ready = [&](float *ks) INLINE { round<W, MODE>(ks); };
  auto use = [&](const float *ks, int key) INLINE {
    if (row >= tile.rows || unseen(seen, tile.position + row, tile.position + row + 15, key, key + N - 1)) return;
    float s[1][N / 8][4], dp[1][N / 8][4];
    products<W, 1, MODE>(s, qs + row * W, ks);
    products<W, 1, MODE>(dp, ds + row * W, ks + N * LD);
    Line l = line<W, 1, MODE>(s, dp, ks + 2 * N * LD, seen, tile, row, key);
    if (l.shift == -INFINITY) return;
    if (dropped.threshold) {
      each<N, 1>([&](int, int j, int e, int column) {
        dp[0][j][e] = kept(dropped, drops[r + e / 2 * 8], key + column) ? dp[0][j][e] : 0.f;
      });
    }
    float shift[2] = {l.shift - known_rows[r].top, l.shift - known_rows[r + 8].top};
    float d[2] = {known_rows[r].d, known_rows[r + 8].d};
    each<N, 1>([&](int, int j, int e, int) {
      float p = power<MODE>(fma(l.factor, s[0][j][e], shift[e / 2]));
      s[0][j][e] = p * fma(dp[0][j][e], dropped.inverse, -d[e / 2]);
    });
    add<W, 1, MODE, false>(sum, s, ks);
    if (partial) add_scores<N>(bs, seen, s[0], key);
  };
  auto begin = [&]() INLINE {
    sync();
    round_held<W, 2 * ROWS, MODE>(qs);
  };
  walk<W, pairs_of(W)>(pairs, first, last, begin, fetch, ready, use);
  if (partial) {
    while (bs.segment < seen.segments) write(bs, seen);
  }
  if (!dq) return;
  tile = queries(tiles); // again, to save registers
  float factor[1][2] = {{seen.scale * known_rows[r].share, seen.scale * known_rows[r + 8].share}};
  output<W, 1>(dq + tile.row * lddq + head * W, lddq, tile.rows, sum, factor, accumulate, aligned & alignedFirst);
}

// attention_keys computes dk if K is set, and dv if V is; either may be null. Of wide heads, registers hold one only.
template <int W, Mode MODE, bool K, bool V>
DEVICE void attention_keys(float *memory, float *dk, long lddk, int accumulateK, float *dv, long lddv, int accumulateV,
                           const Known &known, const int *queryOffsets, int querySegments, const float *dout,
                           long lddout, const float *q, long ldq, const float *k, long ldk, const float *v, long ldv,
                           long group, long rows, long keys, const Seen &seen, const Dropped &dropped, const int *tiles,
                           int aligned) {
  Keys tile = keys_of(tiles);
  const int N = tile_of(W), LD = distance(W);
  float *ks = memory, *vs = ks + ROWS * W, *pairs = vs + ROWS * (W + EXTRA);
  int row = warp() * 16, r = row + (lane() >> 2);
  long kcol = bid_y() * W;
  hold<W, ROWS>(ks, k + tile.row * ldk + kcol, ldk, tile.valid);
  hold<W, ROWS>(vs, v + tile.row * ldv + kcol, ldv, tile.valid);
  float sumK[1][K ? W / 8 : 1][4] = {}, sumV[1][V ? W / 8 : 1][4] = {};
  int *segments = (int *)(vs + ROWS * W); // of keys, if there is a bias
  if (seen.bias && tid() < ROWS) {
    int at = tid() < tile.valid ? tid() : tile.valid - 1;
    segments[tid()] = segment_of(seen.offsets, seen.segments, tile.row + at);
  }
  int first = first_query(seen, tile) / N * N, last = (K && dk) || (V && dv) ? last_query(seen, tile) : 0;
  for (int h = 0; h < group; h++) {
    long head = bid_y() * group + opaque(h);
    int segment = 0, end = 0; // of the thread's query
    auto fetch = [&](float *qs, int from) INLINE {
      long query = tile.query + from;
      load<W>(qs, q + query * ldq + head * W, ldq, tile.queries - from, aligned & alignedQ);
      load<W>(qs + N * LD, dout + query * lddout + head * W, lddout, tile.queries - from, aligned & alignedOut);
      if (tid() >= N) return;
      bool inside = from + tid() < tile.queries;
      int left = tile.queries - 1 - from;
      long row = query + (inside ? tid() : left), at = head * rows + row;
      QueryRow *all = (QueryRow *)(qs + 2 * N * LD), *to = all + tid();
      copy1(&to->top, known.top + at, true);
      copy1(&to->share, known.share + at, true);
      copy1(&to->d, known.d + at, true);
      if (seen.bias) {
        if (row >= end) {
          segment = end ? segment : segment_of(queryOffsets, querySegments, (int)row);
          while (row >= queryOffsets[segment + 1]) segment++;
          end = queryOffsets[segment + 1];
        }
        to->segment = segment;
      }
      if (dropped.threshold) ((RowDropout *)(all + N))[tid()] = row_dropout(dropped, at, keys);
    };
    auto ready = [&](float *qs) INLINE { round<W, MODE>(qs); };
    auto use = [&](const float *qs, int from) INLINE {
      int key = tile.key + row, position = tile.position + from;
      if (row >= tile.valid || unseen(seen, position, position + N - 1, key, key + 15)) return;
      float s[1][N / 8][4], dp[1][N / 8][4];
      const float *ds = qs + N * LD;
      const QueryRow *known = (const QueryRow *)(qs + 2 * N * LD);
      const RowDropout *drops = (const RowDropout *)(known + N);
      Line l = {seen.scale * unit<MODE>, 0};
      bool differ = false;
      if (seen.bias) {
        int one = known[0].segment, of = segments[row];
        differ = known[N - 1].segment != one || segments[row + 15] != of; // segments rise
        if (!differ) l.shift = seen.bias[(long)one * seen.segments + of] * unit<MODE>;
        if (l.shift == -INFINITY) return;
      }
      products<W, 1, MODE>(s, ks + row * W, qs);
      if constexpr (K) products<W, 1, MODE>(dp, vs + row * W, ds);
      if (differ || !(seen.scale > 0)) {
        each<N, 1>([&](int, int j, int e, int column) {
          float bias = 0;
          if (seen.bias) {
            bias = seen.bias[(long)known[column].segment * seen.segments + segments[r + e / 2 * 8]] * unit<MODE>;
          }
          s[0][j][e] = bias == -INFINITY ? bias : fma(l.factor, s[0][j][e], bias);
          if (K && bias == -INFINITY) dp[0][j][e] = 0;
        });
        l = {1, 0};
      }
      if (row + 15 >= tile.valid || from + N > tile.queries || hides(seen, position, position + N - 1, key, key + 15)) {
        each<N, 1>([&](int, int j, int e, int column) {
          int at = r + e / 2 * 8;
          if (at >= tile.valid || from + column >= tile.queries || hidden(seen, position + column, tile.key + at)) {
            s[0][j][e] = -INFINITY;
            if (K) dp[0][j][e] = 0;
          }
        });
      }
      // s becomes the weights that were not dropped, and dp the gradients of the scores.
      unsigned stays = 0;
      if (dropped.threshold) {
        each<N, 1>([&](int, int j, int e, int column) {
          bool stay = kept(dropped, drops[column], tile.key + r + e / 2 * 8);
          stays |= (unsigned)stay << (4 * j + e);
          if (K) dp[0][j][e] = stay ? dp[0][j][e] * dropped.inverse : 0.f;
        });
      }
#pragma unroll
      for (int j = 0; j < N / 8; j++)
#pragma unroll
        for (int c = 0; c < 2; c++) {
          f4 x = *(const f4 *)(known + 8 * j + 2 * (lane() & 3) + c); // top, share, d
#pragma unroll
          for (int e = c; e < 4; e += 2) {
            s[0][j][e] = power<MODE>(fma(l.factor, s[0][j][e], l.shift - x.v[0] * unit<MODE>)) * x.v[1];
            if (K) dp[0][j][e] = s[0][j][e] * (dp[0][j][e] - x.v[2]);
          }
        }
      if (dropped.threshold) {
        each<N, 1>([&](int, int j, int e, int) { s[0][j][e] = stays >> (4 * j + e) & 1 ? s[0][j][e] : 0.f; });
      }
      if constexpr (V) {
        if (dv) add<W, 1, MODE, false>(sumV, s, ds);
      }
      if constexpr (K) {
        if (dk) add<W, 1, MODE, false>(sumK, dp, qs);
      }
    };
    auto begin = [&]() INLINE {
      if (h > 0) return;
      sync();
      round_held<W, 2 * ROWS, MODE>(ks);
    };
    walk<W, pairs_of(W)>(pairs, first, last, begin, fetch, ready, use);
  }
  tile = keys_of(tiles); // again, to save registers
  float factorK[1][2] = {{seen.scale, seen.scale}}, factorV[1][2] = {{dropped.inverse, dropped.inverse}};
  if constexpr (K) {
    if (dk) {
      output<W, 1>(dk + tile.row * lddk + kcol, lddk, tile.rows, sumK, factorK, accumulateK, aligned & alignedFirst);
    }
  }
  if constexpr (V) {
    if (dv) {
      output<W, 1>(dv + tile.row * lddv + kcol, lddv, tile.rows, sumV, factorV, accumulateV, aligned & alignedSecond);
    }
  }
}

// Three blocks on a multiprocessor leave a thread 168 registers.
constexpr int blocks_of(int W, bool few) { return W > 64 || few ? 2 : 3; }

#define ATTENTION_BACKWARD(name, W, MODE)                                                                            \
  KERNEL_OF(THREADS, blocks_of(W, false))                                                                            \
  name##_queries_##W(float *dq, long lddq, int accumulate, float *partial, const float *top, const float *share,     \
                     const float *d, const float *dout, long lddout, int aligned, OPTIONS) {                         \
    alignas(16) extern SHARED float memory[];                                                                        \
    attention_queries<W, MODE>(memory, dq, lddq, accumulate, partial, {top, share, d}, dout, lddout, q, ldq, k,      \
                               ldk, v, ldv, group, rows, keys, SEEN_VALUE, DROPPED_VALUE, tiles, aligned);           \
  }                                                                                                                  \
  KERNEL_OF(THREADS, blocks_of(W, MODE == TF32x3 && W == 64))                                                        \
  name##_keys_##W(float *dk, long lddk, int accumulateK, float *dv, long lddv, int accumulateV, const float *top,    \
                  const float *share, const float *d, const int *queryOffsets, long querySegments,                   \
                  const float *dout, long lddout, int aligned, OPTIONS) {                                            \
    alignas(16) extern SHARED float memory[];                                                                        \
    if (W <= 64) {                                                                                                   \
      KEYS(W, MODE, W <= 64, W <= 64);                                                                               \
    } else if (bid_z() == 0) {                                                                                       \
      KEYS(W, MODE, true, false);                                                                                    \
    } else {                                                                                                         \
      KEYS(W, MODE, false, true);                                                                                    \
    }                                                                                                                \
  }
#define KEYS(W, MODE, K, V)                                                                                        \
  attention_keys<W, MODE, K, V>(memory, dk, lddk, accumulateK, dv, lddv, accumulateV, {top, share, d},             \
                                queryOffsets, (int)querySegments, dout, lddout, q, ldq, k, ldk, v, ldv, group,     \
                                rows, keys, SEEN_VALUE, DROPPED_VALUE, tiles, aligned)
