package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/race"
)

// arrayOf returns the elements of a view.
func arrayOf(t *Tensor) array {
	return build(slices.Clone(t.Shape()), func(index []int) float64 { return float64(t.store.F32[t.place(index)]) })
}

// randomShape returns the sizes of at least a number of axes, some of them 0 or 1.
func randomShape(rng *rand.Rand, least int) []int {
	shape := make([]int, least+rng.IntN(5-least))
	for i := range shape {
		shape[i] = rng.IntN(5)
		if rng.IntN(30) == 0 {
			shape[i] = 20 + rng.IntN(80)
		}
	}
	return shape
}

// randomIndex returns positions below n, as a view with some strides.
func randomIndex(tp *Tape, rng *rand.Rand, n int, shape ...int) (*Tensor, array) {
	wide := slices.Clone(shape)
	if len(wide) > 0 {
		wide[0], wide[len(wide)-1] = wide[len(wide)-1], wide[0]
	}
	x := New(tp.backend, Int32, wide...)
	for i := range x.Int32s() {
		x.Int32s()[i] = int32(rng.IntN(n))
	}
	if len(wide) > 0 {
		x = tp.Transpose(x, 0, -1)
	}
	return x, build(shape, func(index []int) float64 { return float64(x.store.I32[x.place(index)]) })
}

// with returns index with a position along an axis.
func with(index []int, axis, at int) []int {
	index = slices.Clone(index)
	index[axis] = at
	return index
}

// linearCase is an operation on views whose result is a sum of elements of its
// inputs and constants.
type linearCase struct {
	op  func(x []*Tensor) *Tensor
	ref func(x []array) array
}

