// Loads and stores of every width and space, atomics, cp.async, ldmatrix, calls, parameters.
#include <algorithm>
#include <numeric>

#include "test.h"

static std::vector<u32> numbers(size_t n, u32 first = 0) {
  std::vector<u32> v(n);
  std::iota(v.begin(), v.end(), first);
  return v;
}

// Bytes through each type and space and back: global -> shared -> global.
static void widths() {
  struct Width {
    const char *type, *reg;
    int bytes;
  };
  for (Width t : {Width{"b8", "%h", 1},
                  {"u8", "%h", 1},
                  {"s8", "%h", 1},
                  {"b16", "%h", 2},
                  {"u16", "%h", 2},
                  {"s16", "%h", 2},
                  {"b32", "%r", 4},
                  {"u32", "%r", 4},
                  {"s32", "%r", 4},
                  {"f32", "%f", 4},
                  {"b64", "%rd1", 8},
                  {"u64", "%rd1", 8},
                  {"s64", "%rd1", 8},
                  {"f64", "%fd", 8}})
    for (int n : {1, 2, 4})
      for (std::string space : {"shared", "local"}) {
        if (n * t.bytes > 16) continue;
        std::string v, vec = n > 1 ? ".v" + std::to_string(n) : "", size = std::to_string(n * t.bytes);
        for (int k = 0; k < n; k++) v += std::string(k ? ", " : "") + t.reg + std::to_string(k);
        if (n > 1) v = "{" + v + "}";
        std::string type = vec + "." + t.type;
        Handle f = loaded(kernel(2, "." + space +
                                        " .align 16 .b8 s[1024];\n"
                                        "mad.wide.u32 %rd0, %i, " +
                                        size + ", %rd0; mad.wide.u32 %rd1, %i, " + size +
                                        ", %rd1;\n"
                                        "mov.u64 %rd2, s; " +
                                        (space == "shared" ? "mad.wide.u32 %rd2, %tid, " + size + ", %rd2;\n" : "\n") +
                                        "ld.global" + type + " " + v +
                                        ", [%rd0];\n"
                                        "st." +
                                        space + type + " [%rd2], " + v +
                                        ";\n"
                                        "ld." +
                                        space + type + " " + v +
                                        ", [%rd2+0];\n"
                                        "st.global" +
                                        type + " [%rd1], " + v + ";"));
        auto in = numbers(64 * 4, 0x80818283);
        Buffer<u32> a(in), b(in.size());
        int r = launch(f, 2, 32, {a.at, b.at});
        CHECK(!r, "%s: %s", type.c_str(), errorText(r).c_str());
        auto out = b.get();
        size_t bytes = 64 * n * t.bytes;
        CHECK(!memcmp(out.data(), in.data(), bytes), "ld and st %s, %s", type.c_str(), space.c_str());
        CHECK(((u8 *)out.data())[bytes] == 0xff || bytes == in.size() * 4, "%s wrote too much", type.c_str());
      }
}

static void extension() {
  Handle f = loaded(kernel(
      2,
      "ld.global.s8 %r0, [%rd0]; ld.global.u8 %r1, [%rd0]; ld.global.s16 %r2, [%rd0]; ld.global.u16 %r3, [%rd0];\n"
      "ld.global.s32 %rd3, [%rd0]; ld.global.u32 %rd4, [%rd0]; ld.global.s8 %h0, [%rd0]; cvt.s32.s16 %r4, %h0;\n"
      "st.global.v4.u32 [%rd1], {%r0, %r1, %r2, %r3}; st.global.v2.u64 [%rd1+16], {%rd3, %rd4}; st.global.u32 "
      "[%rd1+32], %r4;\n"
      "st.global.u8 [%rd1+36], %r3; st.global.u16 [%rd1+38], %rd3;"));
  Buffer<u32> a(std::vector<u32>{0xfffefdfc}), b(12);
  CHECK(!launch(f, 1, 1, {a.at, b.at}), "launch");
  auto v = b.get();
  const u32 want[] = {0xfffffffc, 0xfc,       0xfffffdfc, 0xfdfc,     0xfffefdfc,
                      0xffffffff, 0xfffefdfc, 0,          0xfffffffc, 0xfdfcfffc};
  for (int k = 0; k < 10; k++) CHECK(v[k] == want[k], "%d: %#x, not %#x", k, v[k], want[k]);
}

