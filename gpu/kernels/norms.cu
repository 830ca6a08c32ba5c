// Layer norm, and division of rows by their lengths. Where not said otherwise a warp
// has a row, and a block of 256 threads 8 of them.
#include "quads.h"

constexpr int HELD = 8; // quads of a row that a lane keeps in registers

// quad_at returns the column of quad k of a lane.
DEVICE int quad_at(int k) { return 4 * lane() + 128 * k; }

// norm_row is layer_norm of a row. What a lane does not keep of it, it reads again.
template <bool ALIGNED>
DEVICE void norm_row(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta, int d,
                     float eps) {
  f4 held[HELD];
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (128 * k < d) held[k] = load4<ALIGNED>(x, quad_at(k), d);
  double sums[4] = {};
  auto add = [&](const f4 &v) {
#pragma unroll
    for (int j = 0; j < 4; j++) sums[j] += v.v[j];
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (128 * k < d) add(held[k]);
  for (int k = HELD; 128 * k < d; k++) add(load4<ALIGNED>(x, quad_at(k), d));
  double exact = divide(warp_sum((sums[0] + sums[1]) + (sums[2] + sums[3])), (double)d);
  float m = (float)exact, rounded = (float)(exact - m), squares[4] = {};
  auto centre = [&](f4 &v, int c) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      v.v[j] = inside<ALIGNED>(c, j, d) ? v.v[j] - m : 0;
      squares[j] = fma(v.v[j], v.v[j], squares[j]);
    }
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (128 * k < d) centre(held[k], quad_at(k));
  for (int k = HELD; 128 * k < d; k++) {
    f4 v = load4<ALIGNED>(x, quad_at(k), d);
    centre(v, quad_at(k));
  }
  float sum = warp_sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  float variance = fma(-rounded, rounded, divide(sum, (float)d));
  float r = divide(1.f, root((variance > 0 ? variance : 0) + eps));
  auto store = [&](f4 v, int c) {
    f4 factor = load4<ALIGNED>(gamma, c, d), shift = load4<ALIGNED>(beta, c, d);
#pragma unroll
    for (int j = 0; j < 4; j++) v.v[j] = fma(v.v[j] * r, factor.v[j], shift.v[j]);
    store4<ALIGNED>(y, c, d, v);
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (128 * k < d) store(held[k], quad_at(k));
  for (int k = HELD; 128 * k < d; k++) {
    f4 v = load4<ALIGNED>(x, quad_at(k), d);
#pragma unroll
    for (int j = 0; j < 4; j++) v.v[j] -= m;
    store(v, quad_at(k));
  }
  if (lane() == 0) *mean = m, *rstd = r;
}

// y = (x - mean)*rstd*gamma + beta. The variance is about the rounded mean, less the
// square of what was rounded.
KERNEL_OF(256, 3) layer_norm(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta,
                             long n, int d, float eps) {
  long row = bid() * 8 + warp();
  if (row >= n) return;
  if (aligned(d, y, x, gamma, beta))
    norm_row<true>(y + row * d, mean + row, rstd + row, x + row * d, gamma, beta, d, eps);
  else
    norm_row<false>(y + row * d, mean + row, rstd + row, x + row * d, gamma, beta, d, eps);
}

// What a row of the gradient of layer_norm takes: the means of g and of g*xhat, with xhat = (x - mean)*rstd and
// g = dy*gamma.
struct Slope {
  float mean, product;
};

// layer_norm_slopes computes what a row takes where it is too long for the threads of a block.
KERNEL layer_norm_slopes(Slope *slopes, const float *dy, const float *x, const float *gamma, const float *mean,
                         const float *rstd, long n, int d) {
  long row = bid() * 8 + warp();
  if (row >= n) return;
  const float *in = x + row * d, *slope = dy + row * d;
  float m = mean[row], r = rstd[row], inverse = divide(1.f, (float)d);
  float sum = 0, product = 0;
#pragma unroll 4
  for (int j = lane(); j < d; j += 32) {
    float g = slope[j] * gamma[j];
    sum += g;
    product = fma(g, (in[j] - m) * r, product);
  }
  sum = warp_sum(sum) * inverse;
  product = warp_sum(product) * inverse;
  if (lane() == 0) slopes[row] = {sum, product};
}

constexpr int ROWS = 4; // rows of layer_norm_backward that are on their way at a time

struct Row {
  f4 normal, g, sum; // xhat, g, and what dx was
  float rstd;
};

// slopes_of computes what rows take, of which each thread of the block has four columns. It sums in the order of lanes
// and warps. Calls take turns with work, so that one barrier is enough.
DEVICE void slopes_of(Slope (&slopes)[ROWS], const Row (&rows)[ROWS], Slope (*work)[ROWS], int d) {
  float inverse = divide(1.f, (float)d);
#pragma unroll
  for (int k = 0; k < ROWS; k++) {
    Slope s = {};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      s.mean += rows[k].g.v[j];
      s.product = fma(rows[k].g.v[j], rows[k].normal.v[j], s.product);
    }
    slopes[k] = {warp_sum(s.mean), warp_sum(s.product)};
    if (lane() == 0) work[warp()][k] = slopes[k];
  }
  sync();
#pragma unroll
  for (int k = 0; k < ROWS; k++) slopes[k] = work[0][k];
  for (int w = 1; w < threads() / 32; w++) {
#pragma unroll
    for (int k = 0; k < ROWS; k++) {
      slopes[k].mean += work[w][k].mean;
      slopes[k].product += work[w][k].product;
    }
  }
#pragma unroll
  for (int k = 0; k < ROWS; k++) slopes[k] = {slopes[k].mean * inverse, slopes[k].product * inverse};
}

