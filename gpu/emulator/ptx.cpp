// Parser of PTX: https://docs.nvidia.com/cuda/parallel-thread-execution. What it does not know is an Error.
#include "ptx.h"

#include <cstring>
#include <map>

namespace emu {
int typeBytes(const std::string &t) {
  static const std::map<std::string, int> sizes = {
      {"b8", 1},  {"u8", 1},  {"s8", 1},  {"b16", 2}, {"u16", 2}, {"s16", 2}, {"f16", 2}, {"bf16", 2}, {"b32", 4},
      {"u32", 4}, {"s32", 4}, {"f32", 4}, {"b64", 8}, {"u64", 8}, {"s64", 8}, {"f64", 8}, {"pred", 0}};
  auto it = sizes.find(t);
  return it == sizes.end() ? -1 : it->second;
}

namespace {
// Comments become blanks, so that lines keep their numbers.
std::string strip(std::string s) {
  for (size_t i = 0; i + 1 < s.size(); i++) {
    if (s[i] == '"') {
      i = s.find_first_of("\"\n", i + 1);
      if (i == s.npos) break;
      continue;
    }
    if (s[i] != '/' || (s[i + 1] != '/' && s[i + 1] != '*')) continue;
    bool block = s[i + 1] == '*';
    size_t end = block ? s.find("*/", i + 2) : s.find('\n', i);
    end = end == s.npos ? s.size() : end + (block ? 2 : 0);
    for (; i < end; i++)
      if (s[i] != '\n') s[i] = ' ';
    i--;
  }
  return s;
}

class Parser {
 public:
  explicit Parser(const std::string &text) : s(strip(text)) {
    for (size_t a = 0, b; a <= text.size(); a = b + 1) {
      b = std::min(text.find('\n', a), text.size());
      module.lines.push_back(text.substr(a, b - a));
    }
  }

  Module run() {
    bool version = false, target = false;
    while (skip()) {
      std::string w = word();
      if (w == ".version") {
        std::string major = number();
        if (major != "6" && major != "7" && major != "8") fail("PTX version " + major);
        word();  // .minor
        version = true;
      } else if (w == ".target") {
        target = true;
        do checkTarget(word());
        while (eat(','));
      } else if (w == ".address_size") {
        if (integer() != 64) fail("addresses that are not of 64 bits");
      } else if (w == ".file" || w == ".loc") {
        line();
      } else if (w == ".visible" || w == ".extern" || w == ".weak" || w == ".common") {
        external = w == ".extern";
      } else if (w == ".entry" || w == ".func") {
        function(w == ".entry");
        external = false;
      } else if (w == ".global" || w == ".const" || w == ".shared") {
        module.variables.push_back(variable(w.substr(1), true));
        want(';');
        external = false;
      } else {
        fail("unknown directive " + w);
      }
    }
    if (!version || !target) fail("no .version or no .target: not PTX");
    return std::move(module);
  }

 private:
  std::string s;
  size_t at = 0;
  int now = 1;  // line of s[at]
  bool external = false;
  Module module;

  [[noreturn]] void fail(const std::string &what) const { throw Error{now, what}; }

  bool skip() {
    for (; at < s.size() && isspace((unsigned char)s[at]); at++) now += s[at] == '\n';
    return at < s.size();
  }
  bool eat(char c) {
    if (!skip() || s[at] != c) return false;
    at++;
    return true;
  }
  void want(char c) {
    if (!eat(c))
      fail(std::string("expected '") + c + "'" + (at < s.size() ? std::string(" before '") + s[at] + "'" : ""));
  }
  // A word may contain dots and "::", as %tid.x and shared::cta do.
  std::string word() {
    skip();
    size_t a = at;
    while (at < s.size() && (isalnum((unsigned char)s[at]) || strchr("_$%.", s[at]) || s.compare(at, 2, "::") == 0))
      at += s[at] == ':' ? 2 : 1;
    if (a == at) fail(at < s.size() ? std::string("unexpected '") + s[at] + "'" : "unexpected end");
    return s.substr(a, at - a);
  }
  std::string number() {
    skip();
    size_t a = at;
    while (at < s.size() && isalnum((unsigned char)s[at])) at++;
    if (a == at) fail("expected a number");
    return s.substr(a, at - a);
  }
  u64 integer() {
    Operand o = constant();
    if (o.kind != Operand::Int) fail("expected a whole number");
    return o.bits;
  }
  void line() {
    while (at < s.size() && s[at] != '\n') at++;
  }

