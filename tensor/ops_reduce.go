package tensor

import "fmt"

var (
	exprCopy   = unaryExpr("copy", func(x Value) Value { return x })
	exprSquare = unaryExpr("square", func(x Value) Value { return x.Mul(x) })
	// The gradient of a greatest value goes to all elements that have it, in equal
	// parts: of x, the greatest value, its gradient, and how many have it.
	exprMaxGradient = NewExpr("max gradient", 4, func(in []Value) Value {
		return in[0].Equal(in[1]).Mul(in[2].Div(in[3]))
	})
	// A shift of -Inf or +Inf would give NaN.
	exprFinite = unaryExpr("finite", func(x Value) Value {
		return x.Sub(x).Equal(Const(0)).Where(x,
			Const(0).Mul(Const(0).Less(x)))
	})
	exprExpSub          = binaryExpr("exp sub", func(x, shift Value) Value { return x.Sub(shift).Exp() })
	exprSoftmaxGradient = NewExpr("softmax gradient", 3, func(in []Value) Value { return in[0].Mul(in[1].Sub(in[2])) })
)

// reduced returns a tensor without memory of the shape of x reduced over axes,
// which have size 1: all axes if none are given. Negative axes count from the
// end.
func (tp *Tape) reduced(op string, x *Tensor, axes []int) *Tensor {
	mustFloats(op, x)
	shape := x.shape
	for i := range x.rank {
		if len(axes) == 0 {
			shape[i] = 1
		}
	}
	for _, axis := range axes {
		shape[x.axis(op, axis)] = 1
	}
	t := tp.tensor()
	t.init(tp.backend, Float32, shape[:x.rank])
	return t
}

// axis returns the number of an axis from 0 on; negative ones count from the end.
func (t *Tensor) axis(op string, axis int) int {
	if axis < -t.rank || axis >= t.rank {
		panic(fmt.Sprintf("%s: axis %d of %v", op, axis, t))
	}
	if axis < 0 {
		axis += t.rank
	}
	return axis
}

// reduce computes a reduction, of which the axes are kept with size 1.
func (tp *Tape) reduce(name string, op ReduceOp, x *Tensor, axes []int) *Tensor {
	out := tp.reduced(name, x, axes)
	out.store, out.offset = tp.floats.alloc(out.Len())
	tp.backend.Reduce(out, op, x, false)
	return out
}

// dropAxes returns out, a result whose reduced axes have size 1, without them
// unless they are to be kept.
func (tp *Tape) dropAxes(out, x *Tensor, keep bool, axes []int) *Tensor {
	if keep {
		return out
	}
	var drop [MaxRank]bool
	for i := range x.rank {
		drop[i] = len(axes) == 0
	}
	for _, axis := range axes {
		drop[x.axis("reduce", axis)] = true
	}
	v := tp.view("reduce", out, useViewed)
	v.rank, v.shape, v.strides = 0, [MaxRank]int{}, [MaxRank]int{}
	for i := range x.rank {
		if !drop[i] {
			v.shape[v.rank], v.strides[v.rank] = out.shape[i], out.strides[i]
			v.rank++
		}
	}
	return v
}

// Sum returns the sums over axes, over all of them if none are given; negative
// axes count from the end. If keep is set, they stay with size 1, so that the
// result broadcasts against x. Sums are added up in float64 and rounded once.
func (tp *Tape) Sum(x *Tensor, keep bool, axes ...int) *Tensor {
	tp.read("sum", x)
	out := tp.reduce("sum", ReduceSum, x, axes)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = sumBackward, out, [MaxExprInputs]*Tensor{x}
	}
	return tp.dropAxes(out, x, keep, axes)
}

func sumBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	tp.mapInto(g, exprCopy, accumulate, r.out.grad)
}

// mapInto computes an expression into an existing tensor, without recording.
func (tp *Tape) mapInto(dst *Tensor, e *Expr, accumulate bool, in ...*Tensor) {
	tp.operands = append(tp.operands[:0], in...)
	tp.backend.Map(dst, e, tp.operands, accumulate)
}

// Mean returns the means over axes, as Sum does the sums. The mean of no elements
// is NaN.
func (tp *Tape) Mean(x *Tensor, keep bool, axes ...int) *Tensor {
	sum := tp.Sum(x, keep, axes...)
	return tp.Scale(float32(float64(sum.Len())/float64(x.Len())), sum)
}

