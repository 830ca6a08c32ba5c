// Branches, loops, barriers, and what a warp does together.
#include <bit>
#include <cmath>
#include <random>

#include "test.h"

// Runs a kernel of one output word for each thread.
static std::vector<u32> run(const std::string &body, int grid, int block, const std::string &before = "") {
  Handle f = loaded(kernel(1, "mad.wide.u32 %rd0, %i, 4, %rd0;\n" + body + "\nst.global.u32 [%rd0], %r0;", before));
  Buffer<u32> a(grid * block);
  int r = launch(f, grid, block, {a.at});
  CHECK(!r, "%s", errorText(r).c_str());
  return a.get();
}

static void branches() {
  // Nested branches, and a loop with two ways out, after which the warp is whole again.
  auto v =
      run("mov.u32 %r0, 0; and.b32 %r1, %tid, 3; setp.eq.u32 %p1, %r1, 0; @%p1 bra A; setp.eq.u32 %p2, %r1, 1; @%p2 "
          "bra B;\n"
          "add.u32 %r0, %r0, 100; bra.uni JOIN;\n"
          "A: add.u32 %r0, %r0, 1; bra.uni JOIN; B: add.u32 %r0, %r0, 10;\n"
          "JOIN: mov.u32 %r2, 0;\n"
          "LOOP: setp.ge.u32 %p3, %r2, %tid; @%p3 bra OUT; add.u32 %r2, %r2, 1; add.u32 %r0, %r0, 1000; setp.eq.u32 "
          "%p4, %r2, 20; @!%p4 bra LOOP;\n"
          "add.u32 %r0, %r0, 500;\n"
          "OUT: vote.sync.ballot.b32 %r3, %p3, -1; popc.b32 %r3, %r3; mad.lo.u32 %r0, %r3, 1000000, %r0;",
          1, 32);
  for (u32 t = 0; t < 32; t++) {
    u32 n = std::min(t, 20u);
    u32 want = (t % 4 == 0 ? 1 : t % 4 == 1 ? 10 : 100) + 1000 * n + (t >= 20 ? 500 : 0) + 20 * 1000000;
    CHECK(v[t] == want, "thread %u: %u, not %u", t, v[t], want);
  }
  // A block behind its join, as compilers place rare ones: the lanes meet at the shuffle.
  v =
      run("mov.u32 %r1, %tid; setp.lt.u32 %p1, %tid, 7; @%p1 bra RARE;\n"
          "JOIN: shfl.sync.bfly.b32 %r0, %r1, 1, 31, -1; bra.uni END;\n"
          "RARE: add.u32 %r1, %r1, 50; bra.uni JOIN;\n"
          "END:",
          1, 32);
  for (u32 t = 0; t < 32; t++) CHECK(v[t] == (t ^ 1) + ((t ^ 1) < 7 ? 50 : 0), "thread %u: %u", t, v[t]);
  // Guards on everything: stores, loads, exits, shuffles.
  v = run(
      "setp.lt.u32 %p1, %tid, 5; mov.u32 %r0, 1; @%p1 mov.u32 %r0, 2; @!%p1 add.u32 %r0, %r0, 10; @%p1 st.global.u32 "
      "[%rd0], 3; @%p1 exit;\n"
      "setp.lt.u32 %p2, %tid, 9; @%p2 shfl.sync.idx.b32 %r0|%p3, %tid, 6, 31, 0x1e0; @%p2 selp.u32 %r0, %r0, 77, %p3;",
      1, 40);
  for (u32 t = 0; t < 40; t++) {
    u32 want = t < 5 ? 3 : t < 9 ? 6 : t < 32 ? 11 : 11;
    CHECK(v[t] == want, "thread %u: %u, not %u", t, v[t], want);
  }
}

