// Dimensions that operands of an operation are walked through, as nest.go makes them: for each, the innermost first,
// its size and the distance between neighbours in every operand. The size of the outermost one is not needed.
#pragma once
#include "device.h"

DEVICE long thread_number() { return bid() * threads() + tid(); }

// seek sets at to the places of element i in OPERANDS operands.
template <int OPERANDS>
DEVICE void seek(long (&at)[OPERANDS], const long *nest, int rank, long i) {
#pragma unroll
  for (int k = 0; k < OPERANDS; k++) at[k] = 0;
  for (int d = 0; d < rank; d++, nest += 1 + OPERANDS) {
    long index = i;
    if (d + 1 < rank) {
      i = (long)((unsigned long)index / (unsigned long)nest[0]);
      index -= i * nest[0];
    }
#pragma unroll
    for (int k = 0; k < OPERANDS; k++) at[k] += index * nest[1 + k];
  }
}
