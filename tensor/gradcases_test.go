package tensor

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor/internal/reference"
)

var (
	negInf = float32(math.Inf(-1))
	// three documents of 1, 5 and 4 tokens; two of evidence, of 3 and 2
	threeDocs = []int32{0, 1, 6, 10}
	twoDocs   = []int32{0, 3, 5}
)

func gradCases() []gradCase {
	ids := []int32{4, 0, 4, 2, 2, 2, 1}
	cases := []gradCase{
		{name: "add", shapes: [][]int{{3, 4}, {3, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Add(in[0], in[1]) },
			ref: func(in [][]float64) []float64 {
				return reference.Zip(in[0], in[1], reference.Plus)
			}},
		{name: "add twice the same", shapes: [][]int{{3, 4}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Add(in[0], in[0]) },
			ref: func(in [][]float64) []float64 { return reference.Each(in[0], func(a float64) float64 { return 2 * a }) }},
		{name: "scale", shapes: [][]int{{5, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Add(tp.Scale(-2.5, in[0]), in[0]) },
			ref: func(in [][]float64) []float64 {
				return reference.Each(in[0], func(a float64) float64 { return -1.5 * a })
			}},
		{name: "detach", shapes: [][]int{{5, 3}, {1}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(2, in[0])
				return tp.Add(tp.MulScalar(tp.Detach(x), in[1]), x)
			},
			ref: detachRef()},
		{name: "mulscalar", shapes: [][]int{{5, 3}, {1}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.MulScalar(in[0], in[1]) },
			ref: func(in [][]float64) []float64 {
				return reference.Each(in[0], func(a float64) float64 { return in[1][0] * a })
			}},
		{name: "mulscalar, scalar used twice", shapes: [][]int{{5, 3}, {1}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.MulScalar(tp.MulScalar(in[0], in[1]), in[1]) },
			ref: func(in [][]float64) []float64 {
				return reference.Each(in[0], func(a float64) float64 { return in[1][0] * in[1][0] * a })
			}},
		{name: "dot", shapes: [][]int{{5, 3}, {5, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Dot(in[0], tp.Add(in[0], in[1])) },
			ref: func(in [][]float64) []float64 {
				sum := 0.0
				for i, a := range in[0] {
					sum += a * (a + in[1][i])
				}
				return []float64{sum}
			}},
		{name: "linear", shapes: [][]int{{5, 3}, {4, 3}, {4}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Linear(in[0], in[1], in[2]) },
			ref: func(in [][]float64) []float64 { return reference.Linear(in[0], in[1], in[2], 5, 3, 4) }},
		{name: "linear without bias", shapes: [][]int{{5, 3}, {4, 3}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Linear(in[0], in[1], nil) },
			ref: func(in [][]float64) []float64 { return reference.Linear(in[0], in[1], nil, 5, 3, 4) }},
		{name: "linear, weight used twice", shapes: [][]int{{5, 3}, {3, 3}, {3}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Linear(tp.Linear(in[0], in[1], in[2]), in[1], in[2])
			},
			ref: func(in [][]float64) []float64 {
				return reference.Linear(reference.Linear(in[0], in[1], in[2], 5, 3, 3), in[1], in[2], 5, 3, 3)
			}},
		{name: "linear of views", shapes: [][]int{{6, 8}, {4, 3}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(1, in[0])
				return tp.Linear(tp.Columns(tp.Rows(x, 1, 6), 4, 7), in[1], in[2])
			},
			ref: func(in [][]float64) []float64 {
				var x []float64
				for i := 1; i < 6; i++ {
					x = append(x, in[0][i*8+4:i*8+7]...)
				}
				return reference.Linear(x, in[1], in[2], 5, 3, 4)
			}},
		{name: "linear gelu", shapes: [][]int{{5, 3}, {4, 3}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.LinearGELU(in[0], in[1], in[2]) },
			ref: func(in [][]float64) []float64 {
				return reference.Each(reference.Linear(in[0], in[1], in[2], 5, 3, 4), reference.GELU)
			}},
		{name: "feed-forward", shapes: [][]int{{5, 3}, {4, 3}, {4}, {2, 4}, {2}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.FeedForward(in[0], in[1], in[2], in[3], in[4]) },
			ref: func(in [][]float64) []float64 {
				h := reference.Each(reference.Linear(in[0], in[1], in[2], 5, 3, 4), reference.GELU)
				return reference.Linear(h, in[3], in[4], 5, 4, 2)
			}},
		{name: "matmul", shapes: [][]int{{5, 3}, {3, 4}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.MatMul(in[0], in[1], false) },
			ref: func(in [][]float64) []float64 { return reference.MatMul(in[0], in[1], 5, 3, 4) }},
		{name: "matmul transposed", shapes: [][]int{{5, 3}, {4, 3}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.MatMul(in[0], in[1], true) },
			ref: func(in [][]float64) []float64 { return reference.Linear(in[0], in[1], nil, 5, 3, 4) }},
		{name: "matmul of views", shapes: [][]int{{7, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(1, in[0])
				return tp.MatMul(tp.Rows(x, 5, 7), tp.Rows(x, 0, 5), true)
			},
			ref: func(in [][]float64) []float64 {
				return reference.Linear(in[0][15:], in[0][:15], nil, 2, 3, 5)
			}},
		{name: "add into", shapes: [][]int{{5, 3}, {4, 3}, {4}, {5, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.AddInto(tp.Linear(in[0], in[1], in[2]), in[3]) },
			ref: func(in [][]float64) []float64 {
				return reference.Zip(reference.Linear(in[0], in[1], in[2], 5, 3, 4), in[3], reference.Plus)
			}},
		{name: "add dropout", shapes: [][]int{{5, 3}, {4, 3}, {4}, {5, 4}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.AddDropout(in[3], tp.Linear(in[0], in[1], in[2]), 0.4)
			},
			ref: func(in [][]float64) []float64 {
				y := reference.Zip(reference.Linear(in[0], in[1], in[2], 5, 3, 4), dropoutMask(20, 0.4),
					func(a, m float64) float64 { return a * m })
				return reference.Zip(in[3], y, reference.Plus)
			}},
		{name: "add dropout to what is also read before and after", shapes: [][]int{{5, 4}, {4, 4}, {4}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(1, in[0])
				return tp.Add(tp.AddDropout(x, tp.Linear(x, in[1], in[2]), 0.4), x)
			},
			ref: func(in [][]float64) []float64 {
				y := reference.Zip(reference.Linear(in[0], in[1], in[2], 5, 4, 4), dropoutMask(20, 0.4),
					func(a, m float64) float64 { return a * m })
				return reference.Zip(in[0], y, func(a, b float64) float64 { return 2*a + b })
			}},
		{name: "add dropout without dropout", shapes: [][]int{{5, 3}, {4, 3}, {4}, {5, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.AddDropout(in[3], tp.Linear(in[0], in[1], in[2]), 0.4)
			},
			ref: func(in [][]float64) []float64 {
				return reference.Zip(reference.Linear(in[0], in[1], in[2], 5, 3, 4), in[3], reference.Plus)
			}},
		{name: "add gather", shapes: [][]int{{7, 3}, {3, 3}, {3}, {5, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.AddGather(tp.Linear(in[0], in[1], in[2]), in[3], tp.Ints(ids), 1.5)
			},
			ref: func(in [][]float64) []float64 {
				x := reference.Linear(in[0], in[1], in[2], 7, 3, 3)
				return reference.Zip(x, reference.Gather(in[3], ids, 3, 1.5), reference.Plus)
			}},
		{name: "recomputed layernorm", shapes: [][]int{{6, 5}, {5}, {5}, {4, 5}, {4}, {4, 5}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				h := tp.LayerNorm(tp.Scale(1, in[0]), in[1], in[2], 1e-5)
				a, b := tp.Linear(h, in[3], in[4]), tp.Linear(h, in[5], in[6])
				tp.Recompute(h)
				tp.New(6, 5) // takes the memory
				return tp.AddInto(a, b)
			},
			ref: func(in [][]float64) []float64 {
				h := reference.LayerNorm(in[0], in[1], in[2], 5, 1e-5)
				x, y := reference.Linear(h, in[3], in[4], 6, 5, 4), reference.Linear(h, in[5], in[6], 6, 5, 4)
				return reference.Zip(x, y, reference.Plus)
			}},
		{name: "gelu", shapes: [][]int{{6, 3}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.GELU(in[0]) },
			ref: func(in [][]float64) []float64 { return reference.Each(in[0], reference.GELU) }},
		{name: "layernorm", shapes: [][]int{{6, 5}, {5}, {5}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.LayerNorm(in[0], in[1], in[2], 1e-5) },
			ref: func(in [][]float64) []float64 { return reference.LayerNorm(in[0], in[1], in[2], 5, 1e-5) }},
		{name: "layernorm and residual", shapes: [][]int{{6, 5}, {5}, {5}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(2, in[0])
				return tp.Add(x, tp.LayerNorm(x, in[1], in[2], 1e-5))
			},
			ref: func(in [][]float64) []float64 {
				x := reference.Each(in[0], func(a float64) float64 { return 2 * a })
				return reference.Zip(x, reference.LayerNorm(x, in[1], in[2], 5, 1e-5), reference.Plus)
			}},
		{name: "gather", shapes: [][]int{{5, 3}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Gather(in[0], tp.Ints(ids), 1.5) },
			ref: func(in [][]float64) []float64 { return reference.Gather(in[0], ids, 3, 1.5) }},
		{name: "segment mean", shapes: [][]int{{10, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.SegmentMean(in[0], []int32{0, 1, 1, 6, 10}) },
			ref: func(in [][]float64) []float64 {
				return reference.SegmentMean(in[0], []int32{0, 1, 1, 6, 10}, 3)
			}},
		{name: "linear max", shapes: [][]int{{10, 3}, {7, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.LinearMax(in[0], in[1], []int32{0, 1, 1, 6, 10}) },
			ref: func(in [][]float64) []float64 {
				y, _ := reference.LinearMax(in[0], in[1], []int32{0, 1, 1, 6, 10}, 3)
				return y
			}},
		{name: "normalize", shapes: [][]int{{4, 5}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Normalize(in[0]) },
			ref: func(in [][]float64) []float64 { return reference.Normalize(in[0], 5) }},
		{name: "dropout", shapes: [][]int{{8, 7}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Dropout(in[0], 0.4) },
			ref: func(in [][]float64) []float64 {
				return reference.Zip(in[0], dropoutMask(len(in[0]), 0.4), func(a, m float64) float64 { return a * m })
			}},
		{name: "dropout and residual", shapes: [][]int{{8, 7}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Add(in[0], tp.Dropout(in[0], 0.4)) },
			ref: func(in [][]float64) []float64 {
				return reference.Zip(in[0], dropoutMask(len(in[0]), 0.4), func(a, m float64) float64 { return a + a*m })
			}},
	}
	for _, smoothing := range []float64{0, 0.1} {
		targets := []int32{3, 0, 8, 5}
		name := fmt.Sprintf("cross entropy, smoothing %v", smoothing)
		cases = append(cases, gradCase{name: name, shapes: [][]int{{4, 3}, {9, 3}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				loss, _ := tp.CrossEntropy(tp.Scale(1, in[0]), in[1], tp.Ints(targets), float32(smoothing), 0.25)
				return loss
			},
			ref: func(in [][]float64) []float64 {
				loss, _ := reference.CrossEntropy(in[0], in[1], targets, 3, smoothing, 0.25)
				return []float64{loss}
			}})
	}
	return append(cases, attentionCases()...)
}

func attentionCases() []gradCase {
	self := func(name string, causal bool, dropout float32) gradCase {
		o := AttentionOptions{
			Heads: 2, QOffsets: threeDocs, KOffsets: threeDocs, Causal: causal, Scale: 0.7, Dropout: dropout,
		}
		return gradCase{name: name, shapes: [][]int{{10, 6}, {10, 6}, {10, 6}}, mode: Training,
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], nil, o) },
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], nil, 6, o) }}
	}
	o := AttentionOptions{Heads: 2, QOffsets: threeDocs, KOffsets: twoDocs, Scale: 0.7}
	gaps := AttentionOptions{Heads: 2, QOffsets: []int32{0, 4, 4, 10}, KOffsets: []int32{0, 0, 3, 5}, Scale: 0.7}
	alone := AttentionOptions{Heads: 2, QOffsets: threeDocs, KOffsets: threeDocs, Scale: 0.7}
	past := AttentionOptions{
		Heads: 2, QOffsets: []int32{0, 1, 3}, KOffsets: []int32{0, 4, 8}, KLengths: []int32{3, 4}, Causal: true, Scale: 0.7,
	}
	drop := o
	drop.Dropout = 0.3
	shared := func(name string, o AttentionOptions) gradCase { // two heads of keys for four of queries
		o.Heads, o.Scale = 4, 0.7
		return gradCase{name: name, shapes: [][]int{{10, 8}, {10, 4}, {10, 4}}, mode: Training,
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], nil, o) },
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], nil, 8, o) }}
	}
	// The second target sees no evidence, the third only one document.
	mask := []float32{0, 0, negInf, negInf, negInf, 0}
	masked := func(in [][]float64) []float64 {
		bias := reference.Zip(in[3], widen(mask), reference.Plus)
		return attentionRef(in[0], in[1], in[2], bias, 6, o)
	}
	return []gradCase{
		self("self-attention", false, 0),
		self("causal attention", true, 0),
		self("causal attention with dropout", true, 0.3),
		shared("grouped queries", AttentionOptions{QOffsets: threeDocs, KOffsets: threeDocs}),
		shared("grouped queries in a window", AttentionOptions{
			QOffsets: threeDocs, KOffsets: threeDocs, Causal: true, Window: 2, Dropout: 0.3}),
		shared("windows in a past", AttentionOptions{
			QOffsets: []int32{0, 3, 10}, KOffsets: []int32{0, 3, 10}, Causal: true, Window: 4}),
		// Results of the tape, whose gradients hold anything until they are set.
		{name: "attention without queries or without keys", shapes: [][]int{{10, 6}, {5, 6}, {5, 6}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Attention(tp.Scale(1, in[0]), tp.Scale(1, in[1]), tp.Scale(1, in[2]), nil, gaps)
			},
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], nil, 6, gaps) }},
		{name: "attention with a past and room for more", shapes: [][]int{{3, 6}, {8, 6}, {8, 6}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Attention(tp.Scale(1, in[0]), tp.Scale(1, in[1]), tp.Scale(1, in[2]), nil, past)
			},
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], nil, 6, past) }},
		{name: "attention to itself", shapes: [][]int{{10, 6}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(1, in[0])
				return tp.Attention(x, x, x, nil, alone)
			},
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[0], in[0], nil, 6, alone) }},
		{name: "cross-attention with bias", shapes: [][]int{{10, 6}, {5, 6}, {5, 6}, {3, 2}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], in[3], o) },
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], in[3], 6, o) }},
		{name: "cross-attention with bias and dropout", shapes: [][]int{{10, 6}, {5, 6}, {5, 6}, {3, 2}}, mode: Training,
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], in[3], drop) },
			ref: func(in [][]float64) []float64 { return attentionRef(in[0], in[1], in[2], in[3], 6, drop) }},
		{name: "cross-attention with masked pairs", shapes: [][]int{{10, 6}, {5, 6}, {5, 6}, {3, 2}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Attention(in[0], in[1], in[2], tp.Add(in[3], tp.Floats(mask, 3, 2)), o)
			}, ref: masked},
	}
}

