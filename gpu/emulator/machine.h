// The machine that runs decoded kernels: a warp executes an instruction for 32 lanes at once.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "memory.h"
#include "ptx.h"

namespace emu {
constexpr u32 All = ~0u;   // all lanes
constexpr u32 None = ~0u;  // no register
constexpr u32 WarpSize = 32;

// Addresses of shared and local memory begin here, so that null is none of them. Generic addresses have a window.
constexpr u64 WindowBase = 1024;
constexpr u64 SharedWindow = 1ull << 60, LocalWindow = 2ull << 60, WindowMask = 7ull << 60;

enum class Access : u8 { Read, ReadOnly, Write, Atomic, AtomicRead };
enum class Space : u8 { Generic, Global, Shared, Local, Const, Param };
enum class Flow : u8 {
  Plain,   // any lanes, at any time
  Warp,    // waits for the lanes of its member mask
  Branch,  // to target
  Exit,
  Barrier,  // all lanes of the warp, then all warps
};

struct Warp;
struct Ins;
using Handler = void (*)(Warp &, const Ins &, u32 mask);

struct Ins {
  Handler run = nullptr;
  Flow flow = Flow::Plain;
  Space space = Space::Generic;
  Access access = Access::Read;
  bool guardNot = false;
  u8 wide = 0;       // bit k: register o[k] is wider than the type of the operand
  u32 guard = None;  // predicate register
  u32 target = 0;
  int line = 0;
  u32 member = None;  // Warp: register with the member mask; None: all lanes that live
  u32 index = 0;      // position in the code
  // Registers, as offsets in the file of the warp. A source predicate with bit 0 set is negated.
  u32 o[15] = {};
  // Offsets of up to two addresses, whose bases are registers in o; bit k of narrow: the base has 32 bits.
  i64 offset[2] = {};
  u8 narrow = 0;
};

// Registers that are not the kernel's to write: where in the file they lie.
struct Special {
  std::string name;
  u32 at;
};

struct Kernel {
  std::string name;
  std::shared_ptr<const Module> module;
  std::vector<Ins> code;
  std::vector<u8> constants;  // the first registers of each warp
  u32 fileBytes = 0;
  std::vector<Special> specials;
  std::vector<Variable> params;
  std::vector<u32> paramOffsets;
  u32 paramBytes = 0, sharedBytes = 0, localBytes = 0;
  u32 maxThreads = 1024;
  u32 required[3] = {0, 0, 0};
  u32 maxDynamic = 48 << 10;   // cuFuncSetAttribute raises it
  bool subwordShared = false;  // races are looked for by byte, not by word
  bool subwordGlobal = false;
};

// variables: addresses of the module's variables in device memory.
std::vector<std::unique_ptr<Kernel>> decode(std::shared_ptr<const Module>, const std::map<std::string, u64> &variables);

// An error of a kernel, as the driver reports it: a code of CUresult, and a text for people.
struct Fault {
  int code;
  std::string what;
};
enum { IllegalAddress = 700, LaunchTimeout = 702, Misaligned = 716, LaunchFailed = 719 };

struct Launch {
  Kernel *kernel;
  u32 grid[3], block[3], dynamic;
  std::vector<u8> params;
  bool backward;  // blocks, warps and atomics from the last to the first
  u32 stamp;      // of block 0; see Allocation
  u32 many = 0;   // the stamp of several blocks
  u64 instructions = 0;
};

// Who touched a word of shared memory last. Times are those of Block::clock.
struct Touch {
  struct Read {
    u32 when = 0;
    u16 thread = 0, epoch = 0;  // a thread or Many; of the last warp, if several read
  } read;
  u32 readers = 0;  // warps that read since the last barrier
  u32 written = 0;
  u16 writer = 0, writeEpoch = 0;
};
constexpr u16 Many = 0x7fff, ByAtomic = 0x8000;
constexpr u32 Pending = ~0u;  // written by a cp.async that was not waited for

struct Copy {  // a cp.async between issue and wait
  u32 lane, group, bytes;
  u64 to;
  u8 data[16];
};

struct Group {  // lanes of a warp that are at the same instruction
  u32 pc, mask;
  bool waits;
};

struct Block;
struct Warp {
  enum State { Running, Waiting, Done } state;
  u8 *file;
  Block *block;
  u32 index, exists, alive;
  u16 epoch;      // advanced by bar.warp.sync
  u32 barrierPc;  // where it waits
  std::vector<Group> groups;
  std::vector<Copy> copies;
  u32 committed[WarpSize];  // cp.async groups of each lane
  u32 carry;                // CC.CF of each lane

  u32 &predicate(u32 at) { return *(u32 *)(file + at); }
  u32 source(u32 at) { return predicate(at & ~1u) ^ (at & 1 ? All : 0); }
  u32 thread(u32 lane) const { return index * WarpSize + lane; }
  void run();

 private:
  bool pick(size_t &);
  void stuck();
};

struct Barrier {
  u32 arrived = 0, expected = 0;
  u32 waiting = 0, arrivals = 0;  // warps
};

struct Block {
  Launch &launch;
  const Kernel &kernel;
  u32 id[3], stamp;
  std::vector<Warp> warps;
  std::vector<u8> files, local;
  std::vector<u64> shared;  // for its alignment
  u32 sharedBytes;
  std::vector<Allocation *> near;  // by instruction: where it found its last address

  // Races in shared memory: an access at time t of warp v happened before what warp w does now if
  // t < seen[w][v]. Everything before `full` happened before everything now.
  std::vector<Touch> touches;
  int touchShift;
  u32 clock = 1, full = 1;
  u32 seen[WarpSize][WarpSize];
  Barrier barriers[16];

  explicit Block(Launch &);
  void run(u64 number);
  void barrier(Warp &, const Ins &, u32 lanes);
  [[noreturn]] void fault(const Warp &, const Ins &, u32 lane, int code, const std::string &) const;
  std::string threadName(u32 thread) const;

 private:
  void release(u32 waiting, u32 participants);
};

void runLaunch(Launch &);
}  // namespace emu
