// Positions of extreme elements, and the greatest elements of lines in order.
#include "nest.h"

// better reports whether a number, or its opposite if the smallest is sought, is to be taken instead of one that comes
// before it: NaN is the greatest.
DEVICE bool better(float v, float best) { return v > best || (v != v && best == best); }

// arg_reduce sets dst to the position of the first greatest (least) of n elements of each line. The nest has the
// operands x and dst. A line has a thread, or a warp if lanes is 32.
KERNEL arg_reduce(int *dst, const float *x, const long *nest, int rank, long lines, int n, long stride, int lanes,
                  int least) {
  long line = thread_number() / lanes, at[2];
  int lane = tid() & (lanes - 1);
  bool inside = line < lines;
  seek(at, nest, rank, inside ? line : 0);
  x += at[0];
  unsigned row = ~0u; // none
  float best = 0;
  for (int i = lane; i < n && inside; i += lanes) {
    float v = x[i * stride];
    if (least) v = -v;
    if (row == ~0u || better(v, best)) {
      row = (unsigned)i;
      best = v;
    }
  }
  for (int mask = lanes / 2; mask > 0; mask /= 2) {
    unsigned other_row = (unsigned)__nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)row, mask, 31);
    float other = swap(best, mask);
    bool first = other_row < row; // none comes last
    if (other_row != ~0u && (row == ~0u || (first ? !better(best, other) : better(other, best)))) {
      row = other_row;
      best = other;
    }
  }
  if (inside && lane == 0) dst[at[1]] = (int)row;
}

// key_of returns a number, not 0, that is the greater the earlier element i, of value v, comes: by value, NaN first,
// and then by i.
DEVICE unsigned long key_of(float v, unsigned i) {
  unsigned word = bits(v + 0); // +0 for -0
  word = word >> 31 ? ~word : word | 0x80000000u;
  if (v != v) word = ~0u;
  return (unsigned long)word << 32 | ~i;
}

DEVICE long row_of(unsigned long key) { return (unsigned)~(unsigned)key; }

// topk_sort sorts chunks of size elements of lines of n elements, and writes the first of the keys of each, as a run
// of a length, to runs [lines, chunks, length]. size is a power of 2, a block has a chunk and at least size/2 threads.
// Nests have the operands values, x and indices.
KERNEL topk_sort(unsigned long *runs, const float *x, const long *nest, int rank, long n, long stride, long chunks,
                 int size, int length) {
  extern SHARED unsigned long keys[];
  long line = bid() / chunks, first = bid() % chunks * size, at[3];
  seek(at, nest, rank, line);
  x += at[1];
  for (int i = tid(); i < size; i += threads()) {
    keys[i] = first + i < n ? key_of(x[(first + i) * stride], (unsigned)(first + i)) : 0;
  }
  // Bitonic sorting: blocks of width elements become descending and ascending in turn, the last one descending.
  for (int width = 2; width <= size; width *= 2) {
    for (int distance = width / 2; distance > 0; distance /= 2) {
      sync();
      int i = 2 * tid() - (tid() & (distance - 1)); // the first of a pair
      if (i + distance < size) {
        unsigned long a = keys[i], b = keys[i + distance];
        bool descending = (i & width) == 0;
        if ((a < b) == descending) {
          keys[i] = b;
          keys[i + distance] = a;
        }
      }
    }
  }
  sync();
  for (int i = tid(); i < length; i += threads()) runs[bid() * (long)length + i] = keys[i];
}

// topk_merge merges neighbouring runs, and keeps the first of both: from [lines, runs, length] become
// to [lines, (runs+1)/2, kept]. A thread places a key behind those of its own run and of the other one that are
// greater: no two are equal but the 0s of the last run. One without a neighbour becomes longer by 0s.
KERNEL topk_merge(unsigned long *to, const unsigned long *from, long lines, long runs, long length, long kept) {
  long i = thread_number();
  if (i >= lines * runs * length) return;
  long run = i / length % runs, line = i / length / runs, place = i % length, other = run ^ 1;
  unsigned long key = from[i];
  to += (line * ((runs + 1) / 2) + run / 2) * kept;
  if (other < runs) {
    const unsigned long *keys = from + (line * runs + other) * length;
    long lo = 0, hi = length; // the first lo are greater than key, those from hi on are not
    while (lo < hi) {
      long mid = (lo + hi) / 2;
      if (keys[mid] > key) {
        lo = mid + 1;
      } else {
        hi = mid;
      }
    }
    place += lo;
  } else if (length + place < kept) {
    to[length + place] = 0;
  }
  if (place < kept) to[place] = key;
}

// topk_store sets values and indices to the first k keys of runs [lines, length].
KERNEL topk_store(float *values, int *indices, const unsigned long *runs, const float *x, const long *nest, int rank,
                  long lines, long length, long k, long value_stride, long x_stride, long index_stride) {
  long i = thread_number(), at[3];
  if (i >= lines * k) return;
  long line = i / k, j = i % k, row = row_of(runs[line * length + j]);
  seek(at, nest, rank, line);
  values[at[0] + j * value_stride] = x[at[1] + row * x_stride];
  indices[at[2] + j * index_stride] = (int)row;
}
