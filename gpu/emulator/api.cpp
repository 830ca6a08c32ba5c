// The functions of libcuda.so.1, under the names that it exports.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "driver.h"

using namespace emu;

namespace {
struct Event {
  bool timed, recorded = false;
  std::chrono::steady_clock::time_point at;
};
struct Stream {};
std::set<Event *> events;
std::set<Stream *> streams;

bool known(Stream *s) { return !s || streams.count(s); }

// The host's pointer to n bytes of device memory, or of its own; nullptr: not all of it is there.
u8 *bytes(u64 p, size_t n) {
  if (!Memory::isDevice(p)) return (u8 *)p;
  Allocation *a = memory.find(p);
  return a && a->holds(p, n) ? a->host + (p - a->address) : nullptr;
}

int copy(u64 to, bool toDevice, u64 from, bool fromDevice, size_t n, Stream *s) {
  return inContext([&] {
    if (!known(s)) return (int)InvalidHandle;
    if (!n) return (int)Success;
    if ((toDevice && !Memory::isDevice(to)) || (fromDevice && !Memory::isDevice(from)))
      return report(InvalidValue, "copy: an address that is not of the device");
    u8 *t = bytes(to, n), *f = bytes(from, n);
    if (!t || !f)
      return report(InvalidValue, "copy of " + std::to_string(n) + " bytes: " + memory.describe(t ? from : to));
    memmove(t, f, n);
    return (int)Success;
  });
}

template <class T>
int fill(u64 to, T v, size_t n, Stream *s) {
  return inContext([&] {
    if (!known(s)) return (int)InvalidHandle;
    if (!n) return (int)Success;
    u8 *t = Memory::isDevice(to) && to % sizeof(T) == 0 ? bytes(to, n * sizeof(T)) : nullptr;
    if (!t)
      return report(InvalidValue, "memset of " + std::to_string(n * sizeof(T)) + " bytes: " + memory.describe(to));
    std::fill_n((T *)t, n, v);
    return (int)Success;
  });
}

struct ErrorName {
  int code;
  const char *name, *text;
};
const ErrorName errorNames[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no device"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX compilation failed"},
    {301, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};
const ErrorName *errorName(int code) {
  for (auto &e : errorNames)
    if (e.code == code) return &e;
  return nullptr;
}

int attribute(int a) {
  switch (a) {
  case 1:
  case 2:
  case 3:
    return 1024;  // threads of a block, and its sides
  case 4:
    return 64;
  case 5:
    return 0x7fffffff;  // sides of the grid
  case 6:
  case 7:
    return 65535;
  case 8:
    return 48 << 10;  // shared memory of a block
  case 9:
    return 64 << 10;  // constant memory
  case 10:
    return WarpSize;
  case 12:
  case 82:
    return 65536;  // registers
  case 13:
    return 1000000;  // kHz
  case 16:
    return 2;  // multiprocessors
  case 19:
  case 41:
    return 1;  // mapped host memory, unified addressing
  case 31:
    return 1;  // concurrent kernels
  case 36:
    return 1000000;
  case 37:
    return 512;  // bits of the memory bus
  case 38:
    return 4 << 20;  // L2
  case 39:
    return 2048;  // threads of a multiprocessor
  case 75:
    return 8;  // compute capability
  case 76:
    return 0;
  case 81:
    return 164 << 10;  // shared memory of a multiprocessor
  case 97:
    return MaxShared;
  default:
    return 0;
  }
}
}  // namespace

