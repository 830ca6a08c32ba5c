package asm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// softmax64 is softmax by definition.
func softmax64(x []float32, scale float32, bias []float32, offsets []int32) (p []float64, lse float64) {
	segs := segments("softmax", len(x), bias, offsets)
	scores, top := make([]float64, len(x)), math.Inf(-1)
	for k := range segs.n {
		lo, hi, b := segs.at(k)
		for i := lo; i < hi; i++ {
			scores[i] = float64(scale)*float64(x[i]) + float64(b)
			top = max(top, scores[i])
		}
	}
	sum := 0.0
	for i, s := range scores {
		scores[i] = math.Exp(s - top)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
	return scores, top + math.Log(sum)
}

// Finite scores of any size have a softmax. From 2**24 bits on, the greatest is
// subtracted before they are multiplied.
func TestSoftmaxOfLargeScores(t *testing.T) {
	const most = math.MaxFloat32
	forEachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			x       []float32
			scale   float32
			bias    []float32
			offsets []int32
		}{
			{x: []float32{-1e10, -1e10, -1e10, -1e10}, scale: 1},
			{x: []float32{-1e30, -1e30, -1e30, -1e30}, scale: 1},
			{x: []float32{1.6e9, 0, -1.6e9, 3}, scale: 1},
			{x: []float32{2.5e9, 0, -2.5e9, 3}, scale: 1},
			{x: []float32{1e20, 0, -1e20, 3}, scale: 1},
			{x: []float32{3e38, -3e38, 3e38}, scale: 1},
			{x: []float32{-most, -most}, scale: 1},
			{x: []float32{-most, most, negInf}, scale: 1},
			{x: []float32{3e38, -3e38, 3e38}, scale: -2},
			{x: []float32{1e7, 1e7 + 1, 1e7 + 2}, scale: 1},
			{x: []float32{2e7, 2e7 + 2, 2e7 + 4}, scale: 0.5},
			{x: []float32{1e9, 1e9 + 64, 1e9 - 64}, scale: 1. / 64},
			{x: []float32{1e9, 1e9 + 64, 1e9 - 64}, scale: -1. / 64},
			{x: []float32{1, 2, 3, 4}, scale: 1, bias: []float32{-1e10, -1e10}, offsets: []int32{0, 2, 4}},
			{x: []float32{1, 2, 3, 4}, scale: 1, bias: []float32{1e11, negInf}, offsets: []int32{0, 2, 4}},
			{x: []float32{1e10, 1e10, negInf, negInf, 0}, scale: 1, bias: []float32{-1e10, 1, 1}, offsets: []int32{0, 2, 4, 5}},
		} {
			want, lse := softmax64(c.x, c.scale, c.bias, c.offsets)
			check := func(name string, got []float32) {
				t.Helper()
				for i, w := range want {
					if !(math.Abs(float64(got[i])-w) < 1e-6) {
						t.Errorf("%s(%v, scale %v, bias %v) = %v, want %v", name, c.x, c.scale, c.bias, got, want)
						return
					}
				}
			}
			y := slices.Clone(c.x)
			got := Softmax(y, y, c.scale, c.bias, c.offsets)
			check("softmax", y)
			if math.Abs(lse) < most && !(math.Abs(float64(got)-lse) <= 1e-6*math.Abs(lse)) {
				t.Errorf("softmax(%v, scale %v, bias %v): log-sum-exp %v, want %v", c.x, c.scale, c.bias, got, lse)
			}
			if c.bias != nil {
				continue
			}
			const cols = 32 // a row of ordinary scores before and behind
			x := slices.Repeat([]float32{negInf}, 3*cols)
			if c.scale < 0 {
				x = slices.Repeat([]float32{float32(math.Inf(1))}, 3*cols)
			}
			x[0], x[2*cols+1] = 3, 4
			copy(x[cols:], c.x)
			y = lineAligned(3 * cols)
			SoftmaxStream(y, make([]float32, cols), x, 3, cols, c.scale)
			check("softmax stream", y[cols:])
			if y[0] != 1 || y[2*cols+1] != 1 {
				t.Errorf("softmax stream beside %v: rows %v and %v", c.x, y[:cols], y[2*cols:])
			}
		}
	})
}

// lineAligned returns zeros that begin at a multiple of 64 bytes.
func lineAligned(n int) []float32 {
	x := make([]float32, n+16)
	for !wholeLines(x) {
		x = x[1:]
	}
	return x[:n]
}

// The loss and its gradient do not depend on an offset of all logits.
func TestCrossEntropyOfShiftedLogits(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, smoothing := range []float32{0, 0.1} {
			for _, c := range []float32{0, 1000, -1e4, 1e5, -1e6, 8e6, -8e6} {
				x := []float32{c, c + 1, c + 2}
				mean := (2.4076059644 + 1.4076059644 + 0.4076059644) / 3
				want := (1-float64(smoothing))*1.4076059644 + float64(smoothing)*mean
				if got := float64(CrossEntropy(x, 1, smoothing)); math.Abs(got-want) > 1e-6 {
					t.Errorf("CrossEntropy(%v, 1, %v) = %v, want %v", x, smoothing, got, want)
				}
				if got := LogSumExp(x) - float64(x[1]); math.Abs(got-1.4076059644) > 1e-6 {
					t.Errorf("LogSumExp(%v) is %v more than %v, want 1.4076060", x, got, x[1])
				}
				p := []float64{0.09003057, 0.24472847, 0.66524096}
				if got := float64(CrossEntropyGradient(x, 1, smoothing, 1)); math.Abs(got-want) > 1e-6 {
					t.Errorf("CrossEntropyGradient of %v and more, %v: loss %v, want %v", c, smoothing, got, want)
				}
				for i, got := range x {
					want := p[i] - float64(smoothing)/3
					if i == 1 {
						want -= 1 - float64(smoothing)
					}
					if math.Abs(float64(got)-want) > 1e-6 {
						t.Errorf("CrossEntropyGradient of %v and more, %v: gradient %v, want %v at %d", c, smoothing, x, want, i)
					}
				}
			}
		}
	})
}

