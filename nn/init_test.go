package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// The initialisers have the distributions that their documentation gives.
func TestInitialisers(t *testing.T) {
	const out, in = 150, 200
	for _, c := range []struct {
		name  string
		draw  func(w *tensor.Tensor, rng *rand.Rand)
		std   float64
		bound float64 // of all values; 0: none
	}{
		{"Normal", func(w *tensor.Tensor, rng *rand.Rand) { Normal(w, rng, 0.5) }, 0.5, 0},
		// The standard deviation of a normal distribution cut off at two standard deviations is 0.8796.
		{"TruncNormal", func(w *tensor.Tensor, rng *rand.Rand) { TruncNormal(w, rng, 0.5) }, 0.5 * 0.8796, 1},
		{"Uniform", func(w *tensor.Tensor, rng *rand.Rand) { Uniform(w, rng, 3) }, math.Sqrt(3), 3},
		{"XavierUniform", func(w *tensor.Tensor, rng *rand.Rand) { XavierUniform(w, rng, 2) },
			2 * math.Sqrt(2./(in+out)), 2 * math.Sqrt(6./(in+out))},
		{"XavierNormal", func(w *tensor.Tensor, rng *rand.Rand) { XavierNormal(w, rng, 2) }, 2 * math.Sqrt(2./(in+out)), 0},
		{"KaimingUniform", func(w *tensor.Tensor, rng *rand.Rand) { KaimingUniform(w, rng, 2) },
			math.Sqrt(2. / 5 / in), math.Sqrt(6. / 5 / in)},
		{"KaimingNormal", func(w *tensor.Tensor, rng *rand.Rand) { KaimingNormal(w, rng, 0) }, math.Sqrt(2. / in), 0},
		{"Orthogonal", func(w *tensor.Tensor, rng *rand.Rand) { Orthogonal(w, rng, 2) }, 2 / math.Sqrt(in), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewParameter(tensor.NewCPU(1), out, in)
			c.draw(w, rand.New(rand.NewPCG(1, 0)))
			x := slices.Clone(w.Float32s())
			mean, square, most := 0.0, 0.0, 0.0
			for _, v := range widen(x) {
				mean += v / float64(len(x))
				square += v * v / float64(len(x))
				most = max(most, math.Abs(v))
			}
			// 5 standard deviations of the estimates; no distribution has a higher kurtosis than the normal one.
			n := float64(len(x))
			if math.Abs(mean) > 5*c.std/math.Sqrt(n) {
				t.Errorf("mean %v, want 0", mean)
			}
			if math.Abs(square/c.std/c.std-1) > 5*math.Sqrt(2/n) {
				t.Errorf("standard deviation %v, want %v", math.Sqrt(square), c.std)
			}
			if c.bound > 0 && !(most <= c.bound && most > 0.99*c.bound) {
				t.Errorf("greatest value %v, want about %v", most, c.bound)
			}
			if c.bound == 0 && most < 3*c.std {
				t.Errorf("greatest value %v: the tails of a normal distribution are missing", most)
			}
			c.draw(w, rand.New(rand.NewPCG(1, 0)))
			if !slices.Equal(w.Float32s(), x) {
				t.Error("the same seed gives other values")
			}
		})
	}
}

func TestOrthogonal(t *testing.T) {
	for _, shape := range [][2]int{{5, 9}, {9, 5}, {6, 6}, {1, 1}, {0, 3}} {
		w := NewParameter(tensor.NewCPU(1), shape[0], shape[1])
		Orthogonal(w, rand.New(rand.NewPCG(2, 0)), 3)
		n := min(shape[0], shape[1])
		at := func(i, j int) float64 {
			if shape[0] <= shape[1] {
				return float64(w.Float32s()[i*shape[1]+j])
			}
			return float64(w.Float32s()[j*shape[1]+i])
		}
		for a := range n {
			for b := range n {
				dot, want := 0.0, 0.0
				for j := range max(shape[0], shape[1]) {
					dot += at(a, j) * at(b, j)
				}
				if a == b {
					want = 9
				}
				if math.Abs(dot-want) > 1e-5 {
					t.Errorf("%v: vectors %d and %d have the product %v, want %v", shape, a, b, dot, want)
				}
			}
		}
	}
}

// Layers are drawn as PyTorch's are; without a generator they are zeros.
func TestDefaultInitialisation(t *testing.T) {
	b := tensor.NewCPU(1)
	type layer struct {
		name string
		make func(rng *rand.Rand) Layer
		std  float64
	}
	uniform := func(bound float64) float64 { return bound / math.Sqrt(3) }
	for _, c := range []layer{
		{"Linear", func(rng *rand.Rand) Layer { return NewLinear(b, 100, 300, rng) }, uniform(0.1)},
		{"Embedding", func(rng *rand.Rand) Layer { return NewEmbedding(b, 100, 300, rng) }, 1},
		{"FeedForward", func(rng *rand.Rand) Layer { return NewFeedForward(b, 100, 100, rng) }, uniform(0.1)},
		{"SwiGLU", func(rng *rand.Rand) Layer { return NewSwiGLU(b, 100, 100, rng) }, uniform(0.1)},
		{"LSTM", func(rng *rand.Rand) Layer { return NewLSTM(b, 50, 64, 2, rng) }, uniform(0.125)},
		{"GRU", func(rng *rand.Rand) Layer { return NewGRU(b, 50, 64, 2, rng) }, uniform(0.125)},
	} {
		for _, p := range c.make(rand.New(rand.NewPCG(3, 0))).Parameters(nil, "") {
			square := 0.0
			for _, v := range widen(p.Float32s()) {
				square += v * v / float64(p.Len())
			}
			// 6 standard deviations of the estimate
			if math.Abs(square/c.std/c.std-1) > 6*math.Sqrt(2/float64(p.Len())) {
				t.Errorf("%s: %s has standard deviation %v, want %v", c.name, p.Name, math.Sqrt(square), c.std)
			}
		}
		for _, p := range c.make(nil).Parameters(nil, "") {
			if slices.ContainsFunc(p.Float32s(), func(v float32) bool { return v != 0 }) {
				t.Errorf("%s: %s is not zero without a generator", c.name, p.Name)
			}
		}
	}
}
