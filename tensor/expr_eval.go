package tensor

import "math"

// Eval computes the expression of some numbers in float64. It is the specification
// that backends are tested against.
func (e *Expr) Eval(in []float64) float64 {
	var r [maxRegisters]float64
	copy(r[:], in)
	for _, c := range e.code {
		a, b := r[c.A], r[c.B]
		var y float64
		switch c.Op {
		case OpConst:
			y = float64(c.Value)
		case OpAdd:
			y = a + b
		case OpSub:
			y = a - b
		case OpMul:
			y = a * b
		case OpDiv:
			y = a / b
		case OpMax:
			y = max(a, b)
		case OpMin:
			y = min(a, b)
		case OpPow:
			y = math.Pow(a, b)
		case OpLess:
			y = float64(truth(a < b))
		case OpEqual:
			y = float64(truth(a == b))
		case OpNeg:
			y = -a
		case OpAbs:
			y = math.Abs(a)
		case OpSqrt:
			y = math.Sqrt(a)
		case OpExp:
			y = math.Exp(a)
		case OpLog:
			y = math.Log(a)
		case OpLog1p:
			y = math.Log1p(a)
		case OpTanh:
			y = math.Tanh(a)
		case OpErf:
			y = math.Erf(a)
		case OpSigmoid:
			y = 1 / (1 + math.Exp(-a))
		case OpSin:
			y = math.Sin(a)
		case OpCos:
			y = math.Cos(a)
		case OpWhere:
			if y = b; a == 0 {
				y = r[c.C]
			}
		}
		r[c.To] = y
	}
	return r[e.result]
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}
