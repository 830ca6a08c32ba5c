#include "memory.h"

#include <cstdlib>
#include <cstring>

namespace emu {
Memory &memory = *new Memory;

static constexpr u64 Gap = 1 << 24;  // between allocations: an index that is far off finds nothing, too

Allocation::~Allocation() { free(host); }

// Called before each launch that reaches the allocation; stamps of earlier launches need not be kept.
void Allocation::watch(bool byBytes) {
  int want = byBytes ? 0 : 2;
  if (writers && shift == want) return;
  shift = want;
  u64 n = (bytes >> shift) + 1;
  writers.reset(new u32[n]());
  readers.reset(new u32[n]());
}

u64 Memory::total() const {
  const char *limit = getenv("EMU_MEMORY");
  return limit && *limit ? strtoull(limit, nullptr, 0) : 8ull << 30;
}

Allocation *Memory::allocate(u64 bytes) {
  u64 rounded = (bytes + 511) / 512 * 512;  // as the driver's
  if (inUse + rounded > total()) return nullptr;
  u8 *host = (u8 *)aligned_alloc(512, rounded);
  if (!host) return nullptr;
  memset(host, 0xff, rounded);  // NaN in float32 and float64, -1 in integers
  auto a = std::make_unique<Allocation>();
  a->address = next;
  a->bytes = bytes;
  a->host = host;
  next += (rounded + 2 * Gap - 1) / Gap * Gap;
  inUse += rounded;
  return (live[a->address] = std::move(a)).get();
}

// Addresses are never used again: a use after this is always noticed.
bool Memory::release(u64 address) {
  auto it = live.find(address);
  if (it == live.end()) return false;
  u64 bytes = it->second->bytes;
  inUse -= (bytes + 511) / 512 * 512;
  freed[address] = bytes;
  live.erase(it);
  return true;
}

Allocation *Memory::find(u64 address) const {
  auto it = live.upper_bound(address);
  if (it == live.begin()) return nullptr;
  Allocation *a = std::prev(it)->second.get();
  return address - a->address < a->bytes ? a : nullptr;
}

std::string Memory::describe(u64 address) const {
  auto old = freed.upper_bound(address);
  if (old != freed.begin() && address - (--old)->first < old->second)
    return "freed memory of " + std::to_string(old->second) + " bytes, at " + std::to_string(address - old->first);
  auto it = live.upper_bound(address + Gap / 2);
  if (!isDevice(address) || it == live.begin()) return "no device memory";
  const Allocation &a = *std::prev(it)->second;
  return "outside an allocation of " + std::to_string(a.bytes) + " bytes, at " +
         std::to_string((i64)(address - a.address));
}

u32 Memory::stamps(u64 blocks) {
  if (stamp + blocks >= StampMask) {
    for (auto &a : live) a.second->writers.reset(), a.second->readers.reset();
    stamp = 1;
  }
  u32 first = stamp;
  stamp += blocks + 1;
  return first;
}
}  // namespace emu
