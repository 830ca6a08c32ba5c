// Expressions of tensors, element by element. A thread computes EACH elements, which are as far apart as there are
// threads in a block, so that neighbouring threads have neighbouring elements.
#include "math.h"
#include "nest.h"

const int EACH = 4;
const int MAX_INPUTS = 6;

// Operation has the numbers of package tensor.
enum Operation {
  CONST, ADD, SUB, MUL, DIV, MAX, MIN, POW, LESS, EQUAL, NEG, ABS, SQRT, EXP, LOG, LOG1P, TANH, ERF, SIGMOID, SIN, COS,
  WHERE
};

#define FOR_EACH(expression)                         \
  _Pragma("unroll") for (int k = 0; k < EACH; k++) { \
    float a = x[0][k], b = x[1][k], c = x[2][k];     \
    (void)b, (void)c;                                \
    y[k] = expression;                               \
  }                                                  \
  break

// Longer code is there once: the numbers pass by.
#define ONE_BY_ONE(expression)                               \
  _Pragma("unroll 1") for (int i = 0; i < EACH; i++) {       \
    float a = x[0][0], b = x[1][0];                          \
    (void)b;                                                 \
    a = expression;                                          \
    _Pragma("unroll") for (int k = 0; k + 1 < EACH; k++) {   \
      x[0][k] = x[0][k + 1];                                 \
      x[1][k] = x[1][k + 1];                                 \
      y[k] = y[k + 1];                                       \
    }                                                        \
    y[EACH - 1] = a;                                         \
  }                                                          \
  break

// apply carries out an operation on x, which it may change. Of equal zeros max and min take either.
DEVICE void apply(int operation, float (&y)[EACH], float (&x)[3][EACH]) {
  switch (operation) {
  case ADD: FOR_EACH(a + b);
  case SUB: FOR_EACH(a - b);
  case MUL: FOR_EACH(a * b);
  case DIV: FOR_EACH(a / b);
  case MAX: FOR_EACH(a > b || a != a ? a : b);
  case MIN: FOR_EACH(a < b || a != a ? a : b);
  case POW: ONE_BY_ONE(pow(a, b));
  case LESS: FOR_EACH(a < b ? 1.0f : 0.0f);
  case EQUAL: FOR_EACH(a == b ? 1.0f : 0.0f);
  case NEG: FOR_EACH(-a);
  case ABS: FOR_EACH(abs(a));
  case SQRT: FOR_EACH(root(a));
  case EXP: FOR_EACH(exp(a));
  case LOG: ONE_BY_ONE(log(a));
  case LOG1P: ONE_BY_ONE(log1p(a));
  case TANH: ONE_BY_ONE(tanh(a));
  case ERF: ONE_BY_ONE(erf(a));
  case SIGMOID: ONE_BY_ONE(sigmoid(a));
  case SIN: ONE_BY_ONE(sin(a));
  case COS: ONE_BY_ONE(cos(a));
  case WHERE: FOR_EACH(a != 0 ? b : c);
  default: FOR_EACH(a); // a copy
  }
}

// store writes (adds) the results of a thread whose first element is first.
DEVICE void store(float *dst, const long (&at)[EACH], const float (&y)[EACH], long first, long n, int accumulate) {
#pragma unroll
  for (int k = 0; k < EACH; k++) {
    if (first + k * threads() < n) dst[at[k]] = accumulate ? dst[at[k]] + y[k] : y[k];
  }
}

// map_one computes one operation. An operand that is no tensor is a number.
KERNEL map_one(float *dst, const float *a, const float *b, const float *c, float a_value, float b_value, float c_value,
               const long *nest, int rank, long n, int operation, int accumulate) {
  long first = bid() * EACH * threads() + tid(), place[EACH];
  float x[3][EACH], y[EACH] = {};
#pragma unroll
  for (int k = 0; k < EACH; k++) {
    long i = first + k * threads(), at[4];
    if (i >= n) i = n - 1;
    seek(at, nest, rank, i);
    x[0][k] = a ? a[at[1]] : a_value;
    x[1][k] = b ? b[at[2]] : b_value;
    x[2][k] = c ? c[at[3]] : c_value;
    place[k] = at[0];
  }
  apply(operation, y, x);
  store(dst, place, y, first, n, accumulate);
}

// Step is an instruction: a register becomes the operation of registers, or a constant.
struct Step {
  int operation;
  unsigned char to, a, b, c;
  float value;
};

// map_steps computes an expression, whose registers are in shared memory: those of a thread lie EACH by EACH.
KERNEL map_steps(float *dst, const float *in0, const float *in1, const float *in2, const float *in3, const float *in4,
                 const float *in5, const long *nest, int rank, long n, const Step *steps, int count, int result,
                 int inputs, int accumulate) {
  extern SHARED float registers[];
  const float *in[MAX_INPUTS] = {in0, in1, in2, in3, in4, in5};
  long first = bid() * EACH * threads() + tid(), place[EACH];
  float x[3][EACH], y[EACH] = {};
  int next = EACH * threads(); // distance of registers
  float *own = registers + tid();
#pragma unroll
  for (int k = 0; k < EACH; k++) {
    long i = first + k * threads(), at[1 + MAX_INPUTS];
    if (i >= n) i = n - 1;
    seek(at, nest, rank, i);
    place[k] = at[0];
#pragma unroll
    for (int input = 0; input < MAX_INPUTS; input++) {
      if (input < inputs) own[input * next + k * threads()] = in[input][at[1 + input]];
    }
  }
  for (int s = 0; s < count; s++) {
    Step step = steps[s];
    bool several = (step.operation >= ADD && step.operation <= EQUAL) || step.operation == WHERE;
#pragma unroll
    for (int k = 0; k < EACH; k++) {
      x[0][k] = step.operation == CONST ? step.value : own[step.a * next + k * threads()];
      x[1][k] = several ? own[step.b * next + k * threads()] : 0;
      x[2][k] = step.operation == WHERE ? own[step.c * next + k * threads()] : 0;
    }
    apply(step.operation, y, x);
#pragma unroll
    for (int k = 0; k < EACH; k++) own[step.to * next + k * threads()] = y[k];
  }
#pragma unroll
  for (int k = 0; k < EACH; k++) y[k] = own[result * next + k * threads()];
  store(dst, place, y, first, n, accumulate);
}

const int TILE = 32;

// map_transpose copies (adds) x, whose elements are adjacent not along the dimension of dst's, of size rows, but along
// another one, of size columns. dst_stride is the distance of dst along the latter, x_stride that of x along the
// former. The nest, with the operands dst and x, has all other dimensions. A block of TILE * 8 threads has a tile.
KERNEL map_transpose(float *dst, const float *x, const long *nest, int rank, long rows, long columns, long dst_stride,
                     long x_stride, int accumulate) {
  SHARED float tile[TILE][TILE + 1];
  long across = (columns + TILE - 1) / TILE, down = (rows + TILE - 1) / TILE, i = bid(), at[2];
  long column = i % across * TILE, row = i / across % down * TILE;
  seek(at, nest, rank, i / across / down);
  dst += at[0] + column * dst_stride + row;
  x += at[1] + row * x_stride + column;
  int a = tid() % TILE;
  for (int b = tid() / TILE; b < TILE; b += 8) {
    if (row + b < rows && column + a < columns) tile[b][a] = x[b * x_stride + a];
  }
  sync();
  for (int b = tid() / TILE; b < TILE; b += 8) {
    if (column + b < columns && row + a < rows) {
      float *y = dst + b * dst_stride + a;
      *y = accumulate ? *y + tile[a][b] : tile[a][b];
    }
  }
}
