// The cross-entropy of rows of logits. Blocks of a row have a part of it each, see logits.h.
#include "logarithm.h"
#include "logits.h"

const int THREADS = 256;

// logit_parts finds what the softmax takes of each of count parts of rows of n logits that are ld apart.
KERNEL_OF(THREADS, 4) logit_parts(Part *parts, const float *logits, const float *weight, long ld, int n, int count,
                                  int weighted) {
  int from = (int)bid_y() * PART;
  f4 held[HELD];
  hold(held, logits + bid() * ld + from, n - from, aligned(n | ld, logits));
  Part s = part_of(held, weight ? weight + from : nullptr, n - from, weighted);
  if (tid() == 0) parts[bid() * count + bid_y()] = s;
}

// cross_entropy sets the loss of each row of logits [rows, classes] for its target, with label smoothing, and, if
// gradient is set, the logits to the gradient of scale times the loss. If a logit is NaN or +Inf, or all are -Inf, the
// loss is NaN. Where a row has several parts, logit_parts has found what the softmax takes of them. A block has a part
// or, without gradient, that of the target.
KERNEL_OF(THREADS, 2) cross_entropy(float *nll, float *logits, const int *targets, const Part *parts, int classes,
                                    int count, float smoothing, float scale, int gradient) {
  long row = bid();
  int target = targets[row], from = (gradient ? (int)bid_y() : target / PART) * PART, n = classes - from;
  bool whole = aligned(classes, logits);
  logits += row * classes + from;
  target -= from;
  bool here = target >= 0 && target < PART;
  f4 held[HELD];
  Part s;
  if (gradient || !parts) hold(held, logits, n, whole);
  if (parts) {
    s = join(parts + row * count, count);
  } else {
    s = part_of(held, nullptr, n, smoothing != 0);
  }
  double own = 0, log = 0, top = s.greatest;
  if (here) {
    own = logits[target];
    log = log_of(s.sum);
    double loss = log - (own - top);
    if (smoothing != 0) {
      double mean = log + (top - s.weighted / (double)classes), part = smoothing;
      loss = (1 - part) * loss + part * mean;
    }
    if (tid() == 0) nll[row] = (float)loss;
  }
  if (!gradient) return;
  float factor = (float)(scale / s.sum), uniform = scale * (smoothing / (long)classes);
  sync(); // all have read the target's logit
#pragma unroll
  for (int k = 0; k < HELD; k++) {
    if (!any_at(k, n)) continue;
#pragma unroll
    for (int j = 0; j < 4; j++) held[k].v[j] = fma(exp(held[k].v[j] - s.greatest), factor, -uniform);
    put(logits, quad_at(k), n, held[k], whole);
  }
  // In one rounding: its probability is close to 1 where it matters. The thread is that which set it before.
  if (here && target / 4 % threads() == tid()) {
    logits[target] = (float)(scale * (exp_of(own - top - log) - (1 - (double)smoothing) - smoothing / (double)classes));
  }
}

// cross_entropy_sum sets loss to scale times the sum of the n numbers of nll.
KERNEL_OF(THREADS, 1) cross_entropy_sum(float *loss, const float *nll, long n, float scale) {
  double x = 0;
#pragma unroll 4
  for (long i = tid(); i < n; i += THREADS) x += nll[i];
  x = block_sum(x);
  if (tid() == 0) *loss = (float)(x * scale);
}
