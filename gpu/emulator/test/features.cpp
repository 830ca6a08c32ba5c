// Runs the kernels of features.cu as compiled without and with optimisation: features PLAIN.ptx OPTIMISED.ptx. PTX
// of the first kind keeps everything in local memory and does every step by itself, so that the two share few
// instructions.
#include <fstream>
#include <random>
#include <sstream>

#include "test.h"

int main(int, char **files) {
  start();
  Handle m[2];
  for (int k = 0; k < 2; k++) {
    std::ifstream f(files[k + 1]);
    std::stringstream s;
    s << f.rdbuf();
    if (cuModuleLoadData(&m[k], s.str().c_str())) return 1;
  }
  for (std::string name : {"calls", "choices", "sorted", "narrow", "wide", "reals", "turned", "leaving"})
    for (int n : {3, 17, 300}) {
      std::vector<u32> a[2], b[2];
      std::mt19937 g(n);
      std::vector<u32> x(1024), y(1024);
      bool real = name == "calls" || name == "sorted" || name == "reals" || name == "turned";
      for (int k = 0; k < 1024; k++) {
        float v = (int)(g() % 2000) / 100.f - 5;
        x[k] = g(), y[k] = g();
        if (real) memcpy(&x[k], &v, 4);
      }
      for (int k = 0; k < 2; k++) {
        Buffer<u32> p(x), q(y);
        Handle f;
        if (cuModuleGetFunction(&f, m[k], name.c_str())) return 1;
        int r = launch(f, 1, 32, {p.at, q.at, (u64)n});
        CHECK(!r, "%s: %s", name.c_str(), errorText(r).c_str());
        a[k] = p.get(), b[k] = q.get();
      }
      CHECK(a[0] == a[1] && b[0] == b[1], "%s %d", name.c_str(), n);
      CHECK(a[0] != x || b[0] != y, "%s does nothing", name.c_str());
    }
  return finish("features");
}
