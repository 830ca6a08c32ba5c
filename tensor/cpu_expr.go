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
		for i := range dst {
			dst[i] = in.Value
		}
	case OpAdd:
		asm.Add(dst, a, b)
	case OpExp:
		asm.Exp(dst, a)
	case OpTanh:
		asm.Tanh(dst, a)
	case OpErf:
		asm.Erf(dst, a)
	case OpWhere:
		where(dst, a, b[:len(dst)], c[:len(dst)])
	default:
		if in.Op.operands() == 2 {
			binary(in.Op, dst, a[:len(dst)], b[:len(dst)])
		} else {
			unary(in.Op, dst, a[:len(dst)])
		}
	}
}

func where(dst, a, b, c []float32) {
	for i, x := range a {
		if x != 0 {
			dst[i] = b[i]
		} else {
			dst[i] = c[i]
		}
	}
}

func binary(op ExprOp, dst, a, b []float32) {
	switch op {
	case OpSub:
		for i, x := range a {
			dst[i] = x - b[i]
		}
	case OpMul:
		for i, x := range a {
			dst[i] = x * b[i]
		}
	case OpDiv:
		for i, x := range a {
			dst[i] = x / b[i]
		}
	case OpMax:
		for i, x := range a {
			dst[i] = max(x, b[i])
		}
	case OpMin:
		for i, x := range a {
			dst[i] = min(x, b[i])
		}
	case OpPow:
		for i, x := range a {
			dst[i] = float32(math.Pow(float64(x), float64(b[i])))
		}
	case OpLess:
		for i, x := range a {
			dst[i] = truth(x < b[i])
		}
	case OpEqual:
		for i, x := range a {
			dst[i] = truth(x == b[i])
		}
	}
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

func unary(op ExprOp, dst, a []float32) {
	switch op {
	case OpNeg:
		for i, x := range a {
			dst[i] = -x
		}
	case OpAbs:
		for i, x := range a {
			dst[i] = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
		}
	case OpSqrt:
		for i, x := range a {
			dst[i] = float32(math.Sqrt(float64(x)))
		}
	case OpLog:
		each(dst, a, math.Log)
	case OpLog1p:
		each(dst, a, math.Log1p)
	case OpSin:
		each(dst, a, math.Sin)
	case OpCos:
		each(dst, a, math.Cos)
	}
}

// each computes a function in float64.
func each(dst, a []float32, f func(float64) float64) {
	for i, x := range a {
		dst[i] = float32(f(float64(x)))
	}
}