// Generic addresses of all spaces, constants, module variables, packing, dynamic shared memory.
static void spaces() {
  Handle f = loaded(kernel(
      1,
      ".shared .align 4 .b8 s[128]; .local .align 4 .b8 l[8];\n"
      "mad.wide.u32 %rd0, %tid, 32, %rd0;\n"
      "mov.u64 %rd1, s; cvta.shared.u64 %rd1, %rd1; mad.wide.u32 %rd2, %tid, 4, %rd1; st.u32 [%rd2], %tid; ld.u32 %r1, "
      "[%rd2];\n"
      "mov.u64 %rd3, l; cvta.local.u64 %rd4, %rd3; st.u32 [%rd4+4], %tid; ld.local.u32 %r2, [%rd3+4]; ld.local.u32 "
      "%r9, [l+4]; add.u32 %r2, %r2, %r9;\n"
      "mov.u64 %rd5, table; add.u64 %rd5, %rd5, 4; ld.const.u32 %r3, [%rd5]; ld.u32 %r4, [table+8]; ld.global.f32 %f1, "
      "[value]; mov.b32 %r5, %f1;\n"
      "mov.u64 %rd6, dyn; mad.wide.u32 %rd6, %tid, 4, %rd6; st.shared.u32 [%rd6], 77; ld.shared.u32 %r6, [%rd6];\n"
      "mov.b64 %rd7, {%r3, %r4}; { .reg .b32 t; mov.b64 {t, %r7}, %rd7; } mov.b32 {%h1, %h2}, 0x12345678; mov.b32 %r8, "
      "{%h2, %h1};\n"
      "isspacep.shared %p1, %rd1; isspacep.local %p2, %rd4; isspacep.global %p3, %rd0; and.pred %p1, %p1, %p2; "
      "and.pred %p1, %p1, %p3; @!%p1 trap;\n"
      "st.global.v4.u32 [%rd0], {%r1, %r2, %r3, %r4}; st.global.v4.u32 [%rd0+16], {%r5, %r6, %r7, %r8};",
      ".const .align 4 .u32 table[4] = {1, 0x20, 3}; .global .align 4 .f32 value = 0f3F800000; .extern .shared .align "
      "16 .b8 dyn[];\n"));
  Buffer<u32> a(32 * 8);
  int r = launch(f, 1, 32, {a.at}, 128);
  CHECK(!r, "%s", errorText(r).c_str());
  auto v = a.get();
  for (u32 t = 0; t < 32; t++) {
    const u32 want[] = {t, 2 * t, 0x20, 3, 0x3f800000, 77, 3, 0x56781234};
    CHECK(!memcmp(&v[t * 8], want, sizeof want), "thread %u: %x %x %x %x %x %x %x %x", t, v[t * 8], v[t * 8 + 1],
          v[t * 8 + 2], v[t * 8 + 3], v[t * 8 + 4], v[t * 8 + 5], v[t * 8 + 6], v[t * 8 + 7]);
  }
}

static void structs() {
  Handle f =
      loaded(module(".visible .entry k(.param .u8 c, .param .align 8 .b8 s[24], .param .f32 x) { .reg .b32 %r<9>; .reg "
                    ".b64 %rd<9>; .reg .f32 %f;\n"
                    "ld.param.u64 %rd1, [s]; ld.param.v2.u32 {%r1, %r2}, [s+8]; ld.param.u16 %r3, [s+18]; ld.param.f32 "
                    "%f, [x]; ld.param.s8 %r4, [c];\n"
                    "mov.b64 %rd2, s; ld.param.u32 %r5, [%rd2+12];\n"
                    "st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4}; st.global.f32 [%rd1+16], %f; st.global.u32 "
                    "[%rd1+20], %r5; ret; }"));
  Buffer<u32> a(6);
  struct {
    u64 p;
    u32 x, y;
    u16 z, w;
  } s{a.at, 5, 6, 7, 8};
  u8 c = 0xf0;
  float x = 2;
  void *p[] = {&c, &s, &x};
  CHECK(!cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, p, nullptr), "launch");
  CHECK((a.get() == std::vector<u32>{5, 6, 8, 0xfffffff0, 0x40000000, 6}), "struct parameter");
}