static void shuffles() {
  struct Mode {
    const char *name;
    int b, c;
  };
  for (Mode m : {Mode{"up", 3, 0},
                 {"up", 1, 0x1800},
                 {"down", 4, 31},
                 {"down", 2, 0x181f},
                 {"down", 9, 0x100f},
                 {"bfly", 16, 31},
                 {"bfly", 5, 0x181f},
                 {"idx", 7, 31},
                 {"idx", 33, 31},
                 {"idx", 3, 0x181f},
                 {"idx", 6, 3}}) {
    auto v =
        run("mul.lo.u32 %r1, %tid, 3; shfl.sync." + std::string(m.name) + ".b32 %r0|%p1, %r1, " + std::to_string(m.b) +
                ", " + std::to_string(m.c) + ", -1; selp.u32 %r2, 1000, 0, %p1; add.u32 %r0, %r0, %r2;",
            1, 32);
    for (int lane = 0; lane < 32; lane++) {  // as the manual's pseudo code
      int b = m.b & 31, c = m.c & 31, seg = m.c >> 8 & 31, max = (lane & seg) | (c & ~seg), min = lane & seg, j, p;
      std::string name = m.name;
      if (name == "up")
        j = lane - b, p = j >= max;
      else if (name == "down")
        j = lane + b, p = j <= max;
      else if (name == "bfly")
        j = lane ^ b, p = j <= max;
      else
        j = min | (b & ~seg), p = j <= max;
      if (!p) j = lane;
      CHECK(v[lane] == (u32)(j * 3 + p * 1000), "shfl %s %d %#x lane %d: %u", m.name, m.b, m.c, lane, v[lane]);
    }
  }
}

static void votes() {
  auto v =
      run("setp.gt.u32 %p1, %tid, 9; vote.sync.ballot.b32 %r0, %p1, -1; vote.sync.any.pred %p2, !%p1, -1; "
          "vote.sync.all.pred %p3, %p1, -1; vote.sync.uni.pred %p4, %p1, -1;\n"
          "@!%p2 add.u32 %r0, %r0, 1; @%p3 add.u32 %r0, %r0, 2; @%p4 add.u32 %r0, %r0, 4; @%p1 bra HIGH; "
          "activemask.b32 %r1; xor.b32 %r0, %r0, %r1; HIGH:",
          1, 32);
  for (u32 t = 0; t < 32; t++) CHECK(v[t] == (t > 9 ? 0xfffffc00 : 0xffffffff), "thread %u: %#x", t, v[t]);
  struct {
    const char *op;
    u32 want;
  } redux[] = {{"add.s32", (u32)(31 * 16 - 32 * 10)},
               {"min.s32", (u32)-10},
               {"max.s32", 21},
               {"min.u32", 0},
               {"max.u32", 0xffffffff},
               {"or.b32", 0xffffffff},
               {"and.b32", 0},
               {"xor.b32", 0}};
  for (auto &x : redux) {
    u32 want = x.want, all = 0;
    for (int t = 0; t < 32; t++) all ^= t - 10;
    if (std::string(x.op) == "xor.b32") want = all;
    v = run("sub.u32 %r1, %tid, 10; redux.sync." + std::string(x.op) + " %r0, %r1, -1;", 1, 32);
    for (u32 t = 0; t < 32; t++) CHECK(v[t] == want, "redux %s: %#x, not %#x", x.op, v[t], want);
  }
}

