// The text of a PTX module as a tree: parse makes it, decode reads it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace emu {
using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i8 = int8_t;
using i16 = int16_t;
using i32 = int32_t;
using i64 = int64_t;

// What is wrong with a module, and where. Nothing unknown gets past cuModuleLoadData.
struct Error {
  int line;
  std::string what;
};

struct Operand {
  enum Kind { Name, Int, Float, Memory, Vector, List, Sink } kind = Sink;
  std::string name;            // Name: register, variable, label; Memory: its base, empty for a number
  u64 bits = 0;                // Int, Float: the value; Memory: the offset
  int bytes = 0;               // Float: 4 or 8
  bool negated = false;        // !p
  std::vector<Operand> parts;  // {a, b}, (a, b); the q of p|q
};

struct Variable {
  std::string space, name;  // space without its dot
  u32 align = 1;
  u64 bytes = 0;
  bool unsized = false;  // name[], the dynamic shared memory
  std::vector<u8> init;  // shorter than bytes: zeros follow
  int line = 0;
};

struct Statement {
  enum Kind { Instruction, Label, Open, Close, Register, Declare } kind;
  int line;
  std::string name;  // opcode with its modifiers; label; register
  std::vector<Operand> operands;
  std::string guard;  // @p
  bool guardNot = false;
  int bytes = 0;  // Register: width, 0 for a predicate; bits of each operand is the n of %r<n>, or ~0
  Variable variable;
};

struct Function {
  bool entry = false, defined = false;
  std::string name;
  int line = 0;
  std::vector<Variable> results, params;
  std::vector<Statement> body;
  u32 maxThreads = 1024;
  u32 required[3] = {0, 0, 0};  // .reqntid
};

struct Module {
  std::vector<std::string> lines;
  std::vector<Variable> variables;
  std::vector<Function> functions;
};

Module parse(const std::string &text);

// Width of a type in bytes, 0 for "pred", -1 for what is no type.
int typeBytes(const std::string &type);
}  // namespace emu
