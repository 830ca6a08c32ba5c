// One launch for many arrays: each has a descriptor, and consecutive blocks.
#pragma once
#include "device.h"

// piece_of returns the number of the array that a block belongs to: the last one
// whose field first, the number of its first block, is not greater.
template <class P> DEVICE int piece_of(const P *pieces, int count, long block) {
  int low = 0, high = count - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (pieces[middle].first <= block)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}
