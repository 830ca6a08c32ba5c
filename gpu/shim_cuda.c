//go:build cuda

// The driver's functions, forwarded to a libcuda that is opened at run time. They
// are hidden, so that libcuda does not take them for its own.

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include <cuda.h>
#pragma GCC visibility pop

#include "shim_cuda.h"

static void *library;
static char why[512];

const char *marge_cuda_open(const char *path) {
  if (library) return NULL;
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library) return NULL;
  strncpy(why, dlerror(), sizeof why - 1);
  return why;
}

void *marge_cuda_symbol(const char *name) { return library ? dlsym(library, name) : NULL; }

// The name as text, after the macros of cuda.h.
#define TEXT(name) TEXT1(name)
#define TEXT1(name) #name

// FORWARD defines a function of the driver that calls the library's. Threads may
// look it up at the same time, and find the same.
#define FORWARD(name, parameters, arguments) \
  CUresult name parameters { \
    static void *found; \
    void *call = __atomic_load_n(&found, __ATOMIC_RELAXED); \
    if (!call) { \
      call = marge_cuda_symbol(TEXT(name)); \
      if (!call) return library ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_NOT_INITIALIZED; \
      __atomic_store_n(&found, call, __ATOMIC_RELAXED); \
    } \
    return ((CUresult(*) parameters)call)arguments; \
  }

FORWARD(cuInit, (unsigned a), (a))
FORWARD(cuDriverGetVersion, (int *a), (a))
FORWARD(cuDeviceGet, (CUdevice *a, int b), (a, b))
FORWARD(cuDeviceGetCount, (int *a), (a))
FORWARD(cuDeviceGetName, (char *a, int b, CUdevice c), (a, b, c))
FORWARD(cuDeviceTotalMem, (size_t *a, CUdevice b), (a, b))
FORWARD(cuDeviceGetAttribute, (int *a, CUdevice_attribute b, CUdevice c), (a, b, c))
FORWARD(cuDeviceCanAccessPeer, (int *a, CUdevice b, CUdevice c), (a, b, c))
FORWARD(cuCtxCreate, (CUcontext *a, unsigned b, CUdevice c), (a, b, c))
FORWARD(cuCtxDestroy, (CUcontext a), (a))
FORWARD(cuCtxGetApiVersion, (CUcontext a, unsigned *b), (a, b))
FORWARD(cuCtxGetCurrent, (CUcontext *a), (a))
FORWARD(cuCtxSetCurrent, (CUcontext a), (a))
FORWARD(cuCtxGetDevice, (CUdevice *a), (a))
FORWARD(cuCtxSynchronize, (void), ())
FORWARD(cuCtxEnablePeerAccess, (CUcontext a, unsigned b), (a, b))
FORWARD(cuCtxDisablePeerAccess, (CUcontext a), (a))
FORWARD(cuModuleLoad, (CUmodule *a, const char *b), (a, b))
FORWARD(cuModuleLoadData, (CUmodule *a, const void *b), (a, b))
FORWARD(cuModuleGetFunction, (CUfunction *a, CUmodule b, const char *c), (a, b, c))
FORWARD(cuFuncGetAttribute, (int *a, CUfunction_attribute b, CUfunction c), (a, b, c))
FORWARD(cuLaunchKernel,
        (CUfunction f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned h, CUstream i,
         void **j, void **k),
        (f, a, b, c, d, e, g, h, i, j, k))
FORWARD(cuMemAlloc, (CUdeviceptr *a, size_t b), (a, b))
FORWARD(cuMemFree, (CUdeviceptr a), (a))
FORWARD(cuMemAllocHost, (void **a, size_t b), (a, b))
FORWARD(cuMemFreeHost, (void *a), (a))
FORWARD(cuMemGetAddressRange, (CUdeviceptr *a, size_t *b, CUdeviceptr c), (a, b, c))
FORWARD(cuMemGetInfo, (size_t *a, size_t *b), (a, b))
FORWARD(cuMemcpy, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
FORWARD(cuMemcpyAsync, (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuMemcpyDtoD, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
FORWARD(cuMemcpyDtoDAsync, (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuMemcpyHtoD, (CUdeviceptr a, const void *b, size_t c), (a, b, c))
FORWARD(cuMemcpyHtoDAsync, (CUdeviceptr a, const void *b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuMemcpyDtoH, (void *a, CUdeviceptr b, size_t c), (a, b, c))
FORWARD(cuMemcpyDtoHAsync, (void *a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuMemcpyPeer, (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e), (a, b, c, d, e))
FORWARD(cuMemcpyPeerAsync, (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e, CUstream f),
        (a, b, c, d, e, f))
FORWARD(cuMemsetD32, (CUdeviceptr a, unsigned b, size_t c), (a, b, c))
FORWARD(cuMemsetD32Async, (CUdeviceptr a, unsigned b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuMemsetD8, (CUdeviceptr a, unsigned char b, size_t c), (a, b, c))
FORWARD(cuMemsetD8Async, (CUdeviceptr a, unsigned char b, size_t c, CUstream d), (a, b, c, d))
FORWARD(cuPointerGetAttribute, (void *a, CUpointer_attribute b, CUdeviceptr c), (a, b, c))
FORWARD(cuStreamCreate, (CUstream *a, unsigned b), (a, b))
FORWARD(cuStreamDestroy, (CUstream a), (a))
FORWARD(cuStreamQuery, (CUstream a), (a))
FORWARD(cuStreamSynchronize, (CUstream a), (a))

FORWARD(cuDevicePrimaryCtxRetain, (CUcontext *a, CUdevice b), (a, b))
FORWARD(cuDevicePrimaryCtxRelease, (CUdevice a), (a))
FORWARD(cuEventCreate, (CUevent *a, unsigned b), (a, b))
FORWARD(cuEventDestroy, (CUevent a), (a))
FORWARD(cuEventRecord, (CUevent a, CUstream b), (a, b))
FORWARD(cuEventSynchronize, (CUevent a), (a))
FORWARD(cuFuncSetAttribute, (CUfunction a, CUfunction_attribute b, int c), (a, b, c))
FORWARD(cuGetErrorName, (CUresult a, const char **b), (a, b))
FORWARD(cuGetErrorString, (CUresult a, const char **b), (a, b))
FORWARD(cuModuleLoadDataEx, (CUmodule *a, const void *b, unsigned c, CUjit_option *d, void **e), (a, b, c, d, e))
FORWARD(cuModuleUnload, (CUmodule a), (a))

CUresult marge_cuda_load(CUmodule *module, const void *image, char *log, size_t size) {
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, (void *)size};
  log[0] = 0;
  return cuModuleLoadDataEx(module, image, 2, options, values);
}

CUresult marge_cuda_launch(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned shared,
                           CUstream stream, unsigned long long *slots, int parameters) {
  void *addresses[MARGE_CUDA_PARAMETERS];
  for (int i = 0; i < parameters; i++) addresses[i] = slots + i;
  return cuLaunchKernel(function, x, y, z, threads, 1, 1, shared, stream, addresses, NULL);
}
