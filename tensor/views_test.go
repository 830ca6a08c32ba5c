package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// viewer makes views that hold the values of a tensor in other places of memory.
// With copies set it returns copies of them, which no operation can tell from
// results.
type viewer struct {
	tp     *Tape
	rng    *rand.Rand
	copies bool
}

// view returns the values of x [n, d] or [n], laid out in another way.
func (v *viewer) view(x *Tensor) *Tensor {
	tp := v.tp
	var y *Tensor
	if kind := v.rng.IntN(5); x.rank == 1 {
		// A column of a matrix.
		y = tp.Squeeze(tp.Slice(tp.Stack(1, x, tp.Neg(x)), 1, 0, 1), 1)
	} else {
		switch kind {
		case 0: // column by column
			y = tp.Transpose(tp.Contiguous(tp.Transpose(x, 0, 1)), 0, 1)
		case 1: // columns of a wider matrix
			d := x.shape[1]
			y = tp.Columns(tp.Concat(1, tp.Neg(x), x, x), d, 2*d)
		case 2: // every other element
			y = tp.Squeeze(tp.Slice(tp.Stack(2, tp.Neg(x), x), 2, 1, 2), 2)
		case 3: // a row of matrices, one row of each
			y = tp.Squeeze(tp.Slice(tp.Stack(1, x, tp.Neg(x)), 1, 0, 1), 1)
		default: // a part of rows that are contiguous
			y = tp.Rows(tp.Concat(0, x, x), x.shape[0], 2*x.shape[0])
		}
	}
	if v.copies {
		return tp.Map(exprCopy, y)
	}
	return y
}

