// The cross-entropy of rows of logits.
#include "exp.h"
#include "logarithm.h"
#include "matrix.h"

const int THREADS = 256, WARPS = THREADS / 32;

// all combines a number of each thread to the greatest of them or their sum, the same for all.
DEVICE double all(double x, bool greatest, double *work) {
#pragma unroll
  for (int i = 16; i; i /= 2) {
    double y = swap(x, i);
    x = greatest ? (y > x ? y : x) : x + y;
  }
  sync();
  if (lane() == 0) work[warp()] = x;
  sync();
  x = work[0];
#pragma unroll
  for (int i = 1; i < WARPS; i++) x = greatest ? (work[i] > x ? work[i] : x) : x + work[i];
  return x;
}

// cross_entropy sets nll[row] to the loss of row bid() of logits [rows, n] for its target, with label smoothing, and,
// if gradient is set, the logits to the gradient of scale times the loss. If a logit is NaN or +Inf, or all are -Inf,
// the loss is NaN.
KERNEL_OF(THREADS, 4) cross_entropy(float *nll, float *logits, const int *targets, long n, float smoothing,
                                    float scale, int gradient) {
  SHARED double work[WARPS];
  logits += bid() * n;
  long target = targets[bid()];
  float most = -INFINITY;
  for (long i = tid(); i < n; i += THREADS) most = max(most, logits[i]);
  float top = (float)all(most, true, work), own = logits[target], part = 0;
  double rest = 0;
  for (long i = tid(); i < n; i += THREADS) {
    float x = logits[i];
    part += exp(x - top);
    if (smoothing != 0) rest += (double)x - top;
  }
  double sum = all(part, false, work), log = log_of(sum), loss = log - ((double)own - top);
  if (smoothing != 0) {
    double mean = log - all(rest, false, work) / n, s = smoothing;
    loss = (1 - s) * loss + s * mean;
  }
  if (tid() == 0) nll[bid()] = (float)loss;
  if (!gradient) return;
  float factor = (float)(scale / sum), uniform = scale * (smoothing / n);
  sync(); // all have read the target's logit
  for (long i = tid(); i < n; i += THREADS) {
    float x = fma(exp(logits[i] - top), factor, -uniform);
    if (i == target) { // in one rounding: its probability is close to 1 where it matters
      x = (float)(scale * (exp_of(own - (double)top - log) - (1 - (double)smoothing) - smoothing / (double)n));
    }
    logits[i] = x;
  }
}

// cross_entropy_sum sets loss to scale times the sum of the n numbers of nll.
KERNEL_OF(THREADS, 1) cross_entropy_sum(float *loss, const float *nll, long n, float scale) {
  SHARED double work[WARPS];
  double x = 0;
  for (long i = tid(); i < n; i += THREADS) x += nll[i];
  x = all(x, false, work);
  if (tid() == 0) *loss = (float)(x * scale);
}
