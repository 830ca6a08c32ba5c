// Matrix products in float32 by fused multiply-add, for operands of any size and alignment: each element is one sum in
// the order of its terms.
#include "gemm.h"

const int BM = 64, BN = 64, BK = 16, THREADS = 256, LD = BM + 4;

// load copies a tile of a factor, BK terms of 64 rows (or columns) of the result, to shared memory [BK, LD]. In memory
// neighbours are terms or, if trans is set, rows.
DEVICE void load(float *to, const float *from, long ld, int trans, long row0, long rows, long k0, long k) {
#pragma unroll
  for (int i = 0; i < BM * BK / THREADS; i++) {
    int e = tid() + i * THREADS;
    int term = trans ? e / BM : e % BK, row = trans ? e % BM : e / BK;
    long r = row0 + row, t = k0 + term;
    to[term * LD + row] = r < rows && t < k ? from[trans ? t * ld + r : r * ld + t] : 0.f;
  }
}

KERNEL_OF(THREADS, 2) gemm_fma(PRODUCT, int transA, int transB) {
  alignas(16) SHARED float memory[BM * LD];
  float *as = memory, *bs = memory + BK * LD;
  Product p = PRODUCT_VALUE;
  Part q = part<BM, BN, BK>(p, batch, splits);
  int ty = tid() / 16 * 4, tx = tid() % 16 * 4;
  float sum[4][4] = {};
  for (unsigned tile = q.from; tile < q.to; tile++) {
    Terms t = terms<BK>(p, q, tile);
    sync();
    load(as, t.a, lda, transA, q.m0, m, t.k, k);
    load(bs, t.b, ldb, !transB, q.n0, n, t.k, k);
    sync();
#pragma unroll 4
    for (int l = 0; l < BK; l++) {
      f4 x = *(const f4 *)&as[l * LD + ty], y = *(const f4 *)&bs[l * LD + tx];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = fma(x.v[i], y.v[j], sum[i][j]);
    }
  }
  sync();
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) memory[(ty + i) * LD + tx + j] = sum[i][j];
  sync();
  store<BM, BN, LD, THREADS>(p, q, memory, partial, false);
}

// gemm_finish adds the partial sums of a product in order.
KERNEL gemm_finish(PRODUCT, long batches) {
  Product p = PRODUCT_VALUE;
  long size = m * n;
  for (long i = (long)bid() * 256 + tid(); i < batches * size; i += (long)grid() * 256) {
    float x = 0;
    for (int s = 0; s < splits; s++) x += partial[s * batches * size + i];
    long matrix = i / size, at = i % size;
    Product one = p;
    if (batch) {
      const long *d = batch + 2;
      for (int j = 0; j < (int)batch[0]; j++, d += 4) {
        one.c += matrix % d[0] * d[1];
        matrix /= d[0];
      }
    }
    finish(one, at / n, at % n, x);
  }
}