// randomLinear draws an operation and its inputs.
func randomLinear(tp *Tape, rng *rand.Rand) (c linearCase, leaves, views []*Tensor) {
	draw := func(shape []int) *Tensor {
		leaf, view := strided(tp, rng, shape...)
		leaves, views = append(leaves, leaf), append(views, view)
		return view
	}
	shape := randomShape(rng, 1)
	axis := rng.IntN(len(shape))
	n := shape[axis]
	resized := func(size int) []int { return with(shape, axis, size) }
	switch kind := rng.IntN(10); {
	case kind == 0 && n > 0:
		draw(shape)
		own := resized(rng.IntN(6))
		for d := range own {
			if d != axis && rng.IntN(3) == 0 {
				own[d] = 1
			}
		}
		index, ids := randomIndex(tp, rng, n, own...)
		c.op = func(x []*Tensor) *Tensor { return tp.TakeAlongDim(x[0], axis-len(shape), index) }
		c.ref = func(x []array) array {
			return build(resized(own[axis]), func(i []int) float64 { return x[0].at(with(i, axis, int(ids.at(i)))) })
		}
	case kind == 1 && n > 0:
		draw(shape)
		index, ids := randomIndex(tp, rng, n, rng.IntN(6))
		c.op = func(x []*Tensor) *Tensor { return tp.IndexSelect(x[0], axis, index) }
		c.ref = func(x []array) array {
			return build(resized(index.Len()), func(i []int) float64 { return x[0].at(with(i, axis, int(ids.data[i[axis]]))) })
		}
	case kind == 2 && n > 0:
		m := rng.IntN(6)
		draw(shape)
		draw(resized(m))
		index, ids := randomIndex(tp, rng, n, m)
		c.op = func(x []*Tensor) *Tensor { return tp.IndexAdd(x[0], axis, index, x[1]) }
		c.ref = func(x []array) array {
			return build(shape, func(i []int) float64 {
				sum := x[0].at(i)
				for j, id := range ids.data {
					if int(id) == i[axis] {
						sum += x[1].at(with(i, axis, j))
					}
				}
				return sum
			})
		}
	case kind == 3 && n > 0:
		m := rng.IntN(6)
		draw(shape)
		draw(resized(m))
		index, ids := randomIndex(tp, rng, n, resized(m)...)
		c.op = func(x []*Tensor) *Tensor { return tp.ScatterAdd(x[0], axis, index, x[1]) }
		c.ref = func(x []array) array {
			return build(shape, func(i []int) float64 {
				sum := x[0].at(i)
				for j := range m {
					if from := with(i, axis, j); int(ids.at(from)) == i[axis] {
						sum += x[1].at(from)
					}
				}
				return sum
			})
		}
	case kind == 9 && n > 0:
		m := rng.IntN(6)
		draw(shape)
		draw(resized(m))
		index, ids := randomIndex(tp, rng, n, resized(m)...)
		c.op = func(x []*Tensor) *Tensor { return tp.Scatter(x[0], axis, index, x[1]) }
		c.ref = func(x []array) array {
			return build(shape, func(i []int) float64 {
				value := x[0].at(i)
				for j := range m {
					if from := with(i, axis, j); int(ids.at(from)) == i[axis] {
						value = x[1].at(from)
					}
				}
				return value
			})
		}
	case kind == 4:
		draw(shape)
		c.op = func(x []*Tensor) *Tensor { return tp.CumSum(x[0], axis) }
		c.ref = func(x []array) array {
			return build(shape, func(i []int) float64 {
				sum := 0.0
				for j := range i[axis] + 1 {
					sum += x[0].at(with(i, axis, j))
				}
				return sum
			})
		}
	case kind == 5:
		draw(shape)
		before, after := rng.IntN(3), rng.IntN(3)
		c.op = func(x []*Tensor) *Tensor { return tp.Pad(x[0], axis, before, after, 1.5) }
		c.ref = func(x []array) array {
			return build(resized(n+before+after), func(i []int) float64 {
				if at := i[axis] - before; at >= 0 && at < n {
					return x[0].at(with(i, axis, at))
				}
				return 1.5
			})
		}
	case kind == 6:
		draw(shape)
		times := randomShape(rng, len(shape))
		c.op = func(x []*Tensor) *Tensor { return tp.Repeat(x[0], times...) }
		c.ref = func(x []array) array {
			own, all := make([]int, len(times)), slices.Clone(times)
			for d := range own {
				own[d] = 1
				if at := d - len(times) + len(shape); at >= 0 {
					own[d] = shape[at]
				}
				all[d] *= own[d]
			}
			return build(all, func(i []int) float64 {
				i = slices.Clone(i)
				for d := range i {
					i[d] %= own[d]
				}
				return array{own, x[0].data}.at(i)
			})
		}
	default:
		shape = randomShape(rng, 2)
		draw(shape)
		diagonal := rng.IntN(9) - 4
		upper := kind == 7
		c.op = func(x []*Tensor) *Tensor { return tp.Tril(x[0], diagonal) }
		if upper {
			c.op = func(x []*Tensor) *Tensor { return tp.Triu(x[0], diagonal) }
		}
		c.ref = func(x []array) array {
			return build(shape, func(i []int) float64 {
				d := i[len(i)-1] - i[len(i)-2] - diagonal
				if upper && d < 0 || !upper && d > 0 {
					return 0
				}
				return x[0].at(i)
			})
		}
	}
	return c, leaves, views
}

// checkLinear compares values and gradients; those of a linear function are its
// values at unit vectors.
func checkLinear(t *testing.T, tp *Tape, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 10))
	tp.Reset(Gradient, 0)
	c, leaves, views := randomLinear(tp, rng)
	in := make([]array, len(views))
	for i, x := range views {
		in[i] = arrayOf(x)
	}
	y := tp.Contiguous(c.op(views)) // repeated once, a view stays one
	want := c.ref(in)
	name := fmt.Sprintf("seed %d, %v of %v", seed, y, views)
	if !slices.Equal(y.Shape(), want.shape) {
		t.Fatalf("%s: want shape %v", name, want.shape)
	}
	compare(t, name, y.Float32s(), want.data, 1e-6)
	if y.Len() == 0 {
		return
	}
	dy := make([]float32, y.Len())
	for i := range dy {
		dy[i] = float32(rng.NormFloat64())
	}
	tp.backwardFrom(y, dy)
	for _, x := range in {
		clear(x.data)
	}
	zero := weighted(dy, c.ref(in).data)
	for k, x := range views {
		g := leaves[k].Grad().Float32s()
		flows := 0
		build(x.Shape(), func(index []int) float64 {
			i := 0
			for d, n := range x.Shape() {
				i = i*n + index[d]
			}
			if flows++; flows > 40 { // enough of a large one
				return 0
			}
			in[k].data[i] = 1
			want := weighted(dy, c.ref(in).data) - zero
			in[k].data[i] = 0
			if got := float64(g[x.place(index)-leaves[k].offset]); !(math.Abs(got-want) <= 1e-5*max(1, math.Abs(want))) {
				t.Fatalf("%s: gradient by input %d at %v is %v, want %v", name, k, index, got, want)
			}
			return 0
		})
	}
}

