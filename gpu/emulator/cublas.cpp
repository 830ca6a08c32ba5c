// Functions of cuBLAS, for package gpu's calls of them: what they get is checked more strictly than by the library.
#include <cmath>
#include <cstring>
#include <set>

#include "driver.h"

using namespace emu;

namespace {
enum Status { Done = 0, NotReady = 1, BadValue = 7, Failed = 13 };
enum Compute { Float = 68, Bfloat16 = 75, TF32 = 77 };
constexpr int Real = 0, Default = -1;  // cudaDataType_t, cublasGemmAlgo_t

struct Handle {
  void *stream = nullptr;
  u64 workspace = 0;
};
std::set<Handle *> handles;

int refuse(const std::string &text) {
  report(InvalidValue, "cuBLAS: " + text);
  return BadValue;
}

// Operands lose bits, to nearest: to even for bfloat16, away from zero for TF32.
float rounded(float x, int compute) {
  if (compute == Float || !std::isfinite(x)) return x;
  u32 bits;
  memcpy(&bits, &x, 4);
  int lost = compute == TF32 ? 13 : 16;
  u32 half = 1u << (lost - 1);
  bits += compute == TF32 ? half : half - 1 + (bits >> lost & 1);
  bits &= ~((1u << lost) - 1);
  memcpy(&x, &bits, 4);
  return x;
}

struct Matrix {
  const char *name;
  u64 address;
  int rows, columns, ld;
  long long stride;

  // Elements of count matrices, or nullptr, with a report, where they are not all there.
  float *elements(int count) const {
    if (ld < std::max(1, rows)) return refuse(std::string("ld of ") + name + " is " + std::to_string(ld)), nullptr;
    if (stride < 0) return refuse(std::string("stride of ") + name + " is negative"), nullptr;
    if (address % 4) return refuse(std::string(name) + " is not aligned"), nullptr;
    u64 n = u64(stride) * (count - 1) + u64(ld) * (columns - 1) + rows;
    Allocation *a = Memory::isDevice(address) ? memory.find(address) : nullptr;
    if (!a || !a->holds(address, 4 * n))
      return refuse(std::string(name) + ": " + std::to_string(4 * n) + " bytes, " + memory.describe(address)), nullptr;
    return (float *)(a->host + (address - a->address));
  }
};

template <class F>
int with(Handle *h, F f) {
  int status = NotReady;
  int r = inContext([&] {
    if (handles.count(h)) status = f();
    return (int)Success;
  });
  return r ? Failed : status;
}
}  // namespace

#pragma GCC visibility push(default)
extern "C" {
int cublasCreate_v2(Handle **h) {
  int r = inContext([&] { return handles.insert(*h = new Handle), Success; });
  return r ? NotReady : Done;
}
int cublasDestroy_v2(Handle *h) {
  return with(h, [&] { return handles.erase(h), delete h, Done; });
}
int cublasGetVersion_v2(Handle *h, int *v) {
  return with(h, [&] { return *v = 120604, Done; });
}
int cublasSetStream_v2(Handle *h, void *stream) {
  return with(h, [&] { return h->stream = stream, h->workspace = 0, Done; });
}
int cublasSetWorkspace_v2(Handle *h, void *p, size_t size) {
  return with(h, [&] {
    u64 address = (u64)p;
    Allocation *a = Memory::isDevice(address) && address % 256 == 0 ? memory.find(address) : nullptr;
    if (!a || !a->holds(address, size)) return refuse("workspace: " + memory.describe(address));
    return h->workspace = address, (int)Done;
  });
}
int cublasGemmStridedBatchedEx(Handle *h, int transA, int transB, int m, int n, int k, const float *alpha, u64 a,
                               int typeA, int lda, long long strideA, u64 b, int typeB, int ldb, long long strideB,
                               const float *beta, u64 c, int typeC, int ldc, long long strideC, int count, int compute,
                               int algorithm) {
  return with(h, [&] {
    if (!h->stream || !h->workspace) return refuse("no stream or no workspace");
    if (transA < 0 || transA > 1 || transB < 0 || transB > 1) return refuse("transposition");
    if (typeA != Real || typeB != Real || typeC != Real || algorithm != Default) return refuse("type or algorithm");
    if (compute != Float && compute != Bfloat16 && compute != TF32) return refuse("way to compute");
    if (m < 1 || n < 1 || k < 1 || count < 1) return refuse("an empty product");
    Matrix A{"A", a, transA ? k : m, transA ? m : k, lda, strideA};
    Matrix B{"B", b, transB ? n : k, transB ? k : n, ldb, strideB};
    Matrix C{"C", c, m, n, ldc, strideC};
    bool apart = strideC >= (long long)ldc * (n - 1) + m, between = strideC >= m && strideC * (count - 1) + m <= ldc;
    if (count > 1 && !apart && !between) return refuse("matrices C overlap");
    float *x = A.elements(count), *y = B.elements(count), *z = C.elements(count);
    if (!x || !y || !z) return (int)BadValue;
    for (int q = 0; q < count; q++, x += strideA, y += strideB, z += strideC)
      for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
          double sum = 0;
          for (int l = 0; l < k; l++)
            sum += (double)rounded(x[transA ? l + (u64)i * lda : i + (u64)l * lda], compute) *
                   rounded(y[transB ? j + (u64)l * ldb : l + (u64)j * ldb], compute);
          float &out = z[i + (u64)j * ldc];
          out = (float)(*alpha * sum + (*beta ? (double)*beta * out : 0));
        }
    return (int)Done;
  });
}
}
#pragma GCC visibility pop