// largeCases are large enough to be split in parts.
func largeCases() []gradCase {
	docs, evidence := []int32{0, 70, 71, 300, 513}, []int32{0, 129, 300}
	wide := AttentionOptions{Heads: 4, QOffsets: docs, KOffsets: evidence, Scale: 0.2, Dropout: 0.1}
	causal := AttentionOptions{Heads: 4, QOffsets: docs, KOffsets: docs, Scale: 0.2, Causal: true}
	window := causal
	window.Window = 100
	targets := make([]int32, 300)
	for i := range targets {
		targets[i] = int32(i * 7 % 997)
	}
	return []gradCase{
		{name: "large linear gelu", shapes: [][]int{{513, 130}, {257, 130}, {257}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.LinearGELU(in[0], in[1], in[2]) }},
		{name: "large layernorm", shapes: [][]int{{700, 300}, {300}, {300}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.LayerNorm(in[0], in[1], in[2], 1e-5) }},
		{name: "large gather", shapes: [][]int{{1000, 300}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Gather(in[0], tp.Ints(targets), 2) }},
		{name: "large add dropout", shapes: [][]int{{300, 200}, {300, 20}, {200, 20}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.AddDropout(in[0], tp.Linear(in[1], in[2], nil), 0.1)
			}},
		{name: "large dropout", shapes: [][]int{{300, 200}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Dropout(in[0], 0.1) }},
		{name: "large cross-attention", shapes: [][]int{{513, 64}, {300, 64}, {300, 64}, {4, 2}}, mode: Training,
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], in[3], wide) }},
		{name: "large causal attention", shapes: [][]int{{513, 64}, {513, 64}, {513, 64}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], nil, causal) }},
		{name: "large grouped attention in a window", shapes: [][]int{{513, 64}, {513, 32}, {513, 32}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Attention(in[0], in[1], in[2], nil, window) }},
		{name: "large cross entropy", shapes: [][]int{{300, 32}, {20000, 32}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				loss, _ := tp.CrossEntropy(in[0], in[1], tp.Ints(targets), 0.1, 0.01)
				return loss
			}},
		{name: "large normalize", shapes: [][]int{{300, 200}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Normalize(in[0]) }},
	}
}