  void checkTarget(const std::string &t) {
    if (t == "debug") return;
    if (t.compare(0, 3, "sm_") || t.find_first_not_of("0123456789", 3) != t.npos) fail("target " + t);
    if (atoi(t.c_str() + 3) > 80) fail("target " + t + ": this device is sm_80");
  }

  Operand constant() {
    Operand o;
    o.kind = Operand::Int;
    bool minus = eat('-');
    std::string n = number();
    char form = n.size() > 1 && n[0] == '0' ? (char)tolower(n[1]) : 0;
    bool real = form == 'f' || form == 'd';
    if (real && n.size() != (form == 'f' ? 10u : 18u)) fail("constant " + n);
    if (!real && n.size() > 1 && (n.back() == 'U' || n.back() == 'u')) n.pop_back();
    const char *digits = n.c_str() + (real || form == 'x' || form == 'b' ? 2 : 0);
    char *end;
    o.bits = strtoull(digits, &end, real || form == 'x' ? 16 : form == 'b' ? 2 : form ? 8 : 10);
    if (*end || end == digits || (at < s.size() && s[at] == '.')) fail("constant " + n);
    if (real) {
      if (minus) fail("sign before " + n);
      o.kind = Operand::Float;
      o.bytes = form == 'f' ? 4 : 8;
    }
    if (minus) o.bits = -o.bits;
    return o;
  }

  Operand operand() {
    Operand o;
    if (!skip()) fail("unexpected end");
    char c = s[at];
    if (c == '{' || c == '(') {
      at++;
      o.kind = c == '{' ? Operand::Vector : Operand::List;
      char close = c == '{' ? '}' : ')';
      if (eat(close)) return o;
      do o.parts.push_back(operand());
      while (eat(','));
      want(close);
      return o;
    }
    if (c == '[') {
      at++;
      o = operand();
      if (o.kind == Operand::Int)
        o.name.clear();
      else if (o.kind != Operand::Name)
        fail("address");
      o.kind = Operand::Memory;
      while (eat('+')) o.bits += constant().bits;
      if (skip() && s[at] == '-') o.bits += constant().bits;
      want(']');
      return o;
    }
    if (isdigit((unsigned char)c) || c == '-') return constant();
    o.negated = eat('!');
    o.name = word();
    o.kind = o.name == "_" ? Operand::Sink : Operand::Name;
    if (eat('|')) o.parts.push_back(operand());
    return o;
  }

  // What follows the state space: [.align n] .type [.ptr [.space] [.align n]] name [sizes] [= initialiser]
  Variable variable(const std::string &space, bool named) {
    Variable v;
    v.space = space;
    v.line = now;
    std::string w = word();
    if (w == ".align") {
      v.align = integer();
      w = word();
    }
    int size = typeBytes(w.substr(1));
    if (w[0] != '.' || size <= 0) fail("type " + w);
    v.align = std::max<u32>(v.align, size);
    v.bytes = size;
    if (!named && skip() && (s[at] == ',' || s[at] == ')')) return v;
    w = word();
    if (w == ".ptr") {
      for (w = word(); w[0] == '.'; w = word())
        if (w == ".align")
          integer();
        else if (w != ".global" && w != ".shared" && w != ".const" && w != ".local")
          fail("pointer attribute " + w);
    }
    v.name = w;
    if (w[0] == '.') fail("attribute " + w);
    while (eat('[')) {
      if (eat(']')) {
        v.unsized = true;
        continue;
      }
      v.bytes *= integer();
      want(']');
    }
    if (v.unsized && (space != "shared" || !external)) fail("array without a size");
    if (external && !v.unsized) fail("variable of another module: " + v.name);
    if (eat('=')) initialiser(v, size);
    return v;
  }

