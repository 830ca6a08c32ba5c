// Attention of single queries to listed rows.
#include "exp.h"
#include "matrix.h"

const int THREADS = 128, WARPS = THREADS / 32;

DEVICE float sum_warp(float x) {
#pragma unroll
  for (int i = 16; i; i /= 2) x += swap(x, i);
  return x;
}

// all combines a number of each thread to the greatest of them or their sum, the same for all.
DEVICE float all(float x, bool greatest, float *work) {
#pragma unroll
  for (int i = 16; i; i /= 2) {
    float y = swap(x, i);
    x = greatest ? max(x, y) : x + y;
  }
  sync();
  if (lane() == 0) work[warp()] = x;
  sync();
  x = work[0];
#pragma unroll
  for (int i = 1; i < WARPS; i++) x = greatest ? max(x, work[i]) : x + work[i];
  return x;
}

// attention_rows computes head bid_y() of query bid(). For each query, lists holds its first segment, the one behind
// its last, the number of keys of the queries before it, and that of their segments. It keeps weights [heads, keys that
// queries see].
KERNEL_OF(THREADS, 4) attention_rows(float *out, long ldout, float *mass, float *weights, const float *q, long ldq,
                                     const float *k, long ldk, const float *v, long ldv, const int *lists,
                                     const int *rows, const int *offsets, const float *bias, long width, long group,
                                     long keys, long segments, float scale) {
  SHARED float work[WARPS * 32];
  const int *list = lists + bid() * 4;
  int lo = list[0], hi = list[1], head = bid_y();
  int from = offsets[lo], n = offsets[hi] - from;
  long column = head / group * width;
  q += bid() * ldq + head * width;
  out += bid() * ldout + head * width;
  weights += head * keys + list[2];
  rows += from;
  float top = -INFINITY;
  for (int s = lo; s < hi; s++) {
    for (int t = offsets[s] - from + warp(); t < offsets[s + 1] - from; t += WARPS) {
      const float *key = k + rows[t] * ldk + column;
      float x = 0;
      for (int c = lane(); c < width; c += 32) x = fma(q[c], key[c], x);
      x = scale * sum_warp(x) + (bias ? bias[s] : 0.f);
      if (lane() == 0) weights[t] = x;
      top = max(top, x);
    }
  }
  top = all(top, true, work);
  float total = 0;
  for (int t = tid(); t < n; t += THREADS) {
    float x = weights[t];
    x = x == -INFINITY ? 0.f : exp(x - top);
    weights[t] = x;
    total += x;
  }
  total = all(total, false, work);
  float share = n == 0 || top == -INFINITY ? 0.f : 1.f / total;
  for (int col = 0; col < width; col += 32) {
    int c = col + lane();
    float x = 0;
    for (int t = warp(); t < n; t += WARPS) {
      if (c < width) x = fma(weights[t], v[rows[t] * ldv + column + c], x);
    }
    sync();
    work[tid()] = x;
    sync();
    if (warp() == 0 && c < width) {
#pragma unroll
      for (int i = 1; i < WARPS; i++) x += work[i * 32 + lane()];
      out[c] = x * share;
    }
  }
  if (mass) {
    for (int s = lo + warp(); s < hi; s += WARPS) {
      float x = 0;
      for (int t = offsets[s] - from + lane(); t < offsets[s + 1] - from; t += 32) x += weights[t];
      x = sum_warp(x);
      if (lane() == 0) mass[head * segments + list[3] + s - lo] = x * share;
    }
  }
}
