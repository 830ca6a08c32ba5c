package tensor

import (
	"fmt"
	"math"
	"slices"
)

// Expr is an expression of a few numbers, such as 1/(1 + exp(-x)), that Tape.Map
// computes element by element. All of it is one pass over memory, and its
// gradient is an expression too, which NewExpr derives. The element-wise
// operations of Tape are expressions; a program can make its own. Expressions
// are immutable: make one once and use it everywhere.
type Expr struct {
	name      string
	inputs    int
	code      []Instruction
	registers int // numbers that code works with at a time, inputs among them
	result    uint8
	gradients []*Expr // by each input, of the inputs and of the gradient of the result; nil where it is zero
}

// Instruction is a step of an expression for backends: register To becomes Op of
// registers A, B and C, as many as Op has operands, or Value if Op is OpConst.
// The inputs are in the first registers; no instruction writes to them. The
// constants are the first instructions; no other writes to their registers.
type Instruction struct {
	Op          ExprOp
	To, A, B, C uint8
	Value       float32
}

// ExprOp is an operation on numbers.
type ExprOp uint8

// The operations of expressions.
const (
	OpConst ExprOp = iota // Value
	OpAdd                 // a + b
	OpSub                 // a - b
	OpMul                 // a * b
	OpDiv                 // a / b
	OpMax                 // the greater one; NaN if one is
	OpMin                 // the smaller one; NaN if one is
	OpPow                 // a to the power of b
	OpLess                // 1 if a < b, else 0
	OpEqual               // 1 if a == b, else 0
	OpNeg                 // -a
	OpAbs                 // |a|
	OpSqrt
	OpExp
	OpLog
	OpLog1p
	OpTanh
	OpErf
	OpSigmoid
	OpSin
	OpCos
	OpWhere // b where a is not 0, else c
)

// operands returns how many operands an operation has.
func (op ExprOp) operands() int {
	switch {
	case op == OpConst:
		return 0
	case op <= OpEqual:
		return 2
	case op < OpWhere:
		return 1
	}
	return 3
}

// MaxExprInputs and maxRegisters bound an expression.
const (
	MaxExprInputs = 6
	maxRegisters  = 32
)

// Value is a number in an expression that NewExpr makes.
type Value struct {
	b    *exprBuilder // nil for a constant
	at   int          // its number
	cons float32
}

// Const returns a constant for expressions.
func Const(value float32) Value { return Value{cons: value} }

// NewExpr returns the expression that f makes of the given number of inputs. It
// is for package variables: it derives the gradients, too. It panics if the
// expression is too large.
func NewExpr(name string, inputs int, f func(in []Value) Value) *Expr {
	b := newExprBuilder(name, inputs)
	result := b.own(f(b.inputs()))
	e := b.compile(result)
	for i := range inputs {
		e.gradients = append(e.gradients, b.gradient(result, i))
	}
	return e
}

// Name returns the name of the expression, for messages.
func (e *Expr) Name() string { return e.name }

// Inputs returns the number of inputs.
func (e *Expr) Inputs() int { return e.inputs }

// Code returns the instructions, the number of registers that they use, and the
// register in which the result is at the end. It is for backends, which must not
// change the code.
func (e *Expr) Code() (code []Instruction, registers int, result uint8) {
	return e.code, e.registers, e.result
}

// exprBuilder makes an expression. Values are numbered: the inputs, then the
// results of nodes in the order in which they were made.
type exprBuilder struct {
	name  string
	n     int // inputs
	nodes []exprNode
}

type exprNode struct {
	op    ExprOp
	in    [3]int
	value float32
}

func newExprBuilder(name string, inputs int) *exprBuilder {
	if inputs < 1 || inputs > MaxExprInputs {
		panic(fmt.Sprintf("expression %s of %d inputs, want 1 to %d", name, inputs, MaxExprInputs))
	}
	return &exprBuilder{name: name, n: inputs}
}

func (b *exprBuilder) inputs() []Value {
	in := make([]Value, b.n)
	for i := range in {
		in[i] = Value{b: b, at: i}
	}
	return in
}

// own returns a value as one of the builder's.
func (b *exprBuilder) own(v Value) Value {
	if v.b == nil {
		return b.add(exprNode{op: OpConst, value: v.cons})
	}
	if v.b != b {
		panic("expression " + b.name + ": a value of another expression")
	}
	return v
}

// add returns the value of a node, which is made unless there is an equal one.
func (b *exprBuilder) add(n exprNode) Value {
	same := func(m exprNode) bool {
		return m.op == n.op && m.in == n.in && math.Float32bits(m.value) == math.Float32bits(n.value)
	}
	i := slices.IndexFunc(b.nodes, same)
	if i < 0 {
		i = len(b.nodes)
		b.nodes = append(b.nodes, n)
	}
	return Value{b: b, at: b.n + i}
}

