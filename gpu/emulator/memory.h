// Device memory. Its addresses are no addresses of the host: a program that follows one crashes, as it should.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "ptx.h"

namespace emu {
constexpr u32 AtomicMark = 1u << 31, StampMask = AtomicMark - 1;

// Races between the blocks of a launch: writers and readers hold, for each word (byte where shift is 0), the stamp of
// the block that touched it last. Stamps grow from launch to launch, so that old ones say nothing; the last of a launch
// stands for several of its blocks.
struct Allocation {
  u64 address, bytes;
  u8 *host;
  bool readOnly = false;
  int shift = 2;
  std::unique_ptr<u32[]> writers, readers;

  ~Allocation();
  void watch(bool byBytes);
  bool holds(u64 a, u64 n) const { return a - address < bytes && n <= bytes - (a - address); }
};

class Memory {
 public:
  // EMU_MEMORY=bytes bounds what can be allocated; nullptr: it does not fit.
  Allocation *allocate(u64 bytes);
  bool release(u64 address);
  Allocation *find(u64 address) const;
  std::string describe(u64 address) const;  // for messages: what lies there
  static bool isDevice(u64 address) { return address >> 56 == 1; }
  u64 total() const;
  u64 used() const { return inUse; }
  u32 stamps(u64 blocks);

 private:
  std::map<u64, std::unique_ptr<Allocation>> live;
  std::map<u64, u64> freed;
  u64 next = (1ull << 56) + (1 << 24), inUse = 0;
  u32 stamp = 1;
};

extern Memory &memory;
}  // namespace emu