// viewOps are operations on matrices [6, 8], of which every operand can be a view.
var viewOps = []struct {
	name string
	op   func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor
}{
	{"linear", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Linear(a, view(p[pW]), view(p[pB]))
	}},
	{"linear of rank 3", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		x := tp.Transpose(tp.Stack(0, a, b), 0, 1)
		y := tp.Linear(tp.Slice(x, 1, 1, 2), view(p[pW]), nil)
		return tp.Squeeze(y, 1)
	}},
	{"lineargelu", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.LinearGELU(a, view(p[pW]), view(p[pB]))
	}},
	{"feedforward", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.FeedForward(a, view(p[pW1]), view(p[pB1]), view(p[pW2]), view(p[pB2]))
	}},
	{"matmul", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.MatMul(tp.MatMul(a, b, true), c, false)
	}},
	{"layernorm", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.LayerNorm(a, view(p[pGamma]), view(p[pBeta]), 1e-5)
	}},
	{"layernorm of rank 3", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		y := tp.LayerNorm(tp.Transpose(tp.Stack(0, a, b), 0, 1), view(p[pGamma]), view(p[pBeta]), 1e-5)
		return tp.Squeeze(tp.Slice(y, 1, 0, 1), 1)
	}},
	{"gelu", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.GELU(a)
	}},
	{"dropout", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Dropout(a, 0.3)
	}},
	{"adddropout", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.AddDropout(a, view(b), 0.3)
	}},
	{"add", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Add(a, b)
	}},
	{"add of a row", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Add(view(p[pB]), a)
	}},
	{"addinto", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.AddInto(tp.Linear(a, p[pW], nil), b)
	}},
	{"gather", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Gather(a, tp.Ints([]int32{5, 5, 0, 1, 2, 5}), 0.5)
	}},
	{"addgather", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.AddGather(view(a), b, tp.Ints([]int32{5, 5, 0, 1, 2, 5}), 0.5)
	}},
	{"scale", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Scale(1.5, a)
	}},
	{"mulscalar", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.MulScalar(a, p[pScalar])
	}},
	{"dot", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.MulScalar(c, tp.Dot(a, b))
	}},
	{"attention", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		docs := []int32{0, 2, programRows}
		return tp.Attention(a, b, c, nil, AttentionOptions{
			Heads: 2, QOffsets: docs, KOffsets: docs, Causal: true, Scale: 0.5, Dropout: 0.2,
		})
	}},
	{"attention with bias", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		docs := []int32{0, 2, programRows}
		bias := view(tp.Slice(tp.Slice(c, 0, 1, 3), 1, 2, 4))
		return tp.Attention(a, b, c, bias, AttentionOptions{Heads: 4, QOffsets: docs, KOffsets: docs, Scale: 0.5})
	}},
	{"segmentmean", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Concat(0, tp.SegmentMean(a, []int32{0, 1, 3, 3, programRows}), tp.Rows(b, 2, 4))
	}},
	{"linearmax", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Concat(0, tp.LinearMax(a, view(p[pW]), []int32{0, 4, programRows}), tp.Rows(b, 0, 4))
	}},
	{"normalize", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Normalize(a)
	}},
	{"softmax", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Softmax(a, 0)
	}},
	{"crossentropy", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		loss, _ := tp.CrossEntropy(a, view(p[pTable]), tp.Ints([]int32{1, 2, 3, 4, 5, 10}), 0.1, 0.3)
		return tp.MulScalar(b, loss)
	}},
	{"crossentropyloss", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		weight := tp.Detach(tp.Abs(view(p[pB])))
		loss := tp.CrossEntropyLoss(a, tp.Ints([]int32{1, 2, 3, 4, 5, 7}), CrossEntropyOptions{
			Weight: tp.Squeeze(tp.Slice(tp.Stack(1, weight, weight), 1, 0, 1), 1), Smoothing: 0.1,
		})
		return tp.Mul(b, loss)
	}},
	{"batched matmul", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		x := tp.Transpose(tp.Reshape(a, programRows, 2, programWidth/2), 0, 1)
		y := tp.Transpose(tp.Reshape(b, programRows, 2, programWidth/2), 0, 1)
		z := tp.MatMul(tp.MatMul(x, y, true), tp.Transpose(tp.Reshape(c, programRows, 2, programWidth/2), 0, 1), false)
		return tp.Reshape(tp.Transpose(z, 0, 1), programRows, programWidth)
	}},
	{"indexing", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		rows := tp.Ints([]int32{5, 5, 0, 1, 2, 5})
		x := tp.CumSum(tp.IndexAdd(a, 0, rows, tp.IndexSelect(b, 0, rows)), 1)
		values, _ := tp.TopK(c, 2)
		return tp.Tril(tp.Clamp(tp.Add(x, tp.Slice(tp.Repeat(values, 1, 4), 1, 0, programWidth)), -5, 5), 1)
	}},
	{"mean and max", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Mul(tp.Sub(a, tp.Mean(b, true, 0)), tp.Max(c, true, 1))
	}},
	{"reshape", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		return tp.Reshape(tp.Reshape(a, 2, 4, 6), programRows, programWidth)
	}},
	{"add of its own transpose", func(tp *Tape, view func(x *Tensor) *Tensor, p []*Tensor, a, b, c *Tensor) *Tensor {
		square := tp.MatMul(a, b, true)
		return tp.MatMul(tp.Add(square, tp.Transpose(square, 0, 1)), c, false)
	}},
}

// runViews runs the operations of a sequence, the operands of which are views or
// copies of them, and returns the loss and the gradients of the parameters.
func (p *program) runViews(seed uint64, ops []int, copies bool) (results [][]float32) {
	tp := p.tp
	for _, q := range p.params {
		q.ZeroGrad()
		q.SetRequiresGrad(true)
	}
	tp.Reset(Training, seed)
	rng := rand.New(rand.NewPCG(seed, 78))
	v := viewer{tp, rng, copies}
	values := []*Tensor{p.params[pX], p.params[pX2]}
	pick := func() *Tensor { return v.view(values[rng.IntN(len(values))]) }
	for _, i := range ops {
		values = append(values, tp.Tanh(viewOps[i].op(tp, v.view, p.params, pick(), pick(), pick())))
	}
	total := tp.Dot(pick(), pick())
	for _, x := range values {
		total = tp.Add(total, tp.Sum(v.view(x), false))
	}
	results = append(results, slices.Clone(total.Float32s()))
	tp.Backward(total)
	for _, q := range p.params {
		results = append(results, slices.Clone(q.Grad().Float32s()))
	}
	return results
}