// Operations that pick, move and add up elements are right for views of any shape
// and strides, and so are their gradients.
func TestIndexing(t *testing.T) {
	b := NewCPU(2)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	for seed := range uint64(2000) {
		checkLinear(t, tp, seed)
	}
}

func FuzzIndexing(f *testing.F) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkLinear(t, tp, seed) })
}

// What is repeated never has the gradient 0.
func TestRepeatNever(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	x := FromSlice(b, []float32{1, 2, 3, 4}, 2, 2)
	x.SetRequiresGrad(true)
	for range 2 { // the second time memory is poisoned
		x.ZeroGrad()
		tp.Reset(Gradient, 0)
		tp.Backward(tp.Sum(tp.Repeat(tp.Scale(2, x), 0, 3), false))
		if g := x.Grad().Float32s(); !slices.Equal(g, make([]float32, 4)) {
			t.Errorf("gradient %v, want zeros", g)
		}
	}
}

// The sizes of axes that a view dropped do not count.
func TestScatterAddOfSqueezed(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := tp.Squeeze(tp.Floats([]float32{1, 2, 3}, 1, 3), 0)
	y := tp.IndexAdd(x, 0, tp.Ints([]int32{2}), tp.Slice(x, 0, 0, 1))
	y = tp.IndexAdd(y, 0, tp.Ints([]int32{0, 1, 2}), x)
	if want := []float32{2, 4, 7}; !slices.Equal(y.Float32s(), want) {
		t.Errorf("%v, want %v", y.Float32s(), want)
	}
}

