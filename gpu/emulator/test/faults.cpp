// Everything that must be noticed is: each fault in a process of its own, as faults stay.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "test.h"

// Runs f in a child; true: it ended with 0. What the emulator writes to stderr is kept away.
static bool child(std::function<void()> f) {
  fflush(stdout);
  pid_t p = fork();
  if (!p) {
    dup2(open("/dev/null", O_WRONLY), 2);
    checks = failures = 0;
    f();
    fflush(stdout);
    _exit(failures || !checks);
  }
  int status;
  waitpid(p, &status, 0);
  return status == 0;
}

// A kernel that must fail with a code, at the line that has MARK in a comment, and with these words.
static void fault(const std::string &name, int code, const std::string &words, const std::string &body, int grid = 1,
                  int block = 64, const std::string &before = "", int shared = 0) {
  bool ok = child([&] {
    start();
    std::string ptx = kernel(2, body, before);
    Handle f = loaded(ptx);
    Buffer<u32> a(64), b(64);
    std::vector<u64> arguments{a.at, b.at};
    void *p[] = {&arguments[0], &arguments[1]};
    CHECK(cuMemsetD8_v2(a.at, 0, 256) == 0, "memset");
    CHECK(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared, nullptr, p, nullptr) == 0, "the launch itself succeeds");
    int r = cuCtxSynchronize();
    std::string text = errorText(r);
    CHECK(r == code, "%s: error %d, not %d: %s", name.c_str(), r, code, text.c_str());
    CHECK(text.find(words) != text.npos && text.find("kernel k, block ") != text.npos &&
              text.find(", thread ") != text.npos,
          "%s: %s", name.c_str(), text.c_str());
    size_t mark = ptx.find("MARK");
    if (mark != ptx.npos) {
      std::string line = ", line " + std::to_string(std::count(ptx.begin(), ptx.begin() + mark, '\n') + 1) + ": ";
      CHECK(text.find(line) != text.npos, "%s: not%s%s", name.c_str(), line.c_str(), text.c_str());
    }
    u64 x;
    CHECK(cuMemAlloc_v2(&x, 4) == code && cuMemFree_v2(a.at) == code && cuMemcpyDtoH_v2(&x, a.at, 4) == code,
          "the error stays");
  });
  CHECK(ok, "%s", name.c_str());
}

