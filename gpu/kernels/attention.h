// What the kernels of attention share: which keys a query sees, and which weights are dropped.
#pragma once
#include "dropout.h"
#include "exp.h"
#include "logarithm.h"
#include "matrix.h"

// Seen tells which keys queries see, and with which bias. Positions count from the beginning of the keys: a query at
// position x of causal attention sees the keys up to x, the last window of them if that is not 0.
struct Seen {
  int causal, window;
  float scale;
  const float *bias;   // [query segments, segments], or null
  const int *offsets;  // of the segments of keys, if there is a bias
  int segments;
};

// hidden reports whether a query at a position does not see a key, and hides whether that holds for one of a range of
// queries and one of a range of keys.
DEVICE bool hidden(const Seen &s, int position, int key) {
  return s.causal && (key > position || (s.window && key <= position - s.window));
}
DEVICE bool hides(const Seen &s, int from, int to, int firstKey, int lastKey) {
  return s.causal && (lastKey > from || (s.window && firstKey <= to - s.window));
}

// unseen reports whether no query of a range sees a key of a range.
DEVICE bool unseen(const Seen &s, int from, int to, int firstKey, int lastKey) {
  return s.causal && (firstKey > to || (s.window && lastKey <= from - s.window));
}

// score returns scale*product plus the bias if the query at a position sees a key, and -Inf otherwise.
DEVICE float score(const Seen &s, float product, int position, int key, float bias) {
  return bias == -INFINITY || hidden(s, position, key) ? -INFINITY : fma(s.scale, product, bias);
}

// first_key and last_key return the range of keys, of n, that queries at the positions from..to see.
DEVICE int first_key(const Seen &s, int from) {
  return s.causal && s.window && from >= s.window ? from - s.window + 1 : 0;
}
DEVICE int last_key(const Seen &s, int to, int n) { return s.causal && to + 1 < n ? to + 1 : n; }

// segment_of returns the segment that has a row: the last that begins there or before.
DEVICE int segment_of(const int *offsets, int segments, int row) {
  int lo = 0, hi = segments;
  while (hi - lo > 1) {
    int mid = (lo + hi) / 2;
    if (offsets[mid] <= row) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return lo;
}

// Dropped is the dropout of weights, as the host's: the counter of the first weight, and the mixed seed.
struct Dropped {
  unsigned long counter, seed;
  unsigned threshold; // 0: none
  float inverse; // of the probability to stay
};

// RowDropout is the dropout of one row of weights: what the hash takes for the first weight, and its key. Keys belong
// to the upper half of the counter, which may rise once within a row: others hold for the weights that come after left
// ones.
struct RowDropout {
  unsigned at, key, nextAt, nextKey;
  int left;
};

// dropout_key mixes the upper half of a counter into a seed that was mixed itself, by SplitMix64.
DEVICE unsigned long dropout_key(unsigned long seed, unsigned long upper) {
  unsigned long z = (seed ^ upper) + 0x9e3779b97f4a7c15ul;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
  z = (z ^ z >> 27) * 0x94d049bb133111ebul;
  return z ^ z >> 31;
}

DEVICE RowDropout row_dropout(const Dropped &d, unsigned long row, unsigned long keys) {
  unsigned long counter = d.counter + row * keys, left = (1ul << 32) - (unsigned)counter;
  unsigned long key = dropout_key(d.seed, counter >> 32), next = dropout_key(d.seed, (counter >> 32) + 1);
  RowDropout r = {(unsigned)(counter + key), (unsigned)(key >> 32), (unsigned)(counter + next), (unsigned)(next >> 32),
                  left < 0x7fffffff ? (int)left : 0x7fffffff};
  return r;
}

// kept reports whether the weight of a key stays.
DEVICE bool kept(const Dropped &d, const RowDropout &r, int key) {
  bool next = key >= r.left;
  return dropout_hash((next ? r.nextAt : r.at) + (unsigned)key, next ? r.nextKey : r.key) >= d.threshold;
}

// exp_less returns exp(x - top), and 0 for a hidden key.
DEVICE float exp_less(float x, float top) { return x == -INFINITY ? 0.f : exp(x - top); }

// What kernels take besides what is their own. Not all need all.
#define UNUSED [[maybe_unused]]
#define OPTIONS                                                                                                    \
  UNUSED const float *q, UNUSED long ldq, UNUSED const float *k, UNUSED long ldk, UNUSED const float *v,           \
      UNUSED long ldv, const float *bias, const int *offsets, long segments, const int *tiles, UNUSED long width,  \
      long group, long rows, UNUSED long keys, int causal, long window, float scale, UNUSED unsigned long counter, \
      UNUSED unsigned long seed, UNUSED unsigned threshold, UNUSED float inverse
#define SEEN_VALUE \
  { causal, (int)window, scale, bias, offsets, (int)segments }
#define DROPPED_VALUE \
  { counter, seed, threshold, inverse }

// Queries is a tile of queries, of one segment: their rows, the keys that they see some of, and the position of the
// first.
struct Queries {
  int row, rows, key, keys, position, segment;
};

DEVICE Queries queries(const int *tiles) {
  const int *t = tiles + bid() * 6;
  Queries q = {t[0], t[1], t[2], t[3], t[4], t[5]};
  return q;
}

// Keys is a tile of keys: the first row, their number, that of those that count, the queries that can see some of
// them, the position of the first query, and that of the first key.
struct Keys {
  int row, rows, valid, query, queries, position, key;
};

DEVICE Keys keys_of(const int *tiles) {
  const int *t = tiles + bid() * 7;
  Keys k = {t[0], t[1], t[2], t[3], t[4], t[5], t[6]};
  return k;
}

// first_query and last_query return the range of queries that see some of the keys.
DEVICE int first_query(const Seen &s, const Keys &k) { return s.causal && k.key > k.position ? k.key - k.position : 0; }
DEVICE int last_query(const Seen &s, const Keys &k) {
  if (k.valid <= 0) return 0;
  int last = s.causal && s.window ? k.key + k.valid - 1 + s.window - k.position : k.queries;
  return last < k.queries ? last : k.queries;
}

// BiasSums adds up the gradients of scores by segments of keys, for one tile of queries: partial [segments] receives
// the sums. All lanes of one warp have the same.
struct BiasSums {
  float *partial, sum;
  int segment;
};

// add_columns adds the sums of the n columns from key on, of keys that exist, which lie stride apart.
DEVICE void add_columns(BiasSums &b, const Seen &seen, const float *x, int stride, int n, int key, int keys) {
  int end = key + n < keys ? key + n : keys;
  for (int from = key; from < end;) {
    while (seen.offsets[b.segment + 1] <= from) {
      if (lane() == 0) b.partial[b.segment] = b.sum;
      b.sum = 0;
      b.segment++;
    }
    int to = seen.offsets[b.segment + 1] < end ? seen.offsets[b.segment + 1] : end;
    float part = 0;
    for (int i = from + lane(); i < to; i += 32) part += x[(i - key) * stride];
    b.sum += warp_sum(part);
    from = to;
  }
}

// finish writes what is left.
DEVICE void finish(BiasSums &b, const Seen &seen) {
  for (; b.segment < seen.segments; b.segment++) {
    if (lane() == 0) b.partial[b.segment] = b.sum;
    b.sum = 0;
  }
}
