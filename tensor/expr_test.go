package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// eval computes an expression in float64, instruction by instruction.
func (e *Expr) eval(in []float64) float64 {
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

var allExprs = []*Expr{
	exprSub, exprMul, exprDiv, exprPow, exprMaximum, exprMinimum, exprLess, exprEqual, exprNeg, exprAbs, exprExp, exprLog,
	exprLog1p, exprSqrt, exprRsqrt, exprTanh, exprErf, exprSin, exprCos, exprSigmoid, exprReLU, exprSiLU, exprGELUTanh,
	exprSoftplus, exprWhere,
}

// The gradients that NewExpr derives are those by differences, in float64.
func TestExprGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, e := range allExprs {
		for range 50 {
			in := make([]float64, e.inputs)
			for i := range in {
				in[i] = rng.Float64()*3 + 0.1
				if e != exprPow && e != exprLog && e != exprSqrt && e != exprRsqrt && e != exprLog1p && rng.IntN(2) == 0 {
					in[i] = -in[i]
				}
			}
			for i := range in {
				const h = 1e-6
				x := in[i]
				in[i] = x + h
				high := e.eval(in)
				in[i] = x - h
				low := e.eval(in)
				in[i] = x
				want := (high - low) / (2 * h) * 0.7
				got := 0.0
				if g := e.gradients[i]; g != nil {
					got = g.eval(append(in[:len(in):len(in)], 0.7))
				}
				if math.Abs(got-want) > 1e-7*max(1, math.Abs(want)) {
					t.Errorf("%s%v: gradient by input %d is %v, by differences %v", e.name, in, i, got, want)
				}
			}
		}
	}
}

// operand returns a tensor of some values that is broadcast to shape, with
// strides of one of several kinds.
func operand(b Backend, rng *rand.Rand, shape []int, positive bool) *Tensor {
	own := append([]int(nil), shape...)
	for d := range own {
		if rng.IntN(4) == 0 {
			own[d] = 1
		}
	}
	for len(own) > 0 && rng.IntN(5) == 0 {
		own = own[1:]
	}
	n := 1
	for _, d := range own {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
		if positive {
			values[i] = float32(math.Abs(float64(values[i]))) + 0.1
		}
	}
	return FromFloat32s(b, values, own...)
}

// at returns the element of t at a position of the shape that it is broadcast to.
func (t *Tensor) at(index []int) float64 {
	i := t.offset
	for d := range t.rank {
		if k := index[len(index)-t.rank+d]; t.shape[d] != 1 {
			i += k * t.strides[d]
		}
	}
	return float64(t.store.F32[i])
}

// Map is right for all expressions, with broadcasting, and so are the gradients,
// compared with the same in float64.
func TestMap(t *testing.T) {
	for _, threads := range []int{1, 3} {
		rng := rand.New(rand.NewPCG(3, uint64(threads)))
		b := NewCPU(threads)
		for _, shape := range [][]int{{}, {1}, {7}, {3, 5}, {2, 3, 4, 5}, {600, 70}, {2, 40000}, {3, 1, 700, 2}, {0, 3}} {
			for _, e := range allExprs {
				positive := e == exprPow || e == exprLog || e == exprSqrt || e == exprRsqrt || e == exprLog1p
				var in []*Tensor
				for range e.inputs {
					x := operand(b, rng, shape, positive)
					x.SetRequiresGrad(true)
					in = append(in, x)
				}
				tp := NewTape(b)
				tp.Reset(Gradient, 0)
				y := tp.Map(e, in...)
				weights := make([]float32, y.Len())
				for i := range weights {
					weights[i] = float32(rng.NormFloat64())
				}
				dy := tp.Floats(weights, y.Shape()...)
				got := append([]float32(nil), y.Float32s()...)
				want := make([][]float64, e.inputs) // gradients
				size := make([][]float64, e.inputs) // of what is added up
				for k, x := range in {
					want[k], size[k] = make([]float64, x.Len()), make([]float64, x.Len())
				}
				index := make([]int, y.rank)
				for i := range got {
					rest := i
					for d := y.rank - 1; d >= 0; d-- {
						index[d] = rest % y.shape[d]
						rest /= y.shape[d]
					}
					values := make([]float64, e.inputs)
					for k, x := range in {
						values[k] = x.at(index)
					}
					if w := e.eval(values); !(math.Abs(float64(got[i])-w) <= 2e-6*max(1, math.Abs(w))) {
						t.Fatalf("%s of %v at %v: %v, want %v", e.name, in, index, got[i], w)
					}
					for k, x := range in {
						if g := e.gradients[k]; g != nil {
							place := 0
							for d := range x.rank {
								if at := index[y.rank-x.rank+d]; x.shape[d] != 1 {
									place += at * x.strides[d]
								}
							}
							v := g.eval(append(values[:len(values):len(values)], float64(weights[i])))
							want[k][place] += v
							size[k][place] += math.Abs(v)
						}
					}
				}
				if y.Len() == 0 || !y.requiresGrad {
					continue
				}
				tp.Backward(tp.Dot(y, dy))
				for k, x := range in {
					if e.gradients[k] == nil {
						continue
					}
					for i, g := range x.Grad().Float32s() {
						if !(math.Abs(float64(g)-want[k][i]) <= 5e-6*max(1, size[k][i])) {
							t.Fatalf("%s of %v: gradient %d by input %d is %v, want %v", e.name, in, i, k, g, want[k][i])
						}
					}
				}
			}
		}
	}
}
