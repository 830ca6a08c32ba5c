package asm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Scores far beyond the range of exp, the greatest in the first or last tile.
func TestAttentionLargeScores(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(23, 24))
		for _, peak := range []int{0, 200, 399} {
			a, _ := attentionCase{queries: 70, keys: 400, width: 32}.data(rng, onHeap)
			for i := range a.Q {
				a.Q[i] = 100 + rng.Float32()
			}
			for i := range a.K {
				a.K[i] = 1 + float32(i/32)/1000
				if i/32 == peak {
					a.K[i] = 2
				}
			}
			Attention(a)
			for i, got := range a.Out {
				if want := a.V[peak*32+i%32]; got != want {
					t.Fatalf("peak at %d: Out[%d] is %v, want %v", peak, i, got, want)
				}
			}
		}
	})
}

// The probabilities of the backward pass add up to 1 wherever the scores lie: the
// gradient of V is theirs for gradients of 1, and that of the scores is 0 then.
// Queries of which only some have large scores have the results that they have
// beside others.
func TestAttentionBackwardOfShiftedScores(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, offset := range []float32{-1e30, -1e10, -1e8, -1e6, -1e5, -1e4, -1e3, 0, 150, 1e4, 1e9, 1e20} {
			const queries, keys, w = 60, 300, 16
			far := attentionCase{queries: queries, keys: keys, width: w, bias: []float32{0.5, offset},
				qOffsets: []int32{0, 20, queries}, kOffsets: []int32{0, keys}}
			run := func(c attentionCase) (*AttentionArgs, *AttentionGradients) {
				a, g := c.data(rand.New(rand.NewPCG(61, 62)), onHeap)
				g.AddDQ, g.AddDK, g.AddDV = false, false, false
				for i := range g.DOut {
					g.DOut[i] = 1
				}
				for i := range a.V {
					a.V[i] = 1
				}
				Attention(a)
				AttentionBackward(a, g)
				return a, g
			}
			a, g := run(far)
			sum := 0.0
			for j := range keys {
				sum += float64(g.DV[j*w])
			}
			if math.Abs(sum-queries) > 1e-3 {
				t.Errorf("offset %v: the probabilities of %d queries add up to %v", offset, queries, sum)
			}
			for i, v := range a.Out {
				if math.Abs(float64(v)-1) > 1e-5 {
					t.Fatalf("offset %v: Out[%d] is %v, want 1", offset, i, v)
				}
			}
			for i, v := range g.DQ {
				if !(math.Abs(float64(v)) < 1e-4) {
					t.Fatalf("offset %v: DQ[%d] is %v, want 0", offset, i, v)
				}
			}
			near := far
			near.bias = []float32{0.5, 0.5}
			if _, h := run(near); !slices.Equal(g.DQ[:20*w], h.DQ[:20*w]) {
				t.Errorf("offset %v: the gradients of other queries change", offset)
			}
		}
	})
}

// All gradients of scores that a bias moves are those without it, up to what the
// rounding of the scores changes.
func TestAttentionBackwardOfMovedScores(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, causal := range []bool{false, true} {
			run := func(offset float32) [][]float32 {
				c := attentionCase{queries: 60, keys: 300, width: 16, causal: causal, first: 250, dropout: 0.2,
					bias: []float32{offset, offset - 1}, qOffsets: []int32{0, 400}, kOffsets: []int32{0, 100, 300}}
				a, g := c.data(rand.New(rand.NewPCG(67, 68)), onHeap)
				return attentionOutputs(a, g)
			}
			want := run(0)
			for _, offset := range []float32{-2000, 300, 1000} {
				for k, got := range run(offset) {
					for i, v := range got {
						w := want[k][i]
						if k == 1 {
							w += offset
						}
						if math.Abs(float64(v-w)) > 2e-3 {
							t.Fatalf("causal %v, offset %v: output %d[%d] is %v, without offset %v", causal, offset, k, i, v, w)
						}
					}
				}
			}
		}
	})
}

// A query all of whose scores overflow to -Inf has the output of one that sees no key.
func TestAttentionInfiniteScores(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		a, g := attentionCase{queries: 20, keys: 30, width: 8}.data(rand.New(rand.NewPCG(69, 70)), onHeap)
		for i := range a.Q {
			a.Q[i] = 3e30
		}
		for i := range a.K {
			a.K[i] = -1e30
		}
		Attention(a)
		AttentionBackward(a, g)
		for i, v := range a.Out {
			if v != 0 || a.LSE[i/8] != negInf {
				t.Fatalf("Out[%d] is %v, LSE %v, want 0 and -Inf", i, v, a.LSE[i/8])
			}
		}
	})
}
