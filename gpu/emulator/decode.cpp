// From the tree of a module to what the machine runs. Calls are put in line.
#include <algorithm>
#include <map>
#include <sstream>

#include "table.h"

namespace emu {
void define(Table &t, std::initializer_list<std::string_view> name, Made made, Flow flow, int member, Space space) {
  std::string all;
  for (auto part : name) all += part;
  t[all] = {made.run, std::string(made.operands), flow, member, space};
}

namespace {
const Table &table() {
  static const Table t = [] {
    Table t;
    addIntegers(t);
    addFloats(t);
    addConversions(t);
    addWarps(t);
    return t;
  }();
  return t;
}

const std::vector<std::string> specials = {"%tid.x",       "%tid.y",       "%tid.z",       "%ntid.x",
                                           "%ntid.y",      "%ntid.z",      "%ctaid.x",     "%ctaid.y",
                                           "%ctaid.z",     "%nctaid.x",    "%nctaid.y",    "%nctaid.z",
                                           "%laneid",      "%warpid",      "%nwarpid",     "%dynamic_smem_size",
                                           "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt",
                                           "%lanemask_ge"};

bool ends(const std::string &s, const char *end) { return s.ends_with(end); }

class Decoder {
 public:
  Decoder(Kernel &k, const std::map<std::string, u64> &v) : kernel(k), module(*k.module), variables(v) {}

  void run(const Function &f) {
    kernel.maxThreads = f.maxThreads;
    std::copy(f.required, f.required + 3, kernel.required);
    scopes.resize(1);
    if (!f.entry) {
      for (auto &v : f.results) declare(v);
      for (auto &v : f.params) declare(v);
    }
    for (auto &p : f.params) {
      if (!f.entry) break;
      kernel.paramBytes = (kernel.paramBytes + p.align - 1) / p.align * p.align;
      scopes[0].symbols[p.name] = {Space::Param, kernel.paramBytes};
      kernel.params.push_back(p);
      kernel.paramOffsets.push_back(kernel.paramBytes);
      kernel.paramBytes += p.bytes;
    }
    chain = {&f};
    body(f);
    line = module.lines.size();
    emit().flow = Flow::Exit;
    for (auto &j : jumps) {
      if (labels[j.label] < 0) throw Error{j.line, "label without a place"};
      kernel.code[j.instruction].target = labels[j.label];
    }
    kernel.sharedBytes = (kernel.sharedBytes + dynamicAlign - 1) / dynamicAlign * dynamicAlign;
    for (u32 v : dynamic) virtuals[v].bits = WindowBase + kernel.sharedBytes;
    if (kernel.sharedBytes > 48 << 10)
      throw Error{f.line, std::to_string(kernel.sharedBytes) + " bytes of shared variables: more than 48 KiB"};
    place(kernel, virtuals, results);
  }

 private:
  struct Symbol {
    Space space;
    u64 address;
    bool dynamic = false;
  };
  struct Family {  // %r<n>
    int bytes;
    u64 count;
  };
  struct Scope {
    std::map<std::string, u32> registers;
    std::map<std::string, Family> families;
    std::map<std::string, Symbol> symbols;
    std::map<std::string, u32> labels;
  };
  struct Jump {
    u32 instruction, label;
    int line;
  };

  Kernel &kernel;
  const Module &module;
  const std::map<std::string, u64> &variables;
  std::vector<Scope> scopes;
  std::vector<Virtual> virtuals;
  std::map<std::pair<int, u64>, u32> constants;
  std::vector<u8> results;  // by instruction: slots that it writes
  std::vector<i64> labels;
  std::vector<Jump> jumps;
  std::vector<const Function *> chain;  // of calls
  std::vector<u32> returns;             // label of the end of each call
  std::vector<u32> dynamic;             // constants that are the address of dynamic shared memory
  std::map<std::string, Symbol> sharedVariables;
  u32 dynamicAlign = 16;
  int line = 0;
  std::string op;  // the instruction in hand

  [[noreturn]] void fail(const std::string &what) const { throw Error{line, what}; }

  u32 add(Virtual::Kind kind, int bytes, u64 bits = 0, const std::string &name = "") {
    virtuals.push_back({kind, bytes, bits, name});
    return virtuals.size() - 1;
  }
  u32 constant(int bytes, u64 bits) {
    auto [it, fresh] = constants.try_emplace({bytes, bits}, 0);
    if (fresh) it->second = add(Virtual::Constant, bytes, bits);
    return it->second;
  }

