// Products of small matrices on tensor cores, and the copies that feed them.
#pragma once
#include "matrix.h"

// How numbers are multiplied: rounded to TF32; each as two numbers in TF32, so that three products make one that is as
// exact as in float32; rounded to bfloat16.
enum Mode { TF32, TF32x3, BF16 };

// Fragment holds what a thread has of a factor: R registers, and in TF32x3 what rounding left in R others. What is left
// of an infinity is NaN.
template <int R, Mode MODE>
struct Fragment {
  unsigned high[R], low[MODE == TF32x3 ? R : 1];
};

// tf32 rounds to the 11 bits of precision that tensor cores read: it adds half of the last bit, and they cut off what
// is below. NaN of ones alone, for which that runs over, stay as they are. cvt.rna takes three instructions.
DEVICE unsigned tf32(float x) {
  int before = (int)bits(x), sum = (int)(bits(x) + 0x1000u);
  unsigned larger = (unsigned)(sum > before ? sum : before); // runs over if x is positive
  return larger > bits(x) ? larger : bits(x);                // or if it is negative
}

// bf16 rounds two neighbours.
DEVICE unsigned bf16(float first, float second) {
  unsigned r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
  return r;
}

// set sets register i to a number. For two parts three instructions do, where cvt.rna takes three for each and leaves
// bits below the precision: the first is rounded by adding half, and of the second, which is exact, tensor cores cut
// off what is below their precision. It stays NaN where the first does not.
template <int R, Mode MODE>
DEVICE void set(Fragment<R, MODE> &f, int i, float x) {
  if constexpr (MODE == TF32x3) {
    f.high[i] = (bits(x) + 0x1000u) & 0xffffe000u;
    f.low[i] = bits(x - from_bits(f.high[i]));
  } else {
    f.high[i] = tf32(x);
  }
}

// mma adds A*B to d, for A [16, 8] and B [8, 8] in TF32. With g = lane/4 and t = lane%4 a thread has the elements
// (g, t), (g+8, t), (g, t+4), (g+8, t+4) of A, (t, g), (t+4, g) of B, and (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
// of d.
DEVICE void mma(float *d, const unsigned *a, const unsigned *b) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// mma_bf16 is mma for A [16, 16] and B [16, 8] in bfloat16: where TF32 has column or row t, there are 2t and 2t+1, and
// those for t+4 are 2t+8 and 2t+9.
DEVICE void mma_bf16(float *d, const unsigned *a, const unsigned *b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// mma for TF32 and TF32x3.
template <Mode MODE>
DEVICE void mma(float *d, const Fragment<4, MODE> &a, const Fragment<2, MODE> &b) {
  if constexpr (MODE == TF32x3) { // the small ones first
    mma(d, a.low, b.high);
    mma(d, a.high, b.low);
  }
  mma(d, a.high, b.high);
}

// place_of returns an address in shared memory as copies take it.
DEVICE unsigned place_of(float *to) {
  return (unsigned)(unsigned long)(__attribute__((address_space(3))) float *)to;
}

// copy1 begins to copy a number to shared memory, or 0.
DEVICE void copy1(float *to, const float *from, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(place_of(to)), "l"(from), "r"(inside ? 4 : 0)
               : "memory");
}

// copy4 begins to copy four numbers to shared memory, aligned to 16 bytes.
DEVICE void copy4(float *to, const float *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place_of(to)), "l"(from) : "memory");
}

// copy4 begins to copy the first n of four numbers to shared memory, and zeros for the others. Numbers that are
// aligned to 16 bytes can be copied at once.
DEVICE void copy4(float *to, const float *from, int n, bool aligned) {
  unsigned place = place_of(to);
  if (aligned) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(4 * n) : "memory");
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(place + 4 * i), "l"(i < n ? from + i : from),
                 "r"(i < n ? 4 : 0) : "memory");
  }
}

// commit ends a group of copies, and wait waits for all groups of the thread but the last.
DEVICE void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LAST>
DEVICE void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LAST) : "memory");
}
