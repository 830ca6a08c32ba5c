// Warps, blocks and barriers.
#include "machine.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace emu {
// A kernel that runs for so many instructions of one warp will not end.
static constexpr u64 Patience = 1ull << 28;

// The group at the lowest address runs: lanes that left a loop, or took the shorter way, wait where the others
// will come by. Correctness does not hang on it: what needs other lanes waits for them.
bool Warp::pick(size_t &best) {
  std::sort(groups.begin(), groups.end(), [](const Group &a, const Group &b) { return a.pc < b.pc; });
  size_t n = 0;
  for (auto &g : groups) {
    if (!g.mask) continue;
    if (n && groups[n - 1].pc == g.pc) {
      groups[n - 1].mask |= g.mask;
      groups[n - 1].waits = false;  // perhaps these were the ones it waits for
    } else {
      groups[n++] = g;
    }
  }
  groups.resize(n);
  for (best = 0; best < n; best++)
    if (!groups[best].waits) return true;
  return false;
}

void Warp::stuck() {
  const Ins &i = block->kernel.code[groups[0].pc];
  std::string what = "lanes of a warp wait for others that do not come:";
  for (auto &g : groups) {
    char text[64];
    snprintf(text, sizeof text, " %08x at line %d,", g.mask, block->kernel.code[g.pc].line);
    what += text;
  }
  what.pop_back();
  block->fault(*this, i, std::countr_zero(groups[0].mask), LaunchFailed, what);
}

// Until a barrier or the end.
void Warp::run() {
  const Ins *code = block->kernel.code.data();
  u64 warpInstructions = 0, threadInstructions = 0;
  size_t now;
  while (!groups.empty()) {
    if (!pick(now)) stuck();
    u32 pc = groups[now].pc, mask = groups[now].mask;
    u32 next = None;  // where this group meets another
    for (size_t k = now + 1; k < groups.size(); k++) next = std::min(next, groups[k].pc);
    bool alone = groups.size() == 1;
    for (bool go = true; go;) {
      const Ins &i = code[pc];
      u32 act = mask;
      if (i.guard != None) act &= predicate(i.guard) ^ (i.guardNot ? All : 0);
      warpInstructions++;
      threadInstructions += std::popcount(act);
      if (warpInstructions > Patience) block->fault(*this, i, std::countr_zero(mask), LaunchTimeout, "does not end");
      switch (i.flow) {
      case Flow::Plain:
        if (act) i.run(*this, i, act);
        pc++;
        break;
      case Flow::Branch:
        if (act == mask) {
          go = alone || i.target > pc;  // backwards, another group may wait on the way
          pc = i.target;
        } else {
          if (act) {
            groups.push_back({i.target, act, false});
            mask &= ~act;
            go = false;
          }
          pc++;
        }
        break;
      case Flow::Exit:
        alive &= ~act;
        mask &= ~act;
        for (auto &g : groups) g.waits = false;  // for lanes that are no more
        pc++;
        go = mask;
        break;
      case Flow::Warp:
      case Flow::Barrier:
        if (act && act != mask) {  // the others go round it
          groups.push_back({pc, act, false});
          mask &= ~act;
          pc++;
          go = false;
        } else if (act) {
          u32 need = alive;
          if (i.member != None) {
            const u32 *member = (const u32 *)(file + i.member);
            u32 lane = std::countr_zero(act);
            for (u32 l = lane; l < WarpSize; l++)
              if (act >> l & 1 && member[l] != member[lane])
                block->fault(*this, i, l, LaunchFailed, "member masks differ");
            if (act & ~member[lane])
              block->fault(*this, i, std::countr_zero(act & ~member[lane]), LaunchFailed,
                           "a lane that its member mask does not name");
            need &= member[lane];
          }
          if (need & ~act) {
            groups[now].waits = true;
            go = false;
            break;
          }
          pc++;
          if (i.flow == Flow::Warp) {
            i.run(*this, i, act);
            break;
          }
          groups[now] = {pc, mask, false};
          barrierPc = pc - 1;
          block->launch.instructions += threadInstructions;
          block->barrier(*this, i, act);
          return;  // also the last one, so that all go on in order
        } else {
          pc++;
        }
        break;
      }
      if (pc >= next) go = false;
    }
    groups[now].pc = pc;
    groups[now].mask = mask;
    if (!mask) pick(now);
  }
  block->launch.instructions += threadInstructions;
  state = Done;
}

