// ld, st, atom, red and cp.async: their grammar and their handlers.
#include <cstring>

#include "access.h"
#include "lanes.h"

namespace emu {
namespace {
// Whether all lanes access consecutive parts of device memory, as most do; p: the host's pointer to the first.
bool consecutive(Warp &w, const Ins &i, const u64 *a, u32 bytes, u8 *&p) {
  if (i.space != Space::Global && i.space != Space::Const) return false;
  u64 off = a[0] % bytes;
  for (u32 l = 0; l < WarpSize; l++) off |= a[l] - a[0] - (u64)l * bytes;
  if (off) return false;
  Allocation *n = nearby(w, i, 0, a[0], bytes);
  if (!n->holds(a[0], bytes * WarpSize)) return false;
  u64 at = a[0] - n->address;
  if (n->readOnly && i.access != Access::Read && i.access != Access::ReadOnly) return false;
  p = n->host + at;
  return touchGlobal(*w.block, *n, at >> n->shift, (at + bytes * WarpSize - 1) >> n->shift, i.access);
}

bool uniform(const u64 *a, u32 mask) {
  u64 first = a[std::countr_zero(mask)], off = 0;
  for (u32 l = 0; l < WarpSize; l++) off |= mask >> l & 1 ? a[l] ^ first : 0;
  return !off;
}

// Whether all active lanes access shared memory where they may; else some lane must be told what is wrong.
bool withinShared(const Warp &w, const u64 *a, u32 mask, u32 bytes) {
  u64 size = w.block->sharedBytes, bad = bytes > size;
  for (u32 l = 0; l < WarpSize; l++)
    bad |= mask >> l & 1 ? (a[l] & (bytes - 1)) | (u64)(a[l] - WindowBase > size - bytes) : 0;
  return !bad;
}
bool aligned(const u64 *a, u32 mask, u32 bytes) {
  u64 low = 0;
  for (u32 l = 0; l < WarpSize; l++) low |= mask >> l & 1 ? a[l] : 0;
  return !(low & (bytes - 1));
}

template <class T, int N>
void load(Warp &w, const Ins &i, u32 mask) {
  constexpr u32 bytes = sizeof(T) * N;
  u64 a[WarpSize];
  T v[WarpSize][N];
  addresses(w, i, N, 0, a);
  bool device = i.space == Space::Global || i.space == Space::Const;
  u8 *p = nullptr;
  if (mask == All && consecutive(w, i, a, bytes, p)) {
    memcpy(v, p, sizeof v);
  } else if (i.space != Space::Local && i.space != Space::Generic && uniform(a, mask)) {
    // Two lanes stand for all of them: another thread than they would be noticed as well.
    u32 first = std::countr_zero(mask), last = 31 - std::countl_zero(mask);
    if (last != first) resolve(w, i, last, i.space, a[first], bytes, i.access, nullptr);
    p = resolve(w, i, first, i.space, a[first], bytes, i.access, nullptr);
    for (u32 l = 0; l < WarpSize; l++) memcpy(v[l], p, bytes);
  } else if (i.space == Space::Shared && withinShared(w, a, mask, bytes)) {
    const SharedNow now(w);
    const u8 *memory = (u8 *)w.block->shared.data();
    for (u32 active = mask; active; active &= active - 1) {
      u32 l = std::countr_zero(active);
      readShared(now, w, i, l, a[l] - WindowBase, bytes);
      memcpy(v[l], memory + (a[l] - WindowBase), bytes);
    }
  } else {
    device = device && aligned(a, mask, bytes);
    for (u32 active = mask; active; active &= active - 1) {
      u32 l = std::countr_zero(active);
      p = device ? global(w, i, l, a[l], bytes, i.access) : resolve(w, i, l, i.space, a[l], bytes, i.access, nullptr);
      memcpy(v[l], p, bytes);
    }
  }
  for (int n = 0; n < N; n++) {
    if (sizeof(T) < 8 && i.wide >> n & 1)
      lanes(mask, (u64 *)(w.file + i.o[n]),
            [&](u32 l) { return std::is_signed_v<T> ? (u64)(i64)v[l][n] : (u64)v[l][n]; });
    else
      lanes(mask, reg<T>(w, i.o[n]), [&](u32 l) { return put<T>(v[l][n]); });
  }
}

template <class T, int N>
void store(Warp &w, const Ins &i, u32 mask) {
  constexpr u32 bytes = sizeof(T) * N;
  u64 a[WarpSize];
  T v[WarpSize][N];
  addresses(w, i, 0, 0, a);
  for (int n = 0; n < N; n++) {
    if (sizeof(T) < 8 && i.wide >> (n + 1) & 1) {
      const u64 *s = (u64 *)(w.file + i.o[n + 1]);
      for (u32 l = 0; l < WarpSize; l++) v[l][n] = (T)s[l];
    } else {
      const auto *s = reg<T>(w, i.o[n + 1]);
      for (u32 l = 0; l < WarpSize; l++) v[l][n] = get<T>(s[l]);
    }
  }
  bool device = i.space == Space::Global;
  u8 *p = nullptr;
  if (mask == All && consecutive(w, i, a, bytes, p)) {
    memcpy(p, v, sizeof v);
  } else if (i.space == Space::Shared && withinShared(w, a, mask, bytes) && i.access == Access::Write) {
    const SharedNow now(w);
    u8 *memory = (u8 *)w.block->shared.data();
    for (u32 active = mask; active; active &= active - 1) {
      u32 l = std::countr_zero(active);
      writeShared(now, w, i, l, a[l] - WindowBase, bytes, v[l]);
      memcpy(memory + (a[l] - WindowBase), v[l], bytes);
    }
  } else {
    device = device && aligned(a, mask, bytes);
    for (u32 active = mask; active; active &= active - 1) {
      u32 l = std::countr_zero(active);
      p = device ? global(w, i, l, a[l], bytes, i.access) : resolve(w, i, l, i.space, a[l], bytes, i.access, v[l]);
      memcpy(p, v[l], bytes);
    }
  }
}

enum AtomicOp { Add, Min, Max, And, Or, Xor, Exch, Inc, Dec, Cas };

template <class T, AtomicOp Op, bool Result>
void atomic(Warp &w, const Ins &i, u32 mask) {
  constexpr int S = Result;  // slot of the address
  u64 a[WarpSize];
  addresses(w, i, S, 0, a);
  auto x = reg<T>(w, i.o[S + 1]), y = reg<T>(w, i.o[S + (Op == Cas ? 2 : 1)]);
  for (u32 k = 0; k < WarpSize; k++) {
    u32 l = w.block->launch.backward ? WarpSize - 1 - k : k;
    if (!(mask >> l & 1)) continue;
    u8 *p = resolve(w, i, l, i.space, a[l], sizeof(T), Access::Atomic, nullptr);
    T old, v = get<T>(x[l]), r{};
    memcpy(&old, p, sizeof old);
    switch (Op) {
    case Add:
      r = (T)((u64)old + (u64)v);
      break;
    case Min:
      r = v < old ? v : old;
      break;
    case Max:
      r = v > old ? v : old;
      break;
    case And:
      r = old & v;
      break;
    case Or:
      r = old | v;
      break;
    case Xor:
      r = old ^ v;
      break;
    case Exch:
      r = v;
      break;
    case Inc:
      r = old >= v ? 0 : old + 1;
      break;
    case Dec:
      r = old == 0 || old > v ? v : old - 1;
      break;
    case Cas:
      r = old == v ? get<T>(y[l]) : old;
      break;
    }
    memcpy(p, &r, sizeof r);
    if (Result) reg<T>(w, i.o[0])[l] = put<T>(old);
  }
}

// cp.async [to], [from], bytes {, bytes to read; the rest are zeros}. The data comes into sight at the wait.
void copyAsync(Warp &w, const Ins &i, u32 mask) {
  u64 to[WarpSize], from[WarpSize];
  addresses(w, i, 0, 0, to);
  addresses(w, i, 1, 1, from);
  Block &b = *w.block;
  for (u32 l = 0; l < WarpSize; l++) {
    if (!(mask >> l & 1)) continue;
    Copy c{l, w.committed[l], reg<u32>(w, i.o[2])[l], to[l], {}};
    u32 read = i.o[3] == None ? c.bytes : reg<u32>(w, i.o[3])[l];
    if (read > c.bytes) b.fault(w, i, l, LaunchFailed, "cp.async reads " + std::to_string(read) + " bytes");
    if (from[l] % c.bytes)
      b.fault(w, i, l, Misaligned,
              "source " + std::to_string(from[l]) + " is not a multiple of " + std::to_string(c.bytes));
    if (read) memcpy(c.data, global(w, i, l, from[l], read, Access::Read), read);
    u64 at = to[l] - WindowBase;
    resolve(w, i, l, Space::Shared, to[l], c.bytes, Access::Write, nullptr);
    for (u64 k = at >> b.touchShift; k <= (at + c.bytes - 1) >> b.touchShift; k++) {
      b.touches[k].written = Pending;
      b.touches[k].writer = Many;
    }
    w.copies.push_back(c);
  }
}

void copyCommit(Warp &w, const Ins &, u32 mask) {
  for (u32 l = 0; l < WarpSize; l++) w.committed[l] += mask >> l & 1;
}

// All but the latest `keep` groups of each lane have arrived; with keep < 0 also what was not committed.
void copyArrive(Warp &w, u32 mask, i64 keep) {
  Block &b = *w.block;
  size_t n = 0;
  for (auto &c : w.copies) {
    if (!(mask >> c.lane & 1) || (keep >= 0 && (i64)c.group >= (i64)w.committed[c.lane] - keep)) {
      w.copies[n++] = c;
      continue;
    }
    u64 at = c.to - WindowBase;
    memcpy((u8 *)b.shared.data() + at, c.data, c.bytes);
    for (u64 k = at >> b.touchShift; k <= (at + c.bytes - 1) >> b.touchShift; k++) {
      b.touches[k].written = b.clock;
      b.touches[k].writer = w.thread(c.lane);
      b.touches[k].writeEpoch = w.epoch;
    }
  }
  w.copies.resize(n);
}
void copyWait(Warp &w, const Ins &i, u32 mask) { copyArrive(w, mask, reg<u32>(w, i.o[0])[std::countr_zero(mask)]); }
void copyWaitAll(Warp &w, const Ins &, u32 mask) { copyArrive(w, mask, -1); }

// The grammar: the parts of a name, taken from the left.
class Name {
 public:
  explicit Name(const std::string &s) {
    for (size_t a = 0, b; a <= s.size(); a = b + 1) {
      b = std::min(s.find('.', a), s.size());
      parts.push_back(s.substr(a, b - a));
    }
  }
  bool take(std::initializer_list<const char *> any, std::string *which = nullptr) {
    for (auto x : any)
      if (at < parts.size() && parts[at] == x) {
        if (which) *which = x;
        at++;
        return true;
      }
    return false;
  }
  bool last() const { return at + 1 == parts.size(); }
  std::string rest() const { return at < parts.size() ? parts[at] : ""; }
  Space space(bool &ok) {
    std::string s;
    ok = true;
    if (take({"global"})) return Space::Global;
    if (take({"shared", "shared::cta"})) return Space::Shared;
    if (take({"local"})) return Space::Local;
    if (take({"const"})) return Space::Const;
    if (take({"param"})) return Space::Param;
    ok = false;
    return Space::Generic;
  }

