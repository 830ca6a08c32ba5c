package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// strided returns a view of some shape, of a parameter whose axes have another
// order, or which is larger.
func strided(tp *Tape, rng *rand.Rand, shape ...int) (leaf, view *Tensor) {
	order := rng.Perm(len(shape))
	if rng.IntN(3) == 0 {
		slices.Sort(order)
	}
	sizes, inverse := make([]int, len(shape)), make([]int, len(shape))
	cut := make([]int, len(shape))
	for i, axis := range order {
		if rng.IntN(4) == 0 {
			cut[i] = 1 + rng.IntN(2)
		}
		sizes[i], inverse[axis] = shape[axis]+cut[i], i
	}
	leaf = New(tp.backend, Float32, sizes...)
	for i := range leaf.Float32s() {
		leaf.Float32s()[i] = float32(rng.NormFloat64())
	}
	leaf.SetRequiresGrad(true)
	view = leaf
	for i, n := range cut {
		if n > 0 {
			view = tp.Slice(view, i, n, sizes[i])
		}
	}
	return leaf, tp.Permute(view, inverse...)
}

// place returns where the element of t is at a position of a shape that t is
// broadcast to.
func (t *Tensor) place(index []int) int {
	i := t.offset
	for d := range t.rank {
		if t.shape[d] != 1 {
			i += index[len(index)-t.rank+d] * t.strides[d]
		}
	}
	return i
}

// randomBatch returns dimensions and two that are broadcast to them.
func randomBatch(rng *rand.Rand) (batch, a, b []int) {
	for range rng.IntN(4) {
		batch = append(batch, rng.IntN(4))
	}
	own := func() []int {
		s := slices.Clone(batch[rng.IntN(len(batch)+1):])
		for d := range s {
			if rng.IntN(3) == 0 {
				s[d] = 1
			}
		}
		return s
	}
	a, b = own(), own()
	shape := make([]int, max(len(a), len(b)))
	for i := range shape {
		shape[i] = 1
	}
	for _, s := range [][]int{a, b} {
		for i, n := range s {
			if n != 1 {
				shape[len(shape)-len(s)+i] = n
			}
		}
	}
	return shape, a, b
}

func checkMatMul(t *testing.T, tp *Tape, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 9))
	tp.Reset(Gradient, 0)
	tp.New(1 + rng.IntN(100))
	batch, batchA, batchB := randomBatch(rng)
	m, n, k := rng.IntN(6), rng.IntN(6), rng.IntN(7)
	if rng.IntN(8) == 0 {
		m, n, k = rng.IntN(70), rng.IntN(70), rng.IntN(70)
	}
	leafA, a := strided(tp, rng, append(batchA, m, k)...)
	transB := rng.IntN(2) == 0
	shapeB := append(batchB, k, n)
	if transB {
		shapeB = append(batchB, n, k)
	}
	leafB, b := strided(tp, rng, shapeB...)
	name := fmt.Sprintf("%v%v x %v%v (transB %v)", a, a.Strides(), b, b.Strides(), transB)
	y := tp.MatMul(a, b, transB)
	if want := append(batch, m, n); !slices.Equal(y.Shape(), want) {
		t.Fatalf("%s: %v, want %v", name, y, want)
	}
	op := tp.Transpose(b, 0, 0)
	if transB {
		op = tp.Transpose(b, -1, -2)
	}
	dy := make([]float32, y.Len())
	for i := range dy {
		dy[i] = float32(rng.NormFloat64())
	}
	want := make([]float64, y.Len())
	da, db := make([]float64, leafA.Len()), make([]float64, leafB.Len())
	build(y.Shape(), func(index []int) float64 {
		i := y.place(index) - y.offset
		indexA, indexB := slices.Clone(index), slices.Clone(index)
		for l := range k {
			indexA[len(index)-1], indexB[len(index)-2] = l, l
			pa, pb := a.place(indexA), op.place(indexB)
			va, vb := float64(leafA.store.F32[pa]), float64(leafB.store.F32[pb])
			want[i] += va * vb
			da[pa-leafA.offset] += float64(dy[i]) * vb
			db[pb-leafB.offset] += float64(dy[i]) * va
		}
		return 0
	})
	compare(t, name, y.Float32s(), want, 1e-6)
	if y.Len() == 0 {
		return
	}
	if rng.IntN(2) == 0 { // there are gradients to add to
		for leaf, want := range map[*Tensor][]float64{leafA: da, leafB: db} {
			for i := range want {
				want[i] += 100 // greater than what could cancel it
				leaf.Grad().Float32s()[i] = 100
			}
		}
	}
	tp.backwardFrom(y, dy)
	compare(t, name+", gradient of a", leafA.Grad().Float32s(), da, 1e-6)
	compare(t, name+", gradient of b", leafB.Grad().Float32s(), db, 1e-6)
}

// MatMul is right for any batch dimensions, with broadcasting, and any strides, and
// so are its gradients.
func TestMatMul(t *testing.T) {
	b := NewCPU(2)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	for seed := range uint64(2000) {
		checkMatMul(t, tp, seed)
	}
}

func FuzzMatMul(f *testing.F) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	tp.Poison()
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkMatMul(t, tp, seed) })
}

// Transposed, sliced and broadcast matrices are multiplied without a copy.
func TestMatMulCopiesNothing(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := tp.Reshape(tp.Floats(make([]float32, 2*5*3*4), 2, 5, 3, 4), 2, 5, 3, 4)
	q := tp.Permute(x, 0, 2, 1, 3) // [batch, heads, tokens, width], as attention has it
	before := tp.floats.used
	tp.MatMul(q, tp.Transpose(q, -1, -2), false)
	tp.MatMul(tp.Transpose(q, -1, -2), q, false)
	tp.MatMul(tp.Slice(q, 2, 1, 3), tp.Slice(q, 1, 0, 1), true)
	used := tp.floats.used - before
	if want := arenaSize(2*3*5*5) + arenaSize(2*3*4*4) + arenaSize(2*3*2*5); used != want {
		t.Errorf("%d elements used for results of %d", used, want)
	}
}

func TestMatMulPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	for _, shapes := range [][2][]int{
		{{2, 3}, {4, 5}}, {{3}, {3, 4}}, {{2, 3, 4}, {3, 4, 5}}, {{2, 2}, {}},
	} {
		mustPanic(t, "matmul: ", func() { tp.MatMul(tp.New(shapes[0]...), tp.New(shapes[1]...), false) })
	}
	mustPanic(t, "outer: ", func() { tp.Outer(tp.New(3), tp.New()) })
}

// NaN and infinities go through products as through sums of products.
func TestMatMulOfNaN(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := tp.Floats([]float32{1, nan, 2, 3, float32(math.Inf(1)), 5}, 3, 1, 2)
	y := tp.MatMul(x, tp.Floats([]float32{1, 0}, 2, 1), false).Float32s()
	if y[0] == y[0] || y[1] != 2 || !math.IsInf(float64(y[2]), 1) {
		t.Errorf("%v, want NaN, 2, +Inf", y)
	}
}