Block::Block(Launch &l) : launch(l), kernel(*l.kernel) {
  u32 threads = l.block[0] * l.block[1] * l.block[2], n = (threads + WarpSize - 1) / WarpSize;
  sharedBytes = (kernel.sharedBytes + 15) / 16 * 16 + l.dynamic;
  files.resize((u64)kernel.fileBytes * n + 64);
  local.resize((u64)kernel.localBytes * threads);
  shared.resize((sharedBytes + 15) / 8 + 1);
  touchShift = kernel.subwordShared ? 0 : 2;
  touches.resize((sharedBytes >> touchShift) + 4);
  near.resize(kernel.code.size());
  warps.resize(n);
  u8 *file = (u8 *)(((uintptr_t)files.data() + 63) & ~(uintptr_t)63);
  for (u32 w = 0; w < n; w++) {
    warps[w].file = std::copy(kernel.constants.begin(), kernel.constants.end(), file + (u64)w * kernel.fileBytes) -
                    kernel.constants.size();
    warps[w].block = this;
    warps[w].index = w;
    warps[w].exists = w + 1 < n || threads % WarpSize == 0 ? All : (1u << threads % WarpSize) - 1;
  }
  memset(seen, 0, sizeof seen);
}

static u32 special(const Launch &l, const u32 *id, const std::string &name, u32 thread) {
  u32 axis = name.back() - 'x', lane = thread % WarpSize;
  u32 tid[3] = {thread % l.block[0], thread / l.block[0] % l.block[1], thread / (l.block[0] * l.block[1])};
  if (name.starts_with("%tid.")) return tid[axis];
  if (name.starts_with("%ntid.")) return l.block[axis];
  if (name.starts_with("%ctaid.")) return id[axis];
  if (name.starts_with("%nctaid.")) return l.grid[axis];
  if (name == "%laneid") return lane;
  if (name == "%warpid") return thread / WarpSize;
  if (name == "%nwarpid") return (l.block[0] * l.block[1] * l.block[2] + WarpSize - 1) / WarpSize;
  if (name == "%dynamic_smem_size") return l.dynamic;
  if (name == "%lanemask_eq") return 1u << lane;
  if (name == "%lanemask_lt") return (1u << lane) - 1;
  if (name == "%lanemask_le") return (2u << lane) - 1;
  if (name == "%lanemask_gt") return ~((2u << lane) - 1);
  return ~((1u << lane) - 1);  // %lanemask_ge
}

void Block::run(u64 number) {
  id[0] = number % launch.grid[0];
  id[1] = number / launch.grid[0] % launch.grid[1];
  id[2] = number / ((u64)launch.grid[0] * launch.grid[1]);
  stamp = launch.stamp + (u32)number;
  full = ++clock;
  memset((void *)shared.data(), 0xff, shared.size() * sizeof shared[0]);
  memset(local.data(), 0xff, local.size());
  for (auto &b : barriers) b = {};
  for (auto &w : warps) {
    memset(w.file + kernel.constants.size(), 0xff, kernel.fileBytes - kernel.constants.size());
    for (auto &s : kernel.specials)
      for (u32 lane = 0; lane < WarpSize; lane++)
        ((u32 *)(w.file + s.at))[lane] = special(launch, id, s.name, w.thread(lane));
    w.state = Warp::Running;
    w.alive = w.exists;
    w.epoch = 0;
    w.carry = 0;
    w.groups = {{0, w.exists, false}};
    memset(w.committed, 0, sizeof w.committed);
  }
  for (bool ran = true; ran;) {
    ran = false;
    for (size_t k = 0; k < warps.size(); k++) {
      Warp &w = warps[launch.backward ? warps.size() - 1 - k : k];
      if (w.state != Warp::Running) continue;
      w.run();
      ran = true;
    }
  }
  for (auto &w : warps) {
    if (w.state != Warp::Done) {
      const Ins &i = kernel.code[w.barrierPc];
      u32 done = 0;
      for (auto &o : warps) done += o.state == Warp::Done;
      fault(w, i, std::countr_zero(w.alive), LaunchFailed,
            done ? "a barrier that other threads do not reach: they have ended"
                 : "a barrier that other threads do not reach");
    }
    if (w.copies.empty()) continue;
    w.copies.clear();
    std::fill(touches.begin(), touches.end(), Touch());
  }
}

