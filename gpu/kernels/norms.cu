// Layer norm, and division of rows by their lengths. Where not said otherwise a warp
// has a row, and a block of 256 threads 8 of them.
#include "device.h"

// y = (x - mean)*rstd*gamma + beta. The variance is about the rounded mean, less the
// square of what was rounded.
KERNEL layer_norm(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta, long n,
                  int d, float eps) {
  long row = bid() * 8 + warp();
  if (row < n) {
    const float *in = x + row * d;
    float *out = y + row * d;
    double sum = 0;
    for (int j = lane(); j < d; j += 32) sum += in[j];
    double exact = divide(warp_sum(sum), (double)d);
    float m = (float)exact, rounded = (float)(exact - m), squares = 0;
    for (int j = lane(); j < d; j += 32) {
      float v = in[j] - m;
      squares = fma(v, v, squares);
    }
    float variance = fma(-rounded, rounded, divide(warp_sum(squares), (float)d));
    float r = divide(1.f, root((variance > 0 ? variance : 0) + eps));
    for (int j = lane(); j < d; j += 32) out[j] = fma((in[j] - m) * r, gamma[j], beta[j]);
    if (lane() == 0) mean[row] = m, rstd[row] = r;
  }
}

// dx = rstd * (g - mean(g) - xhat*mean(g*xhat)) with xhat = (x - mean)*rstd and
// g = dy*gamma, or added to it. dx can be dy or x.
KERNEL layer_norm_backward(float *dx, const float *dy, const float *x, const float *gamma, const float *mean,
                           const float *rstd, long n, int d, int accumulate) {
  long row = bid() * 8 + warp();
  if (row < n) {
    const float *in = x + row * d, *slope = dy + row * d;
    float *out = dx + row * d;
    float m = mean[row], r = rstd[row], inverse = divide(1.f, (float)d);
    float sum = 0, product = 0;
    for (int j = lane(); j < d; j += 32) {
      float g = slope[j] * gamma[j];
      sum += g;
      product = fma(g, (in[j] - m) * r, product);
    }
    float mean_g = warp_sum(sum) * inverse, mean_gx = warp_sum(product) * inverse;
    for (int j = lane(); j < d; j += 32) {
      float v = r * fma(-(in[j] - m) * r, mean_gx, slope[j] * gamma[j] - mean_g);
      out[j] = accumulate ? out[j] + v : v;
    }
  }
}

// Row i of dgamma = the sum of dy*xhat, and of dbeta that of dy, over 64 rows from
// 64*i on, or added to it; each may be null. A thread has a column, a block 256
// columns of one row.
KERNEL layer_norm_sums(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean,
                       const float *rstd, long n, int d, int add_gamma, int add_beta) {
  int blocks = (d + 255) / 256;
  long row = bid() / blocks;
  int column = (int)(bid() % blocks) * 256 + tid();
  if (column >= d) return;
  long end = (row + 1) * 64 < n ? (row + 1) * 64 : n;
  float gamma = 0, beta = 0;
#pragma unroll 4
  for (long i = row * 64; i < end; i++) {
    float slope = dy[i * d + column];
    gamma = fma(slope, (x[i * d + column] - mean[i]) * rstd[i], gamma);
    beta += slope;
  }
  long at = row * d + column;
  if (dgamma) dgamma[at] = add_gamma ? dgamma[at] + gamma : gamma;
  if (dbeta) dbeta[at] = add_beta ? dbeta[at] + beta : beta;
}

// Lengths in this range, and their inverses, are normal float32 numbers. Others are
// multiplied by 2**64 or its inverse, and negated as a mark.
constexpr double least = 0x1p-126, greatest = 0x1p126, shift = 0x1p64;

DEVICE float pack(double length) {
  if (length == 0 || (length >= least && length <= greatest) || !(length < __builtin_huge_val())) return (float)length;
  return length < 1 ? (float)(-length * shift) : (float)(-length / shift);
}

DEVICE double unpack(float packed) {
  double length = packed;
  if (!(length < 0)) return length;
  return length > -1 ? -length / shift : -length * shift;
}

// y = x / length(x), zero rows aside; the lengths are packed.
KERNEL normalize(float *y, float *norm, const float *x, long n, int d) {
  long row = bid() * 8 + warp();
  if (row < n) {
    const float *in = x + row * d;
    float *out = y + row * d;
    double squares = 0;
    for (int j = lane(); j < d; j += 32) squares = fma((double)in[j], (double)in[j], squares);
    double length = root(warp_sum(squares));
    float single = (float)length;
    if (single >= (float)least && single <= (float)greatest) {
      float inverse = divide(1.f, single);
      for (int j = lane(); j < d; j += 32) out[j] = inverse * in[j];
      if (lane() == 0) norm[row] = single;
    } else {
      for (int j = lane(); j < d; j += 32) out[j] = length == 0 ? 0 : (float)divide((double)in[j], length);
      if (lane() == 0) norm[row] = pack(length);
    }
  }
}

// dx += (dy - y*(y.dy)) / length, nothing for zero rows.
KERNEL normalize_backward(float *dx, const float *dy, const float *y, const float *norm, long n, int d) {
  long row = bid() * 8 + warp();
  if (row < n) {
    const float *slope = dy + row * d, *in = y + row * d;
    float *out = dx + row * d;
    double length = unpack(norm[row]), dot = 0;
    for (int j = lane(); j < d; j += 32) dot = fma((double)in[j], (double)slope[j], dot);
    dot = warp_sum(dot);
    if (length >= least && length <= greatest) {
      float inverse = divide(1.f, (float)length), along = -inverse * (float)dot;
      for (int j = lane(); j < d; j += 32) out[j] = fma(along, in[j], fma(inverse, slope[j], out[j]));
    } else if (length != 0) {
      for (int j = lane(); j < d; j += 32) out[j] += (float)divide(fma(-(double)in[j], dot, (double)slope[j]), length);
    }
  }
}
