// Operations along an axis. A line is all elements along it at one position of the other axes. Nests have the
// operands dst, x and, if there is one, the index.
#include "nest.h"

// gather_along sets (adds) element i of n of dst to an element of x. The nest has all axes of dst; x stands still along
// the one that the index is for.
KERNEL gather_along(float *dst, const float *x, const int *index, const long *nest, int rank, long n, long stride,
                    int accumulate) {
  long i = thread_number(), at[3];
  if (i >= n) return;
  seek(at, nest, rank, i);
  float v = x[at[1] + index[at[2]] * stride];
  dst[at[0]] = accumulate ? dst[at[0]] + v : v;
}

// scatter_along sets (adds to) elements of dst, in order: a thread works on a line of n elements of x.
KERNEL scatter_along(float *dst, const float *x, const int *index, const long *nest, int rank, long lines, long n,
                     long dst_stride, long x_stride, long index_stride, int accumulate) {
  long line = thread_number(), at[3];
  if (line >= lines) return;
  seek(at, nest, rank, line);
  for (long i = 0; i < n; i++) {
    float *y = dst + at[0] + index[at[2] + i * index_stride] * dst_stride, v = x[at[1] + i * x_stride];
    *y = accumulate ? *y + v : v;
  }
}

// scatter_groups is scatter_along for an index that all lines share. The elements order[starts[g]] to
// order[starts[g+1]] of a line go to its row ids[g], in this order: a thread has a group of a line.
KERNEL scatter_groups(float *dst, const float *x, const int *ids, const int *starts, const int *order,
                      const long *nest, int rank, long lines, int groups, long dst_stride, long x_stride,
                      int accumulate) {
  long group = thread_number() / lines, line = thread_number() - group * lines, at[3];
  if (group >= groups) return;
  seek(at, nest, rank, line);
  float *y = dst + at[0] + ids[group] * dst_stride;
  int from = starts[group], to = starts[group + 1];
  x += at[1];
  float v = accumulate ? *y : x[order[to - 1] * x_stride];
  if (accumulate) {
    for (int k = from; k < to; k++) v += x[order[k] * x_stride];
  }
  *y = v;
}

// copy_ints sets dst to x, or to the bits of the same numbers in float32.
KERNEL copy_ints(int *dst, const int *x, const long *nest, int rank, long n, int floats) {
  long i = thread_number(), at[1];
  if (i >= n) return;
  seek(at, nest, rank, i);
  dst[i] = floats ? (int)bits((float)x[at[0]]) : x[at[0]];
}

// from_lane returns v of a lane. All lanes of a warp must call it.
DEVICE double from_lane(double v, int lane) {
  unsigned long word = __builtin_bit_cast(unsigned long, v);
  unsigned low = __nvvm_shfl_sync_idx_i32(0xffffffffu, (int)word, lane, 31);
  unsigned high = __nvvm_shfl_sync_idx_i32(0xffffffffu, (int)(word >> 32), lane, 31);
  return __builtin_bit_cast(double, (unsigned long)high << 32 | low);
}

// cum_sum sets (adds) dst to the sums of x up to each element of a line or, if reverse, from each on, in float64. A
// line has a thread, or a warp if lanes is 32.
KERNEL cum_sum(float *dst, const float *x, const long *nest, int rank, long lines, long n, long dst_stride,
               long x_stride, int lanes, int reverse, int accumulate) {
  long line = thread_number() / lanes, at[2];
  int lane = tid() & (lanes - 1);
  bool inside = line < lines;
  seek(at, nest, rank, inside ? line : 0);
  dst += at[0];
  x += at[1];
  if (reverse) {
    dst += (n - 1) * dst_stride;
    x += (n - 1) * x_stride;
    dst_stride = -dst_stride;
    x_stride = -x_stride;
  }
  double before = 0;
  for (long i = lane; i - lane < n; i += lanes) {
    bool here = inside && i < n;
    double sum = here ? (double)x[i * x_stride] : 0;
    for (int distance = 1; distance < lanes; distance *= 2) {
      double v = from_lane(sum, (lane - distance) & 31);
      sum = lane >= distance ? sum + v : sum;
    }
    sum += before;
    before = lanes == 1 ? sum : from_lane(sum, 31);
    if (here) {
      float *y = dst + i * dst_stride;
      *y = (float)(accumulate ? sum + (double)*y : sum);
    }
  }
}
