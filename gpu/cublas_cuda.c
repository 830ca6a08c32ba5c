//go:build cuda

// Six functions of cuBLAS. What is declared here of its ABI has been the same since CUDA 11.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cublas_cuda.h"

enum { REAL_32F = 0, GEMM_DEFAULT = -1 }; // cudaDataType_t, cublasGemmAlgo_t

struct marge_cublas {
  int (*create)(void **handle);
  int (*destroy)(void *handle);
  int (*version)(void *handle, int *version);
  int (*stream)(void *handle, CUstream stream);
  int (*workspace)(void *handle, void *workspace, size_t size);
  int (*gemm)(void *handle, int transA, int transB, int m, int n, int k, const void *alpha, const void *a, int typeA,
              int lda, long long strideA, const void *b, int typeB, int ldb, long long strideB, const void *beta,
              void *c, int typeC, int ldc, long long strideC, int count, int compute, int algorithm);
};

static const char *const names[] = {
    "cublasCreate_v2",    "cublasDestroy_v2",      "cublasGetVersion_v2",
    "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmStridedBatchedEx",
};

marge_cublas *marge_cublas_open(const char *path, char *why, size_t size) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(why, size, "%s", dlerror());
    return NULL;
  }
  void *found[sizeof names / sizeof *names];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!(found[i] = dlsym(library, names[i]))) {
      snprintf(why, size, "%s has no %s: want cuBLAS of CUDA 11.2 or later", path, names[i]);
      dlclose(library);
      return NULL;
    }
  }
  marge_cublas *lib = malloc(sizeof *lib);
  if (!lib) abort();
  lib->create = (int (*)(void **))found[0];
  lib->destroy = (int (*)(void *))found[1];
  lib->version = (int (*)(void *, int *))found[2];
  lib->stream = (int (*)(void *, CUstream))found[3];
  lib->workspace = (int (*)(void *, void *, size_t))found[4];
  *(void **)&lib->gemm = found[5];
  return lib;
}

// The library itself stays open: it has threads and handlers that run at the end of the process.
void marge_cublas_close(marge_cublas *lib) { free(lib); }

int marge_cublas_create(marge_cublas *lib, void **handle, CUstream stream, CUdeviceptr workspace, size_t size) {
  int status = lib->create(handle);
  if (status) return status;
  // In this order: a stream takes the workspace away.
  if (!(status = lib->stream(*handle, stream))) status = lib->workspace(*handle, (void *)workspace, size);
  if (status) lib->destroy(*handle);
  return status;
}

int marge_cublas_version(marge_cublas *lib, void *handle, int *version) { return lib->version(handle, version); }

int marge_cublas_destroy(marge_cublas *lib, void *handle) { return lib->destroy(handle); }

int marge_cublas_gemm(marge_cublas *lib, void *handle, int compute, int transA, int transB, int m, int n, int k,
                      float alpha, marge_matrices a, marge_matrices b, float beta, marge_matrices c, int count) {
  return lib->gemm(handle, transA, transB, m, n, k, &alpha, (const void *)a.p, REAL_32F, a.ld, a.stride,
                   (const void *)b.p, REAL_32F, b.ld, b.stride, &beta, (void *)c.p, REAL_32F, c.ld, c.stride, count,
                   compute, GEMM_DEFAULT);
}
