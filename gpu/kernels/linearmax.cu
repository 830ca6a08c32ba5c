// The greatest values of columns by segments of rows, and their gradients. Blocks have THREADS columns.
#include "matrix.h"

const int THREADS = 128;

// linear_max sets y and rows [segments, d] of segment bid() to the greatest of products [n, d], and to the first rows
// that have them: 0 and -1 in an empty segment. A NaN in the first row stays, others are ignored.
KERNEL_OF(THREADS, 4) linear_max(float *y, int *rows, const float *products, const int *offsets, long d) {
  long j = (long)bid_y() * THREADS + tid();
  if (j >= d) return;
  int from = offsets[bid()], to = offsets[bid() + 1], row = -1;
  float most = 0;
  for (int i = from; i < to; i++) {
    float x = products[i * d + j];
    if (i == from || x > most) {
      most = x;
      row = i;
    }
  }
  y[bid() * d + j] = most;
  rows[bid() * d + j] = row;
}

// linear_max_input adds to dx [n, k] what segment bid() gives, in the order of the columns of dy [segments, d].
KERNEL_OF(THREADS, 4) linear_max_input(float *dx, const float *dy, const float *w, const int *rows, long d, long k) {
  long c = (long)bid_y() * THREADS + tid();
  if (c >= k) return;
  dy += bid() * d;
  rows += bid() * d;
  for (long j = 0; j < d; j++) {
    if (rows[j] >= 0) dx[rows[j] * k + c] = fma(dy[j], w[j * k + c], dx[rows[j] * k + c]);
  }
}

// linear_max_weight adds to row bid() of dw [d, k], in the order of the segments.
KERNEL_OF(THREADS, 4) linear_max_weight(float *dw, const float *dy, const float *x, const int *rows, long segments,
                                        long d, long k) {
  long c = (long)bid_y() * THREADS + tid(), j = bid();
  if (c >= k) return;
  float sum = dw[j * k + c];
  for (long s = 0; s < segments; s++) {
    int row = rows[s * d + j];
    if (row >= 0) sum = fma(dy[s * d + j], x[row * k + c], sum);
  }
  dw[j * k + c] = sum;
}