// detachRef is 2*x*s + 2*x, where the first x keeps the value that it has at
// the first call.
func detachRef() func(in [][]float64) []float64 {
	var constant []float64
	return func(in [][]float64) []float64 {
		if constant == nil {
			constant = append(constant, in[0]...)
		}
		return reference.Zip(constant, in[0], func(c, x float64) float64 { return 2*c*in[1][0] + 2*x })
	}
}

// dropoutMask returns the factors of the first n elements of a tape's first dropout.
func dropoutMask(n int, p float32) []float64 {
	return reference.DropoutMask(n, p, testSeed, 1<<streamShift)
}

// attentionRef is the specification of the attention that a tape begins with.
func attentionRef(q, k, v, bias []float64, d int, o AttentionOptions) []float64 {
	return reference.Attention(q, k, v, bias, d, reference.AttentionOptions{
		Heads: o.Heads, QOffsets: o.QOffsets, KOffsets: o.KOffsets, KLengths: o.KLengths, Causal: o.Causal,
		KeyHeads: len(k) / int(o.KOffsets[len(o.KOffsets)-1]) * o.Heads / d, Window: o.Window,
		Scale: float64(o.Scale), Dropout: float64(o.Dropout), Seed: testSeed, Counter: 1 << streamShift,
	})
}
