// Attention on tensor cores, for heads of W columns. Each of the WARPS of a block has M times 16 rows, of queries or of
// keys; the other side comes in tiles of N = tile_of(W) rows, few enough to keep all in registers.
//
// In shared memory rows of the other side are distance(W) apart, so that lanes that read at once do not meet in a bank,
// whether they read rows (products) or columns (add). In TF32 what lies there is rounded already: each thread rounds
// what it copied itself.
#pragma once
#include "attention.h"
#include "mma.h"

const int WARPS = 4, THREADS = 32 * WARPS;

constexpr int tile_of(int W) { return W > 64 ? 16 : 32; }
constexpr int distance(int W) { return W + 4; }

// Besides numbers of matrices there are EXTRA for each row. A pair are two tiles of the other side, and those.
const int EXTRA = 9;
constexpr int pair_of(int W) { return tile_of(W) * (2 * distance(W) + EXTRA); }

#define INLINE __attribute__((always_inline))

// opaque hides how a number came about. Else the compiler keeps what it has to do with others, which takes registers.
DEVICE int opaque(int x) {
  asm("" : "+r"(x));
  return x;
}

// round4 rounds numbers to TF32.
DEVICE void round4(f4 *x) {
  f4 v = *x;
#pragma unroll
  for (int i = 0; i < 4; i++) v.v[i] = from_bits(tf32(v.v[i]));
  *x = v;
}

// load copies N rows of the other side, of which some may not exist.
template <int W>
DEVICE void load(float *to, const float *x, long ld, int rows, bool aligned) {
  const int N = tile_of(W), STEP = THREADS / (W / 4); // rows that all threads copy at once
  int thread = W > 64 ? opaque(tid()) : tid(), row = thread / (W / 4), col = thread % (W / 4) * 4;
  long step = ld * STEP;
  to += row * distance(W) + col;
  const float *from = x + row * ld + col;
  if (aligned && rows >= N) {
#pragma unroll
    for (int i = 0; i < N; i += STEP, from += step) copy4(to + i * distance(W), from, 4, true);
  } else {
#pragma unroll 1
    for (int i = row; i < N; i += STEP, from += step, to += STEP * distance(W)) {
      copy4(to, i < rows ? from : x, i < rows ? 4 : 0, aligned);
    }
  }
}

// round rounds what the thread copied of two tiles, if tensor cores shall read it as it is.
template <int W, Mode MODE>
DEVICE void round(float *x) {
  if constexpr (MODE == TF32x3) return;
  x += tid() / (W / 4) * distance(W) + tid() % (W / 4) * 4;
#pragma unroll
  for (int i = 0; i < 2 * tile_of(W); i += THREADS / (W / 4)) round4((f4 *)(x + i * distance(W)));
}

// hold copies R rows of the block's side, of which some may not exist, in the order in which threads of a warp read
// them as fragments: for every 16 rows and 8 columns four numbers of each lane.
template <int W, int R>
DEVICE void hold(float *to, const float *x, long ld, int rows) {
  const int STEP = THREADS / W; // rows that all threads copy at once, which divides 8
  int row = tid() / W, col = tid() % W, four = col % 8 / 4 * 2 + col % 4 / 2; // which of four fragments has the column
  to += (col / 32 * 4 + four) * 128 + row * 16 + col % 32 / 8 * 4 + col % 2 * 2;
  const float *from = x + row * ld + col;
  if (rows >= R) {
#pragma unroll 1
    for (int i = 0; i < R; i += 16, to += 16 * W)
#pragma unroll
      for (int j = 0; j < 16; j += STEP, from += STEP * ld) copy1(to + j % 8 * 16 + j / 8, from, true);
  } else {
#pragma unroll 1
    for (int i = 0; i < R; i += STEP, from += STEP * ld) {
      bool inside = row + i < rows;
      copy1(to + i / 16 * 16 * W + i % 8 * 16 + i % 16 / 8, inside ? from : x, inside);
    }
  }
}