// Ids and targets can be views, such as the columns of sequences of tokens.
func TestViewsOfIds(t *testing.T) {
	b := NewCPU(2)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	tokens := FromSlice(b, []int32{0, 1, 2, 3, 4, 4, 3, 2, 1, 0}, 2, 5)
	input, targets := tp.Slice(tokens, 1, 0, 4), tp.Slice(tokens, 1, 1, 5)
	for name, c := range map[string]struct {
		x    *Tensor
		want []int32
	}{
		"reshape":       {tp.Reshape(input, 8), []int32{0, 1, 2, 3, 4, 3, 2, 1}},
		"of targets":    {tp.Contiguous(targets), []int32{1, 2, 3, 4, 3, 2, 1, 0}},
		"transposed":    {tp.Contiguous(tp.Transpose(tokens, 0, 1)), []int32{0, 4, 1, 3, 2, 2, 3, 1, 4, 0}},
		"of one column": {tp.Contiguous(tp.Slice(tokens, 1, 2, 3)), []int32{2, 2}},
		"of nothing":    {tp.Contiguous(tp.Slice(tokens, 1, 2, 2)), nil},
	} {
		if got := c.x.Int32s(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	same := tp.Equal(tp.ToFloat(input), tp.ToFloat(tp.Slice(tokens, 1, 0, 1)))
	if got, want := fmt.Sprint(same.Float32s()), "[1 0 0 0 1 0 0 0]"; got != want {
		t.Errorf("as numbers: %v, want %v", got, want)
	}
	table := Randn(b, 1, 5, 3)
	column := tp.Squeeze(tp.Slice(tokens, 1, 1, 2), 1)
	rows := slices.Concat(table.Float32s()[3:6], table.Float32s()[9:12])
	if got := tp.Gather(table, column, 1).Float32s(); !slices.Equal(got, rows) {
		t.Errorf("gathered %v of %v", got, table.Float32s())
	}
	selected := tp.IndexSelect(table, 0, column)
	if got := selected.Float32s(); !slices.Equal(got, rows) {
		t.Errorf("selected %v of %v", got, table.Float32s())
	}
	x := tp.Mul(selected, selected) // [2, 3]
	loss, _ := tp.CrossEntropy(x, table, column, 0, 1)
	if want, _ := tp.CrossEntropy(x, table, tp.Ints([]int32{1, 3}), 0, 1); loss.Item() != want.Item() {
		t.Errorf("loss %v, want %v", loss.Item(), want.Item())
	}
}

// Of several elements that are scattered to one place the last stays, for any number of
// threads; it alone has a gradient.
func TestScatterTwice(t *testing.T) {
	for _, threads := range []int{1, 3} {
		b := NewCPU(threads)
		tp := NewTape(b)
		tp.Reset(Gradient, 0)
		x, src := Randn(b, 1, 3, 900), Randn(b, 2, 4, 900)
		x.SetRequiresGrad(true)
		src.SetRequiresGrad(true)
		y := tp.Scatter(x, 0, tp.Reshape(tp.Ints([]int32{2, 0, 2, 2}), 4, 1), src)
		want := slices.Concat(src.Float32s()[900:1800], x.Float32s()[900:1800], src.Float32s()[2700:])
		if !slices.Equal(y.Float32s(), want) {
			t.Errorf("%d threads: not the last", threads)
		}
		tp.Backward(tp.Sum(y, false))
		for _, c := range []struct {
			g    *Tensor
			rows []float32
		}{{x.Grad(), []float32{0, 1, 0}}, {src.Grad(), []float32{0, 1, 0, 1}}} {
			for i, g := range c.g.Float32s() {
				if g != c.rows[i/900] {
					t.Fatalf("%d threads: gradient %d of %v is %v, want %v", threads, i, c.g, g, c.rows[i/900])
				}
			}
		}
		b.Close()
	}
}

// before reports whether x comes before y: NaN first, then the greater.
func before(x, y float64) bool { return x > y || x != x && y == y }

// TopK, ArgMax and ArgMin are right for views, with equal elements, NaN and
// infinities.
func TestOrder(t *testing.T) {
	b := NewCPU(2)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	specials := []float32{nan, float32(math.Inf(1)), negInf, 0, float32(math.Copysign(0, -1)), 1, -1, 1e-40}
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 11))
		tp.Reset(Gradient, 0)
		shape := randomShape(rng, 1)
		leaf, x := strided(tp, rng, shape...)
		if rng.IntN(2) == 0 {
			for i := range leaf.Float32s() {
				leaf.Float32s()[i] = specials[rng.IntN(len(specials))]
			}
		}
		in := arrayOf(x)
		name := fmt.Sprintf("seed %d: %v", seed, x)
		last := len(shape) - 1
		k := rng.IntN(shape[last] + 1)
		values, indices := tp.TopK(x, k)
		build(with(shape, last, min(1, k)), func(index []int) float64 {
			order := make([]int, shape[last])
			for i := range order {
				order[i] = i
			}
			at := func(i int) float64 { return in.data[in.number(with(index, last, i))] }
			slices.SortStableFunc(order, func(i, j int) int {
				switch {
				case before(at(i), at(j)):
					return -1
				case before(at(j), at(i)):
					return 1
				}
				return 0
			})
			for i := range k {
				place := values.place(with(index, last, i))
				got, row := float64(values.store.F32[place]), indices.store.I32[place-values.offset+indices.offset]
				if want := at(order[i]); int(row) != order[i] || got != want && want == want {
					t.Fatalf("%s: number %d of top %d is %v at %d, want %v at %d", name, i, k, got, row, want, order[i])
				}
			}
			return 0
		})
		axis := rng.IntN(len(shape))
		if shape[axis] == 0 {
			continue
		}
		for _, sign := range []float64{1, -1} {
			keep := rng.IntN(2) == 0
			arg := tp.ArgMax(x, axis, keep)
			if sign < 0 {
				arg = tp.ArgMin(x, axis, keep)
			}
			want := build(with(shape, axis, 1), func(index []int) float64 {
				best := 0
				at := func(i int) float64 { return sign * in.data[in.number(with(index, axis, i))] }
				for i := range shape[axis] {
					if before(at(i), at(best)) {
						best = i
					}
				}
				return float64(best)
			})
			if !keep {
				want.shape = slices.Delete(want.shape, axis, axis+1)
			}
			got := make([]float64, arg.Len())
			for i, v := range arg.Int32s() {
				got[i] = float64(v)
			}
			if !slices.Equal(got, want.data) || !slices.Equal(arg.Shape(), want.shape) {
				t.Fatalf("%s along axis %d, sign %v: %v, want %v", name, axis, sign, got, want)
			}
		}
	}
}

