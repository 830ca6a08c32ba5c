// What the tests share. A check that fails says so and makes the program fail in the end.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cuda.h"

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;

inline int checks, failures;
#define CHECK(ok, ...)                                \
  do {                                                \
    checks++;                                         \
    if (!(ok) && ++failures <= 20) {                  \
      printf("%s:%d: %s: ", __FILE__, __LINE__, #ok); \
      printf(__VA_ARGS__);                            \
      printf("\n");                                   \
    }                                                 \
  } while (0)

inline int finish(const char *name) {
  printf("%s: %d checks, %d failures\n", name, checks, failures);
  return failures || !checks;
}

inline void start() {
  Handle context;
  if (cuInit(0) || cuDevicePrimaryCtxRetain(&context, 0) || cuCtxSetCurrent(context)) abort();
}

inline std::string errorText(int code) {
  const char *s = nullptr;
  cuGetErrorString(code, &s);
  return s ? s : "";
}

inline std::string module(const std::string &body) { return ".version 7.0\n.target sm_80\n.address_size 64\n" + body; }

// A kernel "k" with pointers p0, p1, ... as parameters, in registers %rd0, %rd1, ...; %tid and %i, the number of the
// thread in the grid, are there. Registers: %h, %r, %rd, %f, %fd, %p, 64 of each.
inline std::string kernel(int pointers, const std::string &body, const std::string &before = "") {
  std::string s = before + ".visible .entry k(";
  for (int i = 0; i < pointers; i++) s += std::string(i ? ", " : "") + ".param .u64 p" + std::to_string(i);
  s += ") {\n.reg .b16 %h<64>; .reg .b32 %r<64>; .reg .b64 %rd<64>; .reg .f32 %f<64>; .reg .f64 %fd<64>; .reg .pred "
       "%p<64>;"
       " .reg .b32 %tid, %i, %t<2>;\n";
  for (int i = 0; i < pointers; i++) s += "ld.param.u64 %rd" + std::to_string(i) + ", [p" + std::to_string(i) + "];\n";
  s += "mov.u32 %tid, %tid.x;\nmov.u32 %t0, %ctaid.x;\nmov.u32 %t1, %ntid.x;\nmad.lo.s32 %i, %t0, %t1, %tid;\n";
  return module(s + body + "\nret;\n}\n");
}

inline Handle loaded(const std::string &ptx, const char *name = "k") {
  Handle m, f;
  if (cuModuleLoadData(&m, ptx.c_str())) {
    printf("%s\n%s\n", errorText(218).c_str(), ptx.c_str());
    exit(1);
  }
  if (cuModuleGetFunction(&f, m, name)) abort();
  return f;
}

template <class T>
struct Buffer {
  u64 at = 0;
  size_t n;
  explicit Buffer(size_t n) : n(n) {
    if (cuMemAlloc_v2(&at, n * sizeof(T))) abort();
  }
  explicit Buffer(const std::vector<T> &v) : Buffer(v.size()) {
    if (cuMemcpyHtoD_v2(at, v.data(), n * sizeof(T))) abort();
  }
  ~Buffer() { cuMemFree_v2(at); }
  std::vector<T> get() const {
    std::vector<T> v(n);
    if (int r = cuMemcpyDtoH_v2(v.data(), at, n * sizeof(T))) {
      printf("%s\n", errorText(r).c_str());
      exit(1);
    }
    return v;
  }
};

inline int launch(Handle f, int grid, int block, const std::vector<u64> &arguments, int shared = 0) {
  std::vector<void *> p;
  for (auto &a : arguments) p.push_back((void *)&a);
  if (int r = cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared, nullptr, p.data(), nullptr)) return r;
  return cuCtxSynchronize();
}
