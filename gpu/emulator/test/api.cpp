// The driver API, and PTX that must be refused.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "test.h"

// A module that is refused names the line and its text, in the log and in cuGetErrorString.
static void refused(const std::string &what, const std::string &body, const std::string &before = "") {
  std::string ptx = kernel(1, body, before);
  size_t mark = ptx.find("MARK");
  if (mark == ptx.npos) abort();
  int line = std::count(ptx.begin(), ptx.begin() + mark, '\n') + 1;
  char log[300] = "";
  int options[] = {6, 5};  // CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER
  void *values[] = {(void *)sizeof log, log};
  Handle m;
  int r = cuModuleLoadDataEx(&m, ptx.c_str(), 2, options, values);
  CHECK(r == 218, "%s: %d", what.c_str(), r);
  std::string start = "PTX, line " + std::to_string(line) + ": ", text = log;
  CHECK(!text.compare(0, start.size(), start) && text.find("MARK") != text.npos, "%s: %s", what.c_str(), log);
  CHECK(text.find(what) != text.npos, "%s: %s", what.c_str(), log);
  CHECK((size_t)values[0] == strlen(log), "size of the log: %zu", (size_t)values[0]);
  CHECK(errorText(218).find(text) != std::string::npos, "%s", errorText(218).c_str());
}

static void refusals() {
  for (std::string i : {"frob.u32 %r1, %r2",
                        "add.foo.u32 %r1, %r2, %r3",
                        "add.f16 %h1, %h2, %h3",
                        "add.rz.f32 %f1, %f2, %f3",
                        "ld.global.b128 %rd1, [%rd0]",
                        "ld.global.v8.f32 {%f1, %f2}, [%rd0]",
                        "ld.global.v4.u64 {%rd1, %rd2, %rd3, %rd4}, [%rd0]",
                        "ld.global.L3::evict_first.f32 %f1, [%rd0]",
                        "st.const.u32 [%rd0], 1",
                        "ld.global.acquire.u32 %r1, [%rd0]",
                        "atom.global.add.f32 %f1, [%rd0], 0f00000000",
                        "red.global.add.f32 [%rd0], 0f00000000",
                        "atom.global.add.s64 %rd1, [%rd0], 1",
                        "red.global.cas.b32 [%rd0], 1, 2",
                        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0}, {%r0}, {%r1}, {%f0}",
                        "wgmma.fence.sync.aligned",
                        "cp.async.bulk.commit_group",
                        "mbarrier.init.shared.b64 [%rd0], 1",
                        "bar.red.popc.u32 %r1, 0, %p1",
                        "shfl.up.b32 %r1, %r2, 1, 0",
                        "vote.ballot.b32 %r1, %p1",
                        "cvt.f32.s32 %f1, %r1",
                        "cvt.s32.f32 %r1, %f1",
                        "cvt.rn.f16x2.f32 %r1, %f1, %f2",
                        "setp.foo.u32 %p1, %r1, %r2",
                        "brx.idx %r1, L",
                        "sin.f32 %f1, %f2",
                        "mov.b128 %rd1, %rd2",
                        "ex2.approx.f16 %h1, %h2",
                        "prmt.b32.f4e %r1, %r2, %r3, %r4",
                        "fence.proxy.async",
                        "nanosleep.u32 5"})
    refused("unknown instruction", i + "; // MARK");
  refused("expected", "tex.1d.v4.f32.s32 {%f1,%f2,%f3,%f4}, [t, {%r1}]; // MARK");
  refused("of another width", "add.u32 %r1, %rd1, %r2; // MARK");
  refused("of another width", "add.u64 %rd1, %r1, %rd2; // MARK");
  refused("of another width", "ld.global.u64 %r1, [%rd0]; // MARK");
  refused("of another width", "mov.f32 %f1, 0d3FF0000000000000; // MARK");
  refused("whole number", "add.f32 %f1, %f2, 1; // MARK");
  refused("unknown register", "add.u32 %x1, %r1, %r2; // MARK");
  refused("unknown name", "add.u32 %r1, %x1, %r2; // MARK");
  refused("unknown name", "mov.u32 %r1, %clock; // MARK");
  refused("unknown register", "add.u32 %r64, %r1, %r2; // MARK");
  refused("result in %tid", "mov.u32 %tid.x, %r1; // MARK");
  refused("too few operands", "add.u32 %r1, %r2; // MARK");
  refused("too many operands", "add.u32 %r1, %r2, %r3, %r4; // MARK");
  refused("expected an address", "ld.global.u32 %r1, %rd0; // MARK");
  refused("expected 2 registers", "ld.global.v2.u32 {%r1}, [%rd0]; // MARK");
  refused("expected one of", "cp.async.cg.shared.global [%r1], [%rd0], 8; // MARK");
  refused("of another space", "ld.global.u32 %r1, [s]; // MARK", ".shared .u32 s;\n");
  refused("of another space", "ld.u32 %r1, [s]; // MARK", ".shared .u32 s;\n");
  refused("unknown label", "bra NOWHERE; // MARK");
  refused("unknown label", "bra L; // MARK\n{ L: }");
  refused("second time", "L: mov.u32 %r1, 0;\nL: // MARK\n");
  refused("no predicate", "@%r1 mov.u32 %r1, 0; // MARK");
  refused("does not define", "call f, (); // MARK", ".func f();\n");
  refused("recursive", "call f, ();", ".func f() {\ncall f, (); // MARK\nret; }\n");
  refused("unknown instruction", "", ".func unused() {\nfrob; // MARK\nret; }\n");
  refused("unknown directive", ".foo; // MARK");
  refused("unknown directive", "", ".alias a, b; // MARK\n");
  refused("unknown directive", "", ".visible .entry x() .maxclusterrank 4 {} // MARK\n");
  refused("register type", ".reg .f8 %q; // MARK");
  refused("another module", "", ".extern .global .u32 x; // MARK\n");
  refused("no number", "", ".global .u64 x = f; // MARK\n");
  refused("more than 48 KiB", "st.shared.u8 [s], 1;", ".shared .b8 s[50000]; /* MARK */");
  refused("expected ';'", "mov.u32 %r1, %r2 %r3; // MARK");
  refused("constant", "mov.u32 %r1, 0x; // MARK");
  refused("constant", "mov.f32 %f1, 0f12; // MARK");
  Handle m;
  CHECK(cuModuleLoadData(&m, ".version 7.0\n.target sm_90a\n.address_size 64\n") == 218, "a newer device");
  CHECK(cuModuleLoadData(&m, ".version 9.0\n.target sm_80\n.address_size 64\n") == 218, "newer PTX");
  CHECK(cuModuleLoadData(&m, "hello") == 218, "no PTX");
  CHECK(cuModuleLoadData(&m, ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret;") == 218,
        "no end");
}