func TestCrossEntropyOfLargeLogits(t *testing.T) {
	log := math.Log
	forEachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			x         []float32
			smoothing float32
			loss      float64
			gradient  []float64
		}{
			{x: []float32{-3e9, -3e9, -3e9}, loss: log(3), gradient: []float64{-2. / 3, 1. / 3, 1. / 3}},
			{x: []float32{3e38, 3e38, 3e38}, smoothing: 0.3, loss: log(3),
				gradient: []float64{1./3 - 0.8, 1./3 - 0.1, 1./3 - 0.1}},
			{x: []float32{2.5e9, 0, 1}, gradient: make([]float64, 3)},
			{x: []float32{1e20, 0, 1}, gradient: make([]float64, 3)},
			{x: []float32{3e38, -3e38, 2}, gradient: make([]float64, 3)},
			{x: []float32{0, 1e20}, loss: 1e20, gradient: []float64{-1, 1}},
			{x: []float32{negInf, 1e20}, loss: math.Inf(1), gradient: []float64{-1, 1}},
		} {
			if got := float64(CrossEntropy(c.x, 0, c.smoothing)); got != c.loss && !(math.Abs(got-c.loss) <= 1e-6*c.loss) {
				t.Errorf("CrossEntropy(%v) = %v, want %v", c.x, got, c.loss)
			}
			g := slices.Clone(c.x)
			got := float64(CrossEntropyGradient(g, 0, c.smoothing, 1))
			if got != c.loss && !(math.Abs(got-c.loss) <= 1e-6*(1+c.loss)) {
				t.Errorf("CrossEntropyGradient(%v) returns %v, want %v", c.x, got, c.loss)
			}
			for i, want := range c.gradient {
				if !(math.Abs(float64(g[i])-want) <= 1e-6) {
					t.Errorf("CrossEntropyGradient(%v): %v, want %v", c.x, g, c.gradient)
					break
				}
			}
		}
	})
}

// Blocks of logits whose references are exact and rounded follow each other.
func TestCrossEntropyGradientChangesReference(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, tops := range [][]float32{{-1e10, 5, 6}, {-1e10, -1e10 + 1024, 1e10}, {0, 1e10, 1e10},
			{-2e7, -1e7, 2e7}, {1e9, 1e9 + 64, 0}} {
			x := make([]float32, 3*lossBlock)
			for i := range x {
				x[i] = tops[i/lossBlock] - float32(i%3)
			}
			want, lse := softmax64(x, 1, nil, nil)
			got := slices.Clone(x)
			loss := CrossEntropyGradient(got, 0, 0, 1)
			if nll := lse - float64(x[0]); math.Abs(float64(loss)-nll) > 1e-6*(1+nll) {
				t.Errorf("%v: loss %v, want %v", tops, loss, nll)
			}
			want[0]--
			for i, w := range want {
				if !(math.Abs(float64(got[i])-w) <= 1e-6*math.Abs(w)+1e-30) {
					t.Fatalf("%v: gradient %d is %v, want %v", tops, i, got[i], w)
				}
			}
		}
	})
}

// The loss of a target with a probability close to 1 is rounded, but not below 0.
func TestCrossEntropyIsNotNegative(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(63, 64))
		for range 2000 {
			x := make([]float32, 1+rng.IntN(40))
			for i := range x {
				x[i] = 50 * float32(rng.NormFloat64())
			}
			x[0] = 120 + float32(math.Exp(20*rng.Float64()))
			for _, smoothing := range []float32{0, 1e-9} {
				if got := CrossEntropy(x, 0, smoothing); !(got >= 0) {
					t.Fatalf("CrossEntropy(%v, 0) = %v", x, got)
				}
				if got := CrossEntropyGradient(slices.Clone(x), 0, smoothing, 1); !(got >= 0) {
					t.Fatalf("CrossEntropyGradient(%v, 0) = %v", x, got)
				}
			}
		}
	})
}

// (1-Beta2)*g*g fits where g*g overflows.
func TestAdamWLargeGradient(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		const n = 37 // whole vectors and a rest
		p, g := slices.Repeat([]float32{1}, n), slices.Repeat([]float32{1e20}, n)
		m, v := make([]float32, n), make([]float32, n)
		AdamW(p, g, m, v, &AdamWParams{LR: 0.1, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, Step: 1, GradScale: 1})
		for i := range p {
			if math.Abs(float64(p[i])-0.899) > 1e-6 || math.Abs(float64(v[i])/2e38-1) > 1e-6 {
				t.Fatalf("parameter %d: p %v, v %v, want 0.899 and 2e38", i, p[i], v[i])
			}
		}
	})
}