static void faults() {
  const std::string
      s = ".shared .align 16 .b8 s[256];\n",
      at = "mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; xor.b32 %r2, %tid, 1; mad.lo.u32 %r2, %r2, 4, %r9;\n"
           "xor.b32 %r3, %tid, 32; mad.lo.u32 %r3, %r3, 4, %r9;\n";
  fault("a load behind the end", 700, "of 256 bytes, at 256",
        "ld.global.u32 %r1, [%rd0+252];\nld.global.u32 %r1, [%rd0+256]; // MARK");
  fault("a load before the start", 700, "of 256 bytes, at -4", "ld.global.u32 %r1, [%rd0+-4]; // MARK");
  fault("a store of one thread", 700, "thread 33,0,0",
        "mad.wide.u32 %rd0, %tid, 4, %rd0;\nst.global.u32 [%rd0+124], %tid; // MARK");
  fault("a vector across the end", 700, "of 16 bytes",
        "ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0+240];\n ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0+256]; // "
        "MARK");
  fault("a null pointer", 700, "no device memory", "mov.u64 %rd5, 0; ld.global.u32 %r1, [%rd5];");
  fault("an address of nothing", 700, "no device memory", "mov.u64 %rd5, 0x7f0000001000; ld.u32 %r1, [%rd5];");
  fault("a misaligned load", 716, "not a multiple of 4", "ld.global.u32 %r1, [%rd0+2]; // MARK");
  fault("a misaligned vector", 716, "not a multiple of 16", "ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0+8];");
  fault("misaligned shared memory", 716, "not a multiple of 8", "ld.shared.u64 %rd3, [s+4];", 1, 1, s);
  fault("shared memory behind the end", 700, "shared memory of 256 bytes, at 256", "st.shared.u32 [s+256], 1;", 1, 1,
        s);
  fault("shared memory before the start", 700, "shared memory of 256 bytes, at -4", "ld.shared.u32 %r1, [s+-4];", 1, 1,
        s);
  fault("dynamic shared memory behind the end", 700, "shared memory of 80 bytes, at 80",
        "st.shared.u32 [x], 1; st.shared.u32 [d+60], 1; st.shared.u32 [d+64], 1;", 1, 1,
        ".shared .u32 x; .extern .shared .align 16 .b8 d[];\n", 64);
  fault("local memory behind the end", 700, "local memory of 16 bytes, at 16",
        ".local .align 4 .b8 l[16]; mov.u64 %rd5, l; st.local.u32 [%rd5+16], 1;");
  fault("a generic address of shared memory", 700, "shared memory of 256 bytes, at 260",
        "mov.u64 %rd5, s; cvta.shared.u64 %rd5, %rd5; ld.u32 %r1, [%rd5+260];", 1, 1, s);
  fault("parameters behind the end", 700, "parameter memory of 16 bytes, at 16", "ld.param.u32 %r1, [p1+8];");
  fault("a write to constants", 700, "constant memory", "mov.u64 %rd5, c; cvta.const.u64 %rd5, %rd5; st.u32 [%rd5], 1;",
        1, 1, ".const .u32 c = 5;\n");
  fault("a store to constants, of all lanes", 700, "constant memory",
        "mov.u64 %rd5, c; mad.wide.u32 %rd5, %tid, 4, %rd5; st.global.u32 [%rd5], 1;", 1, 32, ".const .u32 c[32];\n");

  fault("a race of warps, write and read", 719, "race in shared memory",
        at + "st.shared.u32 [%r1], 1; /* MARK */ ld.shared.u32 %r4, [%r3];", 1, 64, s);
  fault("a race of warps, read and write", 719, "race in shared memory",
        at + "ld.shared.u32 %r4, [%r1]; st.shared.u32 [%r3], 1; // MARK", 1, 64, s);
  fault("a race of warps, two writes", 719, "race in shared memory", "st.shared.u32 [s], 7; // MARK", 1, 64, s);
  fault("a race of lanes, write and read", 719, "race in shared memory",
        at + "st.shared.u32 [%r1], 1;\nld.shared.u32 %r4, [%r2]; // MARK", 1, 32, s);
  fault("a race of lanes, read and write", 719, "race in shared memory",
        at + "ld.shared.u32 %r4, [%r1];\nst.shared.u32 [%r2], 1; // MARK", 1, 32, s);
  fault("a race of lanes, with one of two readers", 719, "race in shared memory",
        "setp.eq.u32 %p1, %tid, 1; setp.eq.u32 %p2, %tid, 2; @%p1 ld.shared.u32 %r1, [s]; bar.warp.sync -1; @%p2 "
        "ld.shared.u32 %r1, [s];\n@%p1 st.shared.u32 [s], 1; // MARK",
        1, 32, s);
  fault("a race of lanes, two values", 719, "race in shared memory", "st.shared.u32 [s], %tid; // MARK", 1, 32, s);
  fault("a barrier of warps is none of the block", 719, "race in shared memory",
        at + "st.shared.u32 [%r1], 1; bar.warp.sync -1; ld.shared.u32 %r4, [%r3]; // MARK", 1, 64, s);
  fault("a barrier of half the block", 719, "race in shared memory",
        at + "st.shared.u32 [%r1], 1; shr.u32 %r5, %tid, 5; add.u32 %r5, %r5, 1; bar.sync %r5, 32;\nld.shared.u32 %r4, "
             "[%r3]; // MARK",
        1, 64, s);
  fault("a race with one of many readers", 719, "race in shared memory",
        at + "ld.shared.u32 %r4, [s]; bar.sync 1, 64; ld.shared.u32 %r4, [s]; setp.eq.u32 %p1, %tid, 0;\n@%p1 "
             "st.shared.u32 [s], 1; // MARK",
        1, 64, s);
  fault("an atomic and a read", 719, "race in shared memory",
        "atom.shared.add.u32 %r1, [s], 1;\nld.shared.u32 %r4, [s]; // MARK", 1, 64, s);
  fault("a race of bytes", 719, "race in shared memory",
        "mov.u32 %r9, s; add.u32 %r9, %r9, %tid; st.shared.u8 [%r9], 1; bar.sync 0; st.shared.u8 [%r9], "
        "2;\nld.shared.u8 %r1, [%r9+1]; // MARK",
        1, 64, s);

  const std::string copy = at +
                           "mad.lo.u32 %r4, %tid, 16, %r9; mad.wide.u32 %rd5, %tid, 16, "
                           "%rd0;\ncp.async.cg.shared.global [%r4], [%rd5], 16; cp.async.commit_group;\n";
  fault("cp.async without a wait", 719, "not waited for", copy + "bar.sync 0;\nld.shared.u32 %r5, [%r4]; // MARK", 1,
        16, s);
  fault("cp.async with a wait for another group", 719, "not waited for",
        copy + "cp.async.wait_group 1; bar.sync 0;\nld.shared.u32 %r5, [%r4]; // MARK", 1, 16, s);
  fault("cp.async that was not committed", 719, "not waited for",
        "mov.u32 %r9, s; cp.async.ca.shared.global [%r9], [%rd0], 4; cp.async.wait_group 0;\nld.shared.u32 %r5, [s]; "
        "// MARK",
        1, 1, s);
  fault("cp.async and no barrier", 719, "race in shared memory",
        copy +
            "cp.async.wait_group 0; mad.lo.u32 %r2, %tid, 12, %r2;\nxor.b32 %r4, %r4, 16; ld.shared.u32 %r5, [%r4]; // "
            "MARK",
        1, 16, s);
  fault("cp.async over what others read", 719, "race in shared memory",
        "ld.shared.u32 %r5, [s]; setp.eq.u32 %p1, %tid, 0; mov.u32 %r9, s;\n@%p1 cp.async.ca.shared.global [%r9], "
        "[%rd0], 4; // MARK",
        1, 32, s);
  fault("cp.async behind the end", 700, "of 256 bytes, at 256",
        "mov.u32 %r9, s;\ncp.async.cg.shared.global [%r9], [%rd0+256], 16; // MARK", 1, 1, s);
  fault("cp.async, misaligned", 716, "not a multiple of 16",
        "mov.u32 %r9, s; cp.async.cg.shared.global [%r9], [%rd0+8], 16;", 1, 1, s);
  fault("cp.async to shared memory behind the end", 700, "shared memory of 256 bytes, at 256",
        "mov.u32 %r9, s; cp.async.cg.shared.global [%r9+256], [%rd0], 16;", 1, 1, s);

  fault("two blocks write", 719, "race between blocks",
        "mad.wide.u32 %rd0, %tid, 4, %rd0;\nst.global.u32 [%rd0], %r0; // MARK", 2, 32);
  fault("a block reads what another wrote", 719, "race between blocks",
        "mov.u32 %r1, %ctaid.x; mad.wide.u32 %rd2, %i, 4, %rd0; st.global.u32 [%rd2], 1; xor.b32 %r2, %i, 32; "
        "mad.wide.u32 %rd3, %r2, 4, %rd0; ld.global.u32 %r3, [%rd3]; // MARK",
        2, 32);
  fault("a block writes what others read", 719, "race between blocks",
        "mov.u32 %r1, %ctaid.x; ld.global.u32 %r3, [%rd0]; setp.eq.u32 %p1, %i, 0; setp.eq.or.u32 %p1, %i, 95, %p1; "
        "@%p1 st.global.u32 [%rd0], 1; // MARK",
        3, 32);
  fault("an atomic and a plain read", 719, "race between blocks",
        "atom.global.add.u32 %r1, [%rd0], 1; ld.global.u32 %r2, [%rd0]; // MARK", 2, 32);
  fault("ld.global.nc of what is written", 719, "ld.global.nc",
        "mad.wide.u32 %rd0, %tid, 4, %rd0; st.global.u32 [%rd0], 1;\nld.global.nc.u32 %r1, [%rd0]; // MARK", 1, 32);

  fault("a trap", 719, "trap", "setp.eq.u32 %p1, %tid, 3;\n@%p1 trap; // MARK");
  fault("a barrier in a branch", 719, "ended",
        "setp.lt.u32 %p1, %tid, 3; @%p1 bra A; bra.uni B;\nA: bar.sync 0; // MARK\nB:", 1, 32);
  fault("a barrier that a warp goes round", 719, "do not reach",
        "setp.lt.u32 %p1, %tid, 32; @%p1 bra B;\nbar.sync 0; // MARK\nB:", 1, 64);
  fault("a barrier after an early return", 719, "ended", "setp.lt.u32 %p1, %tid, 3; @%p1 exit;\nbar.sync 0; // MARK", 1,
        64);
  fault("two barriers", 719, "different barriers",
        "setp.lt.u32 %p1, %tid, 32; @%p1 bra A; bar.sync 0; bra.uni B; A: bar.sync 0;\nB:", 1, 64);
  fault("a shuffle from a lane that left", 719, "does not take part",
        "setp.eq.u32 %p1, %tid, 5; @%p1 exit;\nshfl.sync.bfly.b32 %r1, %tid, 1, 31, -1; // MARK", 1, 32);
  fault("a shuffle in a branch", 719, "wait for others that do not come",
        "setp.lt.u32 %p1, %tid, 3; @!%p1 bra B;\nshfl.sync.bfly.b32 %r1, %tid, 1, 31, -1; // MARK\nB: bar.sync 0;", 1,
        32);
  fault("a shuffle without itself", 719, "does not name", "shfl.sync.bfly.b32 %r1, %tid, 0, 31, 0xff;", 1, 32);
  fault("mma of half a warp", 719, "whole warp",
        "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%f0,%f1,%f2,%f3}, {%r0,%r1}, {%r2}, {%f0,%f1,%f2,%f3};", 1,
        16);
}

