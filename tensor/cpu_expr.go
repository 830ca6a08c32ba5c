package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// evaluate carries out the code of an expression on slices of equal length: the
// registers. The last instruction, which makes the result, writes to out; out can
// be an input.
func evaluate(code []Instruction, result uint8, registers *[maxRegisters][]float32, out []float32) {
	if len(code) == 0 {
		copy(out, registers[result])
		return
	}
	for i := range code {
		in := &code[i]
		dst := registers[in.To]
		if i == len(code)-1 {
			dst = out
		}
		compute(in, dst, registers[in.A], registers[in.B], registers[in.C])
	}
}

// compute carries out an instruction. dst can be an operand.
func compute(in *Instruction, dst, a, b, c []float32) {
	switch in.Op {
	case OpConst:
		fillFloats(dst, in.Value)
	case OpAdd:
		asm.Add(dst, a, b)
	case OpSub:
		asm.Sub(dst, a, b)
	case OpMul:
		asm.Mul(dst, a, b)
	case OpDiv:
		asm.Div(dst, a, b)
	case OpMax:
		asm.Maximum(dst, a, b)
	case OpMin:
		asm.Minimum(dst, a, b)
	case OpPow:
		b = b[:len(dst)]
		for i, x := range a[:len(dst)] {
			dst[i] = float32(math.Pow(float64(x), float64(b[i])))
		}
	case OpLess:
		asm.Less(dst, a, b)
	case OpEqual:
		asm.Equal(dst, a, b)
	case OpNeg:
		asm.Scale(dst, -1, a)
	case OpAbs:
		asm.Abs(dst, a)
	case OpSqrt:
		asm.Sqrt(dst, a)
	case OpExp:
		asm.Exp(dst, a)
	case OpLog:
		asm.Log(dst, a)
	case OpLog1p:
		asm.Log1p(dst, a)
	case OpTanh:
		asm.Tanh(dst, a)
	case OpErf:
		asm.Erf(dst, a)
	case OpSin:
		asm.Sin(dst, a)
	case OpCos:
		asm.Cos(dst, a)
	case OpWhere:
		asm.Where(dst, a, b, c)
	}
}

// scalarCode reports whether computeScalar has the code: an operation on two inputs.
func scalarCode(code []Instruction, registers int) bool {
	if len(code) != 1 || code[0].A != 0 || code[0].B != 1 || registers > 3 {
		return false
	}
	return code[0].Op == OpAdd || code[0].Op == OpSub || code[0].Op == OpMul
}

// computeScalar carries out an operation whose second operand, or the first, is a
// number. A product by 1 or -1 is exact, so that the bits are those of compute.
func computeScalar(op ExprOp, dst, x []float32, v float32, first bool) {
	switch {
	case op == OpMul:
		asm.Scale(dst, v, x)
	case op == OpAdd:
		asm.Affine(dst, 1, x, v)
	case first:
		asm.Affine(dst, -1, x, v)
	default:
		asm.Affine(dst, 1, x, -v)
	}
}

// fillFloats sets all elements to v.
func fillFloats(dst []float32, v float32) {
	first := min(len(dst), 16)
	for i := range dst[:first] {
		dst[i] = v
	}
	for n := first; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}