func (p *program) checkViews(t *testing.T, seed uint64, ops []int) {
	t.Helper()
	want, got := p.runViews(seed, ops, true), p.runViews(seed, ops, false)
	for i := range want {
		what := fmt.Sprintf("seed %d: gradient %d", seed, i-1)
		if i == 0 {
			what = fmt.Sprintf("seed %d: loss", seed)
		}
		compare(t, what, got[i], widen(want[i]), 1e-4)
	}
}

// A view is an operand like any other: with it every operation computes what it
// does with a copy, and so does the backward pass.
func TestViewsAsOperands(t *testing.T) {
	p := newProgram(2)
	defer p.b.Close()
	for i, op := range viewOps {
		t.Run(op.name, func(t *testing.T) {
			for seed := range uint64(20) {
				p.checkViews(t, seed, []int{i})
			}
		})
	}
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 79))
		ops := make([]int, 2+rng.IntN(8))
		for i := range ops {
			ops[i] = rng.IntN(len(viewOps))
		}
		p.checkViews(t, seed, ops)
	}
}

// Operands of other ranks: features are last.
func TestFeaturesLast(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	w := ramp(b, 3, 4)
	for _, shape := range [][]int{{4}, {0, 4}, {2, 3, 4}, {2, 0, 4}, {1, 2, 1, 4}} {
		x := ramp(b, shape...)
		tp := NewTape(b)
		tp.Reset(Gradient, 0)
		w.ZeroGrad()
		y := tp.Linear(x, w, nil)
		if want := append(slices.Clone(shape[:len(shape)-1]), 3); !slices.Equal(y.Shape(), want) {
			t.Fatalf("linear of %v is %v, want %v", x, y, want)
		}
		flat := tp.Linear(tp.Reshape(x, x.Rows(), 4), w, nil)
		if !slices.Equal(y.Float32s(), flat.Float32s()) {
			t.Errorf("linear of %v: %v, of its rows: %v", x, y.Float32s(), flat.Float32s())
		}
		tp.Backward(tp.Sum(y, false))
		want := make([]float64, 12)
		for i, v := range x.Float32s() {
			for j := range 3 {
				want[j*4+i%4] += float64(v)
			}
		}
		compare(t, fmt.Sprintf("gradient of the weight of %v", x), w.Grad().Float32s(), want, 1e-6)
	}
	// Views whose rows are evenly apart, and others.
	x := ramp(b, 2, 3, 8)
	for i, view := range []func(tp *Tape) *Tensor{
		func(tp *Tape) *Tensor { return tp.Slice(x, 2, 3, 7) },
		func(tp *Tape) *Tensor { return tp.Slice(tp.Transpose(x, 0, 1), 2, 1, 5) },
		func(tp *Tape) *Tensor { return tp.Slice(tp.Slice(x, 1, 0, 2), 2, 0, 4) },
		func(tp *Tape) *Tensor { return tp.Transpose(tp.Slice(tp.Reshape(x, 3, 4, 4), 2, 1, 3), 1, 2) },
		func(tp *Tape) *Tensor { return tp.Slice(tp.Slice(x, 1, 1, 2), 2, 4, 8) },
	} {
		for _, op := range []func(tp *Tape, x *Tensor) *Tensor{
			func(tp *Tape, x *Tensor) *Tensor { return tp.Linear(x, w, nil) },
			func(tp *Tape, x *Tensor) *Tensor { return tp.LinearGELU(x, w, nil) },
			func(tp *Tape, x *Tensor) *Tensor { return tp.FeedForward(x, w, nil, tp.Transpose(w, 0, 1), nil) },
		} {
			run := func(flat bool) (y, gradient []float32) {
				x.ZeroGrad()
				tp := NewTape(b)
				tp.Reset(Gradient, 0)
				v := view(tp)
				if flat {
					v = tp.Reshape(tp.Map(exprCopy, v), v.Rows(), 4)
				}
				z := op(tp, v)
				tp.Backward(tp.Sum(tp.Mul(z, z), false))
				return slices.Clone(z.Float32s()), slices.Clone(x.Grad().Float32s())
			}
			wantY, want := run(true)
			y, gradient := run(false)
			compare(t, fmt.Sprintf("view %d", i), y, widen(wantY), 1e-6)
			compare(t, fmt.Sprintf("gradient of view %d", i), gradient, widen(want), 1e-6)
		}
	}
	tp := NewTape(b)
	mustPanic(t, "linear: x is float32[], want float32[... n]", func() { tp.Linear(ramp(b), w, nil) })
	mustPanic(t, "linear: weight is float32[3 4], want float32[-1 5]", func() { tp.Linear(ramp(b, 2, 5), w, nil) })
}