// round_held is round for rows that are held, whoever copied them.
template <int W, int R, Mode MODE>
DEVICE void round_held(float *x) {
  if constexpr (MODE == TF32x3) return;
#pragma unroll
  for (int i = 0; i < R * W; i += 4 * THREADS) round4((f4 *)(x + i) + tid());
}

// set_rounded is set for a number that round has seen.
template <int R, Mode MODE>
DEVICE void set_rounded(Fragment<R, MODE> &f, int i, float x) {
  if constexpr (MODE == TF32x3) {
    set(f, i, x);
  } else {
    f.high[i] = bits(x);
  }
}

// walk calls fetch(pair, i), ready(pair) when the copies of the thread have come, and then use(pair, i) for the tiles
// that begin at from, from + N ... before to. With two pairs one is used while the next is copied. begin is called when
// the copies have come that were begun before.
template <int W, int PAIRS, class Begin, class Fetch, class Ready, class Use>
DEVICE void walk(float *pairs, int from, int to, Begin begin, Fetch fetch, Ready ready, Use use) {
  const int N = tile_of(W);
  int offset = 0;
  if (from < to) fetch(pairs, from);
  commit();
  wait<0>();
  begin();
  if (from < to) ready(pairs);
  sync();
#pragma unroll 1
  for (int i = from; i < to; i += N) {
    bool more = i + N < to;
    int after = opaque(i + N);
    int next = PAIRS == 2 ? pair_of(W) - offset : 0;
    if (PAIRS == 2) {
      if (more) fetch(pairs + next, after);
      commit();
    }
    use(pairs + offset, i);
    if (PAIRS == 1) {
      sync();
      if (more) fetch(pairs, after);
      commit();
    }
    wait<0>();
    if (more) ready(pairs + next);
    sync();
    offset = next;
  }
}

// products sets s to the inner products of the warp's 16*M rows of x, which are held, with N rows of y. With g = lane/4
// and t = lane%4, s[m][j] has those of the rows 16m + g, the same, 16m + g + 8, the same, and 8j + 2t, 8j + 2t + 1,
// 8j + 2t, 8j + 2t + 1. Columns t and t+4 of a fragment are neighbours in a row, so that four numbers, read at once,
// are those of two fragments. Sums of 16 terms are added up in float32 if MODE is TF32x3, as tensor cores cut
// off what they add.
template <int W, int M, Mode MODE>
DEVICE void products(float (*s)[tile_of(W) / 8][4], const float *x, const float *y) {
  const int N = tile_of(W), LD = distance(W);
  x += lane() * 4;
  y += (lane() >> 2) * LD + (lane() & 3) * 8;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) s[m][j][e] = 0;
#pragma unroll MODE == TF32x3 ? 2 : 4
  for (int c = 0; c < W; c += 16) {
    Fragment<4, MODE> a[2][M];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
      for (int u = 0; u < 2; u++) {
        f4 v = *(const f4 *)(x + m * 16 * W + (c / 8 + u) * 128);
#pragma unroll
        for (int i = 0; i < 4; i++) set_rounded(a[u][m], i, v.v[i]);
      }
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
      f4 v = *(const f4 *)(y + j * 8 * LD + c / 32 * 32 + c % 32 / 4);
      float fresh[M][4] = {};
#pragma unroll
      for (int u = 0; u < 2; u++) {
        Fragment<2, MODE> b;
        set_rounded(b, 0, v.v[2 * u]);
        set_rounded(b, 1, v.v[2 * u + 1]);
#pragma unroll
        for (int m = 0; m < M; m++) mma(MODE == TF32x3 ? fresh[m] : s[m][j], a[u][m], b);
      }
      if constexpr (MODE == TF32x3)
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
          for (int e = 0; e < 4; e++) s[m][j][e] += fresh[m][e];
    }
  }
}

