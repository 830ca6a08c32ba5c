package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// directMap is a Map of at most one operation on operands that are all adjacent along
// the innermost dimension, or one number there: each run of elements is one call of a
// kernel, from the operands to the result.
type directMap struct {
	in     Instruction // OpConst, which a Map of one operation has not: copies A
	from   [3]int      // operands of the nest for A, B and C
	scalar int         // which of them is one number: 0 or 1; -1: none
	value  float32     // of the scalar if it is a constant
	cons   bool
}

// planDirect reports whether a Map can be computed so, and how.
func (a *mapArgs) planDirect() bool {
	inner := a.nest.rank - 1
	size, strides := a.nest.size[inner], &a.nest.strides[inner]
	least := minDirect
	if len(a.code) == 0 {
		least = minCopied
	}
	if a.accumulate || len(a.code) > 1 || size > 1 && strides[0] != 1 || a.nest.rank > 1 && size < least {
		return false
	}
	d := &a.one
	*d = directMap{in: Instruction{Op: OpConst, A: a.result}, scalar: -1}
	operands := 1
	if len(a.code) == 1 {
		d.in = a.code[0]
		operands = d.in.Op.operands()
	}
	registers := [3]uint8{d.in.A, d.in.B, d.in.C}
	if a.stream && (operands == 1 && len(a.code) == 1 && unaryKernels[d.in.Op][1] == nil || d.in.Op == OpPow) {
		return false
	}
	for i, register := range registers[:operands] {
		constant := int(register) >= a.inputs
		if !constant && (strides[register+1] == 1 || size == 1) {
			d.from[i] = int(register) + 1
			continue
		}
		if !constant && strides[register+1] != 0 || d.scalar >= 0 || !withScalar(d.in.Op) {
			return false
		}
		if d.scalar = i; constant {
			d.cons, d.value = true, a.constantOf(register)
		} else {
			d.from[i] = int(register) + 1
		}
	}
	return true
}

// withScalar reports whether applyScalar has an operation.
func withScalar(op ExprOp) bool {
	return op == OpAdd || op == OpSub || op == OpMul || op == OpMax || op == OpMin
}

// constantOf returns the constant in a register.
func (a *mapArgs) constantOf(register uint8) float32 {
	for _, c := range a.constants {
		if c.To == register {
			return c.Value
		}
	}
	panic("map: a register without a value")
}

// doDirect computes the elements lo to hi.
func (a *mapArgs) doDirect(lo, hi int) {
	d, streamed := &a.one, 0
	if a.stream {
		streamed = 1
	}
	operands := d.in.Op.operands()
	unary, binary := unaryKernels[d.in.Op%OpWhere][streamed], binaryKernels[d.in.Op%OpWhere][streamed]
	var p position
	a.nest.seek(&p, lo)
	for {
		if rows := a.nest.rows(&p, hi-lo); rows > 1 && operands == 0 && !a.stream {
			inner := a.nest.rank - 1
			size, outer, from := a.nest.size[inner], &a.nest.strides[inner-1], d.from[0]
			asm.CopyRows(a.operands[0][p.at[0]:], outer[0], a.operands[from][p.at[from]:], outer[from], rows, size)
			if lo += rows * size; lo == hi {
				return
			}
			a.nest.advanceRows(&p, rows)
			continue
		}
		n := a.nest.run(&p, hi-lo)
		dst := a.operands[0][p.at[0]:][:n]
		x := a.operands[d.from[0]][p.at[d.from[0]]:]
		y := a.operands[d.from[1]][p.at[d.from[1]]:]
		switch {
		case d.scalar >= 0:
			a.applyScalar(dst, x, y)
		case operands == 1:
			unary(dst, x[:n])
		case operands == 2:
			binary(dst, x[:n], y[:n])
		case operands == 0 && a.stream:
			asm.CopyStream(dst, x[:n])
		case operands == 0:
			copy(dst, x)
		case a.stream:
			asm.WhereStream(dst, x[:n], y[:n], a.operands[d.from[2]][p.at[d.from[2]]:][:n])
		default:
			asm.Where(dst, x[:n], y[:n], a.operands[d.from[2]][p.at[d.from[2]]:][:n])
		}
		if lo += n; lo == hi {
			return
		}
		a.nest.advance(&p, n)
	}
}

// applyScalar carries out an operation of which x, or y, begins with the number that
// is the operand. A product by 1 or -1 is exact, so that the bits are those of compute.
func (a *mapArgs) applyScalar(dst, x, y []float32) {
	d, first := &a.one, a.one.scalar == 0
	if first {
		x, y = y, x
	}
	x = x[:len(dst)]
	v := d.value
	if !d.cons {
		v = y[0]
	}
	scale, affine, clamp := asm.Scale, asm.Affine, asm.Clamp
	if a.stream {
		scale, affine, clamp = asm.ScaleStream, asm.AffineStream, asm.ClampStream
	}
	switch op := d.in.Op; {
	case op == OpMul:
		scale(dst, v, x)
	case op == OpAdd || v != v:
		affine(dst, 1, x, v)
	case op == OpSub && first:
		affine(dst, -1, x, v)
	case op == OpSub:
		affine(dst, 1, x, -v)
	case op == OpMax:
		clamp(dst, x, v, float32(math.Inf(1)))
	default:
		clamp(dst, x, float32(math.Inf(-1)), v)
	}
}
