// What the kernels of matrix products share: which part of which product a block computes, and how results are written.
#pragma once
#include "matrix.h"
#include "normal.h"

// Product is C = act(alpha*op(A)*op(B) + beta*C + bias) for matrices C [m, n] and sums of k terms.
struct Product {
  float *c, *pre;
  const float *a, *b, *bias;
  long m, n, k, lda, ldb, ldc, ldpre;
  float alpha, beta;
  int gelu;
};

// Products of batches have a table. It begins with the numbers of kept and of summed dimensions. For each kept one
// follow its size and the strides of C, A and B, innermost first, and for each summed one its size and the strides of A
// and B. A summed matrix product is a longer sum. All sums have tiles of terms (of BK terms, or fewer at the end of a
// matrix), and are divided between splits blocks, each of which writes its own matrix of partial sums
// [splits, batches, m, n] if there are several.
struct Part {
  const long *summed; // dimensions: size, strides of A and B
  int dims;          // summed
  int m0, n0;        // where the tile of C begins
  long partial;       // offset of the matrix of partial sums
  unsigned from, to;      // tiles of terms
};

// part finds the part of a product that the block computes, and moves c, a and b to its matrices. Blocks follow each
// other in groups of rows of tiles, so that those that run at the same time share what they read.
template <int BM, int BN, int BK>
DEVICE Part part(Product &p, const long *batch, int splits) {
  const unsigned group = 8;
  unsigned tm = (unsigned)((p.m + BM - 1) / BM), tn = (unsigned)((p.n + BN - 1) / BN);
  unsigned matrix = (unsigned)bid() / (tm * tn), tile = (unsigned)bid() % (tm * tn);
  unsigned first = tile / (group * tn) * group, rows = tm - first < group ? tm - first : group;
  tile %= group * tn;
  Part q;
  q.m0 = (int)(first + tile % rows) * BM;
  q.n0 = (int)(tile / rows) * BN;
  unsigned split = matrix % (unsigned)splits, terms = 1; // matrix products in a sum
  matrix /= (unsigned)splits;
  q.partial = ((long)split * (grid() / (tm * tn) / (unsigned)splits) + matrix) * p.m * p.n;
  q.summed = batch;
  q.dims = 0;
  if (batch) {
    const long *d = batch + 2;
    for (int i = 0; i < (int)batch[0]; i++, d += 4) {
      long at = matrix % (unsigned)d[0];
      matrix /= (unsigned)d[0];
      p.c += at * d[1];
      p.a += at * d[2];
      p.b += at * d[3];
    }
    q.summed = d;
    q.dims = (int)batch[1];
    for (int i = 0; i < q.dims; i++) terms *= (unsigned)d[3 * i];
  }
  unsigned long tiles = (unsigned long)((p.k + BK - 1) / BK) * terms;
  q.from = (unsigned)(tiles * split / (unsigned)splits);
  q.to = (unsigned)(tiles * (split + 1) / (unsigned)splits);
  return q;
}

// Terms walks the tiles of terms of a part.
struct Terms {
  const float *a, *b; // the matrices
  long k;              // the first term
};

template <int BK>
DEVICE Terms terms(const Product &p, const Part &q, unsigned tile) {
  unsigned tiles = (unsigned)((p.k + BK - 1) / BK);
  Terms t = {p.a, p.b, (long)tile * BK};
  if (q.dims == 0) return t;
  unsigned matrix = tile / tiles;
  t.k = (long)(tile % tiles) * BK;
  for (int i = 0; i < q.dims; i++) {
    unsigned at = matrix % (unsigned)q.summed[3 * i];
    matrix /= (unsigned)q.summed[3 * i];
    t.a += at * q.summed[3 * i + 1];
    t.b += at * q.summed[3 * i + 2];
  }
  return t;
}

// finish writes element (row, col) of C, of which x is the sum.
DEVICE void finish(const Product &p, long row, long col, float x) {
  x *= p.alpha;
  float *c = p.c + row * p.ldc + col;
  if (p.beta != 0) x = fma(p.beta, *c, x); // NaN may lie there otherwise
  if (p.bias) x += p.bias[col];
  if (p.gelu) {
    if (p.pre) p.pre[row * p.ldpre + col] = x;
    x = gelu_value(x);
  }
  *c = x;
}

// finish writes four neighbours, all of which are aligned to 16 bytes.
DEVICE void finish(const Product &p, long row, long col, f4 x) {
  f4 *c = (f4 *)(p.c + row * p.ldc + col);
#pragma unroll
  for (int i = 0; i < 4; i++) x.v[i] *= p.alpha;
  if (p.beta != 0) {
    f4 old = *c;
#pragma unroll
    for (int i = 0; i < 4; i++) x.v[i] = fma(p.beta, old.v[i], x.v[i]);
  }
  if (p.bias) {
    f4 bias = *(const f4 *)(p.bias + col);
#pragma unroll
    for (int i = 0; i < 4; i++) x.v[i] += bias.v[i];
  }
  if (p.gelu) {
    if (p.pre) *(f4 *)(p.pre + row * p.ldpre + col) = x;
#pragma unroll
    for (int i = 0; i < 4; i++) x.v[i] = gelu_value(x.v[i]);
  }
  *c = x;
}

// store writes a tile of sums, which lies in shared memory with rows LD apart. wide tells that what is written and read
// with it is aligned to 16 bytes.
template <int BM, int BN, int LD, int THREADS>
DEVICE void store(const Product &p, const Part &q, const float *tile, float *partial, bool wide) {
#pragma unroll 1
  for (int i = tid() * 4; i < BM * BN; i += THREADS * 4) {
    long row = q.m0 + i / BN, col = q.n0 + i % BN;
    if (row >= p.m || col >= p.n) continue;
    f4 x = *(const f4 *)(tile + i / BN * LD + i % BN);
    float *to = partial + q.partial + row * p.n + col;
    if (wide && col + 4 <= p.n) {
      if (partial) {
        *(f4 *)to = x;
      } else {
        finish(p, row, col, x);
      }
      continue;
    }
#pragma unroll 1
    for (int j = 0; j < 4 && col + j < p.n; j++) {
      float one = tile[i / BN * LD + i % BN + j];
      if (partial) {
        to[j] = one;
      } else {
        finish(p, row, col + j, one);
      }
    }
  }
}

// Parameters of kernels are of 8 bytes or less: the launch knows no structures.
#define PRODUCT                                                                                                   \
  float *c, float *pre, float *partial, const float *a, const float *b, const float *bias, const long *batch, long m, \
      long n, long k, long lda, long ldb, long ldc, long ldpre, float alpha, float beta, int gelu, int splits
#define PRODUCT_VALUE \
  { c, pre, a, b, bias, m, n, k, lda, ldb, ldc, ldpre, alpha, beta, gelu }