// add adds to sum [16*M, W] the products of the warp's weights [16*M, N] with N rows of y. The weights are where
// products leaves scores, which serve as fragments as they are: column t stands for row 2t of y, and column t+4 for row
// 2t+1. If a NaN among the weights shows elsewhere (NOTICED), they are rounded in one instruction.
template <int W, int M, Mode MODE, bool NOTICED>
DEVICE void add(float (*sum)[W / 8][4], const float (*p)[tile_of(W) / 8][4], const float *y) {
  const int N = tile_of(W), LD = distance(W);
  y += (lane() & 3) * 2 * LD + (lane() >> 2);
#pragma unroll
  for (int n = 0; n < N / 8; n += 2) {
    Fragment<4, MODE> a[2][M];
#pragma unroll
    for (int u = 0; u < 2; u++)
#pragma unroll
      for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float x = p[m][n + u][i / 2 + i % 2 * 2];
          if constexpr (MODE == TF32 && NOTICED) {
            a[u][m].high[i] = bits(x) + 0x1000; // tensor cores cut off what is below their precision
          } else {
            set(a[u][m], i, x);
          }
        }
#pragma unroll
    for (int j = 0; j < W / 8; j++) {
      float fresh[M][4] = {};
#pragma unroll
      for (int u = 0; u < 2; u++) {
        Fragment<2, MODE> b;
#pragma unroll
        for (int i = 0; i < 2; i++) set_rounded(b, i, y[((n + u) * 8 + i) * LD + j * 8]);
#pragma unroll
        for (int m = 0; m < M; m++) mma(MODE == TF32x3 ? fresh[m] : sum[m][j], a[u][m], b);
      }
      if constexpr (MODE == TF32x3)
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
          for (int e = 0; e < 4; e++) sum[m][j][e] += fresh[m][e];
    }
  }
}

struct alignas(8) f2 {
  float v[2];
};

// output sets (adds) the warp's rows of a matrix, of n that exist in the block, to a result of add times a factor for
// each of the thread's rows.
template <int W, int M>
DEVICE void output(float *to, long ld, int n, const float (*sum)[W / 8][4], const float (*factor)[2], bool accumulate,
                   bool aligned) {
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int row = (warp() * M + m) * 16 + i * 8 + (lane() >> 2);
      if (row >= n) continue;
      float *at = to + row * ld + (lane() & 3) * 2;
#pragma unroll
      for (int j = 0; j < W / 8; j++, at += 8) {
        f2 x = {factor[m][i] * sum[m][j][2 * i], factor[m][i] * sum[m][j][2 * i + 1]};
        if (aligned) {
          f2 *both = (f2 *)at, old = accumulate ? *both : f2{0, 0};
          *both = accumulate ? f2{old.v[0] + x.v[0], old.v[1] + x.v[1]} : x;
        } else {
          at[0] = accumulate ? at[0] + x.v[0] : x.v[0];
          at[1] = accumulate ? at[1] + x.v[1] : x.v[1];
        }
      }
    }
}

// Scores are kept in units in which their exponentials are cheap: in TF32, of which products have errors of 2**-11, of
// powers of 2, which cards approximate to 2**-22. power returns the exponential of a number that is not above 0 but for
// rounding.
template <Mode MODE>
constexpr float unit = MODE == TF32x3 ? 1.f : 0x1.715476p0f; // 1/ln(2)
template <Mode MODE>
constexpr float natural = MODE == TF32x3 ? 1.f : 0x1.62e43p-1f; // ln(2)
template <Mode MODE>
DEVICE float power(float x) {
  if constexpr (MODE == TF32x3) {
    return exp_below(x);
  } else {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
}

// Bias is that of a key, for one segment of queries.
struct Bias {
  int segment, end; // of the key
  float value;
};

// biases_of returns where the thread keeps its own, for keys that rise from one on: behind a pair and the biases of its
// keys.
template <int W>
DEVICE Bias *biases_of(float *pairs, const Seen &s, int query, int key) {
  const int N = tile_of(W);
  static_assert(2 * N + N * sizeof(Bias) / 4 <= N * EXTRA);
  Bias *b = (Bias *)(pairs + 2 * N * distance(W) + 2 * N) + tid();
  if (s.bias && tid() < N) {
    int segment = segment_of(s.offsets, s.segments, key);
    *b = {segment, s.offsets[segment + 1], s.bias[(long)query * s.segments + segment]};
  }
  return b;
}

// keep writes the biases of the N keys from one on, of n, and whether they are the same.
template <int N, Mode MODE>
DEVICE void keep(float *to, Bias *b, const Seen &s, int query, int key, int n) {
  if (!s.bias || tid() >= N) return;
  int at = key + tid();
  if (at < n && at >= b->end) {
    while (at >= b->end) b->end = s.offsets[++b->segment + 1];
    b->value = s.bias[(long)query * s.segments + b->segment];
  }
  to[tid()] = b->value * unit<MODE>;
  if (tid() == 0) to[N] = b->end >= (key + N < n ? key + N : n);
}

// each calls a function for all numbers that the thread has of what products leaves: with their place there, and the
// row of y.
template <int N, int M, class F>
DEVICE void each(F f) {
  int t = lane() & 3;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) f(m, j, e, 8 * j + 2 * t + e % 2);
}

