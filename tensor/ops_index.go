package tensor

import (
	"fmt"
	"slices"
)

var (
	// Of x and the bounds. NaN times 0 is NaN, with the gradient 0.
	exprClamp = NewExpr("clamp", 3, func(in []Value) Value {
		x, low, high := in[0], in[1], in[2]
		return low.Less(x).Where(x.Less(high).Where(x, high), x.Equal(x).Where(low, x.Mul(Const(0))))
	})
	// Of x, and the numbers of rows and columns, of rows with the diagonal added.
	exprTril = NewExpr("tril", 3, func(in []Value) Value { return in[1].Less(in[2]).Where(Const(0), in[0]) })
	exprTriu = NewExpr("triu", 3, func(in []Value) Value { return in[2].Less(in[1]).Where(Const(0), in[0]) })
	// Of the gradient of a result of Scatter, and the numbers of the element that is there and of another.
	exprStayed = NewExpr("scatter gradient", 3, func(in []Value) Value {
		return in[1].Equal(in[2]).Where(in[0], Const(0))
	})
)

// TakeAlongDim returns the elements of x whose position along an axis is that in
// index, an int32 tensor of the rank of x. Its other sizes are those of x or 1; they
// repeat. The result has the shape of x, with the size of index along the axis. It
// is PyTorch's gather, with broadcasting. Positions that x does not have are a
// panic.
func (tp *Tape) TakeAlongDim(x *Tensor, axis int, index *Tensor) *Tensor {
	return tp.take("takealongdim", x, axis, index)
}

// IndexSelect returns the elements of x at the positions along an axis that index
// [n] has: those of the shape of x, with size n along the axis.
func (tp *Tape) IndexSelect(x *Tensor, axis int, index *Tensor) *Tensor {
	mustShape("indexselect", "index", index, Int32, -1)
	axis = x.axis("indexselect", axis)
	return tp.take("indexselect", x, axis, tp.alongAxis(index, x.rank, axis))
}

// alongAxis returns index [n] as a tensor of some rank, with size 1 in all axes but
// one.
func (tp *Tape) alongAxis(index *Tensor, rank, axis int) *Tensor {
	v := tp.view("index", index, useViewed)
	v.spread(rank, axis)
	return v
}

// spread makes a vector a tensor of some rank, along an axis.
func (t *Tensor) spread(rank, axis int) {
	n, stride := t.shape[0], t.strides[0]
	t.rank = rank
	for d := range rank {
		t.shape[d], t.strides[d] = 1, 0
	}
	t.shape[axis], t.strides[axis] = n, stride
}

func (tp *Tape) take(op string, x *Tensor, axis int, index *Tensor) *Tensor {
	tp.read(op, x, index)
	axis = x.axis(op, axis)
	shape := x.shape
	shape[axis] = index.shape[axis]
	mustIndexed(op, index, shape[:x.rank], x)
	out := tp.New(shape[:x.rank]...)
	tp.backend.GatherAlong(out, x, index, axis, false)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis = takeBackward, out, [MaxExprInputs]*Tensor{x, index}, axis
	}
	return out
}

// mustIndexed panics unless index is broadcast to a shape.
func mustIndexed(op string, index *Tensor, shape []int, x *Tensor) {
	ok := index.dtype == Int32 && x.dtype == Float32 && index.rank == len(shape)
	for d := 0; ok && d < len(shape); d++ {
		ok = index.shape[d] == shape[d] || index.shape[d] == 1
	}
	if !ok {
		panic(fmt.Sprintf("%s: index %v of %v", op, index, x))
	}
}

func takeBackward(tp *Tape, r *record) {
	tp.backend.ScatterAlong(tp.sum(r.in[0]), r.out.grad, r.in[1], r.axis, true)
}

// ScatterAdd returns x with the elements of src added at the positions along an
// axis that index has, an int32 tensor that is broadcast to src. In the other axes
// src has the sizes of x. Several elements at one position are added in order.
func (tp *Tape) ScatterAdd(x *Tensor, axis int, index, src *Tensor) *Tensor {
	return tp.scatter("scatteradd", x, axis, index, src, true)
}

