// Reductions. The elements that fall on one result are divided into chunks, each of which a group of threads reduces.
// Where there are several chunks, what they make is reduced once more. All divisions depend on sizes alone.
#include "math.h"
#include "nest.h"

// Sum adds up in float64. Max and Min return NaN if an operand is.
struct Sum {
  typedef double Value;
  DEVICE Value identity() { return 0; }
  DEVICE Value join(Value a, Value b) { return a + b; }
};

struct Max {
  typedef float Value;
  DEVICE Value identity() { return -INFINITY; }
  DEVICE Value join(Value a, Value b) { return b > a || b != b ? b : a; }
};

struct Min {
  typedef float Value;
  DEVICE Value identity() { return INFINITY; }
  DEVICE Value join(Value a, Value b) { return b < a || b != b ? b : a; }
};

// join_lanes joins the values of a group of threads, a power of 2.
template <class Op>
DEVICE typename Op::Value join_lanes(typename Op::Value v, int lanes) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) v = Op::join(v, swap(v, mask));
  return v;
}

// finish sets (adds) a result.
DEVICE void finish(float *dst, double v, int accumulate) { *dst = (float)(accumulate ? v + (double)*dst : v); }

// reduce sets n results to the reductions of m elements each, of which a group of threads takes a chunk of a length.
// The results go to dst or, if there are several chunks, to partial [n, chunks].
template <class Op>
DEVICE void reduce(float *dst, double *partial, const float *x, const long *kept, int kept_rank, const long *reduced,
                int reduced_rank, long n, long m, long length, long chunks, int lanes, int accumulate) {
  long group = thread_number() / lanes, chunk = group / n, o = group - chunk * n;
  int lane = tid() & (lanes - 1);
  bool inside = chunk < chunks;
  long at[2], from = chunk * length, to = from + length < m ? from + length : m;
  if (!inside) to = from;
  seek(at, kept, kept_rank, o);
  x += at[1];
  typename Op::Value v = Op::identity();
  if (reduced_rank == 1) {
    long stride = reduced[1];
#pragma unroll 4
    for (long i = from + lane; i < to; i += lanes) v = Op::join(v, (typename Op::Value)x[i * stride]);
  } else {
    for (long i = from + lane; i < to; i += lanes) {
      long place[1];
      seek(place, reduced, reduced_rank, i);
      v = Op::join(v, (typename Op::Value)x[place[0]]);
    }
  }
  v = join_lanes<Op>(v, lanes);
  if (inside && lane == 0) {
    if (partial) {
      partial[o * chunks + chunk] = (double)v;
    } else {
      finish(dst + at[0], (double)v, accumulate);
    }
  }
}

// join_chunks sets each of n results to the reduction of its chunks. A warp works on each.
template <class Op>
DEVICE void join_chunks(float *dst, const double *partial, const long *kept, int kept_rank, long n, long chunks,
                     int accumulate) {
  long o = thread_number() / 32;
  int lane = tid() % 32;
  bool inside = o < n;
  typename Op::Value v = Op::identity();
  for (long i = lane; i < chunks && inside; i += 32) v = Op::join(v, (typename Op::Value)partial[o * chunks + i]);
  v = join_lanes<Op>(v, 32);
  if (inside && lane == 0) {
    long at[2];
    seek(at, kept, kept_rank, o);
    finish(dst + at[0], (double)v, accumulate);
  }
}

#define REDUCE(name, Op)                                                                                          \
  KERNEL name(float *dst, double *partial, const float *x, const long *kept, int kept_rank, const long *reduced, \
              int reduced_rank, long n, long m, long length, long chunks, int lanes, int accumulate) {           \
    reduce<Op>(dst, partial, x, kept, kept_rank, reduced, reduced_rank, n, m, length, chunks, lanes, accumulate); \
  }                                                                                                              \
  KERNEL name##_chunks(float *dst, const double *partial, const long *kept, int kept_rank, long n, long chunks,  \
                       int accumulate) {                                                                         \
    join_chunks<Op>(dst, partial, kept, kept_rank, n, chunks, accumulate);                                       \
  }

REDUCE(reduce_sum, Sum)
REDUCE(reduce_max, Max)
REDUCE(reduce_min, Min)