static void atomics() {
  Handle f =
      loaded(kernel(2,
                    ".shared .u32 s; mov.u32 %r9, 0; setp.eq.u32 %p1, %tid, 0; @%p1 st.shared.u32 [s], 0; bar.sync 0;\n"
                    "atom.global.add.u32 %r1, [%rd0], 1; red.global.max.u32 [%rd0+4], %i; atom.global.min.u32 %r2, "
                    "[%rd0+8], %i; red.relaxed.gpu.global.or.b32 [%rd0+12], %i;\n"
                    "cvt.u64.u32 %rd3, %i; atom.add.u64 %rd4, [%rd0+16], %rd3; atom.global.inc.u32 %r3, [%rd0+24], 9; "
                    "atom.global.xor.b32 %r4, [%rd0+28], %i;\n"
                    "atom.shared.add.u32 %r5, [s], 2; bar.sync 0; ld.shared.u32 %r6, [s];\n"
                    "LOOP: ld.relaxed.gpu.global.u32 %r7, [%rd0+32]; add.u32 %r8, %r7, 3; atom.global.cas.b32 %r9, "
                    "[%rd0+32], %r7, %r8; setp.ne.u32 %p2, %r9, %r7; @%p2 bra LOOP;\n"
                    "atom.global.exch.b32 %r10, [%rd0+36], %i; atom.global.max.s32 %r11, [%rd0+40], -5; "
                    "atom.global.and.b32 %r12, [%rd0+44], -2;\n"
                    "mad.wide.u32 %rd1, %i, 8, %rd1; st.global.v2.u32 [%rd1], {%r1, %r6};"));
  Buffer<u32> a(std::vector<u32>{0, 0, 100, 0, 0xffffffff, 0, 0, 0, 0, 0, (u32)-9, 7}), b(256);
  int r = launch(f, 2, 64, {a.at, b.at});
  CHECK(!r, "%s", errorText(r).c_str());
  auto v = a.get();
  u64 sum;
  memcpy(&sum, &v[4], 8);
  CHECK(v[0] == 128 && v[1] == 127 && v[2] == 0 && v[3] == 127, "%u %u %u %u", v[0], v[1], v[2], v[3]);
  CHECK(sum == 0xffffffffull + 127 * 64, "%lu", sum);
  CHECK(v[6] == 8 && v[7] == 0 && v[8] == 3 * 128, "%u %u %u", v[6], v[7], v[8]);  // 128 % 10; 0 ^ ... ^ 127
  CHECK(v[9] < 128 && v[10] == (u32)-5 && v[11] == 6, "%u %u %u", v[9], v[10], v[11]);
  auto w = b.get();
  std::vector<u32> order;
  for (int k = 0; k < 128; k++) {
    order.push_back(w[2 * k]);
    CHECK(w[2 * k + 1] == 128, "atom.shared: %u", w[2 * k + 1]);
  }
  bool backward = getenv("EMU_ORDER") && !strcmp(getenv("EMU_ORDER"), "backward");
  CHECK(order[0] == (backward ? 127u : 0u), "thread 0 came %uth", order[0]);
  std::sort(order.begin(), order.end());
  CHECK(order == numbers(128), "atom.add gave each thread a number of its own");
}