static void launches() {
  std::string ptx = module(
      ".visible .entry k() .maxntid 64, 2, 1 { ret; }\n.visible .entry q() .reqntid 32 { ret; }\n"
      ".shared .b8 s[1024];\n.extern .shared .align 16 .b8 d[];\n"
      ".visible .entry m(.param .u64 p) { .reg .u32 %r<3>; .reg .u64 %rd; ld.param.u64 %rd, [p]; mov.u32 %r1, "
      "%dynamic_smem_size; mov.u32 %r2, d; st.shared.u8 [s], 0;"
      " add.u32 %r2, %r2, %r1; st.shared.u8 [%r2+-1], 1; st.global.u32 [%rd], %r1; ret; }\n.global .u32 counter = "
      "7;\n");
  Handle m, k, q, s, none;
  CHECK(!cuModuleLoadData(&m, ptx.c_str()) && !cuModuleGetFunction(&k, m, "k") && !cuModuleGetFunction(&q, m, "q") &&
            !cuModuleGetFunction(&s, m, "m"),
        "load: %s", errorText(218).c_str());
  CHECK(cuModuleGetFunction(&none, m, "nothing") == 500, "no such kernel");
  auto go = [](Handle f, int grid, int gy, int block) {
    return cuLaunchKernel(f, grid, gy, 1, block, 1, 1, 0, nullptr, nullptr, nullptr);
  };
  CHECK(go(k, 1, 1, 128) == 0 && go(k, 1, 1, 129) == 1 && go(k, 0, 1, 1) == 1 && go(k, 1, 65536, 1) == 1 &&
            go(k, 1, 1, 0) == 1,
        "bounds of a launch");
  CHECK(go(q, 1, 1, 32) == 0 && go(q, 1, 1, 31) == 1 && go(s, 1, 1, 1) == 1, "required size, no parameters");
  int v;
  CHECK(!cuFuncGetAttribute(&v, 0, k) && v == 128 && !cuFuncGetAttribute(&v, 1, s) && v == 1024, "attributes: %d", v);
  Buffer<u32> a(1);
  CHECK(launch(s, 1, 1, {a.at}, 47 << 10) == 0 && a.get()[0] == 47 << 10, "%s", errorText(700).c_str());
  CHECK(launch(s, 1, 1, {a.at}, 48 << 10) == 1, "48 KiB and more");
  CHECK(cuFuncSetAttribute(s, 8, 163 << 10) == 1 && cuFuncSetAttribute(s, 8, 162 << 10) == 0,
        "the limit of the device");
  CHECK(launch(s, 1, 1, {a.at}, 162 << 10) == 0 && a.get()[0] == 162 << 10, "162 KiB");
  u64 at;
  size_t bytes;
  u32 x = 0;
  CHECK(!cuModuleGetGlobal_v2(&at, &bytes, m, "counter") && bytes == 4 && !cuMemcpyDtoH_v2(&x, at, 4) && x == 7,
        "a variable: %u", x);
  CHECK(!cuModuleUnload(m) && cuModuleUnload(m) == 400 && go(k, 1, 1, 1) == 400 && cuMemcpyDtoH_v2(&x, at, 4) == 1,
        "unload");
}