func TestAddBroadcasts(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	for _, c := range []struct{ a, b, want []int }{
		{[]int{2, 3}, []int{3}, []int{2, 3}},
		{[]int{2, 1}, []int{1, 3}, []int{2, 3}},
		{[]int{}, []int{2, 3}, []int{2, 3}},
		{[]int{0, 3}, []int{3}, []int{0, 3}},
		{[]int{1, 0}, []int{5, 0}, []int{5, 0}},
	} {
		x, y := ramp(b, c.a...), ramp(b, c.b...)
		tp := NewTape(b)
		tp.Reset(Gradient, 0)
		z := tp.Add(x, y)
		if !slices.Equal(z.Shape(), c.want) {
			t.Errorf("%v + %v is %v, want %v", x, y, z, c.want)
		}
		tp.Backward(tp.Sum(z, false), tp.Sum(tp.Sub(z, tp.Mul(x, y)), false), tp.Sum(tp.Mul(x, y), false))
		for _, in := range []*Tensor{x, y} {
			for _, g := range in.Grad().Float32s() {
				if want := float32(2 * z.Len() / in.Len()); g != want {
					t.Errorf("%v + %v: gradient of %v is %v, want %v", x, y, in, g, want)
				}
			}
		}
	}
	mustPanic(t, "add: [float32[2 3] float32[2]] do not broadcast", func() { NewTape(b).Add(ramp(b, 2, 3), ramp(b, 2)) })
}

// A tensor and a view of it, both operands: the gradient of the one is not the memory that the other's is read from.
func TestAddOfOwnTranspose(t *testing.T) {
	const n = 100
	b := NewCPU(1)
	defer b.Close()
	x, w := ramp(b, n, n), ramp(b, n, n)
	for _, swap := range []bool{false, true} {
		x.ZeroGrad()
		tp := NewTape(b)
		tp.Reset(Gradient, 0)
		y := tp.Tanh(tp.Scale(0.1, x))
		p, q := y, tp.Transpose(y, 0, 1)
		if swap {
			p, q = q, p
		}
		tp.Backward(tp.Sum(tp.Mul(tp.Add(p, q), w), false))
		want := make([]float64, n*n)
		for i := range want {
			tanh := math.Tanh(0.1 * float64(x.Float32s()[i]))
			want[i] = 0.1 * (1 - tanh*tanh) * float64(w.Float32s()[i]+w.Float32s()[i%n*n+i/n])
		}
		compare(t, "gradient", x.Grad().Float32s(), want, 1e-6)
	}
}

// Shapes are equal whatever the tensors were before dimensions went.
func TestShapesAfterDroppedAxes(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, y := ramp(b, 3, 4), ramp(b, 3)
	tp := NewTape(b)
	for _, v := range []*Tensor{
		tp.Max(x, false, 1), tp.Reshape(tp.Slice(x, 1, 0, 1), 3), tp.Squeeze(tp.Slice(x, 1, 0, 1), 1),
		tp.Squeeze(ramp(b, 3, 1), -1), tp.Reshape(tp.Squeeze(tp.Squeeze(ramp(b, 1, 1, 1, 3, 1, 1), 5), 0), 3),
	} {
		if z := tp.Concat(0, v, y); z.Len() != 6 {
			t.Errorf("concat: %v", z)
		}
		tp.Dot(v, y)
	}
	six := tp.Squeeze(ramp(b, 1, 1, 1, 1, 1, 3), 0)
	if z := tp.Concat(4, six, ramp(b, 1, 1, 1, 1, 3)); z.Len() != 6 {
		t.Errorf("concat: %v", z)
	}
}
