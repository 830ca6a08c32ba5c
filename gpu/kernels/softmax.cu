// Softmax of rows. A block works on a row; each thread keeps to its own elements, of which it holds the first ones.
#include "block.h"
#include "quads.h"

constexpr int HELD = 4; // quads that a thread holds

template <bool ALIGNED> DEVICE void softmax_row(float *y, const float *x, int cols) {
  f4 held[HELD];
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) held[k] = load4<ALIGNED>(x, quad_at(k), cols, -INFINITY);
  float most = -INFINITY;
  auto compare = [&](const f4 &v) {
#pragma unroll
    for (int j = 0; j < 4; j++) most = greater(most, v.v[j]);
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) compare(held[k]);
#pragma unroll 4
  for (int k = HELD; quad_at(k) < cols; k++) compare(load4<ALIGNED>(x, quad_at(k), cols, -INFINITY));
  most = block_max(most);
  double sum = 0;
  auto raise = [&](f4 &v) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      v.v[j] = exp(v.v[j] - most); // NaN where the greatest is infinite
      sum += (double)v.v[j];
    }
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) raise(held[k]);
  for (int k = HELD; quad_at(k) < cols; k++) {
    f4 v = load4<ALIGNED>(x, quad_at(k), cols, -INFINITY);
    raise(v);
    store4<ALIGNED>(y, quad_at(k), cols, v);
  }
  float inverse = (float)(1 / block_sum(sum));
  auto store = [&](f4 v, int c) {
#pragma unroll
    for (int j = 0; j < 4; j++) v.v[j] *= inverse;
    store4<ALIGNED>(y, c, cols, v);
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) store(held[k], quad_at(k));
  for (int k = HELD; quad_at(k) < cols; k++) store(load4<ALIGNED>(y, quad_at(k), cols), quad_at(k));
}

// softmax_rows sets rows of cols elements of y to the softmax of those of x. y can be x.
KERNEL_OF(1024, 1) softmax_rows(float *y, const float *x, int cols) {
  if (aligned(cols, x, y))
    softmax_row<true>(y + bid() * cols, x + bid() * cols, cols);
  else
    softmax_row<false>(y + bid() * cols, x + bid() * cols, cols);
}

template <bool ALIGNED>
DEVICE void softmax_row_backward(float *dx, const float *dy, const float *y, int cols, int accumulate) {
  f4 held[HELD], products[HELD];
  double sum = 0;
  auto multiply = [&](const f4 &value, f4 &slope) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      slope.v[j] *= value.v[j];
      sum += (double)slope.v[j];
    }
  };
#pragma unroll
  for (int k = 0; k < HELD; k++) {
    if (any_at(k, cols)) {
      held[k] = load4<ALIGNED>(y, quad_at(k), cols);
      products[k] = load4<ALIGNED>(dy, quad_at(k), cols);
    }
  }
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) multiply(held[k], products[k]);
  for (int k = HELD; quad_at(k) < cols; k++) {
    f4 slope = load4<ALIGNED>(dy, quad_at(k), cols);
    multiply(load4<ALIGNED>(y, quad_at(k), cols), slope);
  }
  float less = -(float)block_sum(sum);
  auto store = [&](const f4 &value, f4 product, int c) {
    f4 old = {};
    if (accumulate) old = load4<ALIGNED>(dx, c, cols);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float g = fma(less, value.v[j], product.v[j]);
      product.v[j] = accumulate ? old.v[j] + g : g;
    }
    store4<ALIGNED>(dx, c, cols, product);
  };
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, cols)) store(held[k], products[k], quad_at(k));
  for (int k = HELD; quad_at(k) < cols; k++) {
    f4 value = load4<ALIGNED>(y, quad_at(k), cols), slope = load4<ALIGNED>(dy, quad_at(k), cols);
#pragma unroll
    for (int j = 0; j < 4; j++) slope.v[j] *= value.v[j];
    store(value, slope, quad_at(k));
  }
}

// softmax_rows_backward sets (adds) dx = y*(dy - sum of y*dy) for rows of cols elements.
KERNEL_OF(1024, 1) softmax_rows_backward(float *dx, const float *dy, const float *y, int cols, int accumulate) {
  long at = bid() * cols;
  if (aligned(cols, dx, dy, y))
    softmax_row_backward<true>(dx + at, dy + at, y + at, cols, accumulate);
  else
    softmax_row_backward<false>(dx + at, dy + at, y + at, cols, accumulate);
}
