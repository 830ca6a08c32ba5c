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

// The kernels of operations of one and of two operands, and those that write past the
// caches, where there are. dst can be an operand.
var (
	unaryKernels = [OpWhere][2]func(dst, x []float32){
		OpNeg:     {func(dst, x []float32) { asm.Scale(dst, -1, x) }, func(dst, x []float32) { asm.ScaleStream(dst, -1, x) }},
		OpAbs:     {asm.Abs, asm.AbsStream},
		OpSqrt:    {asm.Sqrt, asm.SqrtStream},
		OpExp:     {asm.Exp},
		OpLog:     {asm.Log},
		OpLog1p:   {asm.Log1p},
		OpTanh:    {asm.Tanh},
		OpErf:     {asm.Erf},
		OpSigmoid: {asm.Sigmoid},
		OpSin:     {asm.Sin},
		OpCos:     {asm.Cos},
	}
	binaryKernels = [OpWhere][2]func(dst, a, b []float32){
		OpAdd:   {asm.Add, asm.AddStream},
		OpSub:   {asm.Sub, asm.SubStream},
		OpMul:   {asm.Mul, asm.MulStream},
		OpDiv:   {asm.Div, asm.DivStream},
		OpMax:   {asm.Maximum, asm.MaximumStream},
		OpMin:   {asm.Minimum, asm.MinimumStream},
		OpPow:   {pow},
		OpLess:  {asm.Less, asm.LessStream},
		OpEqual: {asm.Equal, asm.EqualStream},
	}
)

func pow(dst, a, b []float32) {
	b = b[:len(dst)]
	for i, x := range a[:len(dst)] {
		dst[i] = float32(math.Pow(float64(x), float64(b[i])))
	}
}

// compute carries out an instruction. dst can be an operand.
func compute(in *Instruction, dst, a, b, c []float32) {
	switch in.Op.operands() {
	case 0:
		fillFloats(dst, in.Value)
	case 1:
		unaryKernels[in.Op][0](dst, a)
	case 2:
		binaryKernels[in.Op][0](dst, a, b)
	default:
		asm.Where(dst, a, b, c)
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
