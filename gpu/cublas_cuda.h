// cuBLAS, opened at run time: a program starts without it.
#pragma once

#include <cuda.h>

// marge_cublas are functions of an open library.
typedef struct marge_cublas marge_cublas;

// marge_cublas_open opens a library. It returns NULL where it cannot, and why.
marge_cublas *marge_cublas_open(const char *path, char *why, size_t size);
void marge_cublas_close(marge_cublas *lib);

// marge_cublas_create makes a handle for a stream, with a workspace of the caller's: with that the library's results
// can be repeated. Functions return the library's status, 0 for success.
int marge_cublas_create(marge_cublas *lib, void **handle, CUstream stream, CUdeviceptr workspace, size_t size);
int marge_cublas_version(marge_cublas *lib, void *handle, int *version);
int marge_cublas_destroy(marge_cublas *lib, void *handle);

// marge_matrices are matrices of the library: columns are ld elements apart, matrices stride elements.
typedef struct {
  CUdeviceptr p;
  int ld;
  long long stride;
} marge_matrices;

// marge_cublas_gemm computes count products C = alpha*op(A)*op(B) + beta*C of float32, C of m rows and n columns.
int marge_cublas_gemm(marge_cublas *lib, void *handle, int compute, int transA, int transB, int m, int n, int k,
                      float alpha, marge_matrices a, marge_matrices b, float beta, marge_matrices c, int count);