template <bool ALIGNED>
DEVICE void norm_rows_backward(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x,
                               const float *gamma, const float *mean, const float *rstd, const Slope *known,
                               Slope (*work)[16][ROWS], long from, long to, int d, int accumulate) {
  int c = 4 * ((int)bid_y() * threads() + tid());
  f4 scale = load4<ALIGNED>(gamma, c, d), sum_gamma = {}, sum_beta = {};
  for (long i = from; i < to; i += ROWS) {
    Row rows[ROWS];
#pragma unroll
    for (int k = 0; k < ROWS; k++) {
      int at = i + k < to ? c : d; // nothing of a row behind the last one
      rows[k].normal = load4<ALIGNED>(x + (i + k) * d, at, d);
      rows[k].g = load4<ALIGNED>(dy + (i + k) * d, at, d);
      if (dx && accumulate & 1) rows[k].sum = load4<ALIGNED>(dx + (i + k) * d, at, d);
    }
#pragma unroll
    for (int k = 0; k < ROWS; k++) {
      bool row = i + k < to;
      float m = row ? mean[i + k] : 0;
      rows[k].rstd = row ? rstd[i + k] : 0;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float normal = (rows[k].normal.v[j] - m) * rows[k].rstd, slope = rows[k].g.v[j];
        sum_gamma.v[j] = fma(slope, normal, sum_gamma.v[j]);
        sum_beta.v[j] += slope;
        rows[k].normal.v[j] = normal;
        rows[k].g.v[j] = slope * scale.v[j];
      }
    }
    if (!dx) continue;
    Slope slopes[ROWS];
    if (known) {
#pragma unroll
      for (int k = 0; k < ROWS; k++) slopes[k] = i + k < to ? known[i + k] : Slope{};
    } else {
      slopes_of(slopes, rows, work[(i - from) / ROWS & 1], d);
    }
#pragma unroll
    for (int k = 0; k < ROWS; k++) {
      f4 out;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float v = rows[k].rstd * fma(-rows[k].normal.v[j], slopes[k].product, rows[k].g.v[j] - slopes[k].mean);
        out.v[j] = accumulate & 1 ? rows[k].sum.v[j] + v : v;
      }
      if (i + k < to) store4<ALIGNED>(dx + (i + k) * d, c, d, out);
    }
  }
  auto set = [&](float *dst, f4 sum, bool add) {
    if (!dst) return;
    if (add) {
      f4 old = load4<ALIGNED>(dst, c, d);
#pragma unroll
      for (int j = 0; j < 4; j++) sum.v[j] += old.v[j];
    }
    store4<ALIGNED>(dst, c, d, sum);
  };
  set(dgamma, sum_gamma, accumulate & 2);
  set(dbeta, sum_beta, accumulate & 4);
}

// layer_norm_backward sets dx = rstd * (g - mean(g) - xhat*mean(g*xhat)), and row i of dgamma to the sum of dy*xhat and
// of dbeta to that of dy over the rows from height*i on, as many. Bits of accumulate say for each of the three whether
// it is added. Each may be null; dx can be dy or x. A block has these rows, a thread four columns. Where a row has more
// than a block of threads, known is what layer_norm_slopes found.
KERNEL_OF(512, 1) layer_norm_backward(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x,
                                      const float *gamma, const float *mean, const float *rstd, const Slope *known,
                                      long n, int d, long height, int accumulate) {
  SHARED Slope work[2][16][ROWS];
  long from = bid() * height, to = from + height < n ? from + height : n;
  if (dgamma) dgamma += bid() * d;
  if (dbeta) dbeta += bid() * d;
  if (aligned(d, dx, dgamma, dbeta, dy, x, gamma))
    norm_rows_backward<true>(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, known, work, from, to, d, accumulate);
  else
    norm_rows_backward<false>(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, known, work, from, to, d, accumulate);
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