static void memory() {
  size_t free, total;
  setenv("EMU_MEMORY", "1000000", 1);
  CHECK(!cuMemGetInfo_v2(&free, &total) && total == 1000000 && free <= total, "%zu of %zu", free, total);
  u64 p, q, none;
  CHECK(!cuMemAlloc_v2(&p, 600000) && cuMemAlloc_v2(&q, 600000) == 2 && !cuMemFree_v2(p) && !cuMemAlloc_v2(&q, 600000),
        "no more memory");
  CHECK(!cuMemFree_v2(q) && cuMemAlloc_v2(&none, 0) == 1, "nothing");
  unsetenv("EMU_MEMORY");
  Buffer<u32> a(std::vector<u32>{1, 2, 3, 4}), b(4);
  CHECK((b.get() == std::vector<u32>(4, 0xffffffff)), "memory is filled with NaN");
  CHECK(!cuMemcpyDtoD_v2(b.at + 4, a.at, 12) && (b.get() == std::vector<u32>{0xffffffff, 1, 2, 3}), "device to device");
  CHECK(!cuMemsetD32_v2(b.at + 8, 9, 2) && !cuMemsetD8_v2(b.at, 1, 5) &&
            (b.get() == std::vector<u32>{0x01010101, 1, 9, 9}),
        "memset");
  u32 x[8];
  CHECK(cuMemcpyDtoH_v2(x, a.at, 17) == 1 && cuMemcpyHtoD_v2(a.at + 8, x, 12) == 1 &&
            cuMemcpyDtoD_v2(b.at, a.at + 4, 16) == 1,
        "copies behind the end");
  CHECK(cuMemsetD8_v2(a.at, 0, 17) == 1 && cuMemsetD32_v2(a.at + 2, 0, 1) == 1 && cuMemcpyHtoD_v2((u64)x, x, 4) == 1,
        "memset behind the end");
  CHECK(cuMemFree_v2(a.at + 4) == 1, "free in the middle");
}

static void streams() {
  Handle s, e, f, plain;
  Buffer<u32> a(1);
  u32 x = 5;
  float ms = -1;
  CHECK(!cuStreamCreate(&s, 1) && !cuEventCreate(&e, 0) && !cuEventCreate(&f, 0) && !cuEventCreate(&plain, 2),
        "create");
  CHECK(cuEventElapsedTime(&ms, e, f) == 400, "not recorded");
  CHECK(
      !cuEventRecord(e, s) && !cuMemcpyHtoDAsync_v2(a.at, &x, 4, s) && !cuEventRecord(f, s) && !cuEventRecord(plain, s),
      "record");
  CHECK(!cuEventSynchronize(f) && !cuEventElapsedTime(&ms, e, f) && ms >= 0 && ms < 10000 &&
            cuEventElapsedTime(&ms, e, plain) == 400,
        "%g ms", ms);
  CHECK(!cuStreamWaitEvent(s, e, 0) && !cuStreamSynchronize(s) && a.get()[0] == 5, "wait");
  CHECK(!cuEventDestroy_v2(e) && cuEventRecord(e, s) == 400 && cuEventDestroy_v2(e) == 400, "an event that is no more");
  CHECK(!cuStreamDestroy_v2(s) && cuStreamSynchronize(s) == 400 && cuMemcpyHtoDAsync_v2(a.at, &x, 4, s) == 400,
        "a stream that is no more");
  const char *name;
  CHECK(!cuGetErrorName(719, &name) && !strcmp(name, "CUDA_ERROR_LAUNCH_FAILED") && cuGetErrorName(12345, &name) == 1,
        "names");
}

// Without a context; and with a device that is lost at the second launch.
static void lost() {
  fflush(stdout);
  pid_t p = fork();
  if (!p) {
    checks = failures = 0;
    u64 x;
    CHECK(cuMemAlloc_v2(&x, 4) == 3 && !cuInit(0) && cuMemAlloc_v2(&x, 4) == 201 &&
              cuDevicePrimaryCtxRelease_v2(0) == 201,
          "no context");
    setenv("EMU_LOSE", "2", 1);
    start();
    Handle f = loaded(kernel(0, ""));
    CHECK(launch(f, 1, 1, {}) == 0 && launch(f, 1, 1, {}) == 999 && cuCtxSynchronize() == 999 &&
              cuMemAlloc_v2(&x, 4) == 999,
          "lost");
    CHECK(errorText(999).find("lost") != std::string::npos, "%s", errorText(999).c_str());
    fflush(stdout);
    _exit(failures || !checks);
  }
  int status;
  waitpid(p, &status, 0);
  CHECK(!status, "a lost device");
}

int main() {
  dup2(open("/dev/null", O_WRONLY), 2);
  lost();
  start();
  refusals();
  launches();
  memory();
  streams();
  return finish("api");
}