// All lanes of warp w that live have come to a bar.
void Block::barrier(Warp &w, const Ins &i, u32 lanes) {
  u32 lane = std::countr_zero(lanes), name = ((u32 *)(w.file + i.o[0]))[lane];
  u32 all = warps.size() * WarpSize;
  u32 count = i.o[1] == None ? all : ((u32 *)(w.file + i.o[1]))[lane];
  if (name >= 16) fault(w, i, lane, LaunchFailed, "barrier " + std::to_string(name));
  if (!count || count % WarpSize || count > all)
    fault(w, i, lane, LaunchFailed, "barrier for " + std::to_string(count) + " threads");
  if (i.o[1] == None && lanes != w.exists)
    fault(w, i, lane, LaunchFailed, "a barrier that some threads of the warp do not reach: they have ended");
  Barrier &b = barriers[name];
  if (b.arrived && b.expected != count) fault(w, i, lane, LaunchFailed, "barrier with another count of threads");
  if (i.o[1] == None && b.waiting) {
    const Warp &other = warps[std::countr_zero(b.waiting)];
    if (other.barrierPc != w.barrierPc)
      fault(w, i, lane, LaunchFailed,
            "threads wait at different barriers: others at line " + std::to_string(kernel.code[other.barrierPc].line));
  }
  b.expected = count;
  b.arrived += WarpSize;
  if (i.run) {  // bar.arrive
    b.arrivals |= 1u << w.index;
  } else {
    b.waiting |= 1u << w.index;
    w.state = Warp::Waiting;
  }
  if (b.arrived < b.expected) return;
  u32 waiting = b.waiting, participants = waiting | b.arrivals;
  b = {};
  release(waiting, participants);
}

void Block::release(u32 waiting, u32 participants) {
  clock++;
  for (size_t w = 0; w < warps.size(); w++)
    if (waiting >> w & 1) warps[w].state = Warp::Running;
  if (std::popcount(waiting) == (int)warps.size()) {
    full = clock;
    return;
  }
  // What any participant did, or knew of, happened before what those that waited do now.
  u32 known[WarpSize];
  for (size_t v = 0; v < warps.size(); v++) {
    known[v] = 0;
    for (size_t w = 0; w < warps.size(); w++)
      if (participants >> w & 1) known[v] = std::max(known[v], std::max(full, v == w ? clock : seen[w][v]));
  }
  for (size_t w = 0; w < warps.size(); w++)
    if (waiting >> w & 1) std::copy(known, known + warps.size(), seen[w]);
}

std::string Block::threadName(u32 t) const {
  return std::to_string(t % launch.block[0]) + "," + std::to_string(t / launch.block[0] % launch.block[1]) + "," +
         std::to_string(t / (launch.block[0] * launch.block[1]));
}

void Block::fault(const Warp &w, const Ins &i, u32 lane, int code, const std::string &what) const {
  std::string text = kernel.module->lines[i.line - 1];
  text.erase(0, text.find_first_not_of(" \t"));
  for (auto &c : text)
    if (c == '\t') c = ' ';
  throw Fault{code, "kernel " + kernel.name + ", block " + std::to_string(id[0]) + "," + std::to_string(id[1]) + "," +
                        std::to_string(id[2]) + ", thread " + threadName(w.thread(lane)) + ", line " +
                        std::to_string(i.line) + ": " + text + ": " + what};
}

void runLaunch(Launch &l) {
  Block b(l);
  u64 blocks = (u64)l.grid[0] * l.grid[1] * l.grid[2];
  for (u64 k = 0; k < blocks; k++) b.run(l.backward ? blocks - 1 - k : k);
}
}  // namespace emu
