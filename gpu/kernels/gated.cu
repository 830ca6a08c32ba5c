// What the blocks of today's Transformers consist of.
#include "math.h"
#include "nest.h"

// swiglu sets y = gate * sigmoid(gate) * up.
KERNEL swiglu(float *y, const float *gate, const float *up, long n) {
  long i = thread_number();
  if (i < n) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

// swiglu_backward sets the gradients: with x the gate and s its sigmoid, dup = dy*x*s and
// dgate = dy*up*(s + x*s*(1-s)). They can be operands.
KERNEL swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up, long n) {
  long i = thread_number();
  if (i < n) {
    float s = sigmoid(gate[i]), silu = gate[i] * s, d = dy[i], u = up[i];
    dup[i] = d * silu;
    dgate[i] = d * u * fma(silu, 1 - s, s);
  }
}

// rms_norm sets y = x * rstd * weight for rows of d elements, and rstd = 1/sqrt(mean(x*x) + eps). A warp works on a
// row.
KERNEL rms_norm(float *y, float *rstd, const float *x, const float *weight, long rows, int d, float eps) {
  long row = thread_number() / 32;
  int lane = tid() % 32;
  double sum = 0;
  for (int i = lane; i < d && row < rows; i += 32) sum += (double)x[row * d + i] * (double)x[row * d + i];
  sum = warp_sum(sum);
  if (row >= rows) return;
  float r = (float)(1 / root(sum / d + (double)eps));
  for (int i = lane; i < d; i += 32) y[row * d + i] = r * x[row * d + i] * weight[i];
  if (lane == 0) rstd[row] = r;
}

// rms_norm_backward sets (adds) dx: with g = dy*weight, rstd*g - rstd**3 * mean(g*x) * x.
KERNEL rms_norm_backward(float *dx, const float *dy, const float *x, const float *weight, const float *rstd, long rows,
                         int d, int accumulate) {
  long row = thread_number() / 32;
  int lane = tid() % 32;
  double sum = 0;
  for (int i = lane; i < d && row < rows; i += 32) {
    sum += (double)(dy[row * d + i] * weight[i]) * (double)x[row * d + i];
  }
  sum = warp_sum(sum);
  if (row >= rows) return;
  float r = rstd[row], slope = (float)(-(double)r * (double)r * (double)r * sum / d);
  for (int i = lane; i < d; i += 32) {
    float g = fma(slope, x[row * d + i], r * (dy[row * d + i] * weight[i]));
    dx[row * d + i] = accumulate ? dx[row * d + i] + g : g;
  }
}

// rms_norm_weight sets sums [groups, d] to those of dy*x*rstd in groups of height rows. A thread works on a column.
KERNEL rms_norm_weight(double *sums, const float *dy, const float *x, const float *rstd, long rows, int d,
                       long height) {
  long from = bid_y() * height, to = from + height < rows ? from + height : rows;
  int column = (int)thread_number();
  if (column >= d) return;
  double sum = 0;
  for (long row = from; row < to; row++) {
    sum += (double)(dy[row * d + column] * x[row * d + column]) * (double)rstd[row];
  }
  sums[bid_y() * d + column] = sum;
}

// add_groups sets (adds to) dst [d] the sums of groups, in order.
KERNEL add_groups(float *dst, const double *sums, int groups, int d, int accumulate) {
  int column = (int)thread_number();
  if (column >= d) return;
  double sum = accumulate ? (double)dst[column] : 0;
  for (int g = 0; g < groups; g++) sum += sums[(long)g * d + column];
  dst[column] = (float)sum;
}

// rotate turns the columns i and i+half of every head of a row by an angle whose cosine and sine are those of column i,
// times sign. n is the number of pairs of all rows. y can be x.
KERNEL rotate(float *y, const float *x, const float *cos, const float *sin, long n, int pairs, int half, float sign) {
  long i = thread_number();
  if (i < n) {
    long row = i / pairs;
    int pair = (int)(i - row * pairs), column = pair % half;
    long first = row * 2 * pairs + (pair - column) * 2 + column;
    float a = x[first], b = x[first + half], c = cos[row * half + column], s = sign * sin[row * half + column];
    y[first] = a * c - b * s;
    y[first + half] = b * c + a * s;
  }
}
