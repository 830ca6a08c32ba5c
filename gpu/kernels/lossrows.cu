// Cross-entropy of logits, whose rows may have gaps between them. Blocks of a row have a part of it each, see logits.h.
// Where there are several, logit_parts has found what the softmax takes of them.
#include "logits.h"

const int THREADS = 256;

// softmax_of returns what the softmax takes of a row, of which the block holds n logits: a part, or all.
template <bool ALIGNED>
DEVICE Part softmax_of(const f4 (&held)[HELD], const Part *parts, int count, const float *weight, int n,
                       bool weighted) {
  if (parts) return join(parts, count);
  return part_of<ALIGNED>(held, weight, n, weighted);
}

template <bool ALIGNED>
DEVICE double loss_of(const float *logits, const Part *parts, int count, const float *weight, int target, int classes,
                      float smoothing, double own) {
  f4 held[HELD];
  if (!parts) hold<ALIGNED>(held, logits, classes);
  Part s = softmax_of<ALIGNED>(held, parts, count, weight, classes, smoothing > 0);
  double log_sum = (double)log1p((float)(s.sum - 1)), loss = 0; // exact for a sure target, too: the sum is at least 1
  if (smoothing < 1) {
    loss = (1 - (double)smoothing) * own * (log_sum + ((double)s.greatest - (double)logits[target]));
  }
  if (smoothing > 0) {
    loss += (double)smoothing / classes * ((log_sum + (double)s.greatest) * s.weight - s.weighted);
  }
  return loss;
}

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
    const float *in = logits + row * ld;
    if (parts) parts += row * count;
    if (aligned(classes | ld, logits))
      loss = loss_of<true>(in, parts, count, weight, target, classes, smoothing, own);
    else
      loss = loss_of<false>(in, parts, count, weight, target, classes, smoothing, own);
  }
  if (tid() == 0) {
    losses[row] = (float)loss;
    counts[row] = (float)own;
  }
}

// gradient_of is cross_entropy_rows_backward of n columns of a row, to which target is relative.
template <bool ALIGNED>
DEVICE void gradient_of(float *dlogits, double dloss, const float *logits, const Part *parts, int count,
                        const float *weight, int target, int n, int classes, float smoothing, double own,
                        int accumulate) {
  f4 held[HELD];
  hold<ALIGNED>(held, logits, n);
  Part s = softmax_of<ALIGNED>(held, parts, count, weight, n, smoothing > 0);
  double uniform = (double)smoothing / classes * dloss, all = (1 - (double)smoothing) * own * dloss + uniform * s.weight;
  float factor = (float)(all / s.sum);
#pragma unroll
  for (int k = 0; k < HELD; k++) {
    int c = quad_at(k);
    if (!any_at(k, n)) continue;
    f4 old = {};
    if (accumulate) old = load4<ALIGNED>(dlogits, c, n);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      float p = exp(held[k].v[j] - s.greatest), w = weight && inside<ALIGNED>(c, j, n) ? weight[c + j] : 1;
      float g = fma(p, factor, (float)(-uniform * (double)w));
      // The target's entry in one rounding: its probability is close to 1 where it matters.
      if (c + j == target) g = (float)(all * ((double)p / s.sum - 1) + uniform * (s.weight - (double)w));
      held[k].v[j] = accumulate ? old.v[j] + g : g;
    }
    store4<ALIGNED>(dlogits, c, n, held[k]);
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
  int target = targets[row], from = (int)bid_y() * PART;
  int n = classes - from < PART ? classes - from : PART;
  float *out = dlogits + row * dld + from;
  if (target != ignore) {
    double own = weight ? (double)weight[target] : 1;
    const float *in = logits + row * ld + from, *weights = weight ? weight + from : nullptr;
    if (parts) parts += row * count;
    if (aligned(classes | dld | ld, dlogits, logits))
      gradient_of<true>(out, dlosses[row], in, parts, count, weights, target - from, n, classes, smoothing, own,
                        accumulate);
    else
      gradient_of<false>(out, dlosses[row], in, parts, count, weights, target - from, n, classes, smoothing, own,
                         accumulate);
  } else if (!accumulate) {
    for (int c = tid(); c < n; c += threads()) out[c] = 0;
  }
}
