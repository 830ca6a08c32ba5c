// What the kernels of attention for heads of any width share. They compute in plain float32: the scores of Q queries
// and Q keys at a time, kept in shared memory. What has the width of a head is computed COLS columns a block, each of
// which computes all scores.
#pragma once
#include "attention.h"

const int Q = 32, COLS = 64, THREADS = 128, LD = Q + 1, LDC = COLS + 1;

// Matrix is one head of rows of a matrix.
struct Matrix {
  const float *x;
  long ld;
  int rows;
};

// load copies columns col0 to col0+cols of the rows from row0 on, and zeros for what there is not, to shared memory.
template <int COLUMNS>
DEVICE void load(float *to, int ld, const Matrix &m, int row0, int col0, int width) {
#pragma unroll 4
  for (int i = tid(); i < Q * COLUMNS; i += THREADS) {
    int row = i / COLUMNS, col = i % COLUMNS;
    bool inside = row0 + row < m.rows && col0 + col < width;
    to[row * ld + col] = inside ? m.x[(long)(row0 + row) * m.ld + col0 + col] : 0.f;
  }
}

// products sets s to the inner products of the thread's two rows of x and four of y: with r = thread/8*2 and c =
// thread%8, rows r and r+1, and rows c, c+8, c+16 and c+24. work is shared memory [2*Q, LD].
DEVICE void products(float s[2][4], const Matrix &x, int x0, const Matrix &y, int y0, int width, float *work) {
  float *xs = work, *ys = work + Q * LD;
  int r = tid() / 8 * 2, c = tid() % 8;
#pragma unroll
  for (int i = 0; i < 8; i++) s[i / 4][i % 4] = 0;
  for (int col = 0; col < width; col += Q) {
    sync();
    load<Q>(xs, LD, x, x0, col, width);
    load<Q>(ys, LD, y, y0, col, width);
    sync();
#pragma unroll 4
    for (int l = 0; l < Q; l++) {
      float a = xs[r * LD + l], b = xs[(r + 1) * LD + l];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float k = ys[(c + 8 * j) * LD + l];
        s[0][j] = fma(a, k, s[0][j]);
        s[1][j] = fma(b, k, s[1][j]);
      }
    }
  }
}

// add adds weights [Q, Q] times rows [Q, LDC] to the thread's part of the result: rows r and r+1, and columns c, c+8
// ... The weight of row i and term l stands at i*row + l*term.
DEVICE void add(float sum[2][8], const float *weights, int row, int term, const float *rows) {
  int r = tid() / 8 * 2, c = tid() % 8;
#pragma unroll 4
  for (int l = 0; l < Q; l++) {
    float a = weights[r * row + l * term], b = weights[(r + 1) * row + l * term];
#pragma unroll
    for (int j = 0; j < 8; j++) {
      float v = rows[l * LDC + c + 8 * j];
      sum[0][j] = fma(a, v, sum[0][j]);
      sum[1][j] = fma(b, v, sum[1][j]);
    }
  }
}

// across combines the numbers of the eight threads that have the same rows.
DEVICE float max_across(float x) {
#pragma unroll
  for (int i = 1; i < 8; i *= 2) x = max(x, swap(x, i));
  return x;
}
DEVICE float sum_across(float x) {
#pragma unroll
  for (int i = 1; i < 8; i *= 2) x += swap(x, i);
  return x;
}

// bias_of sets the biases of the keys from key on in shared memory.
DEVICE void bias_of(float *to, const Seen &s, int segment, int key, int keys) {
  if (tid() < Q) {
    int k = key + tid();
    to[tid()] = s.bias && k < keys ? s.bias[(long)segment * s.segments + segment_of(s.offsets, s.segments, k)] : 0.f;
  }
}