  Ins &emit() {
    kernel.code.emplace_back();
    results.push_back(0);
    Ins &i = kernel.code.back();
    std::fill(std::begin(i.o), std::end(i.o), None);
    i.line = line;
    i.index = kernel.code.size() - 1;
    return i;
  }
  u32 newLabel() {
    labels.push_back(-1);
    return labels.size() - 1;
  }
  void jump(Ins &i, u32 label) {
    i.flow = Flow::Branch;
    jumps.push_back({i.index, label, line});
  }

  // A register by its name; false: there is none.
  bool find(const std::string &name, u32 &v) {
    for (size_t s = scopes.size(); s-- > 0;) {
      auto it = scopes[s].registers.find(name);
      if (it != scopes[s].registers.end()) return v = it->second, true;
      size_t digits = name.find_last_not_of("0123456789") + 1;
      if (digits == name.size()) continue;
      auto family = scopes[s].families.find(name.substr(0, digits));
      if (family == scopes[s].families.end() || strtoull(name.c_str() + digits, nullptr, 10) >= family->second.count)
        continue;
      v = scopes[s].registers[name] = add(Virtual::Plain, family->second.bytes);
      return true;
    }
    if (std::find(specials.begin(), specials.end(), name) == specials.end()) return false;
    auto it = std::find_if(virtuals.begin(), virtuals.end(), [&](auto &x) { return x.name == name; });
    v = it != virtuals.end() ? it - virtuals.begin() : add(Virtual::Special, 4, 0, name);
    return true;
  }

  bool find(const std::string &name, Symbol &s) {
    for (size_t k = scopes.size(); k-- > 0;) {
      auto it = scopes[k].symbols.find(name);
      if (it != scopes[k].symbols.end()) return s = it->second, true;
    }
    for (auto &v : module.variables) {
      if (v.name != name) continue;
      if (v.space == "shared") {
        auto it = sharedVariables.find(name);
        if (it == sharedVariables.end()) it = sharedVariables.emplace(name, sharedSymbol(v)).first;
        s = it->second;
      } else {
        s = {v.space == "const" ? Space::Const : Space::Global, variables.at(name)};
      }
      return true;
    }
    return false;
  }

  Symbol sharedSymbol(const Variable &v) {
    if (v.unsized) {
      dynamicAlign = std::max(dynamicAlign, v.align);
      return {Space::Shared, 0, true};
    }
    kernel.sharedBytes = (kernel.sharedBytes + v.align - 1) / v.align * v.align;
    kernel.sharedBytes += v.bytes;
    return {Space::Shared, WindowBase + kernel.sharedBytes - v.bytes};
  }

  u32 addressOf(const Symbol &s, int bytes = 8) {
    if (!s.dynamic) return constant(bytes, s.address);
    dynamic.push_back(add(Virtual::Constant, bytes));
    return dynamic.back();
  }

  void declare(const Variable &v) {
    if (v.space == "shared") {
      scopes.back().symbols[v.name] = sharedSymbol(v);
      return;
    }
    // .param of a call lies where .local does
    kernel.localBytes = (kernel.localBytes + v.align - 1) / v.align * v.align;
    scopes.back().symbols[v.name] = {Space::Local, WindowBase + kernel.localBytes};
    kernel.localBytes = (kernel.localBytes + v.bytes + 7) / 8 * 8;
  }

  // Labels of the scope that begins at statement k are known in all of it.
  void openScope(const Function &f, size_t k) {
    scopes.emplace_back();
    for (int depth = 0; k < f.body.size() && depth >= 0; k++) {
      auto &st = f.body[k];
      depth += st.kind == Statement::Open;
      depth -= st.kind == Statement::Close;
      if (st.kind == Statement::Label && !depth && !scopes.back().labels.emplace(st.name, newLabel()).second)
        throw Error{st.line, "label " + st.name + " for the second time"};
    }
  }

  void body(const Function &f) {
    openScope(f, 0);
    for (size_t k = 0; k < f.body.size(); k++) {
      const Statement &st = f.body[k];
      line = st.line;
      switch (st.kind) {
      case Statement::Open:
        openScope(f, k + 1);
        break;
      case Statement::Close:
        scopes.pop_back();
        break;
      case Statement::Label:
        labels[scopes.back().labels.at(st.name)] = kernel.code.size();
        break;
      case Statement::Declare:
        declare(st.variable);
        break;
      case Statement::Register:
        for (auto &o : st.operands)
          if (o.bits == ~0ull)
            scopes.back().registers[o.name] = add(Virtual::Plain, st.bytes);
          else
            scopes.back().families[o.name] = {st.bytes, o.bits};
        break;
      case Statement::Instruction:
        instruction(st);
        break;
      }
    }
    scopes.pop_back();
  }

  void guard(Ins &i, const Statement &st, bool opposite = false) {
    if (st.guard.empty()) return;
    u32 v;
    if (!find(st.guard, v) || virtuals[v].bytes) fail("guard " + st.guard + " is no predicate");
    i.guard = v;
    i.guardNot = st.guardNot != opposite;
  }