// constant tells whether a value is a constant, and which.
func (b *exprBuilder) constant(v Value) (float32, bool) {
	if v.b == nil {
		return v.cons, true
	}
	if v.at >= b.n && b.nodes[v.at-b.n].op == OpConst {
		return b.nodes[v.at-b.n].value, true
	}
	return 0, false
}

// apply returns op of values, of which at least one is no constant.
func apply(op ExprOp, in ...Value) Value {
	var b *exprBuilder
	for _, v := range in {
		if v.b != nil {
			b = v.b
		}
	}
	if b == nil {
		panic("expression: an operation on constants alone")
	}
	if v, ok := b.simplify(op, in); ok {
		return v
	}
	n := exprNode{op: op}
	for i, v := range in {
		n.in[i] = b.own(v).at
	}
	return b.add(n)
}

// simplify returns the result of an operation that leaves an operand as it is.
// Gradients are full of them.
func (b *exprBuilder) simplify(op ExprOp, in []Value) (Value, bool) {
	if len(in) != 2 {
		return Value{}, false
	}
	x, xConst := b.constant(in[0])
	y, yConst := b.constant(in[1])
	switch {
	case op == OpMul && xConst && x == 1:
		return in[1], true
	case (op == OpMul || op == OpDiv) && yConst && y == 1:
		return in[0], true
	}
	return Value{}, false
}

// gradient returns the expression of the gradient of a result by input i, whose
// inputs are those of b and the gradient of the result; nil if it is zero.
func (b *exprBuilder) gradient(result Value, i int) *Expr {
	d := &exprBuilder{name: b.name + " gradient", n: b.n + 1}
	at := func(v int) Value { // the value of d for number v of b
		if v >= b.n {
			v++
		}
		return Value{b: d, at: v}
	}
	for _, n := range b.nodes {
		for k := range n.op.operands() {
			n.in[k] = at(n.in[k]).at
		}
		d.nodes = append(d.nodes, n)
	}
	adjoints := make([]*Value, b.n+len(b.nodes))
	adjoints[result.at] = &Value{b: d, at: b.n}
	addTo := func(v int, g Value) {
		if adjoints[v] != nil {
			g = adjoints[v].Add(g)
		}
		adjoints[v] = &g
	}
	for k := len(b.nodes) - 1; k >= 0; k-- {
		if g := adjoints[b.n+k]; g != nil {
			differentiate(b.nodes[k], at, at(b.n+k), *g, addTo)
		}
	}
	if adjoints[i] == nil {
		return nil
	}
	return d.compile(*adjoints[i])
}

// compile returns the expression of a result. It leaves out what the result does
// not depend on, and uses registers again whose numbers are not needed any more.
func (b *exprBuilder) compile(result Value) *Expr {
	result = b.own(result)
	last := make([]int, b.n+len(b.nodes)) // node that reads a number last; -1: none
	for i := range last {
		last[i] = -1
	}
	last[result.at] = len(b.nodes)
	for k := len(b.nodes) - 1; k >= 0; k-- {
		if last[b.n+k] < 0 {
			continue // not needed
		}
		for _, v := range b.nodes[k].in[:b.nodes[k].op.operands()] {
			last[v] = max(last[v], k)
		}
	}
	e := &Expr{name: b.name, inputs: b.n, registers: b.n}
	register := make([]uint8, len(last))
	for i := range b.n {
		register[i] = uint8(i)
	}
	newRegister := func() uint8 {
		if e.registers == maxRegisters {
			panic(fmt.Sprintf("expression %s needs more than %d registers", b.name, maxRegisters))
		}
		e.registers++
		return uint8(e.registers - 1)
	}
	constant := func(v int) bool { return v >= b.n && b.nodes[v-b.n].op == OpConst }
	// Constants come first and keep their registers, so that a backend can set them
	// once for many elements.
	for k, n := range b.nodes {
		if n.op == OpConst && last[b.n+k] >= 0 {
			register[b.n+k] = newRegister()
			e.code = append(e.code, Instruction{Op: OpConst, To: register[b.n+k], Value: n.value})
		}
	}
	var free []uint8
	for k, n := range b.nodes {
		if last[b.n+k] < 0 || n.op == OpConst {
			continue
		}
		// An operand's register may take the result: instructions go element by element.
		var operands [3]uint8
		for i, v := range n.in[:n.op.operands()] {
			operands[i] = register[v]
			if v >= b.n && last[v] == k && !constant(v) && !slices.Contains(free, register[v]) {
				free = append(free, register[v])
			}
		}
		if len(free) == 0 {
			free = append(free, newRegister())
		}
		to := free[len(free)-1]
		free = free[:len(free)-1]
		register[b.n+k] = to
		e.code = append(e.code, Instruction{n.op, to, operands[0], operands[1], operands[2], n.value})
	}
	e.result = register[result.at]
	return e
}