// Line makes scores of products: factor*product + shift. The factor is above 0.
struct Line {
  float factor, shift;
};

// line returns how products of keys from one on become scores. Where biases differ it makes scores of the products
// itself, and where keys are hidden -Inf; other is 0 there, if it is not null. It returns a shift of -Inf if the warp's
// queries, of the tile's from row on, see none of the keys.
template <int W, int M, Mode MODE>
DEVICE Line line(float (*s)[tile_of(W) / 8][4], float (*other)[tile_of(W) / 8][4], const float *biases,
                 const Seen &seen, const Queries &tile, int row, int key) {
  const int N = tile_of(W);
  Line l = {seen.scale * unit<MODE>, seen.bias ? biases[0] : 0.f};
  if ((seen.bias && biases[N] == 0) || !(seen.scale > 0)) {
    each<N, M>([&](int m, int j, int e, int column) {
      float bias = seen.bias ? biases[column] : 0.f;
      s[m][j][e] = bias == -INFINITY ? bias : fma(l.factor, s[m][j][e], bias);
      if (other && bias == -INFINITY) other[m][j][e] = 0;
    });
    l = {1, 0};
  }
  int from = tile.position + row;
  if (key + N > tile.keys || hides(seen, from, from + 16 * M - 1, key, key + N - 1)) {
    each<N, M>([&](int m, int j, int e, int column) {
      int at = key + column;
      if (at >= tile.keys || hidden(seen, from + 16 * m + (lane() >> 2) + e / 2 * 8, at)) {
        s[m][j][e] = -INFINITY;
        if (other) other[m][j][e] = 0;
      }
    });
  }
  return l;
}

// Bits of what can be read, or written, 16 bytes at once.
const int alignedQ = 1, alignedK = 2, alignedV = 4, alignedOut = 8, alignedFirst = 16, alignedSecond = 32;