static void freed() {
  CHECK(child([] {
          start();
          Handle f = loaded(kernel(1, "ld.global.u32 %r1, [%rd0+8];"));
          u64 p;
          CHECK(!cuMemAlloc_v2(&p, 64) && !cuMemFree_v2(p), "alloc and free");
          CHECK(cuMemFree_v2(p) == 1, "free for the second time");
          CHECK(
              launch(f, 1, 1, {p}) == 700 && errorText(700).find("freed memory of 64 bytes, at 8") != std::string::npos,
              "%s", errorText(700).c_str());
        }),
        "freed memory");
  CHECK(child([] {
          start();
          Handle f = loaded(kernel(1, "L: bra.uni L;"));
          Buffer<u32> a(1);
          CHECK(launch(f, 1, 1, {a.at}) == 702, "%s", errorText(702).c_str());
        }),
        "a kernel without an end");
}

// No false alarms: what looks like a race and is none.
static void innocent() {
  auto fine = [](const std::string &name, const std::string &body, int grid, int block) {
    bool ok = child([&] {
      start();
      Handle f = loaded(kernel(2, body, ".shared .align 16 .b8 s[256];\n"));
      Buffer<u32> a(64), b(64);
      CHECK(!launch(f, grid, block, {a.at, b.at}), "%s: %s", name.c_str(), errorText(719).c_str());
      CHECK(!launch(f, grid, block, {a.at, b.at}), "%s, again: %s", name.c_str(), errorText(719).c_str());
    });
    CHECK(ok, "%s", name.c_str());
  };
  fine("lanes write one value", "st.shared.u32 [s], 7; bar.sync 0; ld.shared.u32 %r1, [s];", 1, 32);
  fine("threads write their bytes of a word",
       "mov.u32 %r9, s; add.u32 %r9, %r9, %tid; st.shared.u8 [%r9], %tid; ld.shared.u8 %r1, [%r9];", 1, 64);
  fine("blocks write their bytes of a word",
       "cvt.u64.u32 %rd5, %i; add.u64 %rd0, %rd0, %rd5; st.global.u8 [%rd0], 1; ld.global.u8 %r1, [%rd0];", 8, 2);
  fine(
      "a barrier between",
      "mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; xor.b32 %r2, %tid, 33; mad.lo.u32 %r2, %r2, 4, %r9; st.shared.u32 "
      "[%r1], 1; bar.sync 0; ld.shared.u32 %r3, [%r2]; bar.sync 0; st.shared.u32 [%r2], 1; ld.shared.u32 %r3, [%r2];",
      1, 64);
  fine("a warp's barrier between lanes",
       "mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; xor.b32 %r2, %tid, 1; mad.lo.u32 %r2, %r2, 4, %r9; ld.shared.u32 "
       "%r3, [%r1]; bar.warp.sync -1; st.shared.u32 [%r2], 1; bar.warp.sync -1; st.shared.u32 [%r1], 2;",
       1, 32);
  fine("all blocks read",
       "ld.global.u32 %r1, [%rd0]; mad.wide.u32 %rd1, %i, 4, %rd1; st.global.u32 [%rd1], %r1; ld.global.u32 %r1, "
       "[%rd1];",
       2, 32);
  fine("atomics",
       "atom.global.add.u32 %r1, [%rd0], 1; atom.shared.add.u32 %r2, [s], 1; atom.shared.add.u32 %r2, [s], 1;", 2, 32);
}

// What several blocks of one launch read or counted, another launch may write.
static void launches() {
  bool ok = child([] {
    start();
    Handle first = loaded(kernel(2, "ld.global.u32 %r1, [%rd0]; atom.global.add.u32 %r2, [%rd1], 1;"));
    Handle second =
        loaded(kernel(2,
                      "setp.eq.u32 %p1, %i, 40; @%p1 st.global.u32 [%rd0], 5; @%p1 ld.global.u32 %r1, [%rd1]; @%p1 "
                      "st.global.u32 [%rd1], %r1;"));
    Buffer<u32> a(4), b(std::vector<u32>{0});
    for (int k = 0; k < 3; k++) {
      CHECK(!launch(first, 3, 32, {a.at, b.at}), "%s", errorText(719).c_str());
      CHECK(!launch(second, 3, 32, {a.at, b.at}), "%s", errorText(719).c_str());
    }
    CHECK(a.get()[0] == 5 && b.get()[0] == 288, "%u %u", a.get()[0], b.get()[0]);
  });
  CHECK(ok, "launches in a row");
}

int main() {
  launches();
  faults();
  freed();
  innocent();
  return finish("faults");
}