#pragma GCC visibility push(default)
extern "C" {
int cuInit(unsigned) {
  state.initialized = true;
  return Success;
}
int cuDriverGetVersion(int *v) { return *v = 12000, Success; }
int cuDeviceGetCount(int *n) { return *n = 1, Success; }
int cuDeviceGet(int *d, int i) { return i ? InvalidDevice : (*d = 0, Success); }
int cuDeviceGetName(char *s, int n, int) { return snprintf(s, n, "marge emulator"), Success; }
int cuDeviceTotalMem_v2(size_t *n, int) { return *n = memory.total(), Success; }
int cuDeviceGetAttribute(int *v, int a, int d) { return d ? InvalidDevice : (*v = attribute(a), Success); }
int cuDeviceCanAccessPeer(int *v, int, int) { return *v = 0, Success; }

int cuDevicePrimaryCtxRetain(Context **c, int d) {
  std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.initialized) return NotInitialized;
  if (d) return InvalidDevice;
  state.primary.users++;
  return *c = &state.primary, Success;
}
int cuDevicePrimaryCtxRelease_v2(int d) {
  std::lock_guard<std::mutex> lock(state.mutex);
  if (d) return InvalidDevice;
  if (!state.primary.users) return InvalidContext;
  return state.primary.users--, Success;
}
int cuDevicePrimaryCtxRelease(int d) { return cuDevicePrimaryCtxRelease_v2(d); }
int cuCtxCreate_v2(Context **c, unsigned, int d) {
  if (!state.initialized) return NotInitialized;
  if (d) return InvalidDevice;
  return current = *c = new Context, Success;
}
int cuCtxDestroy_v2(Context *c) {
  if (!c || c == &state.primary) return InvalidContext;
  if (current == c) current = nullptr;
  delete c;
  return Success;
}
int cuCtxGetApiVersion(Context *, unsigned *v) { return *v = 3020, Success; }
int cuCtxGetCurrent(Context **c) { return *c = current, Success; }
int cuCtxSetCurrent(Context *c) {
  if (!state.initialized) return NotInitialized;
  return current = c, Success;
}
int cuCtxGetDevice(int *d) { return current ? (*d = 0, Success) : InvalidContext; }
int cuCtxSynchronize() {
  return inContext([] { return Success; });
}
int cuCtxEnablePeerAccess(Context *, unsigned) { return NotSupported; }
int cuCtxDisablePeerAccess(Context *) { return NotSupported; }

int cuModuleLoadDataEx(Loaded **m, const void *image, unsigned n, const int *options, void **values) {
  return inContext([&] {
    int r = load(m, (const char *)image);
    char *log = nullptr;  // CU_JIT_ERROR_LOG_BUFFER and its size
    size_t *size = nullptr;
    for (unsigned k = 0; k < n; k++) {
      if (options[k] == 5) log = (char *)values[k];
      if (options[k] == 6) size = (size_t *)&values[k];
    }
    if (!log || !size || !*size) return r;
    // An unsigned int of the caller's: only its lower half counts.
    int used = snprintf(log, *(unsigned *)size, "%s", r ? state.details[r].c_str() : "");
    *size = std::min<size_t>(used, *(unsigned *)size - 1);
    return r;
  });
}
int cuModuleLoadData(Loaded **m, const void *image) { return cuModuleLoadDataEx(m, image, 0, nullptr, nullptr); }
int cuModuleLoad(Loaded **m, const char *file) {
  std::ifstream f(file);
  if (!f) return FileNotFound;
  std::stringstream s;
  s << f.rdbuf();
  return cuModuleLoadData(m, s.str().c_str());
}
int cuModuleUnload(Loaded *m) {
  return inContext([&] { return state.modules.erase(m) ? Success : InvalidHandle; });
}
int cuModuleGetFunction(Kernel **f, Loaded *m, const char *name) {
  return inContext([&] {
    if (!state.modules.count(m)) return InvalidHandle;
    for (auto &k : m->kernels)
      if (k->name == name) return *f = k.get(), Success;
    return NotFound;
  });
}
int cuModuleGetGlobal_v2(u64 *p, size_t *n, Loaded *m, const char *name) {
  return inContext([&] {
    if (!state.modules.count(m)) return InvalidHandle;
    auto it = m->variables.find(name);
    if (it == m->variables.end()) return NotFound;
    if (p) *p = it->second;
    if (n) *n = memory.find(it->second)->bytes;
    return Success;
  });
}
int cuFuncGetAttribute(int *v, int a, Kernel *f) {
  return inContext([&] {
    if (!state.kernels.count(f)) return InvalidHandle;
    switch (a) {
    case 0:
      return *v = f->maxThreads, Success;
    case 1:
      return *v = f->sharedBytes, Success;
    case 2:
      return *v = 0, Success;
    case 3:
      return *v = f->localBytes, Success;
    case 4:
      return *v = 32, Success;  // registers: nobody knows
    case 5:
      return *v = 70, Success;
    case 6:
      return *v = 80, Success;
    case 8:
      return *v = f->maxDynamic, Success;
    default:
      return InvalidValue;
    }
  });
}
int cuFuncSetAttribute(Kernel *f, int a, int v) {
  return inContext([&] {
    if (!state.kernels.count(f)) return InvalidHandle;
    if (a == 9) return Success;  // a hint: the share of shared memory
    if (a != 8 || v < 0 || v + f->sharedBytes > MaxShared) return InvalidValue;
    return f->maxDynamic = v, Success;
  });
}

