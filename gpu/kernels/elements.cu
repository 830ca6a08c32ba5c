// Operations element by element. A block of 256 threads has 1024 elements.
#include "device.h"
#include "dropout.h"
#include "normal.h"

// apply sets dst[i] = f(i, a[i], b[i], c[i]) for the elements of a block; inputs that
// are null count as 0. A thread reads all before it writes, so that more is on the
// way at a time. Inputs can be dst.
template <class F>
DEVICE void apply(float *dst, const float *a, const float *b, const float *c, long n, F f) {
  constexpr int count = 4;
  long start = bid() * (count * threads()) + tid();
  float x[count], y[count], z[count];
#pragma unroll
  for (int k = 0; k < count; k++) {
    long i = start + k * threads();
    x[k] = a && i < n ? a[i] : 0;
    y[k] = b && i < n ? b[i] : 0;
    z[k] = c && i < n ? c[i] : 0;
  }
#pragma unroll
  for (int k = 0; k < count; k++) {
    long i = start + k * threads();
    if (i < n) dst[i] = f(i, x[k], y[k], z[k]);
  }
}

KERNEL fill(float *dst, float value, long n) {
  apply(dst, nullptr, nullptr, nullptr, n, [=](long, float, float, float) { return value; });
}

KERNEL add(float *dst, const float *a, const float *b, long n) {
  apply(dst, a, b, nullptr, n, [](long, float a, float b, float) { return a + b; });
}

KERNEL axpy(float *y, float alpha, const float *x, long n) {
  apply(y, x, y, nullptr, n, [=](long, float x, float y, float) { return fma(alpha, x, y); });
}

KERNEL scale(float *dst, float alpha, const float *x, long n) {
  apply(dst, x, nullptr, nullptr, n, [=](long, float x, float, float) { return alpha * x; });
}

// dst = factor[0] * x, or added to it.
KERNEL mul_scalar(float *dst, const float *x, const float *factor, long n, int accumulate) {
  float alpha = factor[0];
  apply(dst, x, accumulate ? dst : nullptr, nullptr, n,
        [=](long, float x, float y, float) { return accumulate ? fma(alpha, x, y) : alpha * x; });
}

KERNEL gelu(float *dst, const float *x, long n) {
  apply(dst, x, nullptr, nullptr, n, [](long, float x, float, float) { return gelu_value(x); });
}

// dx = dy * the slope of gelu at x, or added to it.
KERNEL gelu_backward(float *dx, const float *dy, const float *x, long n, int accumulate) {
  apply(dx, dy, x, accumulate ? dx : nullptr, n, [=](long, float dy, float x, float sum) {
    float d = dy * gelu_slope(x);
    return accumulate ? sum + d : d;
  });
}

// dst = kept(x), or sum + kept(x) if sum is not null. Element i has the counter + i.
KERNEL dropout(float *dst, const float *x, const float *sum, long n, float factor, unsigned threshold,
               unsigned counter, unsigned key) {
  apply(dst, x, sum, nullptr, n, [=](long i, float x, float s, float) {
    float kept = dropout_hash(counter + (unsigned)i, key) >= threshold ? x * factor : 0;
    return sum ? s + kept : kept;
  });
}
