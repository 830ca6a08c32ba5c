// The softmax of rows of logits, which several blocks can share: each has a part of the columns, and finds what the
// softmax takes of it; then each joins what all have found, in order.
#pragma once
#include "block.h"
#include "quads.h"

constexpr int HELD = 8;          // quads that a thread holds
constexpr int PART = 4 * HELD * 256; // columns of a part; a row of fewer is one, of as many threads as hold it

// Part is what the softmax takes of a part, or of a row: the greatest logit, NaN if one is, and the sum of the
// exponentials of the logits less it. If that is wanted, weighted is the sum of the logits times the weights of their
// classes, 1 where there are none, and weight the sum of these.
struct Part {
  double sum, weighted, weight;
  float greatest;
};

// hold reads n logits, behind which -Inf stands.
DEVICE void hold(f4 (&held)[HELD], const float *logits, int n, bool aligned) {
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, n) && aligned) held[k] = load4<true>(logits, quad_at(k), n, -INFINITY);
  if (aligned) return;
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, n)) held[k] = load4<false>(logits, quad_at(k), n, -INFINITY);
}

// put sets the quad at a column.
DEVICE void put(float *row, int c, int n, const f4 &x, bool aligned) {
  if (aligned)
    store4<true>(row, c, n, x);
  else
    store4<false>(row, c, n, x);
}

// part_of returns what the softmax takes of n logits that the threads of a block hold.
DEVICE Part part_of(const f4 (&held)[HELD], const float *weight, int n, bool weighted) {
  Part s = {0, 0, 0, -INFINITY};
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, n))
#pragma unroll
      for (int j = 0; j < 4; j++) s.greatest = greater(s.greatest, held[k].v[j]);
  s.greatest = block_max(s.greatest);
  float base = s.greatest == -INFINITY ? 0 : s.greatest; // a part of nothing has the sum 0
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (any_at(k, n))
#pragma unroll
      for (int j = 0; j < 4; j++) s.sum += (double)exp(held[k].v[j] - base);
  s.sum = block_sum(s.sum);
  if (!weighted) return s;
#pragma unroll
  for (int k = 0; k < HELD; k++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (quad_at(k) + j >= n) continue;
      double w = weight ? (double)weight[quad_at(k) + j] : 1;
      s.weighted += w * (double)held[k].v[j];
      s.weight += w;
    }
  }
  s.weighted = block_sum(s.weighted);
  s.weight = block_sum(s.weight);
  return s;
}

// join returns what the softmax takes of a row of parts. Each warp does so by itself.
DEVICE Part join(const Part *parts, int count) {
  Part s = {0, 0, 0, -INFINITY};
  for (int i = lane(); i < count; i += 32) s.greatest = greater(s.greatest, parts[i].greatest);
  for (int mask = 16; mask > 0; mask /= 2) s.greatest = greater(s.greatest, swap(s.greatest, mask));
  for (int i = lane(); i < count; i += 32) {
    s.sum += parts[i].sum * (double)exp(parts[i].greatest - s.greatest);
    s.weighted += parts[i].weighted;
    s.weight += parts[i].weight;
  }
  return {warp_sum(s.sum), warp_sum(s.weighted), warp_sum(s.weight), s.greatest};
}