// differentiate adds the gradients of a node's operands, given the value y of the
// node and the gradient g of y. Comparisons have none. Where an operation has a
// kink, both sides have half of the gradient, as in PyTorch.
func differentiate(n exprNode, at func(int) Value, y, g Value, addTo func(v int, g Value)) {
	a, b, c := n.in[0], n.in[1], n.in[2]
	x := at(a)
	switch n.op {
	case OpAdd:
		addTo(a, g)
		addTo(b, g)
	case OpSub:
		addTo(a, g)
		addTo(b, g.Neg())
	case OpMul:
		addTo(a, g.Mul(at(b)))
		addTo(b, g.Mul(x))
	case OpDiv:
		q := g.Div(at(b))
		addTo(a, q)
		addTo(b, q.Mul(y).Neg())
	case OpMax, OpMin:
		aWins, bWins := at(b).Less(x), x.Less(at(b))
		if n.op == OpMin {
			aWins, bWins = bWins, aWins
		}
		half := x.Equal(at(b)).Mul(Const(0.5))
		addTo(a, g.Mul(aWins.Add(half)))
		addTo(b, g.Mul(bWins.Add(half)))
	case OpPow:
		// Without the cases, 0 to the power of 0 would have the gradients 0*Inf.
		power := at(b)
		addTo(a, g.Mul(power.Equal(Const(0)).Where(Const(0), power.Mul(x.Pow(power.Sub(Const(1)))))))
		addTo(b, g.Mul(x.Equal(Const(0)).Where(Const(0), y.Mul(x.Log()))))
	case OpNeg:
		addTo(a, g.Neg())
	case OpAbs:
		addTo(a, g.Mul(Const(0).Less(x).Sub(x.Less(Const(0)))))
	case OpSqrt:
		addTo(a, g.Mul(Const(0.5)).Div(y))
	case OpExp:
		addTo(a, g.Mul(y))
	case OpLog:
		addTo(a, g.Div(x))
	case OpLog1p:
		addTo(a, g.Div(x.Add(Const(1))))
	case OpTanh:
		addTo(a, g.Sub(g.Mul(y).Mul(y)))
	case OpErf:
		addTo(a, g.Mul(x.Mul(x).Neg().Exp()).Mul(Const(float32(2/math.SqrtPi))))
	case OpSigmoid:
		addTo(a, g.Mul(y).Mul(Const(1).Sub(y)))
	case OpSin:
		addTo(a, g.Mul(x.Cos()))
	case OpCos:
		addTo(a, g.Mul(x.Sin()).Neg())
	case OpWhere:
		addTo(b, x.Where(g, Const(0)))
		addTo(c, x.Where(Const(0), g))
	}
}

// Add returns v + w.
func (v Value) Add(w Value) Value { return apply(OpAdd, v, w) }

// Sub returns v - w.
func (v Value) Sub(w Value) Value { return apply(OpSub, v, w) }

// Mul returns v * w.
func (v Value) Mul(w Value) Value { return apply(OpMul, v, w) }

// Div returns v / w.
func (v Value) Div(w Value) Value { return apply(OpDiv, v, w) }

// Max returns the greater of v and w, or NaN if one is NaN.
func (v Value) Max(w Value) Value { return apply(OpMax, v, w) }

// Min returns the smaller of v and w, or NaN if one is NaN.
func (v Value) Min(w Value) Value { return apply(OpMin, v, w) }

// Pow returns v to the power of w.
func (v Value) Pow(w Value) Value { return apply(OpPow, v, w) }

// Less returns 1 where v < w, else 0.
func (v Value) Less(w Value) Value { return apply(OpLess, v, w) }

// Equal returns 1 where v == w, else 0.
func (v Value) Equal(w Value) Value { return apply(OpEqual, v, w) }

// Neg returns -v.
func (v Value) Neg() Value { return apply(OpNeg, v) }

// Abs returns |v|.
func (v Value) Abs() Value { return apply(OpAbs, v) }

// Sqrt returns the square root of v.
func (v Value) Sqrt() Value { return apply(OpSqrt, v) }

// Exp returns e to the power of v.
func (v Value) Exp() Value { return apply(OpExp, v) }

// Log returns the natural logarithm of v.
func (v Value) Log() Value { return apply(OpLog, v) }

// Log1p returns log(1 + v), which is exact for small v, too.
func (v Value) Log1p() Value { return apply(OpLog1p, v) }

// Tanh returns the hyperbolic tangent of v.
func (v Value) Tanh() Value { return apply(OpTanh, v) }

// Erf returns the error function of v.
func (v Value) Erf() Value { return apply(OpErf, v) }

// Sigmoid returns 1/(1 + exp(-v)).
func (v Value) Sigmoid() Value { return apply(OpSigmoid, v) }

// Sin returns the sine of v, in radians.
func (v Value) Sin() Value { return apply(OpSin, v) }

// Cos returns the cosine of v, in radians.
func (v Value) Cos() Value { return apply(OpCos, v) }

// Where returns w where v is not 0, else otherwise.
func (v Value) Where(w, otherwise Value) Value { return apply(OpWhere, v, w, otherwise) }
