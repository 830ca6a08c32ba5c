#include "access.h"

#include <cstring>

namespace emu {
void sharedRace(const Warp &w, const Ins &i, u32 lane, u64 at, const Touch &t, bool withRead) {
  const Block &b = *w.block;
  std::string what = "race in shared memory, byte " + std::to_string(at) + ": ";
  u16 by = withRead ? t.read.thread : t.writer & ~ByAtomic;
  if (!withRead && t.written == Pending)
    what += "a cp.async writes it that was not waited for";
  else if (by == Many || (withRead && std::popcount(t.readers) > 1))
    what += std::string("other threads ") + (withRead ? "read" : "wrote") + " it with no barrier between";
  else
    what += "thread " + b.threadName(by) + (withRead ? " read" : " wrote") + " it with no barrier between";
  b.fault(w, i, lane, LaunchFailed, what);
}

void readAfterWrite(const Warp &w, const Ins &i, u32 lane, u64 at, const Touch &t) {
  if (writtenByOthers(w, t, w.thread(lane))) sharedRace(w, i, lane, at, t, false);
}

// Lanes of one instruction may write the same value to the same place.
void writeAfterAccess(const Warp &w, const Ins &i, u32 lane, u64 at, u32 bytes, const void *value, const Touch &t) {
  if (writtenByOthers(w, t, w.thread(lane))) {
    bool same = value && !(t.writer & ByAtomic) && t.writer / WarpSize == w.index &&
                !memcmp((u8 *)w.block->shared.data() + at, value, bytes);
    if (!same) sharedRace(w, i, lane, at, t, false);
  }
  if (readByOthers(w, t, w.thread(lane))) sharedRace(w, i, lane, at, t, true);
}

void globalRace(const Warp &w, const Ins &i, u32 lane, u64 address, const Allocation &a, u64 word) {
  const Launch &l = w.block->launch;
  std::string what = "race between blocks, byte " + std::to_string(address - a.address) + " of an allocation of " +
                     std::to_string(a.bytes) + " bytes";
  u32 by = a.writers[word] & StampMask;
  if (by == w.block->stamp && i.access == Access::ReadOnly)
    what += ": ld.global.nc of what this kernel writes";
  else if (by >= l.stamp && by != l.many && by != w.block->stamp)
    what += ": block number " + std::to_string(by - l.stamp) + " wrote it";
  w.block->fault(w, i, lane, LaunchFailed, what);
}

void outside(const Warp &w, const Ins &i, u32 lane, Space s, u64 address, u32 bytes) {
  const Block &b = *w.block;
  auto range = [&](const char *name, u64 size) {
    return std::string(name) + " memory of " + std::to_string(size) + " bytes, at " +
           std::to_string((i64)(address - (s == Space::Param ? 0 : WindowBase)));
  };
  char text[40];
  snprintf(text, sizeof text, "address %#llx, ", (unsigned long long)address);
  std::string where = s == Space::Shared  ? range("shared", b.sharedBytes)
                      : s == Space::Local ? range("local", b.kernel.localBytes)
                      : s == Space::Param ? range("parameter", b.kernel.paramBytes)
                                          : text + memory.describe(address);
  b.fault(w, i, lane, IllegalAddress, "access of " + std::to_string(bytes) + " bytes out of bounds: " + where);
}

Allocation *locate(Warp &w, const Ins &i, u32 lane, u64 address, u32 bytes) {
  Allocation *a = memory.find(address);
  if (!a || !a->holds(address, bytes)) outside(w, i, lane, Space::Global, address, bytes);
  a->watch(w.block->kernel.subwordGlobal);
  return w.block->near[i.index] = a;
}

u8 *resolve(Warp &w, const Ins &i, u32 lane, Space s, u64 address, u32 bytes, Access access, const void *value) {
  Block &b = *w.block;
  if (s == Space::Generic) {
    u64 window = address & WindowMask;
    s = window == SharedWindow ? Space::Shared : window == LocalWindow ? Space::Local : Space::Global;
    if (s != Space::Global) address -= window;
  }
  if (address % bytes)
    b.fault(w, i, lane, Misaligned,
            "address " + std::to_string(address) + " is not a multiple of " + std::to_string(bytes));
  if (s == Space::Shared) return shared(w, i, lane, address, bytes, access, value);
  if (s == Space::Local) {
    u64 at = address - WindowBase, size = b.kernel.localBytes;
    if (bytes > size || at > size - bytes) outside(w, i, lane, s, address, bytes);
    return b.local.data() + w.thread(lane) * size + at;
  }
  if (s == Space::Param) {
    if (address + bytes > b.kernel.paramBytes) outside(w, i, lane, s, address, bytes);
    return b.launch.params.data() + address;
  }
  return global(w, i, lane, address, bytes, access);
}
}  // namespace emu
