// What a lane's address names, checked: bounds, alignment, races.
#pragma once
#include <bit>

#include "machine.h"

namespace emu {
// Cold parts: whether something is wrong, and what, in words.
[[noreturn]] void sharedRace(const Warp &, const Ins &, u32 lane, u64 at, const Touch &, bool withRead);
[[noreturn]] void globalRace(const Warp &, const Ins &, u32 lane, u64 address, const Allocation &, u64 word);
[[noreturn]] void outside(const Warp &, const Ins &, u32 lane, Space, u64 address, u32 bytes);
void readAfterWrite(const Warp &, const Ins &, u32 lane, u64 at, const Touch &);
void writeAfterAccess(const Warp &, const Ins &, u32 lane, u64 at, u32 bytes, const void *value, const Touch &);
Allocation *locate(Warp &, const Ins &, u32 lane, u64 address, u32 bytes);
u8 *resolve(Warp &, const Ins &, u32 lane, Space, u64 address, u32 bytes, Access, const void *value);

// Addresses of the lanes: register o[slot] plus the offset `which`.
inline void addresses(const Warp &w, const Ins &i, int slot, int which, u64 *out) {
  if (i.narrow >> which & 1) {
    const u32 *base = (const u32 *)(w.file + i.o[slot]);
    for (u32 l = 0; l < WarpSize; l++) out[l] = (u32)(base[l] + (u32)i.offset[which]);
  } else {
    const u64 *base = (const u64 *)(w.file + i.o[slot]);
    for (u32 l = 0; l < WarpSize; l++) out[l] = base[l] + i.offset[which];
  }
}

// An access of thread `by`, at time `when`, happened before what warp w does now. Lanes of one warp are ordered by
// bar.warp.sync only.
inline bool before(const Warp &w, u16 by, u32 when, u16 epoch) {
  by &= ~ByAtomic;
  if (when == Pending || by == Many) return false;
  u32 v = by / WarpSize;
  return when < w.block->seen[w.index][v] || (v == w.index && epoch != w.epoch);
}

inline bool writtenByOthers(const Warp &w, const Touch &t, u16 me) {
  return t.written >= w.block->full && (t.writer & ~ByAtomic) != me && !before(w, t.writer, t.written, t.writeEpoch);
}

inline bool readByOthers(const Warp &w, const Touch &t, u16 me) {
  const Block &b = *w.block;
  if (t.read.when < b.full) return false;
  u32 own = 1u << w.index;
  if (t.readers & own && t.read.thread != me && t.read.epoch == w.epoch && t.read.when >= b.seen[w.index][w.index])
    return true;
  for (u32 others = t.readers & ~own; others; others &= others - 1)
    if (t.read.when >= b.seen[w.index][std::countr_zero(others)]) return true;
  return false;
}

// What accesses to shared memory are compared with, the same for all lanes of an instruction.
struct SharedNow {
  Touch *touches;
  int shift;
  u32 full, clock, own;
  u16 epoch, thread;
  explicit SharedNow(const Warp &w)
      : touches(w.block->touches.data()),
        shift(w.block->touchShift),
        full(w.block->full),
        clock(w.block->clock),
        own(1u << w.index),
        epoch(w.epoch),
        thread(w.thread(0)) {}
};

// Notes a read of shared memory; at is an offset.
inline void readShared(const SharedNow &now, Warp &w, const Ins &i, u32 lane, u64 at, u32 bytes) {
  u16 me = now.thread + lane;
  for (u64 k = at >> now.shift; k <= (at + bytes - 1) >> now.shift; k++) {
    Touch &t = now.touches[k];
    if (t.written >= now.full) [[unlikely]]
      readAfterWrite(w, i, lane, at, t);
    bool lately = t.read.when == now.clock;
    bool again = lately && t.readers & now.own && t.read.epoch == now.epoch && t.read.thread != me;
    t.read = {now.clock, again ? Many : me, now.epoch};
    t.readers = (lately ? t.readers : 0) | now.own;
  }
}

// Notes a write to shared memory.
inline void writeShared(const SharedNow &now, Warp &w, const Ins &i, u32 lane, u64 at, u32 bytes, const void *value) {
  for (u64 k = at >> now.shift; k <= (at + bytes - 1) >> now.shift; k++) {
    Touch &t = now.touches[k];
    if (t.written >= now.full || t.read.when >= now.full) [[unlikely]]
      writeAfterAccess(w, i, lane, at, bytes, value, t);
    t.written = now.clock;
    t.writer = now.thread + lane;
    t.writeEpoch = now.epoch;
  }
}

inline void atomicShared(Warp &w, const Ins &i, u32 lane, u64 at, u32 bytes) {
  Block &b = *w.block;
  u16 me = w.thread(lane);
  for (u64 k = at >> b.touchShift; k <= (at + bytes - 1) >> b.touchShift; k++) {
    Touch &t = b.touches[k];
    bool current = t.written >= b.full, atomics = current && t.writer & ByAtomic;
    if (current && !atomics && writtenByOthers(w, t, me)) sharedRace(w, i, lane, at, t, false);
    if (t.read.when >= b.full && readByOthers(w, t, me)) sharedRace(w, i, lane, at, t, true);
    t.writer = atomics && t.writer != (me | ByAtomic) ? Many | ByAtomic : me | ByAtomic;
    t.written = b.clock;
    t.writeEpoch = w.epoch;
  }
}

// Notes an access to words [first, last] of device memory. False: a race, and nothing is noted.
inline bool touchGlobal(const Block &b, Allocation &a, u64 first, u64 last, Access access) {
  u32 start = b.launch.stamp, many = b.launch.many, me = b.stamp, bad = 0;
  u32 *writers = a.writers.get(), *readers = a.readers.get();
  if (access == Access::Read || access == Access::ReadOnly) {
    // What .nc reads, this block must not have written either, nor may it write it later.
    u32 good = access == Access::Read ? me : ~0u, note = access == Access::Read ? me : many;
    for (u64 k = first; k <= last; k++) bad |= ((writers[k] & StampMask) >= start) & ((writers[k] & StampMask) != good);
    if (bad) return false;
    for (u64 k = first; k <= last; k++) readers[k] = (readers[k] < start) | (readers[k] == me) ? note : many;
    return true;
  }
  for (u64 k = first; k <= last; k++)
    bad |= (readers[k] >= start) & (readers[k] != me) & (access != Access::AtomicRead);
  if (access == Access::Write) {
    for (u64 k = first; k <= last; k++) bad |= ((writers[k] & StampMask) >= start) & ((writers[k] & StampMask) != me);
    if (bad) return false;
    for (u64 k = first; k <= last; k++) writers[k] = me;
    return true;
  }
  for (u64 k = first; k <= last; k++) {
    u32 by = writers[k] & StampMask;
    bool others = by >= start && by != me, atomics = by >= start && writers[k] & AtomicMark;
    if (bad || (others && !atomics)) return false;
    if (access == Access::Atomic) writers[k] = AtomicMark | (others ? many : me);
  }
  return true;
}

inline Allocation *nearby(Warp &w, const Ins &i, u32 lane, u64 address, u32 bytes) {
  Allocation *a = w.block->near[i.index];
  return a && a->holds(address, bytes) ? a : locate(w, i, lane, address, bytes);
}

inline u8 *global(Warp &w, const Ins &i, u32 lane, u64 address, u32 bytes, Access access) {
  Allocation *a = nearby(w, i, lane, address, bytes);
  if (a->readOnly && access != Access::Read && access != Access::ReadOnly)
    w.block->fault(w, i, lane, IllegalAddress, "write to constant memory");
  u64 at = address - a->address;
  if (!touchGlobal(*w.block, *a, at >> a->shift, (at + bytes - 1) >> a->shift, access))
    globalRace(w, i, lane, address, *a, at >> a->shift);
  return a->host + at;
}

inline u8 *shared(Warp &w, const Ins &i, u32 lane, u64 address, u32 bytes, Access access, const void *value) {
  Block &b = *w.block;
  u64 at = address - WindowBase;
  if (bytes > b.sharedBytes || at > b.sharedBytes - bytes) outside(w, i, lane, Space::Shared, address, bytes);
  if (access == Access::Write)
    writeShared(SharedNow(w), w, i, lane, at, bytes, value);
  else if (access == Access::Atomic)
    atomicShared(w, i, lane, at, bytes);
  else
    readShared(SharedNow(w), w, i, lane, at, bytes);
  return (u8 *)b.shared.data() + at;
}
}  // namespace emu
