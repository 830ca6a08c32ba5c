// Attention for heads of any width.
#include "attention_plain.h"

KERNEL_OF(THREADS, 4) attention_plain(float *out, long ldout, float *lse, OPTIONS) {
  SHARED float work[2 * Q * LD], weights[Q * LD], values[Q * LDC], biases[Q];
  Seen seen = SEEN_VALUE;
  Dropped dropped = DROPPED_VALUE;
  Queries tile = queries(tiles);
  int col0 = (int)bid_z() * COLS, r = tid() / 8 * 2, c = tid() % 8;
  long head = bid_y(), kcol = head / group * width;
  Matrix qs = {q + tile.row * ldq + head * width, ldq, tile.rows};
  Matrix ks = {k + tile.key * ldk + kcol, ldk, tile.keys}, vs = {v + tile.key * ldv + kcol, ldv, tile.keys};
  RowDropout drop[2];
#pragma unroll
  for (int i = 0; i < 2; i++) drop[i] = row_dropout(dropped, head * rows + tile.row + r + i, keys);
  float sum[2][8] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {};
  int last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  for (int key = first_key(seen, tile.position) / Q * Q; key < last; key += Q) {
    float s[2][4];
    products(s, qs, 0, ks, key, (int)width, work);
    bias_of(biases, seen, tile.segment, key, tile.keys);
    load<COLS>(values, LDC, vs, key, col0, (int)width);
    sync();
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float highest = top[i], weight = 0;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int at = key + c + 8 * j;
        s[i][j] = at < tile.keys ? score(seen, s[i][j], tile.position + r + i, at, biases[c + 8 * j]) : -INFINITY;
        highest = max(highest, s[i][j]);
      }
      highest = max_across(highest);
      float less = exp_less(top[i], highest);
      top[i] = highest;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float p = exp_less(s[i][j], highest);
        weight += p;
        if (threshold) p = kept(dropped, drop[i], key + c + 8 * j) ? p * inverse : 0.f;
        weights[(r + i) * LD + c + 8 * j] = p;
      }
      total[i] = fma(total[i], less, sum_across(weight));
#pragma unroll
      for (int j = 0; j < 8; j++) sum[i][j] *= less;
    }
    sync();
    add(sum, weights, LD, 1, values);
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (r + i >= tile.rows) continue;
    long row = tile.row + r + i;
    bool none = top[i] == -INFINITY;
    float share = none ? 0.f : divide(1.f, total[i]);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      int col = col0 + c + 8 * j;
      if (col < width) out[row * ldout + head * width + col] = sum[i][j] * share;
    }
    if (c == 0 && col0 == 0) lse[head * rows + row] = none ? -INFINITY : (float)(top[i] + log_of(total[i]));
  }
}
