// Modules and launches behind the driver API.
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emu {
State &state = *new State;  // never taken down: threads may still call while the program ends
thread_local Context *current;

int report(int code, const std::string &text) {
  fprintf(stderr, "emulator: error %d: %s\n", code, text.c_str());
  state.details[code] = text;
  return code;
}

Loaded::~Loaded() {
  for (auto &v : variables) memory.release(v.second);
  for (auto &k : kernels) state.kernels.erase(k.get());
}

int load(Loaded **out, const char *ptx) {
  auto l = std::make_unique<Loaded>();
  auto complain = [&](const Error &e) {
    std::string where = "PTX, line " + std::to_string(e.line) + ": " + e.what;
    std::string text(ptx);
    size_t a = 0;
    for (int n = 1; n < e.line && a != text.npos; n++) a = text.find('\n', a) + 1;
    std::string line = text.substr(a, text.find('\n', a) - a);
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    for (auto &c : line)
      if (c == '\t') c = ' ';
    return report(InvalidPTX, where + ": " + line);
  };
  try {
    l->module = std::make_shared<const Module>(parse(ptx));
    for (auto &v : l->module->variables) {
      if (v.space == "shared") continue;
      Allocation *a = memory.allocate(v.bytes);
      if (!a) return OutOfMemory;
      memset(a->host, 0, v.bytes);
      memcpy(a->host, v.init.data(), v.init.size());
      a->readOnly = v.space == "const";
      l->variables[v.name] = a->address;
    }
    l->kernels = decode(l->module, l->variables);
  } catch (const Error &e) {
    return complain(e);
  }
  for (auto &k : l->kernels) state.kernels[k.get()] = l.get();
  *out = l.get();
  state.modules[l.get()] = std::move(l);
  return Success;
}

static u64 setting(const char *name) {
  const char *v = getenv(name);
  return v && *v ? strtoull(v, nullptr, 0) : 0;
}

// Launches run at once; what goes wrong shows at the next call, as on a card.
int launch(Kernel *k, const u32 *grid, const u32 *block, u32 dynamic, void **params) {
  if (!state.kernels.count(k)) return InvalidHandle;
  auto bad = [&](const std::string &what) { return report(InvalidValue, "launch of " + k->name + ": " + what); };
  u64 threads = (u64)block[0] * block[1] * block[2];
  if (!threads || threads > 1024 || block[2] > 64) return bad("block of " + std::to_string(threads) + " threads");
  if (!grid[0] || !grid[1] || !grid[2] || grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535)
    return bad("grid " + std::to_string(grid[0]) + "," + std::to_string(grid[1]) + "," + std::to_string(grid[2]));
  if (threads > k->maxThreads) return bad("more threads than its launch bounds: " + std::to_string(threads));
  if (k->required[0] && !std::equal(block, block + 3, k->required)) return bad("not its required block size");
  u64 limit = k->maxDynamic > 48 << 10 ? MaxShared : 48 << 10;
  if (k->sharedBytes + (u64)dynamic > limit || dynamic > k->maxDynamic)
    return bad("shared memory of " + std::to_string(k->sharedBytes + (u64)dynamic) + " bytes");
  if (!params && !k->params.empty()) return bad("no parameters");
  state.launches++;
  if (state.launches == setting("EMU_LOSE"))
    return state.sticky = report(Unknown, "launch of " + k->name + ": the device is lost, as EMU_LOSE says");

  Launch l{k, {}, {}, dynamic, std::vector<u8>(k->paramBytes), false, 0};
  std::copy(grid, grid + 3, l.grid);
  std::copy(block, block + 3, l.block);
  for (size_t p = 0; p < k->params.size(); p++)
    memcpy(l.params.data() + k->paramOffsets[p], params[p], k->params[p].bytes);
  const char *order = getenv("EMU_ORDER");
  l.backward = order && !strcmp(order, "backward");
  if (order && *order && !l.backward && strcmp(order, "forward")) return bad(std::string("EMU_ORDER=") + order);
  u64 blocks = (u64)grid[0] * grid[1] * grid[2];
  l.stamp = memory.stamps(blocks);
  l.many = l.stamp + (u32)blocks;
  try {
    runLaunch(l);
  } catch (const Fault &f) {
    state.sticky = report(f.code, f.what);
  }
  state.instructions += l.instructions;
  return Success;
}
}  // namespace emu
