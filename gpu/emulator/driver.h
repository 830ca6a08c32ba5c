// What the files of the driver API share.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "machine.h"

namespace emu {
// Codes of CUresult. Declared here, as libcuda is an ABI: the emulator needs no header of the program it serves.
enum {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NotInitialized = 3,
  InvalidDevice = 101,
  InvalidImage = 200,
  InvalidContext = 201,
  InvalidPTX = 218,
  FileNotFound = 301,
  InvalidHandle = 400,
  NotFound = 500,
  NotSupported = 801,
  Unknown = 999,
};

constexpr u32 MaxShared = 163 << 10;  // of a block, if cuFuncSetAttribute allows it

struct Context {
  int users = 0;
};
struct Loaded {  // a module
  std::shared_ptr<const Module> module;
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::map<std::string, u64> variables;
  ~Loaded();
};

struct State {
  std::mutex mutex;
  bool initialized = false;
  int sticky = 0;  // a fault: every later call returns it, as on a card
  u64 launches = 0, instructions = 0;
  std::map<Kernel *, Loaded *> kernels;
  std::map<Loaded *, std::unique_ptr<Loaded>> modules;
  std::map<int, std::string> details;  // the last message of an error
  Context primary;
};
extern State &state;
extern thread_local Context *current;

// To stderr, and to what cuGetErrorString says of the code from now on.
int report(int code, const std::string &text);

int load(Loaded **out, const char *ptx);
int launch(Kernel *, const u32 *grid, const u32 *block, u32 dynamic, void **params);

// Calls that need a context, one at a time.
template <class F>
int inContext(F f) {
  std::lock_guard<std::mutex> lock(state.mutex);
  if (!state.initialized) return NotInitialized;
  if (!current) return InvalidContext;
  if (state.sticky) return state.sticky;
  return f();
}
}  // namespace emu
