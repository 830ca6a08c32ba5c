package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// gradCase is a differentiable operation and its float64 specification. The
// inputs are drawn at random, rounded to float32; the gradient of
// sum(w * output), w random, is compared with central differences of the
// specification in float64.
type gradCase struct {
	name   string
	shapes [][]int
	// op runs the operation on a tape.
	op func(tp *Tape, in []*Tensor) *Tensor
	// ref computes the output in float64 from the inputs in float64.
	ref  func(in [][]float64) []float64
	mode Mode
}

const testSeed = 11

func (c *gradCase) run(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, uint64(len(c.name))))
	tp := NewTape(b)
	tp.Poison()
	mode := c.mode
	if mode == Inference {
		mode = Gradient
	}
	for range 2 { // the second time memory is used again, and poisoned
		tp.Reset(mode, testSeed)
		tp.New(1 << 12)
	}
	tp.Reset(mode, testSeed)
	in := c.inputs(b, rng)
	var in64 [][]float64
	for _, x := range in {
		in64 = append(in64, widen(x.Float32s()))
	}
	out := c.op(tp, in)
	w := make([]float32, out.Len())
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	compare(t, c.name+" output", out.Float32s(), c.ref(in64), 1e-5)

	if out.Len() == 1 {
		w[0] = 1
		tp.Backward(out)
	} else {
		tp.backwardFrom(out, w)
	}
	for i, x := range in {
		want := make([]float64, x.Len())
		for j := range want {
			const h = 1e-5
			keep := in64[i][j]
			in64[i][j] = keep + h
			up := weighted(w, c.ref(in64))
			in64[i][j] = keep - h
			down := weighted(w, c.ref(in64))
			in64[i][j] = keep
			want[j] = (up - down) / (2 * h)
		}
		compare(t, fmt.Sprintf("%s gradient of input %d", c.name, i), x.Grad().Float32s(), want, 2e-5)
	}
}

// inputs draws the inputs of the operation.
func (c *gradCase) inputs(b Backend, rng *rand.Rand) []*Tensor {
	var in []*Tensor
	for _, shape := range c.shapes {
		x := New(b, Float32, shape...)
		x.SetRequiresGrad(true)
		values := make([]float32, x.Len())
		for j := range values {
			values[j] = float32(rng.NormFloat64())
		}
		x.SetFloat32s(values)
		in = append(in, x)
	}
	return in
}

// backwardFrom is Backward of the sum of w * out.
func (tp *Tape) backwardFrom(out *Tensor, w []float32) {
	g, _ := tp.gradient(out)
	g.SetFloat32s(w)
	tp.backward()
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func weighted(w []float32, x []float64) float64 {
	s := 0.0
	for i, v := range x {
		s += float64(w[i]) * v
	}
	return s
}

// compare fails where got differs from want by more than tol of the largest
// value.
func compare(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	size := 1e-3
	for _, v := range want {
		size = max(size, math.Abs(v))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= tol*size) {
			t.Fatalf("%s: [%d] = %v, want %v (largest %v)", what, i, got[i], v, size)
		}
	}
}

func TestGradients(t *testing.T) {
	for _, c := range slices.Concat(gradCases(), gradCasesOfShapes(), gradCasesOfIndex(), gradCasesOfGates()) {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

func TestSameBitsForAnyNumberOfThreads(t *testing.T) {
	for _, c := range slices.Concat(
		gradCases(), gradCasesOfIndex(), gradCasesOfGates(), largeCases(), largeCasesOfIndex(), largeCasesOfGates()) {
		t.Run(c.name, func(t *testing.T) {
			want := bits(c.plain(1))
			for _, threads := range []int{2, 5} {
				if got := bits(c.plain(threads)); got != want {
					t.Errorf("%d threads: results differ from those of one", threads)
				}
			}
		})
	}
}

// plain runs the operation without comparing, and returns outputs and
// gradients one after the other.
func (c *gradCase) plain(threads int) []float32 { return c.plainOn(NewCPU(threads)) }

// plainOn is plain on a backend, which it closes.
func (c *gradCase) plainOn(b Backend) []float32 {
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	tp := NewTape(b)
	tp.Reset(max(c.mode, Gradient), testSeed)
	in := c.inputs(b, rng)
	out := c.op(tp, in)
	all := append([]float32(nil), out.Float32s()...)
	if out.Len() == 1 {
		tp.Backward(out)
	} else {
		w := make([]float32, out.Len())
		for i := range w {
			w[i] = float32(rng.NormFloat64())
		}
		tp.backwardFrom(out, w)
	}
	for _, x := range in {
		all = append(all, x.Grad().Float32s()...)
	}
	return all
}

func bits(x []float32) string {
	s := make([]byte, 0, 4*len(x))
	for _, v := range x {
		u := math.Float32bits(v)
		s = append(s, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	return string(s)
}
