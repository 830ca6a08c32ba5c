package tensor

import "math"

// The element-wise operations of Tape.
var (
	exprSub      = binaryExpr("sub", func(a, b Value) Value { return a.Sub(b) })
	exprMul      = binaryExpr("mul", func(a, b Value) Value { return a.Mul(b) })
	exprDiv      = binaryExpr("div", func(a, b Value) Value { return a.Div(b) })
	exprPow      = binaryExpr("pow", func(a, b Value) Value { return a.Pow(b) })
	exprMaximum  = binaryExpr("maximum", func(a, b Value) Value { return a.Max(b) })
	exprMinimum  = binaryExpr("minimum", func(a, b Value) Value { return a.Min(b) })
	exprLess     = binaryExpr("less", func(a, b Value) Value { return a.Less(b) })
	exprEqual    = binaryExpr("equal", func(a, b Value) Value { return a.Equal(b) })
	exprNeg      = unaryExpr("neg", Value.Neg)
	exprAbs      = unaryExpr("abs", Value.Abs)
	exprExp      = unaryExpr("exp", Value.Exp)
	exprLog      = unaryExpr("log", Value.Log)
	exprLog1p    = unaryExpr("log1p", Value.Log1p)
	exprSqrt     = unaryExpr("sqrt", Value.Sqrt)
	exprRsqrt    = unaryExpr("rsqrt", func(x Value) Value { return Const(1).Div(x.Sqrt()) })
	exprTanh     = unaryExpr("tanh", Value.Tanh)
	exprErf      = unaryExpr("erf", Value.Erf)
	exprSin      = unaryExpr("sin", Value.Sin)
	exprCos      = unaryExpr("cos", Value.Cos)
	exprSigmoid  = unaryExpr("sigmoid", Value.Sigmoid)
	exprReLU     = relu()
	exprSiLU     = unaryExpr("silu", func(x Value) Value { return x.Mul(x.Sigmoid()) })
	exprGELUTanh = unaryExpr("gelutanh", geluTanh)
	// exp of the smaller number, so that nothing overflows.
	exprSoftplus = unaryExpr("softplus", func(x Value) Value { return x.Max(Const(0)).Add(x.Abs().Neg().Exp().Log1p()) })
	exprWhere    = NewExpr("where", 3, func(in []Value) Value { return in[0].Where(in[1], in[2]) })
)

func unaryExpr(name string, f func(x Value) Value) *Expr {
	return NewExpr(name, 1, func(in []Value) Value { return f(in[0]) })
}

func binaryExpr(name string, f func(a, b Value) Value) *Expr {
	return NewExpr(name, 2, func(in []Value) Value { return f(in[0], in[1]) })
}

// relu is max(x, 0), which passes NaN on. Its gradient, as PyTorch's, is that of the
// result but where x <= 0: derived, it would be half of it at 0.
func relu() *Expr {
	e := unaryExpr("relu", func(x Value) Value { return x.Max(Const(0)) })
	e.gradients[0] = binaryExpr("relu gradient", func(x, dy Value) Value {
		return x.Max(Const(0)).Equal(Const(0)).Where(Const(0), dy)
	})
	return e
}

// geluTanh is the approximation of GELU by tanh (Hendrycks and Gimpel 2016).
func geluTanh(x Value) Value {
	cube := x.Mul(x).Mul(x)
	inner := x.Add(cube.Mul(Const(0.044715))).Mul(Const(float32(math.Sqrt(2 / math.Pi))))
	return x.Mul(Const(0.5)).Mul(inner.Tanh().Add(Const(1)))
}

// Sub returns a - b.
func (tp *Tape) Sub(a, b *Tensor) *Tensor { return tp.Map(exprSub, a, b) }

// Mul returns a * b, element by element.
func (tp *Tape) Mul(a, b *Tensor) *Tensor { return tp.Map(exprMul, a, b) }

// Div returns a / b.
func (tp *Tape) Div(a, b *Tensor) *Tensor { return tp.Map(exprDiv, a, b) }

// Pow returns a to the power of b.
func (tp *Tape) Pow(a, b *Tensor) *Tensor { return tp.Map(exprPow, a, b) }

// Maximum returns the greater of a and b, NaN where one is NaN. Where they are
// equal, each has half of the gradient.
func (tp *Tape) Maximum(a, b *Tensor) *Tensor { return tp.Map(exprMaximum, a, b) }

// Minimum returns the smaller of a and b, NaN where one is NaN. Where they are
// equal, each has half of the gradient.
func (tp *Tape) Minimum(a, b *Tensor) *Tensor { return tp.Map(exprMinimum, a, b) }

// Less returns a mask: 1 where a < b, else 0. It has no gradient.
func (tp *Tape) Less(a, b *Tensor) *Tensor { return tp.Map(exprLess, a, b) }

// Equal returns a mask: 1 where a == b, else 0. It has no gradient.
func (tp *Tape) Equal(a, b *Tensor) *Tensor { return tp.Map(exprEqual, a, b) }

// Where returns a where mask is not 0, else b.
func (tp *Tape) Where(mask, a, b *Tensor) *Tensor { return tp.Map(exprWhere, mask, a, b) }

// Neg returns -x.
func (tp *Tape) Neg(x *Tensor) *Tensor { return tp.Map(exprNeg, x) }

// Abs returns |x|. The gradient at 0 is 0.
func (tp *Tape) Abs(x *Tensor) *Tensor { return tp.Map(exprAbs, x) }

// Exp returns e to the power of x.
func (tp *Tape) Exp(x *Tensor) *Tensor { return tp.Map(exprExp, x) }

// Log returns the natural logarithm of x.
func (tp *Tape) Log(x *Tensor) *Tensor { return tp.Map(exprLog, x) }

// Log1p returns log(1 + x), exact for small x, too.
func (tp *Tape) Log1p(x *Tensor) *Tensor { return tp.Map(exprLog1p, x) }

// Sqrt returns the square root of x.
func (tp *Tape) Sqrt(x *Tensor) *Tensor { return tp.Map(exprSqrt, x) }

// Rsqrt returns 1 over the square root of x.
func (tp *Tape) Rsqrt(x *Tensor) *Tensor { return tp.Map(exprRsqrt, x) }

// Tanh returns the hyperbolic tangent of x.
func (tp *Tape) Tanh(x *Tensor) *Tensor { return tp.Map(exprTanh, x) }

// Erf returns the error function of x.
func (tp *Tape) Erf(x *Tensor) *Tensor { return tp.Map(exprErf, x) }

// Sin returns the sine of x, in radians.
func (tp *Tape) Sin(x *Tensor) *Tensor { return tp.Map(exprSin, x) }

// Cos returns the cosine of x, in radians.
func (tp *Tape) Cos(x *Tensor) *Tensor { return tp.Map(exprCos, x) }

// Sigmoid returns 1/(1 + exp(-x)).
func (tp *Tape) Sigmoid(x *Tensor) *Tensor { return tp.Map(exprSigmoid, x) }

// ReLU returns max(x, 0). The gradient at 0 is 0.
func (tp *Tape) ReLU(x *Tensor) *Tensor { return tp.Map(exprReLU, x) }

// SiLU returns x*Sigmoid(x).
func (tp *Tape) SiLU(x *Tensor) *Tensor { return tp.Map(exprSiLU, x) }

// GELUTanh returns the approximation of GELU by tanh.
func (tp *Tape) GELUTanh(x *Tensor) *Tensor { return tp.Map(exprGELUTanh, x) }

// Softplus returns log(1 + exp(x)).
func (tp *Tape) Softplus(x *Tensor) *Tensor { return tp.Map(exprSoftplus, x) }
