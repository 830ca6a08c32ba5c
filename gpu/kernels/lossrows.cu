// Cross-entropy of logits, whose rows may have gaps between them. Blocks of a row have a part of it each, see logits.h.
// Where there are several, logit_parts has found what the softmax takes of them.
#include "logits.h"

const int THREADS = 256;

// cross_entropy_rows sets the loss of a row to
//
//	(1-smoothing) * w[target] * nll[target] + smoothing/classes * (sum of w[c]*nll[c])
//
// where nll[c] is the logarithm of the sum of exponentials less logits[c], and counts to w[target]. A block has a row.
KERNEL_OF(THREADS, 3) cross_entropy_rows(float *losses, float *counts, const float *logits, const int *targets,
                                         const float *weight, const Part *parts, long ld, int classes, int count,
                                         float smoothing, int ignore) {
  long row = bid();
  int target = targets[row];
  double loss = 0, own = 0;
  if (target != ignore) {
    own = weight ? (double)weight[target] : 1;
    bool whole = aligned(classes | ld, logits);
    logits += row * ld;
    Part s;
    if (parts) {
      s = join(parts + row * count, count);
    } else {
      f4 held[HELD];
      hold(held, logits, classes, whole);
      s = part_of(held, weight, classes, smoothing > 0);
    }
    double log_sum = (double)log1p((float)(s.sum - 1)); // exact for a sure target, too: the sum is at least 1
    if (smoothing < 1) {
      loss = (1 - (double)smoothing) * own * (log_sum + ((double)s.greatest - (double)logits[target]));
    }
    if (smoothing > 0) {
      loss += (double)smoothing / classes * ((log_sum + (double)s.greatest) * s.weight - s.weighted);
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
// where total is the sum of w. A block has one of the count parts of a row.
KERNEL_OF(THREADS, 2) cross_entropy_rows_backward(float *dlogits, const float *dlosses, const float *logits,
                                                  const int *targets, const float *weight, const Part *parts, long dld,
                                                  long ld, int classes, int count, float smoothing, int ignore,
                                                  int accumulate) {
  long row = bid();
  int target = targets[row], from = (int)bid_y() * PART, n = classes - from;
  bool whole = aligned(classes | dld | ld, dlogits, logits);
  dlogits += row * dld + from;
  if (target == ignore) {
    for (int c = tid(); c < n && c < PART && !accumulate; c += threads()) dlogits[c] = 0;
    return;
  }
  double own = weight ? (double)weight[target] : 1, dloss = (double)dlosses[row];
  if (weight) weight += from;
  target -= from;
  f4 held[HELD];
  hold(held, logits + row * ld + from, n, whole);
  Part s;
  if (parts) {
    s = join(parts + row * count, count);
  } else {
    s = part_of(held, weight, n, smoothing > 0);
  }
  double uniform = (double)smoothing / classes * dloss;
  double all = (1 - (double)smoothing) * own * dloss + uniform * s.weight;
  float factor = (float)(all / s.sum), logit = 0;
#pragma unroll
  for (int k = 0; k < HELD; k++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (any_at(k, n) && quad_at(k) + j == target) logit = held[k].v[j];
  // The target's entry in one rounding: its probability is close to 1 where it matters.
  float sure = (float)(all * ((double)exp(logit - s.greatest) / s.sum - 1) + uniform * (s.weight - own));
#pragma unroll
  for (int k = 0; k < HELD; k++) {
    int c = quad_at(k);
    if (!any_at(k, n)) continue;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      bool inside = c + j < n;
      float p = exp(held[k].v[j] - s.greatest), w = weight && inside ? weight[c + j] : 1;
      float g = c + j == target ? sure : fma(p, factor, (float)(-uniform * (double)w));
      held[k].v[j] = accumulate && inside ? dlogits[c + j] + g : g;
    }
    put(dlogits, c, n, held[k], whole);
  }
}
