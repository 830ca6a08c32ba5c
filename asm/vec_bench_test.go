package asm

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkVec measures the vector kernels beside a plain copy, in fewest
// bytes: those of every operand once read and once written.
func BenchmarkVec(b *testing.B) {
	before := Current()
	defer func() { isa = before }()
	for _, n := range []int{4096, 1 << 20} {
		rng := rand.New(rand.NewPCG(1, 1))
		x, y, z, w := randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n), make([]float32, n)
		half := make([]uint16, n)
		const cols = 1024
		rows := n / cols
		gamma, beta := randomFloats(rng, cols), randomFloats(rng, cols)
		dgamma, dbeta := make([]float32, cols), make([]float32, cols)
		mean, rstd := make([]float32, rows), make([]float32, rows)
		LayerNorm(w, mean, rstd, x, gamma, beta, rows, cols, 1e-5)
		_, lse := CrossEntropy(x, 0, 0.1)
		adamw := &AdamWParams{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, GradScale: 1, Step: 10}
		m, v := make([]float32, n), make([]float32, n)
		var sink float64
		cases := []struct {
			name  string
			bytes int // per element
			f     func()
		}{
			{"copy", 8, func() { copy(w, x) }},
			{"Add", 12, func() { Add(w, x, y) }},
			{"Mul", 12, func() { Mul(w, x, y) }},
			{"Axpy", 12, func() { Axpy(1e-9, x, w) }},
			{"Scale", 8, func() { Scale(w, 2, x) }},
			{"AddRows", 4, func() { AddRows(dbeta, x, rows, cols, cols) }},
			{"Sum", 4, func() { sink += Sum(x) }},
			{"SumSquares", 4, func() { sink += SumSquares(x) }},
			{"Dot", 8, func() { sink += float64(Dot(x, y)) }},
			{"Max", 4, func() { sink += float64(Max(x)) }},
			{"ArgMax", 4, func() { sink += float64(ArgMax(x)) }},
			{"Exp", 8, func() { Exp(w, x) }},
			{"Erf", 8, func() { Erf(w, x) }},
			{"Tanh", 8, func() { Tanh(w, x) }},
			{"GELU", 8, func() { GELU(w, x) }},
			{"GELUBackward", 12, func() { GELUBackward(w, y, x, false) }},
			{"Softmax", 8, func() { Softmax(w, x, 0.125, nil, nil) }},
			{"SoftmaxFromLSE", 8, func() { SoftmaxFromLSE(w, x, 0.125, nil, nil, 8) }},
			{"SoftmaxBackward", 12, func() { SoftmaxBackward(w, x, y, 0.1, nil, nil) }},
			{"LogSumExp", 4, func() { sink += float64(LogSumExp(x)) }},
			{"CrossEntropy", 4, func() { loss, _ := CrossEntropy(x, 0, 0.1); sink += float64(loss) }},
			{"CrossEntropyBackward", 8, func() { CrossEntropyBackward(w, x, 0, 0.1, lse, 1) }},
			{"LayerNorm", 8, func() { LayerNorm(w, mean, rstd, x, gamma, beta, rows, cols, 1e-5) }},
			{"LayerNormBackward", 12, func() { LayerNormBackward(w, dgamma, dbeta, y, x, gamma, mean, rstd, rows, cols, false) }},
			{"AdamW", 28, func() { AdamW(z, y, m, v, adamw) }},
			{"Dropout", 8, func() { Dropout(w, x, 0.1, 1, 0) }},
			{"ToBF16", 6, func() { ToBF16(half, x) }},
			{"FromBF16", 6, func() { FromBF16(w, half) }},
		}
		for _, c := range cases {
			for _, i := range Supported() {
				if c.name == "copy" && i != Generic {
					continue
				}
				b.Run(fmt.Sprintf("%s/n=%d/%v", c.name, n, i), func(b *testing.B) {
					if err := Use(i); err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(c.bytes * n))
					for b.Loop() {
						c.f()
					}
				})
			}
		}
		if sink == 1 {
			b.Log(sink) // the results are used
		}
	}
}