static void barriers() {
  // A sum over the block through shared memory, with a barrier in a loop.
  auto v =
      run("mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; st.shared.u32 [%r1], %tid; mov.u32 %r2, 64;\n"
          "L: bar.sync 0; setp.ge.u32 %p1, %tid, %r2; @%p1 bra SKIP; mad.lo.u32 %r3, %r2, 4, %r1; ld.shared.u32 %r4, "
          "[%r3]; ld.shared.u32 %r5, [%r1]; add.u32 %r4, %r4, %r5; st.shared.u32 [%r1], %r4;\n"
          "SKIP: shr.u32 %r2, %r2, 1; setp.ne.u32 %p2, %r2, 0; @%p2 bra L; bar.sync 0; ld.shared.u32 %r0, [s];",
          3, 128, ".shared .align 4 .b8 s[512];\n");
  for (auto x : v) CHECK(x == 127 * 64, "%u", x);
  // Two halves of the block with a barrier of their own; then one half waits for what the other has done.
  v =
      run("mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; st.shared.u32 [%r1], %tid; shr.u32 %r2, %tid, 6; add.u32 %r2, "
          "%r2, 1; bar.sync %r2, 64;\n"
          "xor.b32 %r3, %tid, 33; mad.lo.u32 %r3, %r3, 4, %r9; ld.shared.u32 %r0, [%r3]; bar.sync %r2, 64;\n"
          "setp.lt.u32 %p1, %tid, 64; @%p1 bra FIRST; bar.sync 5, 128; ld.shared.u32 %r4, [%r1+-256]; add.u32 %r0, "
          "%r0, %r4; bra.uni END;\n"
          "FIRST: st.shared.u32 [%r1], 1000; bar.arrive 5, 128; END:",
          1, 128, ".shared .align 4 .b8 s[512];\n");
  for (u32 t = 0; t < 128; t++) CHECK(v[t] == (t ^ 33) + (t >= 64 ? 1000 : 0), "thread %u: %u", t, v[t]);
  // Lanes of a warp exchange through shared memory.
  v =
      run("mov.u32 %r9, s; mad.lo.u32 %r1, %tid, 4, %r9; xor.b32 %r2, %tid, 1; mad.lo.u32 %r2, %r2, 4, %r9; "
          "st.shared.u32 [%r1], %tid; bar.warp.sync -1; ld.shared.u32 %r0, [%r2];",
          1, 64, ".shared .align 4 .b8 s[256];\n");
  for (u32 t = 0; t < 64; t++) CHECK(v[t] == (t ^ 1), "thread %u: %u", t, v[t]);
}

