package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/race"
)

// permuted returns a tensor of a shape that lies in memory in another order of
// its dimensions, as a view of some of what is there if gaps is set.
func permuted(b Backend, rng *rand.Rand, shape []int, gaps bool) *Tensor {
	order := rng.Perm(len(shape))
	t := &Tensor{}
	t.init(b, Float32, shape)
	n := 1
	for _, d := range order {
		t.strides[d] = n
		n *= shape[d]
		if gaps {
			n += 3
		}
	}
	t.offset = 5
	t.store = b.NewStorage(Float32, n+10)
	for i := range t.store.F32 {
		t.store.F32[i] = float32(rng.NormFloat64())
	}
	return t
}

// each calls f with every index of a shape.
func eachIndex(shape []int, f func(index []int)) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	index := make([]int, len(shape))
	for i := range n {
		for d := len(shape) - 1; d >= 0; d-- {
			index[d], i = i%shape[d], i/shape[d]
		}
		f(index)
	}
}

var (
	exprTestSum  = NewExpr("a*b + c - 2", 3, func(in []Value) Value { return in[0].Mul(in[1]).Add(in[2]).Sub(Const(2)) })
	exprTestCopy = unaryExpr("copy", func(x Value) Value { return x })
	exprTestOne  = unaryExpr("one", func(Value) Value { return Const(1) })
)

// Map is right whatever the order of the dimensions of dst and of the inputs in
// memory, of all sizes at which it proceeds in another way, and leaves what lies
// between the elements of dst alone.
func TestMapViews(t *testing.T) {
	for _, threads := range []int{1, 3} {
		rng := rand.New(rand.NewPCG(11, 12))
		b := NewCPU(threads)
		for _, shape := range [][]int{{1}, {5}, {129, 70}, {64, 64}, {8, 7}, {7, 8}, {200, 3},
			{3, 200}, {17, 65, 9}, {2, 130, 3, 66},
			{40, 1, 41}, {1, 300, 300}, {6, 5, 4, 3, 2, 2}, {70000, 2}, {2, 70000}, {4100, 9}, {0, 4}} {
			for _, e := range []*Expr{exprTestCopy, exprTestSum, exprTestOne, exprAbs, exprSub, exprDiv, exprMaximum,
				exprMinimum, exprReLU, exprWhere} {
				for _, accumulate := range []bool{false, true} {
					for _, place := range []string{"contiguous", "permuted", "in place"} {
						var in []*Tensor
						for range e.inputs {
							x := permuted(b, rng, shape, rng.IntN(2) == 0)
							if d := rng.IntN(2 * len(shape)); d < len(shape) { // is broadcast
								x.shape[d] = 1
							}
							in = append(in, x)
						}
						dst := New(b, Float32, shape...)
						if place == "permuted" {
							dst = permuted(b, rng, shape, true)
						} else if place == "in place" {
							dst = permuted(b, rng, shape, true)
							in[0] = dst
						}
						want := slices.Clone(dst.store.F32)
						eachIndex(shape, func(index []int) {
							values := make([]float64, len(in))
							for k, x := range in {
								values[k] = x.at(index)
							}
							i := dst.offset
							for d, at := range index {
								i += at * dst.strides[d]
							}
							y := float32(e.Eval(values))
							if accumulate {
								y += want[i]
							}
							want[i] = y
						})
						b.Map(dst, e, in, accumulate)
						for i, w := range want {
							if g := dst.store.F32[i]; math.Abs(float64(g-w)) > 1e-5 {
								t.Fatalf("%s of %v, %s, accumulate %v: place %d is %v, want %v", e.name, in, place, accumulate, i, g, w)
							}
						}
					}
				}
			}
		}
	}
}

