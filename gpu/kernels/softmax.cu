// Softmax of rows. A block works on a row; each thread keeps to its own elements.
#include "block.h"

// softmax_rows sets rows of cols elements of y to the softmax of those of x. y can be x.
KERNEL softmax_rows(float *y, const float *x, int cols) {
  y += bid() * cols;
  x += bid() * cols;
  float greatest = -INFINITY;
  for (int c = tid(); c < cols; c += threads()) greatest = greater(greatest, x[c]);
  greatest = block_max(greatest);
  double sum = 0;
  for (int c = tid(); c < cols; c += threads()) {
    float e = exp(x[c] - greatest); // NaN where the greatest is infinite
    sum += (double)e;
    y[c] = e;
  }
  float inverse = (float)(1 / block_sum(sum));
  for (int c = tid(); c < cols; c += threads()) y[c] *= inverse;
}

// softmax_rows_backward sets (adds) dx = y*(dy - sum of y*dy) for rows of cols elements.
KERNEL softmax_rows_backward(float *dx, const float *dy, const float *y, int cols, int accumulate) {
  dx += bid() * cols;
  dy += bid() * cols;
  y += bid() * cols;
  double sum = 0;
  for (int c = tid(); c < cols; c += threads()) sum += (double)(y[c] * dy[c]);
  float less = -(float)block_sum(sum);
  for (int c = tid(); c < cols; c += threads()) {
    float g = fma(less, y[c], y[c] * dy[c]);
    dx[c] = accumulate ? dx[c] + g : g;
  }
}