  u32 labelOf(const Operand &o) {
    for (size_t s = scopes.size(); s-- > 0;) {
      auto it = scopes[s].labels.find(o.name);
      if (o.kind == Operand::Name && it != scopes[s].labels.end()) return it->second;
    }
    fail("unknown label " + o.name);
  }

  void instruction(const Statement &st) {
    op = st.name;
    if (op == "bra" || op == "bra.uni") {
      if (st.operands.size() != 1) fail("operands of " + op);
      u32 label = labelOf(st.operands[0]);
      Ins &i = emit();
      guard(i, st);
      jump(i, label);
    } else if (op == "ret" || op == "ret.uni") {
      Ins &i = emit();
      guard(i, st);
      if (returns.empty())
        i.flow = Flow::Exit;
      else
        jump(i, returns.back());
    } else if (op == "call" || op == "call.uni") {
      call(st);
    } else {
      plain(st);
    }
  }

  void call(const Statement &st) {
    static const Operand none = [] {
      Operand o;
      o.kind = Operand::List;
      return o;
    }();
    size_t n = st.operands.size(), k = 0;
    const Operand &to = n && st.operands[0].kind == Operand::List ? st.operands[k++] : none;
    std::string name = k < n ? st.operands[k++].name : "";
    const Operand &from = k < n ? st.operands[k++] : none;
    if (k != n || from.kind != Operand::List) fail("indirect call");
    const Function *f = nullptr;
    for (auto &c : module.functions)
      if (!c.entry && c.defined && c.name == name) f = &c;
    if (!f) fail("call of " + name + ", which this module does not define");
    if (std::find(chain.begin(), chain.end(), f) != chain.end()) fail("recursive call of " + name);

    Scope bound;
    auto bind = [&](const std::vector<Variable> &formal, const Operand &actual) {
      if (formal.size() != actual.parts.size()) fail("arguments of " + name);
      for (size_t a = 0; a < formal.size(); a++) {
        Symbol s;
        if (!find(actual.parts[a].name, s) || s.space != Space::Local) fail("argument " + actual.parts[a].name);
        bound.symbols[formal[a].name] = s;
      }
    };
    bind(f->results, to);
    bind(f->params, from);
    u32 end = newLabel();
    if (!st.guard.empty()) {
      Ins &i = emit();
      guard(i, st, true);
      jump(i, end);
    }
    std::vector<Scope> saved{std::move(bound)};
    scopes.swap(saved);
    chain.push_back(f);
    returns.push_back(end);
    body(*f);
    returns.pop_back();
    chain.pop_back();
    scopes.swap(saved);
    labels[end] = kernel.code.size();
  }

  void plain(const Statement &st) {
    std::string name = op;
    if (name.compare(0, 4, "mov.") == 0 && st.operands.size() == 2) {
      size_t to = st.operands[0].parts.size(), from = st.operands[1].parts.size();
      if (st.operands[0].kind == Operand::Vector)
        name += " " + std::to_string(to) + "<-1";
      else if (st.operands[1].kind == Operand::Vector)
        name += " 1<-" + std::to_string(from);
    }
    auto it = table().find(name);
    Op known;
    if (it != table().end())
      known = it->second;
    else if (!memoryOp(op, known))
      fail("unknown instruction");
    Ins &i = emit();
    guard(i, st);
    i.run = known.run;
    i.flow = known.flow;
    i.space = known.space;
    i.access = known.access;
    if (known.bytes < 4) {
      kernel.subwordShared |= known.space == Space::Shared || known.space == Space::Generic;
      kernel.subwordGlobal |=
          known.space != Space::Shared && known.space != Space::Local && known.space != Space::Param;
    }

    std::istringstream kinds(known.operands);
    std::string kind;
    size_t n = 0;
    u32 slot = 0;
    int address = 0;
    bool result = true;
    while (kinds >> kind) {
      if (kind == ":") {
        result = false;
        continue;
      }
      bool optional = kind.back() == '?';
      if (optional) kind.pop_back();
      u32 first = slot;
      if (n == st.operands.size()) {
        if (!optional) fail("too few operands");
        slot++;
        continue;
      }
      const Operand &o = st.operands[n++];
      if (kind == "m") {
        base(i, o, slot++, address++);
      } else if (isdigit((unsigned char)kind[0])) {
        if (o.kind != Operand::Vector || (int)o.parts.size() != kind[0] - '0')
          fail("expected " + kind.substr(0, 1) + " registers in braces");
        for (auto &p : o.parts) value(i, p, slot++, kind.substr(1), result);
      } else {
        value(i, o, slot, kind, result);
        slot += kind == "W" || kind == "P" ? 2 : 1;
      }
      if (result) results.back() = slot - first;
      result = false;
    }
    if (n != st.operands.size()) fail("too many operands");
    if (known.flow == Flow::Warp && known.member >= 0) i.member = i.o[known.member];
  }