int cuLaunchKernel(Kernel *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Stream *s, void **params, void **extra) {
  return inContext([&] {
    if (!known(s)) return (int)InvalidHandle;
    if (extra) return (int)NotSupported;
    u32 grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    return launch(f, grid, block, shared, params);
  });
}
struct LaunchConfig {  // CUlaunchConfig
  unsigned grid[3], block[3], shared;
  Stream *stream;
  void *attributes;
  unsigned count;
};
int cuLaunchKernelEx(const LaunchConfig *c, Kernel *f, void **params, void **extra) {
  if (c->count) return NotSupported;
  return cuLaunchKernel(f, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared,
                        c->stream, params, extra);
}

int cuMemAlloc_v2(u64 *p, size_t n) {
  return inContext([&] {
    if (!n) return InvalidValue;
    Allocation *a = memory.allocate(n);
    return a ? (*p = a->address, Success) : OutOfMemory;
  });
}
int cuMemFree_v2(u64 p) {
  return inContext(
      [&] { return memory.release(p) ? (int)Success : report(InvalidValue, "free: " + memory.describe(p)); });
}
int cuMemAllocHost_v2(void **p, size_t n) {
  return inContext([&] { return n && (*p = malloc(n)) ? Success : InvalidValue; });
}
int cuMemHostAlloc(void **p, size_t n, unsigned) { return cuMemAllocHost_v2(p, n); }
int cuMemFreeHost(void *p) { return free(p), Success; }
int cuMemGetAddressRange_v2(u64 *base, size_t *n, u64 p) {
  return inContext([&] {
    Allocation *a = memory.find(p);
    if (!a) return NotFound;
    if (base) *base = a->address;
    if (n) *n = a->bytes;
    return Success;
  });
}
int cuMemGetInfo_v2(size_t *free, size_t *total) {
  return inContext(
      [&] { return *total = memory.total(), *free = *total - std::min<u64>(memory.used(), *total), Success; });
}