// number returns the place of an element.
func (a array) number(index []int) int {
	i := 0
	for d, n := range a.shape {
		i = i*n + index[d]
	}
	return i
}

func TestOneHot(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	tp.Reset(Inference, 0)
	x := tp.Transpose(tp.Reshape(tp.Ints([]int32{2, 0, 1, 1, 0, 2}), 3, 2), 0, 1)
	y := tp.OneHot(x, 3)
	want := []float32{0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}
	if !slices.Equal(y.Shape(), []int{2, 3, 3}) || !slices.Equal(y.Float32s(), want) {
		t.Errorf("%v %v, want %v", y, y.Float32s(), want)
	}
	one := tp.OneHot(FromSlice(b, []int32{1}), 2)
	if !slices.Equal(one.Shape(), []int{2}) || !slices.Equal(one.Float32s(), []float32{0, 1}) {
		t.Errorf("of a number: %v %v", one, one.Float32s())
	}
	if none := tp.OneHot(tp.Ints(nil), 4); !slices.Equal(none.Shape(), []int{0, 4}) {
		t.Errorf("of nothing: %v", none)
	}
}

func TestClampMaskedFill(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	x := FromSlice(b, []float32{-2, -1, 0, 1, 2, nan, negInf, float32(math.Inf(1))}, 8)
	x.SetRequiresGrad(true)
	y := tp.Clamp(x, -1, 1)
	if got, want := fmt.Sprint(y.Float32s()), "[-1 -1 0 1 1 NaN -1 1]"; got != want {
		t.Errorf("clamp: %v, want %v", got, want)
	}
	tp.backwardFrom(y, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	if got, want := fmt.Sprint(x.Grad().Float32s()[:5]), "[0 0 3 0 0]"; got != want {
		t.Errorf("gradient of clamp: %v, want %v", got, want)
	}
	x.ZeroGrad()
	tp.Reset(Gradient, 0)
	mask := tp.Floats([]float32{1, 0, nan, 0}, 4, 1)
	y = tp.MaskedFill(tp.Slice(x, 0, 4, 8), mask, 9)
	if got, want := fmt.Sprint(y.Float32s()), "[9 9 9 9 2 NaN -Inf +Inf 9 9 9 9 2 NaN -Inf +Inf]"; got != want {
		t.Errorf("masked fill: %v, want %v", got, want)
	}
	tp.backwardFrom(y, []float32{1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1, 1, 1, 1, 1})
	if got, want := fmt.Sprint(x.Grad().Float32s()), "[0 0 0 0 6 7 8 9]"; got != want {
		t.Errorf("gradient of masked fill: %v, want %v", got, want)
	}
}

func TestIndexingPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := tp.Floats(make([]float32, 12), 3, 4)
	ints := func(v ...int32) *Tensor { return tp.Ints(v) }
	for want, f := range map[string]func(){
		"row 4 of 4, at position 1":          func() { tp.IndexSelect(x, 1, ints(0, 4)) },
		"row -1 of 3, at position 0":         func() { tp.IndexSelect(x, 0, ints(-1)) },
		"row 3 of 3, at position 2":          func() { tp.OneHot(ints(0, 2, 3), 3) },
		"row 5 of 3, at position 1":          func() { tp.ScatterAdd(x, 0, tp.Unsqueeze(ints(0, 5), 1), tp.New(2, 4)) },
		"indexselect: axis 2 of float32[3 4": func() { tp.IndexSelect(x, 2, ints(0)) },
		"takealongdim: index int32[2]":       func() { tp.TakeAlongDim(x, 0, ints(0, 1)) },
		"takealongdim: index int32[2 1]":     func() { tp.TakeAlongDim(x, 1, tp.Reshape(ints(0, 1), 2, 1)) },
		"takealongdim: index float32[3 4]":   func() { tp.TakeAlongDim(x, 1, x) },
		"indexadd: index int32[2]":           func() { tp.IndexAdd(x, 0, ints(0, 1), tp.New(3, 4)) },
		"scatter: float32[3 2] to":           func() { tp.Scatter(x, 0, tp.Reshape(ints(0, 1), 1, 2), tp.New(3, 2)) },
		"scatteradd: float32[3 2] to":        func() { tp.ScatterAdd(x, 0, tp.Reshape(ints(0, 1), 1, 2), tp.New(3, 2)) },
		"tofloat: float32[3 4], want int32":  func() { tp.ToFloat(x) },
		"cumsum: int32[2], want float32":     func() { tp.CumSum(ints(0, 1), 0) },
		"pad: int32[2], want float32":        func() { tp.Pad(ints(0, 1), 0, 1, 1, 0) },
		"repeat: int32[2], want float32":     func() { tp.Repeat(ints(0, 1), 2) },
		"expand: int32[2], want float32":     func() { tp.Expand(ints(0, 1), 2, 2) },
		"concat: int32[2], want float32":     func() { tp.Concat(0, tp.New(1), ints(0, 1)) },
		"max: int32[2], want float32":        func() { tp.Max(ints(0, 1), false) },
		"logsumexp: int32[2], want float32":  func() { tp.LogSumExp(ints(0, 1), false) },
		"topk: 5 of float32[3 4]":            func() { tp.TopK(x, 5) },
		"argmax: axis 0 of float32[0 4]":     func() { tp.ArgMax(tp.New(0, 4), 0, false) },
		"argmin: axis -3 of float32[3 4]":    func() { tp.ArgMin(x, -3, false) },
		"clamp: from 2 to 1":                 func() { tp.Clamp(x, 2, 1) },
		"pad: -1 before":                     func() { tp.Pad(x, 0, -1, 0, 0) },
		"repeat: float32[3 4] [2] times":     func() { tp.Repeat(x, 2) },
		"tril: float32[4], want matrices":    func() { tp.Tril(tp.New(4), 0) },
		"onehot: float32[3 4], want int32":   func() { tp.OneHot(x, 3) },
	} {
		mustPanic(t, want, f)
	}
}

