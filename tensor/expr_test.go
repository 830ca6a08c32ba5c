package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
				high := e.Eval(in)
				in[i] = x - h
				low := e.Eval(in)
				in[i] = x
				want := (high - low) / (2 * h) * 0.7
				got := 0.0
				if g := e.gradients[i]; g != nil {
					got = g.Eval(append(in[:len(in):len(in)], 0.7))
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
	return FromSlice(b, values, own...)
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
					if w := e.Eval(values); !(math.Abs(float64(got[i])-w) <= 2e-6*max(1, math.Abs(w))) {
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
							v := g.Eval(append(values[:len(values):len(values)], float64(weights[i])))
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
