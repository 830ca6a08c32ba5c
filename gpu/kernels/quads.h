// Rows of d elements, read and written four elements at a time: at once where they are ALIGNED, and else one after the
// other. Which elements a thread has, and so the order of sums, is the same.
#pragma once
#include "device.h"

// aligned reports whether d is a multiple of four, and an address one of 16.
DEVICE bool aligned(long d) { return (d & 3) == 0; }
template <class... P> DEVICE bool aligned(long d, const float *first, P... more) {
  return ((unsigned long)first & 15) == 0 && aligned(d, more...);
}

// inside reports whether a row has element j of the quad at column c.
template <bool ALIGNED> DEVICE bool inside(int c, int j, int d) { return ALIGNED ? c < d : c + j < d; }

// load4 returns the quad at column c, with rest for what is behind the end of the row.
template <bool ALIGNED> DEVICE f4 load4(const float *row, int c, int d, float rest = 0) {
  f4 x = {{rest, rest, rest, rest}};
  if (ALIGNED) {
    if (c < d) x = *(const f4 *)(row + c);
  } else {
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (c + j < d) x.v[j] = row[c + j];
  }
  return x;
}

// store4 sets the quad at column c.
template <bool ALIGNED> DEVICE void store4(float *row, int c, int d, const f4 &x) {
  if (ALIGNED) {
    if (c < d) *(f4 *)(row + c) = x;
  } else {
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (c + j < d) row[c + j] = x.v[j];
  }
}