  // Address o: base register in the slot, and an offset.
  void base(Ins &i, const Operand &o, u32 slot, int which) {
    if (o.kind != Operand::Memory) fail("expected an address");
    i.offset[which] = o.bits;
    u32 v = constant(8, 0);
    Symbol s;
    // Parameters of functions lie in local memory, also where a register has their address.
    if (i.space == Space::Param && !chain.back()->entry) i.space = Space::Local;
    if (!o.name.empty() && !find(o.name, v)) {
      if (!find(o.name, s)) fail("unknown name " + o.name);
      Space space = which ? Space::Global : i.space;  // the second address of cp.async is its source
      if (space == Space::Param && s.space == Space::Local) i.space = space = Space::Local;
      bool device = s.space == Space::Global || s.space == Space::Const;
      if (s.space != space && !(space == Space::Generic && device)) fail("variable " + o.name + " of another space");
      v = addressOf(s);
    }
    if (virtuals[v].bytes != 8 && virtuals[v].bytes != 4) fail("address in register " + o.name);
    if (virtuals[v].bytes == 4) i.narrow |= 1 << which;
    i.o[slot] = v << 1;
  }

  void value(Ins &i, const Operand &o, u32 slot, const std::string &kind, bool result) {
    char k = kind[0];
    if (k == 'W' || k == 'P') {
      Operand first = o;
      first.parts.clear();
      value(i, first, slot, k == 'W' ? "w" : "p", result);
      if (o.parts.size() == 1) value(i, o.parts[0], slot + 1, "p", result);
      return;
    }
    if (!o.parts.empty() || o.kind == Operand::Memory) fail("operand " + o.name);
    bool predicate = k == 'p' || k == 'q';
    int bytes = predicate ? 0 : k == 'h' ? 2 : k == 'w' || k == 'c' ? 4 : k == 'd' ? 8 : kind[1] - '0';
    if (o.negated && k != 'q') fail("! before " + o.name);
    u32 v;
    if (o.kind == Operand::Sink) {
      if (!result) fail("_ where a value is read");
      v = add(Virtual::Plain, predicate || bytes > 2 ? bytes : 2);
    } else if (o.kind == Operand::Name && find(o.name, v)) {
      int have = virtuals[v].bytes;
      if (k == 'b' ? have < bytes || !have : have != bytes) fail("register " + o.name + " of another width");
      if (result && virtuals[v].kind != Virtual::Plain) fail("result in " + o.name);
      if (k == 'b' && have == 8 && bytes < 8) i.wide |= 1 << slot;
    } else if (result) {
      fail("unknown register " + o.name);
    } else if (o.kind == Operand::Name) {
      Symbol s;
      if (o.name == "WARP_SZ")
        v = constant(4, WarpSize);
      else if (!find(o.name, s))
        fail("unknown name " + o.name);
      else if (bytes != 8 && !(bytes == 4 && s.space == Space::Shared))
        fail("address of " + o.name + " in so few bytes");
      else
        v = addressOf(s, bytes);
    } else {
      bool real = ends(op, ".f32") || ends(op, ".f64");
      if (real && o.kind != Operand::Float) fail("a whole number where a float is read");
      if (o.kind == Operand::Float && (predicate || o.bytes != bytes)) fail("constant of another width");
      v = predicate ? constant(0, o.bits ? All : 0) : constant(bytes == 8 ? 8 : 4, bytes == 8 ? o.bits : (u32)o.bits);
    }
    if (k == 'c') {
      std::string allowed = "|" + kind.substr(1) + "|", is = "|" + std::to_string(virtuals[v].bits) + "|";
      if (virtuals[v].kind != Virtual::Constant) fail("expected a constant");
      if (kind.size() > 1 && allowed.find(is) == allowed.npos) fail("expected one of " + kind.substr(1));
    }
    i.o[slot] = v << 1 | o.negated;
  }
};
}  // namespace

std::vector<std::unique_ptr<Kernel>> decode(std::shared_ptr<const Module> module,
                                            const std::map<std::string, u64> &variables) {
  std::vector<std::unique_ptr<Kernel>> kernels;
  for (auto &f : module->functions) {
    if (!f.defined) continue;
    auto k = std::make_unique<Kernel>();
    k->name = f.name;
    k->module = module;
    Decoder(*k, variables).run(f);  // functions, too: what is unknown in one is found though no kernel calls it
    if (f.entry) kernels.push_back(std::move(k));
  }
  return kernels;
}
}  // namespace emu