// Scatter returns x with the elements at the positions along an axis that index has
// replaced by those of src, as ScatterAdd adds them. Of several elements at one
// position the last stays, and it alone has a gradient.
func (tp *Tape) Scatter(x *Tensor, axis int, index, src *Tensor) *Tensor {
	return tp.scatter("scatter", x, axis, index, src, false)
}

// IndexAdd returns x with the elements of src added at the positions along an axis
// that index [n] has; src has the shape of x, with size n along the axis.
func (tp *Tape) IndexAdd(x *Tensor, axis int, index, src *Tensor) *Tensor {
	mustShape("indexadd", "index", index, Int32, -1)
	axis = x.axis("indexadd", axis)
	if src.rank == x.rank && src.shape[axis] != index.shape[0] {
		panic(fmt.Sprintf("indexadd: index %v of %v", index, src))
	}
	return tp.scatter("indexadd", x, axis, tp.alongAxis(index, x.rank, axis), src, true)
}

func (tp *Tape) scatter(op string, x *Tensor, axis int, index, src *Tensor, add bool) *Tensor {
	tp.read(op, x, index, src)
	axis = x.axis(op, axis)
	shape := x.shape
	shape[axis] = src.shape[axis] // or anything, if src has another rank
	if !slices.Equal(src.Shape(), shape[:x.rank]) || src.dtype != Float32 {
		panic(fmt.Sprintf("%s: %v to %v along axis %d", op, src, x, axis))
	}
	mustIndexed(op, index, src.Shape(), x)
	out := tp.New(x.Shape()...)
	tp.mapInto(out, exprCopy, false, x)
	tp.backend.ScatterAlong(out, src, index, axis, add)
	if tp.result(out, x, src) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis = scatterAddBackward, out, [MaxExprInputs]*Tensor{x, src, index}, axis
		if !add {
			r.backward = scatterBackward
		}
	}
	return out
}

func scatterAddBackward(tp *Tape, r *record) {
	if g, accumulate := tp.gradient(r.in[1]); g != nil {
		tp.backend.GatherAlong(g, r.out.grad, r.in[2], r.axis, accumulate)
	}
	if g, accumulate := tp.gradient(r.in[0]); g != nil {
		tp.mapInto(g, exprCopy, accumulate, r.out.grad)
	}
}

// scatterBackward finds out which elements of src have stayed by scattering their
// numbers, from 1 on: float32 holds those of 2^24 elements.
func scatterBackward(tp *Tape, r *record) {
	x, src, index, dy := r.in[0], r.in[1], r.in[2], r.out.grad
	n := src.shape[r.axis]
	if n > 1<<24 {
		panic(fmt.Sprintf("scatter: gradients of %v along axis %d: more than 2^24 elements", src, r.axis))
	}
	own := tp.numbers(1, n)
	own.spread(src.rank, r.axis)
	last := tp.New(dy.Shape()...) // the number of the element that has stayed, 0 for that of x
	tp.backend.Fill(last, 0)
	if src.Len() > 0 {
		numbers := tp.New(src.Shape()...)
		tp.mapInto(numbers, exprCopy, false, own)
		tp.backend.ScatterAlong(last, numbers, index, r.axis, false)
		tp.release(numbers)
	}
	if g, accumulate := tp.gradient(src); g != nil {
		at, dsrc := tp.New(src.Shape()...), tp.New(src.Shape()...)
		tp.backend.GatherAlong(at, last, index, r.axis, false)
		tp.backend.GatherAlong(dsrc, dy, index, r.axis, false)
		tp.mapInto(g, exprStayed, accumulate, dsrc, at, own)
		tp.release(dsrc)
		tp.release(at)
	}
	if g, accumulate := tp.gradient(x); g != nil {
		tp.mapInto(g, exprStayed, accumulate, dy, last, tp.constant(0))
	}
	tp.release(last)
}

// OneHot returns a tensor with one more axis, of size classes, than the int32
// tensor index: 1 at the position that index has, else 0. It has no gradient.
func (tp *Tape) OneHot(index *Tensor, classes int) *Tensor {
	tp.read("onehot", index)
	if index.dtype != Int32 || index.rank == MaxRank {
		panic(fmt.Sprintf("onehot: %v, want int32 with less than %d dimensions", index, MaxRank))
	}
	rank := index.rank
	shape := index.shape
	shape[rank] = classes
	out := tp.New(shape[:rank+1]...)
	tp.backend.Fill(out, 0)
	at := tp.Unsqueeze(index, -1)
	ones := tp.constant(1)
	ones.rank, ones.shape = at.rank, at.shape // its strides are 0
	tp.backend.ScatterAlong(out, ones, at, rank, true)
	return out
}