// Results that bypass the caches are right, too, contiguous or transposed, and the
// same for any number of threads.
func TestMapStreams(t *testing.T) {
	const rows, cols = 2050, 4099 // more than streamed
	one, three := NewCPU(1), NewCPU(3)
	x := New(one, Float32, rows, cols)
	for i := range x.Float32s() {
		x.Float32s()[i] = float32(i % 65521)
	}
	turned := *x
	turned.shape[0], turned.shape[1] = cols, rows
	turned.strides[0], turned.strides[1] = 1, cols
	for _, b := range []*CPU{one, three} {
		for _, c := range []struct {
			e     *Expr
			in    *Tensor
			shift float32
		}{{exprTestCopy, x, 0}, {exprTestCopy, &turned, 0}, {exprNeg, x, 0}, {exprNeg, &turned, 0}} {
			dst := New(b, Float32, c.in.Shape()...)
			b.Map(dst, c.e, []*Tensor{c.in}, false)
			i, strides := 0, c.in.strides
			for r := range c.in.shape[0] {
				for k := range c.in.shape[1] {
					want := x.Float32s()[r*strides[0]+k*strides[1]]
					if c.e == exprNeg {
						want = -want
					}
					if got := dst.Float32s()[i]; got != want {
						t.Fatalf("%s of %v with strides %v: element %d, %d is %v, want %v", c.e.name, c.in, strides[:2], r, k, got, want)
					}
					i++
				}
			}
		}
	}
}

// What one kernel computes from the operands to a result beyond the caches has the
// bits of parts that stay in them, whatever the operation, with a number as an operand
// too, NaN among them.
func TestDirectStreams(t *testing.T) {
	const n = streamed
	b := NewCPU(2)
	defer b.Close()
	all, want := New(b, Float32, n), New(b, Float32, n)
	var in, half [3]*Tensor
	for k := range in {
		in[k] = New(b, Float32, n)
		for i := range in[k].Float32s() {
			in[k].Float32s()[i] = float32((i+k)*7919%10007)/1000 - 5
		}
	}
	in[1].Float32s()[77] = nan
	number := func(v float32) *Tensor { return Full(b, v, 1) }
	compare := func(e *Expr, in ...*Tensor) {
		t.Helper()
		b.Map(all, e, in, false)
		for lo := 0; lo < n; lo += n / 2 {
			for k := range in {
				if half[k] = in[k]; in[k].Len() == n {
					v := slice(in[k], lo, n/2)
					half[k] = &v
				}
			}
			dst := slice(want, lo, n/2)
			b.Map(&dst, e, half[:len(in)], false)
		}
		for i, w := range want.Float32s() {
			if got := all.Float32s()[i]; math.Float32bits(got) != math.Float32bits(w) {
				t.Fatalf("%s of %v: element %d is %v, want %v", e.name, in, i, got, w)
			}
		}
	}
	for _, e := range []*Expr{exprSub, exprMul, exprDiv, exprMaximum, exprMinimum, exprLess, exprEqual,
		binaryExpr("add", Value.Add)} {
		compare(e, in[0], in[1])
		for _, v := range []float32{1.5, nan} {
			compare(e, in[0], number(v))
			compare(e, number(v), in[0])
		}
	}
	for _, e := range []*Expr{exprTestCopy, exprNeg, exprAbs, exprSqrt, exprReLU, exprTanh} {
		compare(e, in[1])
	}
	compare(exprWhere, in[0], in[1], in[2])
}

// A Map and a Reduce that were made before need no memory.
func TestMapAllocatesNothing(t *testing.T) {
	b := NewCPU(2)
	x, y := New(b, Float32, 300, 300), New(b, Float32, 300, 300)
	sum, turned := New(b, Float32, 300, 1), *y
	turned.strides[0], turned.strides[1] = 1, 300
	in := []*Tensor{x, &turned}
	tp := NewTape(b)
	if n := testing.AllocsPerRun(20, func() {
		b.Map(x, exprSub, in, false)
		b.Reduce(sum, ReduceSum, x, false)
		b.Reduce(sum, ReduceMax, x, false)
		tp.Reset(Inference, 0)
		tp.Softmax(tp.ReLU(tp.Mul(x, y)), 0)
	}); n > 0.5 && !race.Enabled { // the garbage collector may empty a sync.Pool
		t.Errorf("%v allocations", n)
	}
}
