// Operations on rows of matrices: sums, gather, scatter, means of segments.
#include "device.h"

constexpr int group = 64; // rows that sum_rows adds up in order

// Row i of dst = the sum of 64 rows of x from 64*i on, or added to it: a thread has a
// column. Rows of x are ld apart. A block has 256 columns of one row of dst.
KERNEL sum_rows(float *dst, const float *x, long n, int d, long ld, int accumulate) {
  int blocks = (d + 255) / 256;
  long row = bid() / blocks;
  int column = (int)(bid() % blocks) * 256 + tid();
  if (column >= d) return;
  long end = (row + 1) * group < n ? (row + 1) * group : n;
  float sum = 0;
#pragma unroll 4
  for (long i = row * group; i < end; i++) sum += x[i * ld + column];
  float *out = dst + row * d + column;
  *out = accumulate ? *out + sum : sum;
}

// Row i of dst = factor * table[rows[i]], or added to it: a warp has a row, a block
// of 256 threads 8 of them.
KERNEL gather(float *dst, const float *table, const int *rows, float factor, long n, int d, int accumulate) {
  long row = bid() * 8 + warp();
  if (row >= n) return;
  const float *x = table + (long)rows[row] * d;
  float *y = dst + row * d;
#pragma unroll 4
  for (int j = lane(); j < d; j += 32) y[j] = accumulate ? fma(factor, x[j], y[j]) : factor * x[j];
}

// dst[ids[i]] += factor * src[order[k]] for k from starts[i] up to starts[i+1], in that
// order: a thread has a column, a block 128 of one row.
KERNEL scatter_add(float *dst, const float *src, const int *ids, const int *starts, const int *order, float factor,
                   int d) {
  int blocks = (d + 127) / 128;
  long i = bid() / blocks;
  int column = (int)(bid() % blocks) * 128 + tid();
  if (column >= d) return;
  int from = starts[i], to = starts[i + 1];
  float *out = dst + (long)ids[i] * d + column;
  float sum = *out;
#pragma unroll 8
  for (int k = from; k < to; k++) sum = fma(factor, src[(long)order[k] * d + column], sum);
  *out = sum;
}

// Row s of dst = the mean of the rows offsets[s] to offsets[s+1] of x, 0 for none: a
// thread has a column, a block 128 of one row.
KERNEL segment_mean(float *dst, const float *x, const int *offsets, int d) {
  int blocks = (d + 127) / 128;
  long s = bid() / blocks;
  int column = (int)(bid() % blocks) * 128 + tid();
  if (column >= d) return;
  int from = offsets[s], to = offsets[s + 1];
  float sum = 0;
#pragma unroll 8
  for (long i = from; i < to; i++) sum += x[i * d + column];
  dst[s * d + column] = from < to ? sum * divide(1.f, (float)(to - from)) : 0;
}

// The rows offsets[s] to offsets[s+1] of dx += row s of dy, divided by their number.
KERNEL segment_mean_backward(float *dx, const float *dy, const int *offsets, int d) {
  int blocks = (d + 127) / 128;
  long s = bid() / blocks;
  int column = (int)(bid() % blocks) * 128 + tid();
  if (column >= d) return;
  int from = offsets[s], to = offsets[s + 1];
  float factor = divide(1.f, (float)(to - from)), slope = dy[s * d + column];
#pragma unroll 4
  for (long i = from; i < to; i++) dx[i * d + column] = fma(factor, slope, dx[i * d + column]);
}
