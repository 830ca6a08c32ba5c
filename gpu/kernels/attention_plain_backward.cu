// The gradients of attention for heads of any width: with D the row sums of dout*out,
//
//	dS = P * (dropout(dout*V^T) - D)
//	dV = dropout(P)^T * dout
//	dQ = scale * dS * K
//	dK = scale * dS^T * Q
//	dbias = sums of dS by segments
//
// Sums over keys are made by blocks that have queries, and sums over queries by blocks that have keys, in order.
#include "attention_plain.h"

// exact is the greatest log-sum-exp by which probabilities are computed. Rounding it to float32 changes them by at most
// 4e-6; a greater one would change them by more, so that maximum and sum are computed again.
const float exact = 128;

DEVICE bool far(float lse) { return abs(lse) > exact && abs(lse) < INFINITY; }

// attention_plain_rows sets top, share and d [heads, rows], so that exp(score - top)*share is a probability.
KERNEL_OF(THREADS, 4) attention_plain_rows(float *top, float *share, float *d, const float *lse, const float *out,
                                           long ldout, const float *dout, long lddout, OPTIONS) {
  SHARED float work[2 * Q * LD], biases[Q];
  SHARED int fars[Q];
  Seen seen = SEEN_VALUE;
  Queries tile = queries(tiles);
  int r = tid() / 8 * 2, c = tid() % 8;
  long head = bid_y(), kcol = head / group * width;
  Matrix qs = {q + tile.row * ldq + head * width, ldq, tile.rows};
  Matrix ks = {k + tile.key * ldk + kcol, ldk, tile.keys};
  float logs[2], highest[2] = {-INFINITY, -INFINITY}, total[2] = {};
#pragma unroll
  for (int i = 0; i < 2; i++) {
    bool inside = r + i < tile.rows;
    long row = tile.row + (inside ? r + i : 0);
    logs[i] = inside ? lse[head * rows + row] : 0.f;
    if (c == 0) fars[r + i] = far(logs[i]);
    float dot = 0;
    for (int col = c; col < width; col += 8) {
      dot = fma(out[row * ldout + head * width + col], dout[row * lddout + head * width + col], dot);
    }
    dot = sum_across(dot);
    if (c == 0 && inside) d[head * rows + row] = dot;
  }
  sync();
  bool again = false;
  for (int i = 0; i < Q; i++) again |= fars[i] != 0;
  int end = again ? last_key(seen, tile.position + tile.rows - 1, tile.keys) : 0;
  for (int key = first_key(seen, tile.position) / Q * Q; key < end; key += Q) {
    float s[2][4];
    products(s, qs, 0, ks, key, (int)width, work);
    bias_of(biases, seen, tile.segment, key, tile.keys);
    sync();
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float most = highest[i], weight = 0;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int at = key + c + 8 * j;
        s[i][j] = at < tile.keys ? score(seen, s[i][j], tile.position + r + i, at, biases[c + 8 * j]) : -INFINITY;
        most = max(most, s[i][j]);
      }
      most = max_across(most);
#pragma unroll
      for (int j = 0; j < 4; j++) weight += exp_less(s[i][j], most);
      total[i] = fma(total[i], exp_less(highest[i], most), sum_across(weight));
      highest[i] = most;
    }
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (c != 0 || r + i >= tile.rows) continue;
    long at = head * rows + tile.row + r + i;
    top[at] = far(logs[i]) ? highest[i] : logs[i] == -INFINITY ? 0.f : logs[i];
    share[at] = far(logs[i]) ? 1.f / total[i] : 1.f;
  }
}

// Gradients are those of the thread's two queries and four keys: p of the weights after dropout, s of the scores.
struct Gradients {
  float p[2][4], s[2][4];
};

// Rows are what is known of the thread's two queries.
struct Rows {
  float top[2], share[2], d[2];
  int position[2];
};

DEVICE Rows rows_of(const float *top, const float *share, const float *d, long at, int n, int position) {
  int r = tid() / 8 * 2;
  Rows x;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    bool inside = r + i < n;
    long row = at + (inside ? r + i : 0);
    x.top[i] = inside ? top[row] : 0.f;
    x.share[i] = inside ? share[row] : 0.f;
    x.d[i] = inside ? d[row] : 0.f;
    x.position[i] = position + r + i;
  }
  return x;
}