// Products, indexing and losses allocate nothing once the tape has its memory.
func TestIndexingAllocatesNothing(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := FromSlice(b, make([]float32, 4*6*10), 4, 6, 10)
	w := FromSlice(b, make([]float32, 60), 6, 10)
	x.SetRequiresGrad(true)
	w.SetRequiresGrad(true)
	rows, targets := FromSlice(b, []int32{1, 5, 1}, 3), FromSlice(b, make([]int32, 24), 24)
	first := FromSlice(b, []int32{0, 1, 0}, 3)
	step := func() {
		x.ZeroGrad()
		w.ZeroGrad()
		tp.Reset(Gradient, 0)
		y := tp.MatMul(tp.Transpose(x, 1, 2), w, false)            // [4, 10, 10]
		y = tp.MatMul(tp.Tril(y, 0), tp.Transpose(w, 0, 1), false) // [4, 10, 6]
		y = tp.IndexSelect(tp.CumSum(y, 1), 2, rows)
		y = tp.Clamp(tp.Pad(tp.IndexAdd(y, 2, first, y), 1, 1, 1, 2), -1, 1)
		values, _ := tp.TopK(y, 2)
		tp.ArgMax(y, 1, false)
		loss := tp.CrossEntropyLoss(tp.Reshape(values, 24, 4), targets, CrossEntropyOptions{Smoothing: 0.1})
		tp.Backward(tp.Sub(loss, tp.BCEWithLogits(values, values, nil, ReductionSum)))
	}
	for range 3 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n > 0 && !race.Enabled {
		t.Errorf("%v allocations", n)
	}
}