int cuMemcpyAsync(u64 d, u64 s, size_t n, Stream *st) { return copy(d, false, s, false, n, st); }
int cuMemcpyDtoDAsync_v2(u64 d, u64 s, size_t n, Stream *st) { return copy(d, true, s, true, n, st); }
int cuMemcpyHtoDAsync_v2(u64 d, const void *s, size_t n, Stream *st) { return copy(d, true, (u64)s, false, n, st); }
int cuMemcpyDtoHAsync_v2(void *d, u64 s, size_t n, Stream *st) { return copy((u64)d, false, s, true, n, st); }
int cuMemcpy(u64 d, u64 s, size_t n) { return copy(d, false, s, false, n, nullptr); }
int cuMemcpyDtoD_v2(u64 d, u64 s, size_t n) { return copy(d, true, s, true, n, nullptr); }
int cuMemcpyHtoD_v2(u64 d, const void *s, size_t n) { return copy(d, true, (u64)s, false, n, nullptr); }
int cuMemcpyDtoH_v2(void *d, u64 s, size_t n) { return copy((u64)d, false, s, true, n, nullptr); }
int cuMemcpyPeer(u64 d, Context *, u64 s, Context *, size_t n) { return copy(d, true, s, true, n, nullptr); }
int cuMemcpyPeerAsync(u64 d, Context *, u64 s, Context *, size_t n, Stream *st) {
  return copy(d, true, s, true, n, st);
}
int cuMemsetD32Async(u64 d, unsigned v, size_t n, Stream *s) { return fill<u32>(d, v, n, s); }
int cuMemsetD8Async(u64 d, unsigned char v, size_t n, Stream *s) { return fill<u8>(d, v, n, s); }
int cuMemsetD32_v2(u64 d, unsigned v, size_t n) { return fill<u32>(d, v, n, nullptr); }
int cuMemsetD8_v2(u64 d, unsigned char v, size_t n) { return fill<u8>(d, v, n, nullptr); }
int cuPointerGetAttribute(void *out, int a, u64 p) {
  return inContext([&] {
    if (a == 1 && memory.find(p)) return *(Context **)out = current, Success;
    if (a == 2 && memory.find(p)) return *(unsigned *)out = 2, Success;  // CU_MEMORYTYPE_DEVICE
    return InvalidValue;
  });
}

// Streams have done at once what they are told.
int cuStreamCreate(Stream **s, unsigned flags) {
  return inContext([&] { return flags > 1 ? InvalidValue : (streams.insert(*s = new Stream), Success); });
}
int cuStreamDestroy_v2(Stream *s) {
  return inContext([&] { return streams.erase(s) ? (delete s, Success) : InvalidHandle; });
}
int cuStreamQuery(Stream *s) {
  return inContext([&] { return known(s) ? Success : InvalidHandle; });
}
int cuStreamSynchronize(Stream *s) { return cuStreamQuery(s); }
int cuStreamWaitEvent(Stream *s, Event *e, unsigned) {
  return inContext([&] { return known(s) && events.count(e) ? Success : InvalidHandle; });
}

int cuEventCreate(Event **e, unsigned flags) {
  return inContext([&] { return events.insert(*e = new Event{!(flags & 2)}), Success; });
}
int cuEventDestroy_v2(Event *e) {
  return inContext([&] { return events.erase(e) ? (delete e, Success) : InvalidHandle; });
}
int cuEventDestroy(Event *e) { return cuEventDestroy_v2(e); }
int cuEventRecord(Event *e, Stream *s) {
  return inContext([&] {
    if (!events.count(e) || !known(s)) return InvalidHandle;
    e->recorded = true;
    e->at = std::chrono::steady_clock::now();
    return Success;
  });
}
int cuEventQuery(Event *e) {
  return inContext([&] { return events.count(e) ? Success : InvalidHandle; });
}
int cuEventSynchronize(Event *e) { return cuEventQuery(e); }
int cuEventElapsedTime(float *ms, Event *a, Event *b) {
  return inContext([&] {
    for (Event *e : {a, b})
      if (!events.count(e) || !e->timed || !e->recorded) return InvalidHandle;
    return *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count(), Success;
  });
}

int cuGetErrorName(int code, const char **s) {
  auto e = errorName(code);
  return e ? (*s = e->name, Success) : (*s = nullptr, InvalidValue);
}
// With what happened last under this code: the kernel and the line of a fault, the line of what PTX is unknown.
int cuGetErrorString(int code, const char **s) {
  static std::map<std::string, int> kept;  // the caller may keep the pointer
  auto e = errorName(code);
  if (!e) return *s = nullptr, InvalidValue;
  std::lock_guard<std::mutex> lock(state.mutex);
  auto d = state.details.find(code);
  std::string text = e->text + (d == state.details.end() ? "" : ": " + d->second);
  *s = kept.try_emplace(text).first->first.c_str();
  return Success;
}

// For measurements: instructions of threads that all launches executed.
u64 emuInstructions() { return state.instructions; }
}
#pragma GCC visibility pop
