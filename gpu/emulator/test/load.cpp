// Loads PTX files: load FILE... Says which the emulator refuses, and why.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "cuda.h"

int main(int n, char **files) {
  Handle context, module;
  if (cuInit(0) || cuDevicePrimaryCtxRetain(&context, 0) || cuCtxSetCurrent(context)) return 1;
  int failed = 0;
  for (int i = 1; i < n; i++) {
    std::ifstream f(files[i]);
    std::stringstream s;
    s << f.rdbuf();
    int r = cuModuleLoadData(&module, s.str().c_str());
    printf("%s: %s\n", files[i], r ? "refused" : "loaded");
    failed |= r;
  }
  return failed != 0;
}