// ToFloat returns the int32 tensor x as float32, which holds whole numbers up to 2^24
// exactly: to compare positions and classes, or compute with them. It has no gradient.
func (tp *Tape) ToFloat(x *Tensor) *Tensor {
	tp.read("tofloat", x)
	if x.dtype != Int32 {
		panic(fmt.Sprintf("tofloat: %v, want int32", x))
	}
	out := tp.New(x.Shape()...)
	tp.backend.CopyInts(out, x)
	return out
}

// constant returns a tensor without dimensions.
func (tp *Tape) constant(value float32) *Tensor {
	t := tp.New()
	tp.backend.Fill(t, value)
	return t
}

// TopK returns the k greatest elements along the last axis of x, the greatest
// first, and their positions (int32). NaN counts as the greatest; of equal elements
// the first comes first. The gradient of the values flows to their elements.
func (tp *Tape) TopK(x *Tensor, k int) (values, indices *Tensor) {
	tp.read("topk", x)
	if x.dtype != Float32 || x.rank == 0 || k < 0 || k > x.shape[x.rank-1] {
		panic(fmt.Sprintf("topk: %d of %v", k, x))
	}
	shape := x.shape
	shape[x.rank-1] = k
	values, indices = tp.New(shape[:x.rank]...), tp.newInts(shape[:x.rank]...)
	tp.backend.TopK(values, indices, x)
	if tp.result(values, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis = takeBackward, values, [MaxExprInputs]*Tensor{x, indices}, x.rank-1
	}
	return values, indices
}

// ArgMax returns the positions (int32) of the greatest elements along an axis, the
// first of equals, or the first NaN if there is one. If keep is set, the axis stays
// with size 1.
func (tp *Tape) ArgMax(x *Tensor, axis int, keep bool) *Tensor {
	return tp.argReduce("argmax", ReduceMax, x, axis, keep)
}

// ArgMin returns the positions of the smallest elements, as ArgMax does those of
// the greatest.
func (tp *Tape) ArgMin(x *Tensor, axis int, keep bool) *Tensor {
	return tp.argReduce("argmin", ReduceMin, x, axis, keep)
}

func (tp *Tape) argReduce(name string, op ReduceOp, x *Tensor, axis int, keep bool) *Tensor {
	tp.read(name, x)
	axis = x.axis(name, axis)
	if x.dtype != Float32 || x.shape[axis] == 0 {
		panic(fmt.Sprintf("%s: axis %d of %v", name, axis, x))
	}
	shape := x.shape
	shape[axis] = 1
	out := tp.newInts(shape[:x.rank]...)
	tp.backend.ArgReduce(out, op, x)
	if keep {
		return out
	}
	return tp.Squeeze(out, axis)
}

// MaskedFill returns x with a value where mask is not 0. The shapes are broadcast.
func (tp *Tape) MaskedFill(x, mask *Tensor, value float32) *Tensor {
	return tp.Where(mask, tp.constant(value), x)
}

// Clamp returns x limited to low and high; an infinite bound is none. The gradient
// is 1 between the bounds, and 0 at them and beyond, as in PyTorch 2.15.
func (tp *Tape) Clamp(x *Tensor, low, high float32) *Tensor {
	if !(low <= high) {
		panic(fmt.Sprintf("clamp: from %v to %v", low, high))
	}
	return tp.Map(exprClamp, x, tp.constant(low), tp.constant(high))
}

// CumSum returns the sums of the elements up to each along an axis, added up in
// float64.
func (tp *Tape) CumSum(x *Tensor, axis int) *Tensor {
	tp.read("cumsum", x)
	mustFloats("cumsum", x)
	axis = x.axis("cumsum", axis)
	out := tp.New(x.Shape()...)
	tp.backend.CumSum(out, x, axis, false, false)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis = cumSumBackward, out, [MaxExprInputs]*Tensor{x}, axis
	}
	return out
}

func cumSumBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	tp.backend.CumSum(g, r.out.grad, r.axis, true, accumulate)
}

