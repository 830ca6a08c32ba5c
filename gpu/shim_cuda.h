// The driver's library, opened at run time: a program starts without one.
#pragma once

#include <cuda.h>

// marge_cuda_open opens a library unless one is open. It returns NULL, or what
// went wrong.
const char *marge_cuda_open(const char *path);

// marge_cuda_load compiles a module. What the compiler says goes to log, of size bytes.
CUresult marge_cuda_load(CUmodule *module, const void *image, char *log, size_t size);

// marge_cuda_launch starts a kernel on a grid of blocks of threads of the first dimension. Each of its parameters has a
// slot.
CUresult marge_cuda_launch(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned shared,
                           CUstream stream, unsigned long long *slots, int parameters);

// MARGE_CUDA_PARAMETERS is the greatest number of parameters of a kernel.
#define MARGE_CUDA_PARAMETERS 48

// marge_cuda_symbol returns a function of the open library, or NULL.
void *marge_cuda_symbol(const char *name);
