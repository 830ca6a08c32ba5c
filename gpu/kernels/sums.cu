// Sums in float64, in two steps: a block of 256 threads sums 8192 products, and one
// block adds up what they found.
#include "device.h"
#include "pieces.h"

constexpr int part = 8192; // elements of a block

// block_sum returns the sum over a block of 256 threads, to the first of them.
DEVICE double block_sum(double v) {
  SHARED static double sums[8];
  v = warp_sum(v);
  if (lane() == 0) sums[warp()] = v;
  sync();
  double total = 0;
  if (tid() == 0)
    for (int i = 0; i < 8; i++) total += sums[i];
  return total;
}

// products returns a thread's share of the sum of x*y from element start on.
DEVICE double products(const float *x, const float *y, long start, long n) {
  double total = 0;
#pragma unroll 8
  for (int k = 0; k < part / 256; k++) {
    long i = start + k * 256 + tid();
    if (i < n) total = fma((double)x[i], (double)y[i], total);
  }
  return total;
}

// total returns a thread's share of a sum of parts.
DEVICE double total(const double *parts, long count) {
  double sum = 0;
  for (long i = tid(); i < count; i += 256) sum += parts[i];
  return sum;
}

DEVICE long parts_of(long n) { return (n + part - 1) / part; }

KERNEL dot_parts(double *parts, const float *x, const float *y, long n) {
  double sum = block_sum(products(x, y, bid() * part, n));
  if (tid() == 0) parts[bid()] = sum;
}

// dst[0] = the sum of the parts, or that added to it.
KERNEL dot(float *dst, const double *parts, long count, int accumulate) {
  double sum = block_sum(total(parts, count));
  if (tid() == 0) dst[0] = accumulate ? dst[0] + (float)sum : (float)sum;
}

struct Squares {
  const float *x;
  long n, first;
};

KERNEL square_parts(double *parts, const Squares *arrays, int count) {
  const Squares *a = arrays + piece_of(arrays, count, bid());
  double sum = block_sum(products(a->x, a->x, (bid() - a->first) * part, a->n));
  if (tid() == 0) parts[bid()] = sum;
}

// sums[i] = the sum of the parts of array i, of which each has a block.
KERNEL square_sums(double *sums, const double *parts, const Squares *arrays) {
  const Squares *a = arrays + bid();
  double sum = block_sum(total(parts + a->first, parts_of(a->n)));
  if (tid() == 0) sums[bid()] = sum;
}