// gradients computes them from scores and from the products of dout and values. Rows that do not exist have a share of
// 0. The keys are those from key on, of n that exist; biases are those of the thread.
DEVICE Gradients gradients(float s[2][4], float dp[2][4], const float biases[2][4], const Seen &seen, const Rows &rows,
                           int key, int n, const Dropped &dropped, const RowDropout drop[2]) {
  Gradients g;
  int c = tid() % 8;
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int at = key + c + 8 * j;
      float x = at < n ? score(seen, s[i][j], rows.position[i], at, biases[i][j]) : -INFINITY;
      float p = exp_less(x, rows.top[i]) * rows.share[i], dw = dp[i][j];
      g.p[i][j] = p;
      if (dropped.threshold) {
        bool stays = kept(dropped, drop[i], at);
        dw = stays ? dw * dropped.inverse : 0.f;
        g.p[i][j] = stays ? p * dropped.inverse : 0.f;
      }
      g.s[i][j] = x == -INFINITY ? 0.f : p * (dw - rows.d[i]);
    }
  return g;
}

// write copies the thread's numbers to shared memory [Q, LD].
DEVICE void write(float *to, const float x[2][4]) {
  int r = tid() / 8 * 2, c = tid() % 8;
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) to[(r + i) * LD + c + 8 * j] = x[i][j];
}

// output sets (adds) rows of a gradient to the thread's part of a result, times a factor.
DEVICE void output(float *to, long ld, int n, int col0, int width, const float sum[2][8], float factor,
                   bool accumulate) {
  int r = tid() / 8 * 2, c = tid() % 8;
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int col = col0 + c + 8 * j;
      if (r + i >= n || col >= width) continue;
      float *at = to + (r + i) * ld + col;
      *at = accumulate ? fma(factor, sum[i][j], *at) : factor * sum[i][j];
    }
}

// attention_plain_queries computes dq, and the sums of dS over the rows of a tile by segments of keys: partial [heads,
// tiles, segments]. Each may be null.
KERNEL_OF(THREADS, 3) attention_plain_queries(float *dq, long lddq, int accumulate, float *partial, const float *top,
                                              const float *share, const float *d, const float *dout, long lddout,
                                              OPTIONS) {
  SHARED float work[2 * Q * LD], weights[Q * LD], values[Q * LDC], biases[Q], sums[Q];
  Seen seen = SEEN_VALUE;
  Dropped dropped = DROPPED_VALUE;
  Queries tile = queries(tiles);
  int col0 = (int)bid_z() * COLS, r = tid() / 8 * 2, c = tid() % 8;
  long head = bid_y(), kcol = head / group * width;
  Matrix qs = {q + tile.row * ldq + head * width, ldq, tile.rows};
  Matrix ds = {dout + tile.row * lddout + head * width, lddout, tile.rows};
  Matrix ks = {k + tile.key * ldk + kcol, ldk, tile.keys}, vs = {v + tile.key * ldv + kcol, ldv, tile.keys};
  Rows known = rows_of(top, share, d, head * rows + tile.row, tile.rows, tile.position);
  RowDropout drop[2];
#pragma unroll
  for (int i = 0; i < 2; i++) drop[i] = row_dropout(dropped, head * rows + tile.row + r + i, keys);
  float sum[2][8] = {};
  bool adds = partial && col0 == 0;
  BiasSums bs = {adds ? partial + (head * grid() + bid()) * segments : nullptr, 0, 0};
  int last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  for (int key = first_key(seen, tile.position) / Q * Q; key < last; key += Q) {
    float s[2][4], dp[2][4], b[2][4];
    products(s, qs, 0, ks, key, (int)width, work);
    products(dp, ds, 0, vs, key, (int)width, work);
    bias_of(biases, seen, tile.segment, key, tile.keys);
    load<COLS>(values, LDC, ks, key, col0, (int)width);
    sync();
#pragma unroll
    for (int i = 0; i < 8; i++) b[i / 4][i % 4] = biases[c + 8 * (i % 4)];
    Gradients g = gradients(s, dp, b, seen, known, key, tile.keys, dropped, drop);
    write(weights, g.s);
    sync();
    add(sum, weights, LD, 1, values);
    if (adds) {
      if (tid() < Q) {
        float x = 0;
        for (int i = 0; i < Q; i++) x += weights[i * LD + tid()];
        sums[tid()] = x;
      }
      sync();
      if (warp() == 0) add_columns(bs, seen, sums, 1, Q, key, tile.keys);
    }
  }
  if (adds && warp() == 0) finish(bs, seen);
  if (dq) output(dq + tile.row * lddq + head * width, lddq, tile.rows, col0, (int)width, sum, scale, accumulate);
}

