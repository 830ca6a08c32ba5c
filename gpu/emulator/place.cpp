// Places for registers. PTX has thousands of them, each written once; those that do not live at the same time share a
// place, so that a warp's fit into the cache.
#include <algorithm>
#include <bit>
#include <map>

#include "table.h"

namespace emu {
namespace {
using Set = std::vector<u64>;
bool has(const Set &s, u32 v) { return s[v / 64] >> v % 64 & 1; }
void put(Set &s, u32 v) { s[v / 64] |= 1ull << v % 64; }
void drop(Set &s, u32 v) { s[v / 64] &= ~(1ull << v % 64); }

struct Block {
  u32 first, end;
  std::vector<u32> next;
  Set in, out;
};

// Reads and writes of an instruction. One with a guard keeps what it does not write, so that it reads it, too.
template <class R, class W>
void touches(const Ins &i, int results, R read, W write) {
  for (int s = 0; s < (int)std::size(i.o); s++) {
    if (i.o[s] == None) continue;
    if (s < results && i.guard == None)
      write(i.o[s] >> 1);
    else
      read(i.o[s] >> 1);
  }
  if (i.guard != None) read(i.guard);
}

std::vector<Block> blocks(const std::vector<Ins> &code) {
  std::vector<bool> leader(code.size() + 1);
  leader[0] = true;
  for (auto &i : code)
    if (i.flow == Flow::Branch || i.flow == Flow::Exit) {
      leader[i.index + 1] = true;
      if (i.flow == Flow::Branch) leader[i.target] = true;
    }
  std::vector<Block> list;
  std::vector<u32> at(code.size() + 1);
  for (u32 k = 0; k < code.size(); k++) {
    if (leader[k]) list.push_back({k, k, {}, {}, {}});
    list.back().end = k + 1;
    at[k] = list.size() - 1;
  }
  for (auto &b : list) {
    const Ins &i = code[b.end - 1];
    if (i.flow == Flow::Branch) b.next.push_back(at[i.target]);
    if (((i.flow != Flow::Branch && i.flow != Flow::Exit) || i.guard != None) && b.end < code.size())
      b.next.push_back(at[b.end]);
  }
  return list;
}

void liveness(std::vector<Block> &list, const std::vector<Ins> &code, const std::vector<u8> &results, size_t n) {
  for (auto &b : list) b.in.resize((n + 63) / 64), b.out.resize((n + 63) / 64);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t k = list.size(); k-- > 0;) {
      Block &b = list[k];
      for (u32 s : b.next)
        for (size_t x = 0; x < b.out.size(); x++) b.out[x] |= list[s].in[x];
      Set live = b.out;
      for (u32 p = b.end; p-- > b.first;) {
        touches(code[p], results[p], [](u32) {}, [&](u32 v) { drop(live, v); });
        touches(code[p], results[p], [&](u32 v) { put(live, v); }, [](u32) {});
      }
      if (live != b.in) {
        b.in.swap(live);
        changed = true;
      }
    }
  }
}
}  // namespace

void place(Kernel &k, std::vector<Virtual> &virtuals, const std::vector<u8> &results) {
  // Constants and specials have a place of their own.
  u32 at = 0;
  for (auto kind : {Virtual::Constant, Virtual::Special})
    for (auto &v : virtuals) {
      if (v.kind != kind) continue;
      v.at = at;
      at += v.bytes == 8 ? 256 : 128;
      if (kind == Virtual::Special) {
        k.specials.push_back({v.name, v.at});
        continue;
      }
      k.constants.resize(at);
      for (u32 l = 0; l < WarpSize; l++)
        if (v.bytes == 8)
          ((u64 *)&k.constants[v.at])[l] = v.bits;
        else
          ((u32 *)&k.constants[v.at])[l] = (u32)v.bits;
    }

  // Where each of the others lives, from its first instruction to its last.
  struct Life {
    u32 v, from, to;
  };
  std::vector<Life> lives(virtuals.size());
  for (u32 v = 0; v < lives.size(); v++) lives[v] = {v, None, 0};
  auto lives_at = [&](u32 v, u32 where) {
    lives[v].from = std::min(lives[v].from, where);
    lives[v].to = std::max(lives[v].to, where);
  };
  auto list = blocks(k.code);
  liveness(list, k.code, results, virtuals.size());
  for (auto &b : list) {
    for (u32 v = 0; v < virtuals.size(); v++) {
      if (has(b.in, v)) lives_at(v, b.first);
      if (has(b.out, v)) lives_at(v, b.end - 1);
    }
    for (u32 p = b.first; p < b.end; p++) {
      auto here = [&](u32 v) { lives_at(v, p); };
      touches(k.code[p], results[p], here, here);
    }
  }
  std::sort(lives.begin(), lives.end(), [](const Life &a, const Life &b) { return a.from < b.from; });
  std::map<int, std::vector<u32>> free;           // by bytes of a place
  std::multimap<u32, std::pair<int, u32>> taken;  // until when
  for (auto &l : lives) {
    Virtual &v = virtuals[l.v];
    if (v.kind != Virtual::Plain || l.from == None) continue;
    while (!taken.empty() && taken.begin()->first < l.from) {
      free[taken.begin()->second.first].push_back(taken.begin()->second.second);
      taken.erase(taken.begin());
    }
    int bytes = v.bytes == 8 ? 256 : v.bytes ? 128 : 4;
    auto &f = free[bytes];
    if (f.empty() && bytes == 4) {  // predicates, a word for the warp each
      for (u32 p = 32; p-- > 0;) f.push_back(at + 4 * p);
      at += 128;
    } else if (f.empty()) {
      f.push_back(at);
      at += bytes;
    }
    v.at = f.back();
    f.pop_back();
    taken.emplace(l.to, std::make_pair(bytes, v.at));
  }
  k.fileBytes = (at + 63) / 64 * 64;

  auto placed = [&](u32 slot) { return slot == None ? None : virtuals[slot >> 1].at | (slot & 1); };
  for (auto &i : k.code) {
    if (i.guard != None) i.guard = virtuals[i.guard].at;
    i.member = placed(i.member);
    for (auto &o : i.o) o = placed(o);
  }
}
}  // namespace emu
