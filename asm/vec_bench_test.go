package asm

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// vecCase is a kernel and the fewest bytes that it must move for an element:
// every operand read once and written once.
type vecCase struct {
	name  string
	bytes int
	f     func()
}

// vecCases returns the kernels on operands of n elements of their own.
func vecCases(n int) []vecCase {
	const cols = 512
	rng := rand.New(rand.NewPCG(1, 1))
	x, y, z, w := randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n), make([]float32, n)
	half := make([]uint16, n)
	rows := n / cols
	gamma, beta := randomFloats(rng, cols), randomFloats(rng, cols)
	dgamma, dbeta := make([]float32, cols), make([]float32, cols)
	mean, rstd := make([]float32, rows), make([]float32, rows)
	LayerNorm(w, mean, rstd, x, gamma, beta, rows, cols, 1e-5)
	bias, offsets := []float32{0.5, -1, 2}, []int32{0, int32(n / 3), int32(n / 2), int32(n)}
	adamw := &AdamWParams{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, GradScale: 1, Step: 10}
	m, v := make([]float32, n), make([]float32, n)
	var sink float64
	return []vecCase{
		{"copy", 8, func() { copy(w, x) }},
		{"CopyStream", 8, func() { CopyStream(w, x); StreamFence() }},
		{"Transpose", 8, func() { Transpose(w, rows, x, cols, rows, cols) }},
		{"Affine", 8, func() { Affine(w, 2, x, 1) }},
		{"Add", 12, func() { Add(w, x, y) }},
		{"Mul", 12, func() { Mul(w, x, y) }},
		{"Sub", 12, func() { Sub(w, x, y) }},
		{"Div", 12, func() { Div(w, x, y) }},
		{"Maximum", 12, func() { Maximum(w, x, y) }},
		{"Minimum", 12, func() { Minimum(w, x, y) }},
		{"Less", 12, func() { Less(w, x, y) }},
		{"Equal", 12, func() { Equal(w, x, y) }},
		{"Where", 16, func() { Where(w, z, x, y) }},
		{"Abs", 8, func() { Abs(w, x) }},
		{"Clamp", 8, func() { Clamp(w, x, 0, 1) }},
		{"AddStream", 12, func() { AddStream(w, x, y) }},
		{"ScaleStream", 8, func() { ScaleStream(w, 2, x) }},
		{"Sqrt", 8, func() { Sqrt(w, x) }},
		{"Log", 8, func() { Log(w, x) }},
		{"Log1p", 8, func() { Log1p(w, x) }},
		{"Sin", 8, func() { Sin(w, x) }},
		{"Cos", 8, func() { Cos(w, x) }},
		{"Axpy", 12, func() { Axpy(1e-9, x, w) }},
		{"Scale", 8, func() { Scale(w, 2, x) }},
		{"AddRows", 4, func() { AddRows(dbeta, x, rows, cols, cols) }},
		{"Sum", 4, func() { sink += Sum(x) }},
		{"SumSquares", 4, func() { sink += SumSquares(x) }},
		{"Dot", 8, func() { sink += float64(Dot(x, y)) }},
		{"Max", 4, func() { sink += float64(maxScaled(x, 1)) }},
		{"ArgMax", 4, func() { sink += float64(ArgMax(x)) }},
		{"Exp", 8, func() { Exp(w, x) }},
		{"Sigmoid", 8, func() { Sigmoid(w, x) }},
		{"Erf", 8, func() { Erf(w, x) }},
		{"Tanh", 8, func() { Tanh(w, x) }},
		{"GELU", 8, func() { GELU(w, x) }},
		{"GELUStream", 8, func() { GELUStream(w, x) }},
		{"GELUBackward", 12, func() { GELUBackward(w, y, x, false) }},
		{"SwiGLU", 12, func() { SwiGLU(w, x, y) }},
		{"SwiGLUBackward", 20, func() { SwiGLUBackward(w, v, z, x, y) }},
		{"Rotate", 8, func() { Rotate(w, x, gamma[:32], beta[:32], false) }},
		{"Softmax", 8, func() { Softmax(w, x, 0.125, nil, nil) }},
		{"SoftmaxRows", 8, func() { SoftmaxRows(w, x, rows, cols) }},
		{"SoftmaxStream", 8, func() { SoftmaxStream(w, z[:cols], x, rows, cols, 0.125) }},
		{"SoftmaxBiased", 8, func() { Softmax(w, x, 0.125, bias, offsets) }},
		{"LogSumExp", 4, func() { sink += LogSumExp(x) }},
		{"CrossEntropy", 4, func() { sink += float64(CrossEntropy(x, 0, 0.1)) }},
		{"CrossEntropyGradient", 8, func() { sink += float64(CrossEntropyGradient(z, 0, 0.1, 1)) }},
		{"LayerNorm", 8, func() { LayerNorm(w, mean, rstd, x, gamma, beta, rows, cols, 1e-5) }},
		{"LayerNormBackward", 12, func() { LayerNormBackward(w, dgamma, dbeta, y, x, gamma, mean, rstd, rows, cols, false) }},
		{"AdamW", 28, func() { AdamW(z, y, m, v, adamw) }},
		{"Dropout", 8, func() { Dropout(w, x, 0.1, 1, 0) }},
		{"ToBF16", 6, func() { ToBF16(half, x) }},
		{"FromBF16", 6, func() { FromBF16(w, half) }},
	}
}

// onThreads calls f(0) ... f(n-1), each on a goroutine of its own if there are
// several.
func onThreads(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// bandwidth returns the bytes a second, in the best of some runs, of a case
// that every thread carries out on operands of its own.
func bandwidth(threads, bytes int, f func(i int)) float64 {
	best := 0.0
	for range 9 {
		runs, start := 0, time.Now()
		for ; time.Since(start) < 2*time.Millisecond || runs == 0; runs++ {
			onThreads(threads, f)
		}
		best = max(best, float64(bytes)*float64(runs)/time.Since(start).Seconds())
	}
	return best
}

// BenchmarkVec measures the vector kernels in a cache (n=4096 elements in L1,
// n=1Mi in L3) and beyond (n=16Mi), in fewest bytes, and compares them with
// plain copies, measured in the same run: "copies" is the share of their
// bandwidth. Threads share n.
func BenchmarkVec(b *testing.B) {
	before := Current()
	defer func() { isa = before }()
	for _, size := range []struct{ n, threads int }{{1 << 12, 1}, {1 << 20, 1}, {1 << 24, 1}, {1 << 24, 2}} {
		cases := make([][]vecCase, size.threads)
		for i := range cases {
			cases[i] = vecCases(size.n / size.threads)
		}
		copies := bandwidth(size.threads, 8*size.n, func(i int) { cases[i][0].f() })
		for k, c := range cases[0] {
			for _, i := range Supported() {
				if c.name == "copy" && i != Generic {
					continue
				}
				b.Run(fmt.Sprintf("%s/n=%d/threads=%d/%v", c.name, size.n, size.threads, i), func(b *testing.B) {
					if err := Use(i); err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(c.bytes * size.n))
					for b.Loop() {
						onThreads(size.threads, func(i int) { cases[i][k].f() })
					}
					rate := float64(c.bytes*size.n) * float64(b.N) / b.Elapsed().Seconds()
					b.ReportMetric(rate/copies, "copies")
					b.ReportMetric(float64(size.n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "elements/ns")
				})
			}
		}
	}
}
