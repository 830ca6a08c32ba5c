// Cross-entropy of logits, whose rows may have gaps between them. A block works on a row.
#include "block.h"

// Softmax is what the softmax of a row consists of: the greatest logit and the sum of the exponentials of the logits
// less it, which is NaN where the greatest is infinite or NaN.
struct Softmax {
  float greatest;
  double sum;
};

DEVICE Softmax softmax_of(const float *logits, int classes) {
  Softmax s = {-INFINITY, 0};
  for (int c = tid(); c < classes; c += threads()) s.greatest = greater(s.greatest, logits[c]);
  s.greatest = block_max(s.greatest);
  for (int c = tid(); c < classes; c += threads()) s.sum += (double)exp(logits[c] - s.greatest);
  s.sum = block_sum(s.sum);
  return s;
}

// total_weight returns the sum of the weights of all classes.
DEVICE double total_weight(const float *weight, int classes) {
  double total = 0;
  for (int c = tid(); c < classes && weight; c += threads()) total += (double)weight[c];
  total = block_sum(total);
  return weight ? total : (double)classes;
}

// cross_entropy_rows sets the loss of a row to
//
//	(1-smoothing) * w[target] * nll[target] + smoothing/classes * (sum of w[c]*nll[c])
//
// where nll[c] is the logarithm of the sum of exponentials less logits[c], and counts to w[target].
KERNEL cross_entropy_rows(float *losses, float *counts, const float *logits, const int *targets, const float *weight,
                          long ld, int classes, float smoothing, int ignore) {
  long row = bid();
  int target = targets[row];
  double loss = 0, own = 0;
  if (target != ignore) {
    logits += row * ld;
    own = weight ? (double)weight[target] : 1;
    Softmax s = softmax_of(logits, classes);
    double log_sum = (double)log1p((float)(s.sum - 1)); // exact for a sure target, too: the sum is at least 1
    if (smoothing < 1) {
      loss = (1 - (double)smoothing) * own * (log_sum + ((double)s.greatest - (double)logits[target]));
    }
    if (smoothing > 0) {
      double less = 0;
      for (int c = tid(); c < classes; c += threads()) {
        less += (weight ? (double)weight[c] : 1) * ((double)s.greatest - (double)logits[c]);
      }
      less = block_sum(less);
      loss += (double)smoothing / classes * (log_sum * total_weight(weight, classes) + less);
    }
  }
  if (tid() == 0) {
    losses[row] = (float)loss;
    counts[row] = (float)own;
  }
}

// cross_entropy_rows_backward sets (adds) the gradient of a row, times its dloss: with p the softmax,
//
//	all*(p[c] - [c == target]) + smoothing/classes * ([c == target]*total - w[c])
//	all = (1-smoothing)*w[target] + smoothing/classes * total
//
// where total is the sum of w.
KERNEL cross_entropy_rows_backward(float *dlogits, const float *dlosses, const float *logits, const int *targets,
                                   const float *weight, long dld, long ld, int classes, float smoothing, int ignore,
                                   int accumulate) {
  long row = bid();
  int target = targets[row];
  dlogits += row * dld;
  if (target != ignore) {
    logits += row * ld;
    Softmax s = softmax_of(logits, classes);
    double dloss = (double)dlosses[row], total = total_weight(weight, classes);
    double uniform = (double)smoothing / classes * dloss;
    double all = (1 - (double)smoothing) * (weight ? (double)weight[target] : 1) * dloss + uniform * total;
    float factor = (float)(all / s.sum);
    for (int c = tid(); c < classes; c += threads()) {
      float p = exp(logits[c] - s.greatest), w = weight ? weight[c] : 1;
      float g = fma(p, factor, (float)(-uniform * (double)w));
      // The target's entry in one rounding: its probability is close to 1 where it matters.
      if (c == target) g = (float)(all * ((double)p / s.sum - 1) + uniform * (total - (double)w));
      dlogits[c] = accumulate ? dlogits[c] + g : g;
    }
  } else if (!accumulate) {
    for (int c = tid(); c < classes; c += threads()) dlogits[c] = 0;
  }
}