// mma with the layouts of fragments as the manual gives them. Products of small integers are exact; the sums of others
// are cut off, never rounded up.
static void products() {
  struct Shape {
    const char *name;
    int k, a, b;
    bool brain;
  };
  for (Shape s : {Shape{"m16n8k4.row.col.f32.tf32.tf32.f32", 4, 2, 1, false},
                  {"m16n8k8.row.col.f32.tf32.tf32.f32", 8, 4, 2, false},
                  {"m16n8k8.row.col.f32.bf16.bf16.f32", 8, 2, 1, true},
                  {"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 4, 2, true}})
    for (bool whole : {true, false}) {
      auto list = [](int first, int n) {
        std::string t;
        for (int k = 0; k < n; k++) t += (k ? ", %r" : "%r") + std::to_string(first + k);
        return "{" + t + "}";
      };
      Handle f =
          loaded(kernel(2,
                        "mad.wide.u32 %rd0, %tid, 64, %rd0; mad.wide.u32 %rd1, %tid, 16, %rd1;\n"
                        "ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0]; ld.global.v4.u32 {%r4, %r5, %r6, %r7}, "
                        "[%rd0+16]; ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [%rd0+32];\n"
                        "mma.sync.aligned." +
                            std::string(s.name) + " {%f0, %f1, %f2, %f3}, " + list(0, s.a) + ", " + list(4, s.b) +
                            ", {%f0, %f1, %f2, %f3};\n"
                            "st.global.v4.f32 [%rd1], {%f0, %f1, %f2, %f3};"));
      std::mt19937 g(1);
      float A[16][16], B[16][8], C[16][8];
      auto draw = [&] {
        return whole ? (float)((int)(g() % 15) - 7)
                     : std::bit_cast<float>(std::bit_cast<u32>((float)(g() % 10000) / 4096) & 0xffff0000);
      };
      for (auto &r : A)
        for (auto &x : r) x = draw();
      for (auto &r : B)
        for (auto &x : r) x = draw();
      for (auto &r : C)
        for (auto &x : r) x = whole ? draw() : (float)(g() % 1000000) / 1e6f;
      std::vector<u32> in(32 * 16);
      auto bits = [](float x) { return std::bit_cast<u32>(x); };
      for (int l = 0; l < 32; l++) {
        int row = l / 4, t = l % 4;
        for (int r = 0; r < s.a; r++)  // the lower bits of a TF32 operand do not count
          in[l * 16 + r] = s.brain ? (bits(A[row + r % 2 * 8][2 * t + 1 + r / 2 * 8]) & 0xffff0000) |
                                         bits(A[row + r % 2 * 8][2 * t + r / 2 * 8]) >> 16
                                   : bits(A[row + r % 2 * 8][t + r / 2 * 4]) | 0x1fff;
        for (int r = 0; r < s.b; r++)
          in[l * 16 + 4 + r] = s.brain
                                   ? (bits(B[2 * t + 1 + r * 8][row]) & 0xffff0000) | bits(B[2 * t + r * 8][row]) >> 16
                                   : bits(B[t + r * 4][row]) | 0x1fff;
        for (int r = 0; r < 4; r++) in[l * 16 + 8 + r] = bits(C[row + r / 2 * 8][2 * t + r % 2]);
      }
      Buffer<u32> a(in), b(128);
      int r = launch(f, 1, 32, {a.at, b.at});
      CHECK(!r, "%s", errorText(r).c_str());
      auto v = b.get();
      int rounded = 0;
      for (int l = 0; l < 32; l++)
        for (int e = 0; e < 4; e++) {
          int row = l / 4 + e / 2 * 8, col = l % 4 * 2 + e % 2;
          double want = C[row][col];
          for (int k = 0; k < s.k; k++) want += (double)A[row][k] * B[k][col];
          float got = std::bit_cast<float>(v[l * 4 + e]);
          CHECK(std::fabs(got) <= std::fabs(want) && std::fabs(got - want) <= std::fabs(want) * 0x1p-23,
                "%s: %.9g, not %.9g", s.name, got, want);
          rounded += got != want;
        }
      CHECK(whole ? !rounded : rounded > 0, "%s: %d sums are not exact", s.name, rounded);
    }
}

static void threads() {
  Handle f = loaded(
      module(".visible .entry k(.param .u64 p) { .reg .b32 %r<30>; .reg .b64 %rd<3>; ld.param.u64 %rd1, [p];\n"
             "mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ctaid.x; mov.u32 %r5, "
             "%ctaid.y; mov.u32 %r6, %ctaid.z;\n"
             "mov.u32 %r7, %ntid.x; mov.u32 %r8, %ntid.y; mov.u32 %r9, %ntid.z; mov.u32 %r10, %nctaid.x; mov.u32 %r11, "
             "%nctaid.y; mov.u32 %r12, %nctaid.z;\n"
             "mad.lo.u32 %r13, %r3, %r8, %r2; mad.lo.u32 %r13, %r13, %r7, %r1; mad.lo.u32 %r14, %r6, %r11, %r5; "
             "mad.lo.u32 %r14, %r14, %r10, %r4;\n"
             "mul.lo.u32 %r15, %r7, %r8; mul.lo.u32 %r15, %r15, %r9; mad.lo.u32 %r16, %r14, %r15, %r13; mad.wide.u32 "
             "%rd2, %r16, 8, %rd1;\n"
             "mov.u32 %r17, %laneid; mov.u32 %r18, %warpid; mad.lo.u32 %r18, %r18, WARP_SZ, %r17; mov.u32 %r19, "
             "%lanemask_lt; popc.b32 %r19, %r19;\n"
             "sub.u32 %r19, %r19, %r17; add.u32 %r18, %r18, %r19; st.global.v2.u32 [%rd2], {%r16, %r18}; ret; }"));
  Buffer<u32> a(2 * 3 * 2 * 5 * 3 * 2 * 7);
  void *p[] = {&a.at};
  CHECK(!cuLaunchKernel(f, 3, 2, 5, 7, 3, 2, 0, nullptr, p, nullptr), "launch");
  auto v = a.get();
  for (u32 k = 0; k < v.size() / 2; k++)
    CHECK(v[2 * k] == k && v[2 * k + 1] == k % 42, "%u: %u %u", k, v[2 * k], v[2 * k + 1]);
}

// A random program of many registers: a loop whose parts read some of them, write others for some threads only, and use
// hundreds for a moment. What shares a place must not live at the same time.
static void registers() {
  std::mt19937 g(7);
  const int n = 40, rounds = 4;
  struct Step {
    int to, a, b, bit;  // r[to] = r[a] * 3 + r[b], if bit of the thread is set
    bool branch;        // by a branch, not a guard
  };
  std::vector<Step> steps;
  auto any = [&](int from) { return from + (int)(g() % (n - from)); };
  // Written first, but by some threads: the others have what the last round left.
  for (int k = 0; k < 4; k++) steps.push_back({k, any(n / 2), any(n / 2), k, false});
  for (int k = 0; k < 150; k++) {
    // The first registers are of use in the first third only: they live on to the next round, untouched.
    int lowest = k < 50 ? 0 : n / 2;
    steps.push_back({any(lowest), any(lowest), any(lowest), g() % 2 ? (int)(g() % 5) : -1, g() % 4 == 0});
  }
  auto name = [&](int r) { return (r % 4 == 3 ? "%w" : "%v") + std::to_string(r); };
  std::string s = ".reg .b32 %v<40>, %x<400>, %z; .reg .b64 %w<40>, %y<400>; .reg .pred %q<400>; mov.u32 %z, 0;\n";
  for (int r = 0; r < n; r++)
    s += r % 4 == 3 ? "mul.wide.u32 " + name(r) + ", %tid, " + std::to_string(r + 2) + ";\n"
                    : "mad.lo.u32 " + name(r) + ", %tid, " + std::to_string(r) + ", 5;\n";
  s += "LOOP:\n";
  for (size_t k = 0; k < steps.size(); k++) {
    const Step &t = steps[k];
    std::string i = std::to_string(k), x = "%x" + i, y = "%y" + i, q = "%q" + i, guard;
    if (t.bit >= 0) {
      s += "and.b32 " + x + ", %tid, " + std::to_string(1 << t.bit) + "; setp.ne.u32 " + q + ", " + x + ", 0;\n";
      if (t.branch)
        s += "@!" + q + " bra SKIP" + i + ";\n";
      else
        guard = "@" + q + " ";
    }
    auto value = [&](int r, const std::string &to) {
      return r % 4 == 3 ? "mov.b64 " + to + ", " + name(r) + ";" : "cvt.u64.u32 " + to + ", " + name(r) + ";";
    };
    std::string z = "%y" + std::to_string(k + 200);
    s += value(t.a, y) + value(t.b, z) + " mad.lo.u64 " + y + ", " + y + ", 3, " + z + ";\n" + guard;
    s += t.to % 4 == 3 ? "mov.b64 " + name(t.to) + ", " + y + ";\n" : "cvt.u32.u64 " + name(t.to) + ", " + y + ";\n";
    if (t.bit >= 0 && t.branch) s += "SKIP" + i + ":\n";
  }
  s += "add.u32 %z, %z, 1; setp.lt.u32 %q399, %z, " + std::to_string(rounds) + "; @%q399 bra LOOP;\nmov.u32 %r0, 0;\n";
  for (int r = n / 2; r < n; r++)
    s += (r % 4 == 3 ? "cvt.u32.u64 %r1, " : "mov.u32 %r1, ") + name(r) + "; mad.lo.u32 %r0, %r0, 31, %r1;\n";
  auto v = run(s, 2, 64);
  for (u32 t = 0; t < 128; t++) {
    u64 r[n];
    for (int k = 0; k < n; k++) r[k] = k % 4 == 3 ? (u64)(t % 64) * (k + 2) : (u32)(t % 64 * k + 5);
    for (int round = 0; round < rounds; round++)
      for (auto &x : steps) {
        u64 y = r[x.a] * 3 + r[x.b];
        if (x.bit < 0 || t >> x.bit & 1) r[x.to] = x.to % 4 == 3 ? y : (u32)y;
      }
    u32 want = 0;
    for (int k = n / 2; k < n; k++) want = want * 31 + (u32)r[k];
    CHECK(v[t] == want, "thread %u: %#x, not %#x", t, v[t], want);
  }
}

int main() {
  start();
  branches();
  registers();
  shuffles();
  votes();
  barriers();
  products();
  threads();
  return finish("control");
}
