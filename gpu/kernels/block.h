// Sums and maxima over the threads of a block, of which there are a multiple of 32, at most 1024. All threads of the
// block call them.
#pragma once
#include "math.h"

// block_sum returns the sum of the numbers of all threads.
DEVICE double block_sum(double v) {
  SHARED double parts[32];
  v = warp_sum(v);
  sync(); // the parts of an earlier sum have been read
  if (lane() == 0) parts[warp()] = v;
  sync();
  v = 0;
  for (int i = 0; i < threads() / 32; i++) v += parts[i];
  return v;
}

// greater returns the greater number, NaN if one is.
DEVICE float greater(float a, float b) { return b > a || b != b ? b : a; }

// block_max returns the greatest number of all threads, NaN if there is one.
DEVICE float block_max(float v) {
  SHARED float parts[32];
  for (int mask = 16; mask > 0; mask /= 2) v = greater(v, swap(v, mask));
  sync();
  if (lane() == 0) parts[warp()] = v;
  sync();
  v = parts[0];
  for (int i = 1; i < threads() / 32; i++) v = greater(v, parts[i]);
  return v;
}

// quad_at returns the column of quad k of a thread of a block that shares a row.
DEVICE int quad_at(int k) { return 4 * (tid() + k * threads()); }

// any_at reports whether n columns have quads of number k.
DEVICE bool any_at(int k, int n) { return 4 * k * threads() < n; }
