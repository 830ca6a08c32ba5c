package asm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// floatsOf returns the float32 values in data, bounded in number.
func floatsOf(data []byte) []float32 {
	var x []float32
	for ; len(data) >= 4 && len(x) < 3*sumBlock; data = data[4:] {
		x = append(x, math.Float32frombits(binary.LittleEndian.Uint32(data)))
	}
	return x
}

func seedFloats(f *testing.F, add func(data []byte)) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 7, 16, 17, 33, 100} {
		var data []byte
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64()*5)))
		}
		add(data)
	}
	var special []byte
	for _, v := range []float64{0, math.Inf(1), math.Inf(-1), math.NaN(), 1e38, -1e38, 1e-45, 88.7, -103.9} {
		special = binary.LittleEndian.AppendUint32(special, math.Float32bits(float32(v)))
	}
	add(special)
}

// Any bits: the exponential is within 1 ULP, the other functions within their bounds.
func FuzzExp(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		x := floatsOf(data)
		y := make([]float32, len(x))
		forEachISA(t, func(t *testing.T) {
			for _, c := range []struct {
				name  string
				f     func(dst, x []float32)
				ref   func(float64) float64
				bound float64
			}{
				{"exp", Exp, math.Exp, expULP}, {"erf", Erf, math.Erf, erfULP},
				{"tanh", Tanh, math.Tanh, tanhULP}, {"GELU", GELU, refGELU, geluULP},
				{"log", Log, math.Log, logULP}, {"log1p", Log1p, math.Log1p, log1pULP},
				{"sin", Sin, math.Sin, trigULP}, {"cos", Cos, math.Cos, trigULP}} {
				c.f(y, x)
				for i, v := range x {
					if want := c.ref(float64(v)); ulps(y[i], want) > c.bound {
						t.Fatalf("%v: %s(%v) = %v, want %v", Current(), c.name, v, y[i], want)
					}
				}
			}
		})
	})
}

// Any scores and segments: the probabilities are those of the float64 formula.
func FuzzSoftmax(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint64(len(data)), float32(0.125)) })
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, scale float32) {
		x := floatsOf(data)
		rng := rand.New(rand.NewPCG(seed, 0))
		for i, v := range x { // beyond, products overflow differently in float64
			if !(math.Abs(float64(v)) <= 1e4 || math.IsInf(float64(v), -1)) {
				x[i] = float32(rng.NormFloat64())
			}
		}
		if !(scale > 0 && scale <= 10) {
			scale = 0.125
		}
		offsets := randomSegments(rng, len(x))
		bias := make([]float32, len(offsets)-1)
		for k := range bias {
			bias[k] = float32(rng.NormFloat64() * 3)
			if rng.IntN(8) == 0 {
				bias[k] = float32(math.Inf(-1))
			}
		}
		s, _ := refScores(x, scale, bias, offsets)
		wantLSE, want := refLSE(s)
		size := 64.0 // of the numbers that are rounded
		for _, v := range s {
			if !math.IsInf(v, 0) {
				size = math.Max(size, 4*math.Abs(v)+64)
			}
		}
		forEachISA(t, func(t *testing.T) {
			y := make([]float32, len(x))
			lse := Softmax(y, x, scale, bias, offsets)
			if diff := math.Abs(float64(lse) - wantLSE); diff > eps*size {
				t.Fatalf("%v: lse %v, want %v", Current(), lse, wantLSE)
			}
			for i := range y {
				tol := 3*eps*size*want[i] + 1e-44
				if math.Abs(float64(y[i])-want[i]) > tol {
					t.Fatalf("%v: probability %d is %v, want %v", Current(), i, y[i], want[i])
				}
			}
		})
	})
}

func FuzzCrossEntropy(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, 3, float32(0.1)) })
	f.Fuzz(func(t *testing.T, data []byte, target int, smoothing float32) {
		logits := floatsOf(data)
		if len(logits) == 0 || !(smoothing >= 0 && smoothing < 1) {
			return
		}
		target = int(uint(target) % uint(len(logits)))
		size := 32.0
		for i, v := range logits {
			if !(math.Abs(float64(v)) <= 1e6) {
				logits[i] = float32(i % 7)
			}
			size = math.Max(size, 4*math.Abs(float64(logits[i]))+32)
		}
		lse64, p := refLSE(to64(logits))
		s, mean := float64(smoothing), 0.0
		for _, v := range logits {
			mean += (lse64 - float64(v)) / float64(len(logits))
		}
		want := (1-s)*(lse64-float64(logits[target])) + s*mean
		forEachISA(t, func(t *testing.T) {
			d := slices.Clone(logits)
			for what, loss := range map[string]float32{
				"loss":               CrossEntropy(logits, target, smoothing),
				"loss with gradient": CrossEntropyGradient(d, target, smoothing, 1),
			} {
				if math.Abs(float64(loss)-want) > 2*eps*size {
					t.Fatalf("%v: %s %v, want %v", Current(), what, loss, want)
				}
			}
			for i := range d {
				w := p[i] - s/float64(len(logits))
				if i == target {
					w -= 1 - s
				}
				if math.Abs(float64(d[i])-w) > eps*(3*size*p[i]+8) {
					t.Fatalf("%v: gradient %d is %v, want %v", Current(), i, d[i], w)
				}
			}
		})
	})
}

// Any gradients: the kernels agree with the portable version, NaN included.
func FuzzAdamW(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, 1) })
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		x := floatsOf(data)
		n := len(x) / 4
		a := AdamWParams{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, GradScale: 1, Step: 1 + step&0xffff}
		var want [3][]float32
		forEachISA(t, func(t *testing.T) {
			var arrays [4][]float32
			for k := range arrays {
				arrays[k] = append([]float32(nil), x[k*n:(k+1)*n]...)
				for i, v := range arrays[k] {
					if math.Abs(float64(v)) > 1e15 || math.Abs(float64(v)) < 1e-15 { // no overflow on the way
						arrays[k][i] = float32(i)
					}
					if k == 3 {
						arrays[k][i] = float32(math.Abs(float64(arrays[k][i])))
					}
				}
			}
			p, g, m, v := arrays[0], arrays[1], arrays[2], arrays[3]
			before := append([]float32(nil), p...)
			m0 := append([]float32(nil), m...)
			AdamW(p, g, m, v, &a)
			if Current() == Generic {
				want = [3][]float32{p, m, v}
				return
			}
			for i := range p {
				sizeM := math.Abs(float64(m0[i])) + math.Abs(float64(g[i]))
				update := float64(a.LR) * sizeM / (1 - math.Pow(0.9, float64(a.Step))) / (math.Sqrt(float64(want[2][i])) + 1e-8)
				differ := func(a, b float32, tol float64) bool {
					return math.Abs(float64(a)-float64(b)) > tol && !(a != a && b != b)
				}
				if differ(m[i], want[1][i], 4*eps*sizeM) || differ(v[i], want[2][i], 6*eps*float64(want[2][i])) ||
					differ(p[i], want[0][i], 4*eps*math.Abs(float64(before[i]))+16*eps*update) {
					t.Fatalf("%v: element %d: p, m, v = %v, %v, %v; portable %v, %v, %v",
						Current(), i, p[i], m[i], v[i], want[0][i], want[1][i], want[2][i])
				}
			}
		})
	})
}