  void initialiser(Variable &v, int size) {
    if (v.space != "global" && v.space != "const") fail("initialiser in ." + v.space);
    if (eat('{')) {
      if (eat('}')) return;
      do initialiser(v, size);
      while (eat(','));
      want('}');
      return;
    }
    if (skip() && !isdigit((unsigned char)s[at]) && s[at] != '-') fail("initialiser that is no number");
    Operand c = constant();
    if (c.kind == Operand::Float && c.bytes != size) fail("initialiser of another width");
    const u8 *p = (const u8 *)&c.bits;
    v.init.insert(v.init.end(), p, p + size);
    if (v.init.size() > v.bytes) fail("too many initialisers");
  }

  std::vector<Variable> params() {
    std::vector<Variable> list;
    want('(');
    if (eat(')')) return list;
    do {
      std::string w = word();
      if (w != ".param") fail("parameter in " + w);
      list.push_back(variable("param", false));
    } while (eat(','));
    want(')');
    return list;
  }

  void function(bool entry) {
    Function f;
    f.entry = entry;
    if (!entry && skip() && s[at] == '(') f.results = params();
    f.name = word();
    f.line = now;
    if (skip() && s[at] == '(') f.params = params();
    while (skip() && s[at] == '.') {
      std::string w = word();
      if (w == ".maxntid" || w == ".reqntid") {
        u32 n[3] = {1, 1, 1};
        int k = 0;
        do n[k++] = integer();
        while (k < 3 && eat(','));
        f.maxThreads = n[0] * n[1] * n[2];
        if (w == ".reqntid") std::copy(n, n + 3, f.required);
      } else if (w == ".minnctapersm" || w == ".maxnreg") {
        integer();
      } else if (w != ".noreturn") {
        fail("unknown directive " + w);
      }
    }
    if (!eat(';')) {
      f.defined = true;
      want('{');
      for (int depth = 1; depth;) {
        f.body.emplace_back(statement());
        depth += f.body.back().kind == Statement::Open;
        depth -= f.body.back().kind == Statement::Close;
      }
      f.body.pop_back();
    }
    module.functions.push_back(std::move(f));
  }

  Statement statement() {
    for (;;) {
      if (!skip()) fail("function without an end");
      Statement st{};
      st.line = now;
      if (eat('{')) return st.kind = Statement::Open, st;
      if (eat('}')) return st.kind = Statement::Close, st;
      if (eat(';')) continue;
      if (eat('@')) {
        st.guardNot = eat('!');
        st.guard = word();
      }
      std::string w = word();
      if (w == ".loc" || w == ".file") {
        line();
        continue;
      }
      if (w == ".pragma") {
        at = std::min(s.find(';', at), s.size());
        continue;
      }
      st.name = w;
      if (st.guard.empty() && eat(':')) return st.kind = Statement::Label, st;
      if (w == ".reg") {
        registers(st);
      } else if (w == ".local" || w == ".shared" || w == ".param") {
        st.kind = Statement::Declare;
        st.variable = variable(w.substr(1), true);
      } else if (w[0] == '.') {
        fail("unknown directive " + w);
      } else {
        st.kind = Statement::Instruction;
        if (!eat(';')) {
          do st.operands.push_back(operand());
          while (eat(','));
          want(';');
        }
        return st;
      }
      want(';');
      return st;
    }
  }

  // .reg .b32 %r<10>, %x;
  void registers(Statement &st) {
    st.kind = Statement::Register;
    std::string type = word();
    st.bytes = typeBytes(type.substr(1));
    if (type[0] != '.' || st.bytes < 0 || st.bytes == 1) fail("register type " + type);
    do {
      Operand o;
      o.name = word();
      o.bits = ~0ull;
      if (eat('<')) {
        o.bits = integer();
        want('>');
      }
      st.operands.push_back(o);
    } while (eat(','));
  }
};
}  // namespace

Module parse(const std::string &text) { return Parser(text).run(); }
}  // namespace emu