// attention_plain_bias adds up what attention_plain_queries made, head after head. The tiles of a query segment are
// those from first[segment] to first[segment+1].
KERNEL attention_plain_bias(float *dbias, int accumulate, const float *partial, const int *first, long tiles,
                            long heads, long queries, long segments) {
  long i = (long)bid() * THREADS + tid();
  if (i >= queries * segments) return;
  long query = i / segments, segment = i % segments;
  double sum = 0;
  for (long h = 0; h < heads; h++)
    for (long t = first[query]; t < first[query + 1]; t++) sum += partial[(h * tiles + t) * segments + segment];
  dbias[i] = accumulate ? dbias[i] + (float)sum : (float)sum;
}

// attention_plain_keys computes dk and dv, each of which may be null.
KERNEL_OF(THREADS, 3) attention_plain_keys(float *dk, long lddk, int accumulateK, float *dv, long lddv, int accumulateV,
                                           const float *top, const float *share, const float *d,
                                           const int *queryOffsets, long querySegments, const float *dout, long lddout,
                                           OPTIONS) {
  SHARED float work[2 * Q * LD], ps[Q * LD], ss[Q * LD], values[Q * LDC];
  Seen seen = SEEN_VALUE;
  Dropped dropped = DROPPED_VALUE;
  Keys tile = keys_of(tiles);
  int col0 = (int)bid_z() * COLS, r = tid() / 8 * 2, c = tid() % 8;
  long kcol = bid_y() * width;
  Matrix ks = {k + tile.row * ldk + kcol, ldk, tile.valid}, vs = {v + tile.row * ldv + kcol, ldv, tile.valid};
  float sumK[2][8] = {}, sumV[2][8] = {};
  int segmentOfKey[4];
#pragma unroll
  for (int j = 0; j < 4; j++) {
    bool inside = bias && c + 8 * j < tile.valid;
    segmentOfKey[j] = inside ? segment_of(offsets, (int)segments, tile.row + c + 8 * j) : 0;
  }
  int first = first_query(seen, tile) / Q * Q, last = last_query(seen, tile);
  for (int h = 0; h < group; h++) {
    long head = bid_y() * group + h;
    Matrix qs = {q + tile.query * ldq + head * width, ldq, tile.queries};
    Matrix ds = {dout + tile.query * lddout + head * width, lddout, tile.queries};
    for (int from = first; from < last; from += Q) {
      float s[2][4], dp[2][4], b[2][4];
      long row = tile.query + from, at = head * rows + row;
      products(s, qs, from, ks, 0, (int)width, work);
      products(dp, ds, from, vs, 0, (int)width, work);
      Rows known = rows_of(top, share, d, at, tile.queries - from, tile.position + from);
      RowDropout drop[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        drop[i] = row_dropout(dropped, at + r + i, keys);
        bool inside = bias && from + r + i < tile.queries;
        long segment = inside ? segment_of(queryOffsets, (int)querySegments, (int)row + r + i) : 0;
#pragma unroll
        for (int j = 0; j < 4; j++) b[i][j] = bias ? bias[segment * segments + segmentOfKey[j]] : 0.f;
      }
      Gradients g = gradients(s, dp, b, seen, known, tile.key, tile.key + tile.valid, dropped, drop);
      write(ps, g.p);
      write(ss, g.s);
      if (dv) {
        load<COLS>(values, LDC, ds, from, col0, (int)width);
        sync();
        add(sumV, ps, 1, LD, values);
        sync();
      }
      if (dk) {
        load<COLS>(values, LDC, qs, from, col0, (int)width);
        sync();
        add(sumK, ss, 1, LD, values);
      }
    }
  }
  if (dk) output(dk + tile.row * lddk + kcol, lddk, tile.rows, col0, (int)width, sumK, scale, accumulateK);
  if (dv) output(dv + tile.row * lddv + kcol, lddv, tile.rows, col0, (int)width, sumV, 1, accumulateV);
}