 private:
  std::vector<std::string> parts;
  size_t at = 0;
};

template <int N>
Handler loader(const std::string &t, bool isStore) {
  if (isStore) {
    switch (typeBytes(t)) {
    case 1:
      return store<u8, N>;
    case 2:
      return store<u16, N>;
    case 4:
      return store<u32, N>;
    default:
      return store<u64, N>;
    }
  }
  if (t == "s8") return load<i8, N>;
  if (t == "s16") return load<i16, N>;
  if (t == "s32") return load<i32, N>;
  switch (typeBytes(t)) {
  case 1:
    return load<u8, N>;
  case 2:
    return load<u16, N>;
  case 4:
    return load<u32, N>;
  default:
    return load<u64, N>;
  }
}

bool loadStore(Name n, bool isStore, Op &op) {
  static const std::initializer_list<const char *> scopes = {"cta", "gpu", "sys"};
  op.access = isStore ? Access::Write : Access::Read;
  if (n.take({"volatile"}))
    op.access = isStore ? Access::Atomic : Access::AtomicRead;
  else if (n.take({"relaxed", isStore ? "release" : "acquire"})) {
    op.access = isStore ? Access::Atomic : Access::AtomicRead;
    if (!n.take(scopes)) return false;
  } else
    n.take({"weak"});
  bool named;
  op.space = n.space(named);
  if (isStore && (op.space == Space::Const)) return false;
  if (!isStore && op.space == Space::Global) {
    if (!n.take({"ca", "cg", "cs", "lu", "cv"}) && n.take({"nc"})) op.access = Access::ReadOnly;
  } else {
    isStore ? n.take({"wb", "cg", "cs", "wt"}) : n.take({"ca", "cg", "cs", "lu", "cv"});
  }
  n.take({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate"});
  n.take({"L2::64B", "L2::128B", "L2::256B"});
  int count = n.take({"v2"}) ? 2 : n.take({"v4"}) ? 4 : 1;
  op.bytes = typeBytes(n.rest());
  if (!n.last() || op.bytes < 1 || op.bytes * count > 16 || n.rest().find("f16") != std::string::npos) return false;
  std::string value = (count > 1 ? std::to_string(count) : "") + "b" + std::to_string(op.bytes);
  op.operands = isStore ? ": m " + value : value + " m";
  op.run = count == 4   ? loader<4>(n.rest(), isStore)
           : count == 2 ? loader<2>(n.rest(), isStore)
                        : loader<1>(n.rest(), isStore);
  return true;
}

template <class T, bool Result>
Handler atomicOf(const std::string &op, const std::string &t) {
  bool plain = t[0] == 'b', wrap = t == "u32";
  if (op == "exch") return plain && Result ? atomic<T, Exch, Result> : nullptr;
  if (op == "cas") return plain && Result ? atomic<T, Cas, Result> : nullptr;
  if (op == "and") return plain ? atomic<T, And, Result> : nullptr;
  if (op == "or") return plain ? atomic<T, Or, Result> : nullptr;
  if (op == "xor") return plain ? atomic<T, Xor, Result> : nullptr;
  if (op == "inc") return wrap ? atomic<T, Inc, Result> : nullptr;
  if (op == "dec") return wrap ? atomic<T, Dec, Result> : nullptr;
  if (plain) return nullptr;
  if (op == "add") return t != "s64" ? atomic<T, Add, Result> : nullptr;
  if (op == "min") return atomic<T, Min, Result>;
  if (op == "max") return atomic<T, Max, Result>;
  return nullptr;
}

// Atomics on floats are not here: their sums depend on the order, and no kernel of this project has them.
template <bool Result>
bool atomicName(Name n, Op &op) {
  n.take({"relaxed", "acquire", "release", "acq_rel"});
  n.take({"cta", "gpu", "sys"});
  bool named;
  op.space = n.space(named);
  if (named && op.space != Space::Global && op.space != Space::Shared) return false;
  std::string which;
  if (!n.take({"add", "min", "max", "and", "or", "xor", "exch", "inc", "dec", "cas"}, &which) || !n.last())
    return false;
  std::string t = n.rest();
  if (t == "u32" || t == "b32")
    op.run = atomicOf<u32, Result>(which, t);
  else if (t == "s32")
    op.run = atomicOf<i32, Result>(which, t);
  else if (t == "u64" || t == "b64")
    op.run = atomicOf<u64, Result>(which, t);
  else if (t == "s64")
    op.run = atomicOf<i64, Result>(which, t);
  else
    return false;
  op.access = Access::Atomic;
  op.bytes = typeBytes(t);
  std::string v = op.bytes == 8 ? "d" : "w";
  op.operands = (Result ? v + " m " : ": m ") + v + (which == "cas" ? " " + v : "");
  return op.run;
}

bool copyName(Name n, Op &op) {
  if (!n.take({"async"})) return false;
  if (n.rest() == "commit_group" && n.last()) {
    op = {copyCommit, ""};
    return true;
  }
  if (n.rest() == "wait_group" && n.last()) {
    op = {copyWait, ": w"};
    return true;
  }
  if (n.rest() == "wait_all" && n.last()) {
    op = {copyWaitAll, ""};
    return true;
  }
  bool whole = n.rest() == "cg";  // 16 bytes only
  if (!n.take({"ca", "cg"}) || !n.take({"shared", "shared::cta"})) return false;
  if (n.last() ? n.rest() != "global"
               : !n.take({"global"}) || !n.last() || !n.take({"L2::64B", "L2::128B", "L2::256B"}))
    return false;
  op = {copyAsync, whole ? ": m m c16 w?" : ": m m c4|8|16 w?"};
  op.space = Space::Shared;
  return true;
}
}  // namespace

bool memoryOp(const std::string &name, Op &op) {
  Name n(name);
  if (n.take({"ld"})) return loadStore(n, false, op);
  if (n.take({"st"})) return loadStore(n, true, op);
  if (n.take({"atom"})) return atomicName<true>(n, op);
  if (n.take({"red"})) return atomicName<false>(n, op);
  if (n.take({"cp"})) return copyName(n, op);
  return false;
}
}  // namespace emu