template <int W, int M, Mode MODE>
DEVICE void attention_mma(float *memory, float *out, long ldout, float *lse, const float *q, long ldq, const float *k,
                          long ldk, const float *v, long ldv, long group, long rows, long keys, const Seen &seen,
                          const Dropped &dropped, const int *tiles, int aligned) {
  Queries tile = queries(tiles);
  const int N = tile_of(W), LD = distance(W), ROWS = WARPS * 16 * M;
  float *qs = memory;
  RowDropout *drops = (RowDropout *)(qs + ROWS * W);
  float *pairs = qs + ROWS * (W + EXTRA);
  int g = lane() >> 2, t = lane() & 3, row = warp() * 16 * M;
  long head = bid_y(), kcol = head / group * W;
  k += tile.key * ldk + kcol;
  v += tile.key * ldv + kcol;
  hold<W, ROWS>(qs, q + tile.row * ldq + head * W, ldq, tile.rows);
  if (dropped.threshold && tid() < ROWS) {
    drops[tid()] = row_dropout(dropped, opaque((int)head) * rows + tile.row + tid(), keys);
  }
  float sum[M][W / 8][4] = {}, top[M][2], total[M][2] = {};
#pragma unroll
  for (int m = 0; m < M; m++) top[m][0] = top[m][1] = -INFINITY;
  int first = first_key(seen, tile.position) / N * N, last = last_key(seen, tile.position + tile.rows - 1, tile.keys);
  Bias *bias = biases_of<W>(pairs, seen, tile.segment, first);
  auto fetch = [&](float *ks, int key) INLINE {
    load<W>(ks, k + key * ldk, ldk, tile.keys - key, aligned & alignedK);
    load<W>(ks + N * LD, v + key * ldv, ldv, tile.keys - key, aligned & alignedV);
    keep<N, MODE>(ks + 2 * N * LD, bias, seen, tile.segment, key, tile.keys);
  };
  auto ready = [&](float *ks) INLINE { round<W, MODE>(ks); };
  auto use = [&](const float *ks, int key) INLINE {
    if (row >= tile.rows || unseen(seen, tile.position + row, tile.position + row + 16 * M - 1, key, key + N - 1)) {
      return;
    }
    float s[M][N / 8][4], less[M][2];
    products<W, M, MODE>(s, qs + row * W, ks);
    Line l = line<W, M, MODE>(s, nullptr, ks + 2 * N * LD, seen, tile, row, key);
    if (l.shift == -INFINITY) return;
    bool rises = false;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float highest = -INFINITY;
#pragma unroll
        for (int j = 0; j < N / 8; j++) highest = max(highest, max(s[m][j][2 * i], s[m][j][2 * i + 1]));
        highest = max(highest, swap(highest, 1));
        highest = max(highest, swap(highest, 2));
        highest = max(top[m][i], fma(l.factor, highest, l.shift));
        float least = highest == -INFINITY ? 0.f : highest;
        less[m][i] = power<MODE>(top[m][i] - least);
        rises |= less[m][i] != 1;
        top[m][i] = highest;
        float shift = l.shift - least, weight = 0;
#pragma unroll
        for (int j = 0; j < N / 8; j++)
#pragma unroll
          for (int e = 2 * i; e < 2 * i + 2; e++) {
            s[m][j][e] = power<MODE>(fma(l.factor, s[m][j][e], shift));
            weight += s[m][j][e];
          }
        total[m][i] = fma(total[m][i], less[m][i], weight);
      }
    if (dropped.threshold) {
      each<N, M>([&](int m, int j, int e, int column) {
        s[m][j][e] = kept(dropped, drops[row + 16 * m + g + e / 2 * 8], key + column) ? s[m][j][e] : 0.f;
      });
    }
    if (rises) {
#pragma unroll
      for (int m = 0; m < M; m++)
#pragma unroll
        for (int j = 0; j < W / 8; j++)
#pragma unroll
          for (int e = 0; e < 4; e++) sum[m][j][e] *= less[m][e / 2];
    }
    add<W, M, MODE, true>(sum, s, ks + N * LD);
  };
  auto begin = [&]() INLINE {
    sync();
    round_held<W, ROWS, MODE>(qs);
  };
  walk<W, 2>(pairs, first, last, begin, fetch, ready, use);
  tile = queries(tiles); // again, to save registers
  float share[M][2];
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float all = total[m][i];
      all += swap(all, 1);
      all += swap(all, 2);
      bool none = top[m][i] == -INFINITY;
      share[m][i] = none ? 0.f : divide(dropped.inverse, all);
      int at = row + 16 * m + 8 * i + g;
      if (t == 0 && at < tile.rows) {
        lse[head * rows + tile.row + at] = none ? -INFINITY : (float)(top[m][i] * natural<MODE> + log_of(all));
      }
    }
  output<W, M>(out + tile.row * ldout + head * W, ldout, tile.rows, sum, share, false, aligned & alignedFirst);
}

// Queries of wide heads are 64 a block, others 128.
#define ATTENTION(name, W, MODE)                                                                                    \
  KERNEL_OF(THREADS, MODE == TF32 || W > 64 ? 3 : 2)                                                                \
  name##_##W(float *out, long ldout, float *lse, int aligned, OPTIONS) {                                            \
    alignas(16) extern SHARED float memory[];                                                                       \
    attention_mma<W, W <= 64 ? 2 : 1, MODE>(memory, out, ldout, lse, q, ldq, k, ldk, v, ldv, group, rows, keys,     \
                                            SEEN_VALUE, DROPPED_VALUE, tiles, aligned);                    \
  }