// Variance returns the variances over axes, of which the sums of squares are
// divided by n - correction: 1 for the unbiased estimate, 0 for that of the
// elements alone. With too few elements they are NaN.
func (tp *Tape) Variance(x *Tensor, correction int, keep bool, axes ...int) *Tensor {
	difference := tp.Sub(x, tp.Mean(x, true, axes...))
	sum := tp.Sum(tp.Map(exprSquare, difference), keep, axes...)
	n := float64(x.Len()) / float64(sum.Len())
	return tp.Scale(float32(1/max(n-float64(correction), 0)), sum)
}

// Norm returns the Euclidean norms over axes.
func (tp *Tape) Norm(x *Tensor, keep bool, axes ...int) *Tensor {
	return tp.Sqrt(tp.Sum(tp.Map(exprSquare, x), keep, axes...))
}

// Max returns the greatest elements over axes, NaN if there is one, and -Inf of no
// elements. All elements that are the greatest have equal parts of the gradient.
func (tp *Tape) Max(x *Tensor, keep bool, axes ...int) *Tensor {
	return tp.extreme("max", ReduceMax, x, keep, axes)
}

// Min returns the smallest elements over axes, as Max does the greatest.
func (tp *Tape) Min(x *Tensor, keep bool, axes ...int) *Tensor {
	return tp.extreme("min", ReduceMin, x, keep, axes)
}

func (tp *Tape) extreme(name string, op ReduceOp, x *Tensor, keep bool, axes []int) *Tensor {
	tp.read(name, x)
	out := tp.reduce(name, op, x, axes)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in = extremeBackward, out, [MaxExprInputs]*Tensor{x}
	}
	return tp.dropAxes(out, x, keep, axes)
}

func extremeBackward(tp *Tape, r *record) {
	x, y := r.in[0], r.out
	equal, count := tp.New(x.Shape()...), tp.New(y.Shape()...)
	tp.mapInto(equal, exprEqual, false, x, y)
	tp.backend.Reduce(count, ReduceSum, equal, false)
	tp.release(equal)
	g, accumulate := tp.gradient(x)
	tp.mapInto(g, exprMaxGradient, accumulate, x, y, y.grad, count)
	tp.release(count)
}

// LogSumExp returns the logarithms of the sums of exp(x) over axes, without
// overflow: -Inf of no elements.
func (tp *Tape) LogSumExp(x *Tensor, keep bool, axes ...int) *Tensor {
	shift := tp.shift(x, axes)
	sum := tp.Sum(tp.Map(exprExpSub, x, shift), true, axes...)
	return tp.dropAxes(tp.Add(tp.Log(sum), shift), x, keep, axes)
}

// shift returns the greatest elements over axes, 0 instead of infinite ones, as
// constants.
func (tp *Tape) shift(x *Tensor, axes []int) *Tensor {
	tp.read("logsumexp", x)
	greatest := tp.reduce("logsumexp", ReduceMax, x, axes)
	tp.mapInto(greatest, exprFinite, false, greatest)
	return greatest
}

// Softmax returns exp(x) divided by its sum over an axis.
func (tp *Tape) Softmax(x *Tensor, axis int) *Tensor {
	tp.read("softmax", x)
	axis = x.axis("softmax", axis)
	out := tp.New(x.Shape()...)
	if b, ok := tp.backend.(rowSoftmax); ok && axis == x.rank-1 && x.Contiguous() && x.Len() > 0 {
		b.SoftmaxRows(out, x)
	} else {
		shift := tp.shift(x, []int{axis})
		tp.mapInto(out, exprExpSub, false, x, shift)
		tp.backend.Reduce(shift, ReduceSum, out, false)
		tp.mapInto(out, exprDiv, false, out, shift)
		tp.release(shift)
	}
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis = softmaxBackward, out, [MaxExprInputs]*Tensor{x}, axis
	}
	return out
}

func softmaxBackward(tp *Tape, r *record) {
	y, dy := r.out, r.out.grad
	g, accumulate := tp.gradient(r.in[0])
	if b, ok := tp.backend.(rowSoftmax); ok && r.axis == y.rank-1 && y.Len() > 0 && g.Contiguous() {
		b.SoftmaxRowsBackward(g, dy, y, accumulate)
		return
	}
	product := tp.New(y.Shape()...)
	tp.mapInto(product, exprMul, false, y, dy)
	sum := tp.reduce("softmax", ReduceSum, product, []int{r.axis})
	tp.release(product)
	tp.mapInto(g, exprSoftmaxGradient, accumulate, y, dy, sum)
	tp.release(sum)
}

// LogSoftmax returns the logarithm of Softmax, exact for small probabilities, too.
func (tp *Tape) LogSoftmax(x *Tensor, axis int) *Tensor {
	shift := tp.shift(x, []int{axis})
	shifted := tp.Sub(x, shift)
	return tp.Sub(shifted, tp.Log(tp.Sum(tp.Exp(shifted), true, axis)))
}
