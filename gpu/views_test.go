//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// random returns n normally distributed numbers, the same for the same seed.
func random(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// like fails unless f makes the same on a card as on the host: numbers whose
// difference is at most tol times the greatest one of each result, or 1, and the same
// NaN and infinities; and the same bits a second time.
func like(t *testing.T, name string, b *Backend, tol float64, f func(b tensor.Backend) [][]float32) {
	t.Helper()
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	want, got, again := f(cpu), f(b), f(b)
	for k := range want {
		size := 1.0
		for _, v := range want[k] {
			if d := math.Abs(float64(v)); d <= math.MaxFloat32 {
				size = max(size, d)
			}
		}
		for i, w := range want[k] {
			g := got[k][i]
			if math.Float32bits(g) != math.Float32bits(again[k][i]) {
				t.Fatalf("%s: result %d[%d] is %v, then %v", name, k, i, g, again[k][i])
			}
			if g != w && !(g != g && w != w) && !(math.Abs(float64(g)-float64(w)) <= tol*size) {
				t.Fatalf("%s: result %d[%d] is %v, want %v", name, k, i, g, w)
			}
		}
	}
}

// Expressions of many registers, and of none.
func TestMapRegisters(t *testing.T) {
	b := open(t)
	long := tensor.NewExpr("long", 2, func(in []tensor.Value) tensor.Value {
		all := []tensor.Value{in[0]}
		for i := range 7 { // all are needed at the end
			all = append(all, all[i].Mul(tensor.Const(1.5)).Add(in[i%2]).Tanh())
		}
		y := in[1]
		for _, v := range all {
			y = y.Mul(v).Max(v)
		}
		return y
	})
	constant := tensor.NewExpr("constant", 1, func([]tensor.Value) tensor.Value { return tensor.Const(2.5) })
	for _, e := range []*tensor.Expr{long, constant} {
		_, registers, _ := e.Code()
		for _, accumulate := range []bool{false, true} {
			like(t, fmt.Sprintf("%s of %d registers", e.Name(), registers), b, 1e-5, func(b tensor.Backend) [][]float32 {
				x, y := tensor.FromSlice(b, random(1, 777), 777), tensor.FromSlice(b, random(2, 777), 777)
				out := tensor.FromSlice(b, random(3, 777), 777)
				b.Map(out, e, []*tensor.Tensor{x, y}[:e.Inputs()], accumulate)
				return [][]float32{values(out)}
			})
		}
	}
}

// Copies that change the order of dimensions.
func TestMapTransposed(t *testing.T) {
	b := open(t)
	same := tensor.NewExpr("copy", 1, func(in []tensor.Value) tensor.Value { return in[0] })
	for _, axes := range [][]int{{0, 2, 1, 3}, {3, 1, 2, 0}, {2, 3, 0, 1}, {1, 0, 3, 2}, {0, 1, 3, 2}} {
		for _, accumulate := range []bool{false, true} {
			like(t, fmt.Sprintf("axes %v", axes), b, 0, func(b tensor.Backend) [][]float32 {
				const n = 3 * 35 * 2 * 40
				x := tensor.NewTape(b).Permute(tensor.FromSlice(b, random(1, n), 3, 35, 2, 40), axes...)
				y := tensor.FromSlice(b, random(2, n), x.Shape()...)
				b.Map(y, same, []*tensor.Tensor{x}, accumulate)
				return [][]float32{values(y)}
			})
		}
	}
}

// Many elements, so that a reduction has several chunks.
func TestReduceChunks(t *testing.T) {
	b := open(t)
	for _, shape := range [][3]int{{1, 70_001, 1}, {1, 30_000, 3}, {3, 30_000, 1}, {2, 9_000, 5}} {
		for _, op := range []tensor.ReduceOp{tensor.ReduceSum, tensor.ReduceMax, tensor.ReduceMin} {
			like(t, fmt.Sprintf("reduction %d of %v", op, shape), b, 1e-6, func(b tensor.Backend) [][]float32 {
				x := tensor.FromSlice(b, random(4, shape[0]*shape[1]*shape[2]), shape[:]...)
				along, rest := tensor.New(b, tensor.Float32, shape[0], 1, shape[2]), tensor.New(b, tensor.Float32, 1, shape[1], 1)
				b.Reduce(along, op, x, false)
				b.Reduce(rest, op, x, true)
				return [][]float32{values(along), values(rest)}
			})
		}
	}
}

// Lines of several sorted chunks, whose number is odd, with many equal elements.
func TestTopKChunks(t *testing.T) {
	b := open(t)
	for _, c := range []struct{ lines, n, k int }{{2, 5000, 4321}, {1, 5000, 5000}, {3, 2049, 7}, {1, 1025, 1025}} {
		like(t, fmt.Sprintf("top %d of %d", c.k, c.n), b, 0, func(b tensor.Backend) [][]float32 {
			data := random(5, c.lines*c.n)
			for i := range data {
				data[i] = float32(math.Round(float64(data[i]) * 100))
			}
			x := tensor.FromSlice(b, data, c.lines, c.n)
			top, rows := tensor.New(b, tensor.Float32, c.lines, c.k), tensor.New(b, tensor.Int32, c.lines, c.k)
			b.TopK(top, rows, x)
			numbers := tensor.New(b, tensor.Float32, c.lines, c.k)
			b.CopyInts(numbers, rows)
			return [][]float32{values(top), values(numbers)}
		})
	}
}

// All NaN are equal, whatever their bits.
func TestOrderOfNaN(t *testing.T) {
	b := open(t)
	data := random(10, 200)
	for i, bits := range []uint32{0xffc00000, 0x7fc00001, 0xffffffff, 0x7fc00000} {
		data[3+17*i] = math.Float32frombits(bits)
	}
	like(t, "order of NaN", b, 0, func(b tensor.Backend) [][]float32 {
		x := tensor.FromSlice(b, data, 2, 100)
		top, rows := tensor.New(b, tensor.Float32, 2, 9), tensor.New(b, tensor.Int32, 2, 9)
		b.TopK(top, rows, x)
		numbers := tensor.New(b, tensor.Float32, 2, 9)
		b.CopyInts(numbers, rows)
		out := [][]float32{values(numbers)}
		for _, op := range []tensor.ReduceOp{tensor.ReduceMax, tensor.ReduceMin} {
			first, number := tensor.New(b, tensor.Int32, 2, 1), tensor.New(b, tensor.Float32, 2, 1)
			b.ArgReduce(first, op, x)
			b.CopyInts(number, first)
			out = append(out, values(number))
		}
		return out
	})
}

// An index that a kernel made is checked, too, as is a part of it.
func TestIndexOfKernel(t *testing.T) {
	b := open(t)
	tp := tensor.NewTape(b)
	x := tensor.FromSlice(b, []float32{3, 1, 2, 5, 4, 9}, 2, 3)
	index := tensor.New(b, tensor.Int32, 2, 1)
	b.ArgReduce(index, tensor.ReduceMax, x) // 0 and 2
	table, out := tensor.FromSlice(b, random(6, 4), 2, 2), tensor.New(b, tensor.Float32, 2, 1)
	refused := func(want string, index *tensor.Tensor) {
		t.Helper()
		got := panics(func() { b.GatherAlong(out, table, index, 1, false) })
		if !strings.Contains(got, want) {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
	refused("row 2 of 2, at position 1", index)
	if got := panics(func() { b.ScatterAlong(table, out, index, 1, false) }); !strings.Contains(got, "row 2 of 2") {
		t.Errorf("panic %q", got)
	}
	b.GatherAlong(tp.Rows(out, 0, 1), tp.Rows(table, 0, 1), tp.Rows(index, 0, 1), 1, false)
	if got, want := values(out)[0], values(table)[0]; got != want {
		t.Errorf("gathered %v, want %v", got, want)
	}
	// What the host knew is forgotten when a kernel writes.
	index = tensor.FromSlice(b, []int32{0, 1}, 2, 1)
	b.ArgReduce(index, tensor.ReduceMax, x)
	refused("row 2 of 2", index)
	b.CopyInts(index, tensor.FromSlice(b, []int32{1, 7}, 2, 1))
	refused("row 7 of 2", index)
	// A column of what a kernel made, and a copy of it.
	top, rows := tensor.New(b, tensor.Float32, 2, 2), tensor.New(b, tensor.Int32, 2, 2)
	b.TopK(top, rows, x) // 0 and 2, 2 and 0
	second, copied := tp.Slice(rows, 1, 1, 2), tensor.FromSlice(b, []int32{0, 1}, 2, 1)
	b.CopyInts(copied, second)
	for _, index := range []*tensor.Tensor{second, copied} {
		refused("row 2 of 2, at position 0", index)
		b.GatherAlong(out, x, index, 1, false)
		if got := values(out); got[0] != 2 || got[1] != 5 {
			t.Errorf("gathered %v, want 2 and 5", got)
		}
	}
	// A copy of a column that the host knows.
	b.CopyInts(copied, tp.Slice(tensor.FromSlice(b, []int32{0, 7, 1, 7}, 2, 2), 1, 0, 1))
	b.GatherAlong(out, table, copied, 1, false)
	targets := tensor.New(b, tensor.Int32, 2)
	b.CopyInts(targets, tp.Reshape(index, 2)) // 1 and 7
	losses, counts := tensor.New(b, tensor.Float32, 2), tensor.New(b, tensor.Float32, 2)
	got := panics(func() { b.CrossEntropyRows(losses, counts, table, targets, nil, 0, -1) })
	if !strings.Contains(got, "target 7 of 2 classes, at position 1") {
		t.Errorf("panic %q", got)
	}
}

// All lines have the same index, which is a column of a matrix.
func TestScatterByColumn(t *testing.T) {
	b := open(t)
	for _, accumulate := range []bool{false, true} {
		like(t, fmt.Sprintf("scatter, accumulate %v", accumulate), b, 0, func(b tensor.Backend) [][]float32 {
			dst, src := tensor.FromSlice(b, random(1, 5*7), 5, 7), tensor.FromSlice(b, random(2, 4*7), 4, 7)
			numbers := tensor.FromSlice(b, []int32{3, 0, 0, 0, 3, 4, 3, 1}, 4, 2)
			b.ScatterAlong(dst, src, tensor.NewTape(b).Slice(numbers, 1, 0, 1), 0, accumulate)
			return [][]float32{values(dst)}
		})
	}
}

// The loss of rows with infinite and missing logits, and of sure targets.
func TestCrossEntropyEnds(t *testing.T) {
	b := open(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	rows := [][]float32{
		{1, 2, 3, 4}, {-inf, 2, 3, -inf}, {-inf, -inf, -inf, -inf}, {inf, 1, 2, 3}, {nan, 1, 2, 3}, {60, 0, -3, 1},
		{1e30, -1e30, 0, 1}, {16, 0, 0, 0}, {nan, nan, 0, 1},
	}
	targets := []int32{3, 1, 0, 0, 1, 0, 0, 0, 9}
	var logits []float32
	for _, row := range rows {
		logits = append(logits, row...)
	}
	for _, smoothing := range []float32{0, 0.25, 1} {
		for _, weighted := range []bool{false, true} {
			name := fmt.Sprintf("smoothing %v, weighted %v", smoothing, weighted)
			for i := range rows { // by itself, so that the tolerance is that of the row
				like(t, fmt.Sprintf("row %d, %s", i, name), b, 1e-6, func(b tensor.Backend) [][]float32 {
					x := tensor.FromSlice(b, logits[4*i:4*i+4], 1, 4)
					target := tensor.FromSlice(b, targets[i:i+1], 1)
					var weight *tensor.Tensor
					if weighted {
						weight = tensor.FromSlice(b, []float32{0.5, 2, 1, 3}, 4)
					}
					loss, count := tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1)
					b.CrossEntropyRows(loss, count, x, target, weight, smoothing, 9)
					dloss, dx := tensor.FromSlice(b, []float32{0.7}, 1), tensor.New(b, tensor.Float32, 1, 4)
					b.CrossEntropyRowsBackward(dx, dloss, x, target, weight, smoothing, 9, false)
					return [][]float32{values(loss), values(count), values(dx)}
				})
			}
		}
	}
}

// Softmax has NaN where all is -Inf, or one is +Inf or NaN.
func TestSoftmaxRows(t *testing.T) {
	type softmax interface {
		SoftmaxRows(y, x *tensor.Tensor)
		SoftmaxRowsBackward(dx, dy, y *tensor.Tensor, accumulate bool)
	}
	b := open(t)
	inf := float32(math.Inf(1))
	for _, shape := range [][2]int{{1, 1}, {7, 5}, {3, 33}, {9, 700}, {2, 3000}} {
		for _, accumulate := range []bool{false, true} {
			n := shape[0] * shape[1]
			like(t, fmt.Sprintf("softmax of %v, accumulate %v", shape, accumulate), b, 1e-6, func(b tensor.Backend) [][]float32 {
				data := random(7, n)
				for i := range data {
					data[i] *= 10
				}
				data[0] = -inf
				if shape[0] > 6 {
					data[shape[1]], data[2*shape[1]+1] = inf, float32(math.NaN())
					for i := range shape[1] {
						data[3*shape[1]+i] = -inf
					}
				}
				x, y := tensor.FromSlice(b, data, shape[:]...), tensor.New(b, tensor.Float32, shape[:]...)
				b.(softmax).SoftmaxRows(y, x)
				dy, dx := tensor.FromSlice(b, random(8, n), shape[:]...), tensor.FromSlice(b, random(9, n), shape[:]...)
				b.(softmax).SoftmaxRowsBackward(dx, dy, y, accumulate)
				return [][]float32{values(y), values(dx)}
			})
		}
	}
}
