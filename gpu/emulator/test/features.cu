// What compilers make of ordinary code: features.cpp runs it without and with optimisation, and compares.
typedef unsigned u32;
typedef unsigned long long u64;
#define DEVICE __attribute__((device))
#define SHARED __attribute__((shared))
#define CONSTANT __attribute__((constant))
#define KERNEL extern "C" __attribute__((global)) void
#define tid ((int)__nvvm_read_ptx_sreg_tid_x())

struct Part {
  double x;
  float y;
  int z[3];
};
struct alignas(16) Four {
  float v[4];
};

DEVICE float table[4] = {1, 2, 3, 4};
static CONSTANT int steps[5] = {5, 4, 3, 2, 1};

DEVICE __attribute__((noinline)) Part make(int a, const float *p, Part q) {
  Part r;
  r.x = a + q.x;
  r.y = p[a];
  for (int i = 0; i < 3; i++) r.z[i] = q.z[i] * a;
  return r;
}

KERNEL calls(float *p, double *o, int n) {
  Part q = {n * 1.5, 2.5f, {n, 4, 5}};
  Part r = make(tid, p, q);
  o[tid] = r.x + r.y + r.z[0] + r.z[2];
}

KERNEL choices(int *a, int *b, int n) {
  int x = (u32)a[tid] % 9;
  switch (x) {
  case 0: x = 7; break;
  case 1: x *= 3; break;
  case 2: x = b[tid + n]; break;
  case 3: x -= n; break;
  case 4: x = 99; break;
  case 5: x = n / (tid + 1); break;
  case 6: x = n % (tid + 1); break;
  default: x = -1;
  }
  a[tid] = x + steps[tid % 5];
}

KERNEL sorted(float *a, float *b, int n) {
  float t[16];
  for (int i = 0; i < 16; i++) t[i] = a[i * 32 + tid];
  for (int i = 0; i < 15; i++)
    for (int j = i + 1; j < 16; j++)
      if (t[j] < t[i]) {
        float s = t[i];
        t[i] = t[j];
        t[j] = s;
      }
  b[tid] = t[(n + tid) & 15] + table[tid & 3];
}

KERNEL narrow(unsigned short *a, short *b, int n) {
  signed char *c = (signed char *)b + 1000;
  if (tid >= n) return;
  short x = a[tid];
  c[tid] = (x >> 3) ^ b[tid];
  b[tid] = x * 3 - c[tid];
}

KERNEL wide(__int128 *a, u64 *b, int n) {
  u64 x = b[tid], y = b[tid + 32];
  a[tid] = a[tid] * x + y;
  b[tid] = (u64)((unsigned __int128)x * y >> 64) / 10 + __builtin_popcountll(x) + __builtin_clzll(x | 1) +
           __builtin_bitreverse64(y) + (long long)x / n + (long long)y % n +
           (x << (n & 63)) + ((long long)y >> (n & 31));
}

KERNEL reals(float *a, double *b, int n) {
  float x = a[tid];
  b[tid] = (double)x * n + __builtin_sqrt(x * x + 1.);
  a[tid] = __builtin_floorf(x) + __builtin_ceilf(x) * __builtin_truncf(x) + __builtin_rintf(x) + (float)(long long)x +
           __builtin_fabsf(x) + __builtin_copysignf(x, -n) + __builtin_fmaf(x, x, 1.f) + (x > 2 ? (int)x : 0) +
           __builtin_fminf(x, 2) + __builtin_fmaxf(x, a[tid + 32]) + x / 3 + (u32)(x * x);
}

KERNEL turned(Four *a, Four *b, int) {
  SHARED Four s[32];
  s[tid] = a[tid];
  __syncthreads();
  Four x = s[31 - tid];
  for (int i = 0; i < 4; i++) x.v[i] = x.v[i] / 3.f + a[tid].v[3 - i];
  b[tid] = x;
}

KERNEL leaving(int *a, int *b, int n) {
  int s = 0;
  for (int i = tid; i < n; i += 32) {
    int x = a[i] & 15;
    if (x == 0) break;
    if (x == 5) continue;
    s += x;
  }
  b[tid] = __nvvm_shfl_sync_bfly_i32(~0u, s, 3, 31);
  if (__nvvm_vote_any_sync(~0u, s > 60)) b[tid] |= 1 << 30;
}