// Two groups of cp.async; the second is waited for later. 16 bytes of which 8 are read, 8 are zeros; and 4.
static void copies() {
  Handle f = loaded(
      kernel(2,
             ".shared .align 16 .b8 s[2048];\n"
             "mov.u32 %r0, s; mad.lo.u32 %r1, %tid, 32, %r0; mad.wide.u32 %rd2, %tid, 32, %rd0;\n"
             "cp.async.cg.shared.global [%r1], [%rd2], 16; cp.async.commit_group;\n"
             "cp.async.ca.shared.global [%r1+16], [%rd2+16], 8, 4; cp.async.ca.shared.global.L2::128B [%r1+24], "
             "[%rd2+24], 4; cp.async.ca.shared.global [%r1+28], [%rd2+28], 4, 0; cp.async.commit_group;\n"
             "cp.async.wait_group 1; ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1]; cp.async.wait_all; bar.sync 0;\n"
             "xor.b32 %r6, %tid, 1; mad.lo.u32 %r6, %r6, 32, %r0; ld.shared.v4.u32 {%r7, %r8, %r9, %r10}, [%r6+16];\n"
             "mad.wide.u32 %rd1, %tid, 32, %rd1; st.global.v4.u32 [%rd1], {%r2, %r3, %r4, %r5}; st.global.v4.u32 "
             "[%rd1+16], {%r7, %r8, %r9, %r10};"));
  Buffer<u32> a(numbers(512)), b(512);
  int r = launch(f, 1, 64, {a.at, b.at});
  CHECK(!r, "%s", errorText(r).c_str());
  auto v = b.get();
  for (u32 t = 0; t < 64; t++) {
    u32 o = (t ^ 1) * 8;
    const u32 want[] = {t * 8, t * 8 + 1, t * 8 + 2, t * 8 + 3, o + 4, 0, o + 6, 0};
    CHECK(!memcmp(&v[t * 8], want, sizeof want), "thread %u", t);
  }
}

static void matrices() {
  for (int x : {1, 2, 4})
    for (bool trans : {false, true}) {
      std::string n = std::to_string(x), d = x == 1 ? "{%r8}" : x == 2 ? "{%r8, %r9}" : "{%r8, %r9, %r10, %r11}";
      Handle f =
          loaded(kernel(2,
                        ".shared .align 16 .b8 s[640]; mov.u32 %r0, s; mad.wide.u32 %rd0, %tid, 16, %rd0; "
                        "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd0];\n"
                        "mad.lo.u32 %r5, %tid, 16, %r0; st.shared.v4.u32 [%r5+128], {%r1, %r2, %r3, %r4}; bar.sync 0;\n"
                        "mov.u32 %r9, 0; mov.u32 %r10, 0; mov.u32 %r11, 0;\n"
                        "ldmatrix.sync.aligned.m8n8.x" +
                            n + (trans ? ".trans" : "") + ".shared.b16 " + d +
                            ", [%r5+128];\n"
                            "mad.wide.u32 %rd1, %tid, 16, %rd1; st.global.v4.u32 [%rd1], {%r8, %r9, %r10, %r11};"));
      std::vector<u16> in(256);
      for (int k = 0; k < 256; k++) in[k] = k;  // element c of row r of matrix m: 64 m + 8 r + c
      Buffer<u16> a(in);
      Buffer<u32> b(128);
      int r = launch(f, 1, 32, {a.at, b.at});
      CHECK(!r, "%s", errorText(r).c_str());
      auto v = b.get();
      for (u32 l = 0; l < 32; l++)
        for (int m = 0; m < 4; m++) {
          u32 g = l / 4, t = l % 4 * 2, lo = trans ? 64 * m + 8 * t + g : 64 * m + 8 * g + t, hi = lo + (trans ? 8 : 1);
          CHECK(v[l * 4 + m] == (m < x ? hi << 16 | lo : 0), "x%d lane %u matrix %d: %#x", x, l, m, v[l * 4 + m]);
        }
    }
}

