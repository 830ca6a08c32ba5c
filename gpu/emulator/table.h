// Which handler runs an instruction. A name stands in the table with all its modifiers, or it is unknown.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "machine.h"

namespace emu {
// Operands, in order, separated by blanks:
//   h w d  registers of 16, 32, 64 bits, or constants      p  predicate to write      q  predicate to read, or !p
//   bN     a register for a value of N bytes, or wider     m  address in brackets
//   cN|M   one of these constants; c: any
//   W P    w or p, with an optional second predicate: a|p. It takes two slots
// A number before a letter: so many in braces. A ? after it: may be left out. The first is the result, unless a colon
// comes before it.
struct Op {
  Handler run;
  std::string operands;
  Flow flow = Flow::Plain;
  int member = -1;  // slot of the member mask
  Space space = Space::Generic;
  Access access = Access::Read;
  int bytes = 4;  // of the smallest part that is accessed
};
using Table = std::unordered_map<std::string, Op>;

// Adds an instruction, whose name is the parts in a row.
struct Made {
  Handler run;
  std::string_view operands;
};
void define(Table &, std::initializer_list<std::string_view> name, Made, Flow = Flow::Plain, int member = -1,
            Space = Space::Generic);

void addIntegers(Table &);
void addFloats(Table &);
void addConversions(Table &);
void addWarps(Table &);

// Names of the table that no module can have: mov with a vector on one side.
//   "mov.b64 2<-1" takes a register apart into two, "mov.b64 1<-2" puts two together.

// Instructions with too many modifiers for a table: ld, st, atom, red, cp.async. False: not one of them, or unknown.
bool memoryOp(const std::string &name, Op &);

// Virtual registers, before they have a place. The slots o of an Ins hold 2 * number, + 1 for the opposite of a
// predicate.
struct Virtual {
  enum Kind { Plain, Constant, Special } kind;
  int bytes;     // 0: a predicate
  u64 bits = 0;  // of a constant
  std::string name;
  u32 at = 0;  // its place
};
// Places for the registers; results[i] is how many slots the i-th instruction writes, the others it reads.
void place(Kernel &, std::vector<Virtual> &, const std::vector<u8> &results);
}  // namespace emu