// Pad returns x with some elements of a value before and after it along an axis.
func (tp *Tape) Pad(x *Tensor, axis, before, after int, value float32) *Tensor {
	tp.read("pad", x)
	mustFloats("pad", x)
	axis = x.axis("pad", axis)
	if before < 0 || after < 0 {
		panic(fmt.Sprintf("pad: %d before and %d after axis %d of %v", before, after, axis, x))
	}
	shape := x.shape
	n := shape[axis]
	shape[axis] += before + after
	out := tp.New(shape[:x.rank]...)
	edge := tp.constant(value)
	tp.mapInto(tp.piece(out, axis, 0, before), exprCopy, false, edge)
	tp.mapInto(tp.piece(out, axis, before, n), exprCopy, false, x)
	tp.mapInto(tp.piece(out, axis, before+n, after), exprCopy, false, edge)
	tp.release(edge)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis, r.n = padBackward, out, [MaxExprInputs]*Tensor{x}, axis, before
	}
	return out
}

func padBackward(tp *Tape, r *record) {
	x := r.in[0]
	g, accumulate := tp.gradient(x)
	tp.mapInto(g, exprCopy, accumulate, tp.piece(r.out.grad, r.axis, r.n, x.shape[r.axis]))
}

// Repeat returns x repeated along its axes, as many times as given for each; more
// numbers than x has axes stand for new first axes. (In PyTorch, repeat; NumPy
// calls it tile.)
func (tp *Tape) Repeat(x *Tensor, times ...int) *Tensor {
	if len(times) < x.rank || len(times) > MaxRank || len(times) > 0 && slices.Min(times) < 0 {
		panic(fmt.Sprintf("repeat: %v %v times", x, slices.Clone(times)))
	}
	for x.rank < len(times) {
		x = tp.Unsqueeze(x, 0)
	}
	for axis := len(times) - 1; axis >= 0; axis-- {
		if times[axis] != 1 {
			x = tp.repeat(x, axis, times[axis])
		}
	}
	return x
}

func (tp *Tape) repeat(x *Tensor, axis, times int) *Tensor {
	tp.read("repeat", x)
	mustFloats("repeat", x)
	shape := x.shape
	shape[axis] *= times
	out := tp.New(shape[:x.rank]...)
	n := x.shape[axis]
	for i := range times {
		tp.mapInto(tp.piece(out, axis, i*n, n), exprCopy, false, x)
	}
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.axis, r.n = repeatBackward, out, [MaxExprInputs]*Tensor{x}, axis, times
	}
	return out
}

func repeatBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	n := r.in[0].shape[r.axis]
	if r.n == 0 && !accumulate {
		tp.mapInto(g, exprCopy, false, tp.constant(0))
	}
	for i := range r.n {
		tp.mapInto(g, exprCopy, accumulate || i > 0, tp.piece(r.out.grad, r.axis, i*n, n))
	}
}

// Tril returns the matrices of x [..., m, n] with 0 above a diagonal: 0 is the main
// one, greater numbers lie above it. Tril of ones is a mask.
func (tp *Tape) Tril(x *Tensor, diagonal int) *Tensor { return tp.triangle(exprTril, x, diagonal) }

// Triu returns the matrices of x [..., m, n] with 0 below a diagonal.
func (tp *Tape) Triu(x *Tensor, diagonal int) *Tensor { return tp.triangle(exprTriu, x, diagonal) }

func (tp *Tape) triangle(e *Expr, x *Tensor, diagonal int) *Tensor {
	if x.rank < 2 {
		panic(fmt.Sprintf("%s: %v, want matrices", e.name, x))
	}
	rows := tp.numbers(float32(diagonal), x.shape[x.rank-2])
	columns := tp.numbers(0, x.shape[x.rank-1])
	rows.rank, rows.shape[1], rows.strides[1] = 2, 1, 0
	return tp.Map(e, x, rows, columns)
}

// numbers returns n numbers from first on.
func (tp *Tape) numbers(first float32, n int) *Tensor {
	t := tp.New(n)
	if n > 0 {
		tp.backend.Fill(t, 1)
		tp.mapInto(tp.piece(t, 0, 0, 1), exprCopy, false, tp.constant(first))
		tp.backend.CumSum(t, t, 0, false, false)
	}
	return t
}