// Functions with arguments and results, one in the other, with a loop and an early return.
static void calls() {
  std::string before =
      ".func (.param .b32 out) sum(.param .b32 n, .param .align 4 .b8 pair[8]);\n"
      ".func (.param .b32 out) twice(.param .b32 x) { .reg .b32 %r<3>; ld.param.u32 %r1, [x]; add.u32 %r2, %r1, %r1; "
      "st.param.b32 [out], %r2; ret; }\n"
      ".func (.param .b32 out) sum(.param .b32 n, .param .align 4 .b8 pair[8]) { .reg .b32 %r<9>; .reg .pred %p<3>;\n"
      "ld.param.u32 %r1, [n]; ld.param.u32 %r2, [pair]; ld.param.u32 %r3, [pair+4]; setp.gt.u32 %p1, %r1, 20; @%p1 bra "
      "BIG;\n"
      "mov.u32 %r4, 0; L: setp.eq.u32 %p2, %r1, 0; @%p2 bra DONE; add.u32 %r4, %r4, %r2; sub.u32 %r1, %r1, 1; bra.uni "
      "L;\n"
      "DONE: { .param .b32 a; .param .b32 b; st.param.b32 [a+0], %r4; call.uni (b), twice, (a); ld.param.b32 %r4, "
      "[b+0]; } add.u32 %r4, %r4, %r3; st.param.b32 [out+0], %r4; ret;\n"
      "BIG: st.param.b32 [out+0], 9; ret; }\n";
  Handle f = loaded(kernel(1,
                           "{ .param .b32 p0; .param .align 4 .b8 p1[8]; .param .b32 r0; st.param.b32 [p0+0], %tid; "
                           "st.param.b32 [p1+0], 3; st.param.b32 [p1+4], %tid;\n"
                           "call.uni (r0), sum, (p0, p1); ld.param.b32 %r1, [r0+0]; }\n"
                           "setp.eq.u32 %p1, %tid, 5; { .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; "
                           "st.param.b32 [b], %r1; @%p1 call (b), twice, (a); ld.param.b32 %r1, [b]; }\n"
                           "mad.wide.u32 %rd0, %tid, 4, %rd0; st.global.u32 [%rd0], %r1;",
                           before));
  Buffer<u32> a(32);
  int r = launch(f, 1, 32, {a.at});
  CHECK(!r, "%s", errorText(r).c_str());
  auto v = a.get();
  for (u32 t = 0; t < 32; t++) CHECK(v[t] == (t > 20 ? 9 : t * 7) * (t == 5 ? 2 : 1), "thread %u: %u", t, v[t]);
}

// A function that takes the address of its parameter.
static void parameters() {
  std::string before =
      ".func (.param .b32 out) third(.param .align 4 .b8 v[16], .param .b32 k) { .reg .b32 %r<3>; .reg .b64 %rd<4>;\n"
      "mov.b64 %rd1, v; ld.param.u32 %r1, [k]; mad.wide.u32 %rd2, %r1, 4, %rd1; ld.param.u32 %r2, [%rd2+4];"
      " st.param.b32 [out], %r2; ret; }\n";
  Handle f = loaded(
      kernel(1,
             "{ .param .align 4 .b8 v[16]; .param .b32 k; .param .b32 out; st.param.v4.b32 [v], {%tid, 5, 6, %tid};"
             " rem.u32 %r1, %tid, 3; st.param.b32 [k], %r1;\ncall (out), third, (v, k); ld.param.b32 %r2, [out]; }\n"
             "mad.wide.u32 %rd0, %tid, 4, %rd0; st.global.u32 [%rd0], %r2;",
             before));
  Buffer<u32> a(32);
  int r = launch(f, 1, 32, {a.at});
  CHECK(!r, "%s", errorText(r).c_str());
  auto v = a.get();
  for (u32 t = 0; t < 32; t++) CHECK(v[t] == (t % 3 == 0 ? 5 : t % 3 == 1 ? 6 : t), "thread %u: %u", t, v[t]);
}

int main() {
  start();
  widths();
  extension();
  spaces();
  structs();
  atomics();
  copies();
  matrices();
  calls();
  parameters();
  return finish("memory");
}
