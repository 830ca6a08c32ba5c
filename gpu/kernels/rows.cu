// Operations on rows of matrices: sums, gather, scatter, means of segments.
#include "quads.h"

// add_rows sums the rows from one to another of x, which are ld apart, in the 128 columns from a column on, and sets
// dst to that or adds it. A lane has four columns. Each warp of the block adds up the rows of its number and those that
// a multiple of the warps comes later, HEIGHT of which it reads at once; what the warps have is added in their order.
template <bool ALIGNED>
DEVICE void add_rows(float *dst, float (*parts)[128], const float *x, long from, long to, int column, int d, long ld,
                     bool accumulate) {
  constexpr int HEIGHT = 8;
  int warps = threads() / 32, c = column + 4 * lane();
  f4 sum = {};
  for (long i = from + warp(); i < to; i += HEIGHT * warps) {
    f4 rows[HEIGHT];
#pragma unroll
    for (int k = 0; k < HEIGHT; k++) {
      long row = i + k * warps;
      rows[k] = load4<ALIGNED>(x + row * ld, row < to ? c : d, d);
    }
#pragma unroll
    for (int k = 0; k < HEIGHT; k++)
#pragma unroll
      for (int j = 0; j < 4; j++) sum.v[j] += rows[k].v[j];
  }
  *(f4 *)(parts[warp()] + 4 * lane()) = sum;
  sync();
  for (int i = tid(); i < 128; i += threads()) {
    if (column + i >= d) break;
    float total = parts[0][i];
    for (int k = 1; k < warps; k++) total += parts[k][i];
    float *out = dst + column + i;
    *out = accumulate ? *out + total : total;
  }
}

// sum_rows sets row i of dst to the sum of the rows of x from height*i on, as many, or adds it: a block has 128 columns
// of one sum. Blocks of the third dimension do so to other with the n rows that follow. Bits of accumulate are for
// each.
KERNEL_OF(512, 1) sum_rows(float *dst, float *other, const float *x, long n, int d, long ld, long height,
                           int accumulate) {
  SHARED float parts[16][128];
  long from = bid_y() * height, to = from + height < n ? from + height : n;
  int column = (int)bid() * 128;
  x += bid_z() * n * ld;
  dst = (bid_z() ? other : dst) + bid_y() * d;
  bool add = accumulate >> bid_z() & 1;
  if (aligned(d | ld, x))
    add_rows<true>(dst, parts, x, from, to, column, d, ld, add);
  else
    add_rows<false>(dst, parts, x, from, to, column, d, ld, add);
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

// scatter_rows adds factor * the rows of src that order lists, in its order, to dst, or to 0 if fresh.
template <bool ALIGNED>
DEVICE void scatter_rows(float *dst, const float *src, const int *order, int count, float factor, int column, int d,
                         bool fresh) {
  constexpr int HEIGHT = 4;
  f4 sum = {};
  if (!fresh) sum = load4<ALIGNED>(dst, column, d);
  for (int i = 0; i < count; i += HEIGHT) {
    int at[HEIGHT];
    f4 rows[HEIGHT];
#pragma unroll
    for (int k = 0; k < HEIGHT; k++)
      if (i + k < count) at[k] = order[i + k];
#pragma unroll
    for (int k = 0; k < HEIGHT; k++)
      if (i + k < count) rows[k] = load4<ALIGNED>(src + (long)at[k] * d, column, d);
#pragma unroll
    for (int k = 0; k < HEIGHT; k++)
      if (i + k < count)
#pragma unroll
        for (int j = 0; j < 4; j++) sum.v[j] = fma(factor, rows[k].v[j], sum.v[j]);
  }
  store4<ALIGNED>(dst, column, d, sum);
}

// scatter_add adds factor * the rows of src from starts[i] up to starts[i+1] of order, in that order, to row ids[i] of
// dst or, where that is negative, sets row ~ids[i] of parts to their sum. A warp has 128 columns of one of n sums.
KERNEL scatter_add(float *dst, float *parts, const float *src, const int *ids, const int *starts, const int *order,
                   float factor, long n, int d) {
  long i = bid() * 8 + warp();
  if (i >= n) return;
  int column = (int)bid_y() * 128 + 4 * lane(), id = ids[i], from = starts[i], to = starts[i + 1];
  float *out = id < 0 ? parts + (long)~id * d : dst + (long)id * d;
  if (aligned(d, dst, parts, src))
    scatter_rows<true>(out, src, order + from, to - from, factor, column, d, id < 0);
  else
    scatter_rows<false>(out, src, order + from, to - from, factor, column, d, id < 0);
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
