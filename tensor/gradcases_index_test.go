package tensor

import (
	"math"

	"github.com/marge-go/marge/tensor/internal/reference"
)

// gradCasesOfIndex are products, indexing and losses.
func gradCasesOfIndex() []gradCase {
	one := func(name string, shape []int, op func(tp *Tape, x *Tensor) *Tensor, ref func(a array) array) gradCase {
		return gradCase{name: name, shapes: [][]int{shape},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Contiguous(op(tp, in[0])) },
			ref: func(in [][]float64) []float64 { return ref(array{shape, in[0]}).data }}
	}
	ids := []int32{2, 0, 2, 1}
	logits := []int{5, 4}
	targets, ignore := []int32{3, 0, 1, 1, 2}, int32(1)
	spread := []int32{3, 0, 2, 2, 1, 0} // of two times three rows, transposed
	weights := []float32{0.5, 2, 1.25, 0}
	crossEntropy := func(name string, weight []float32, o CrossEntropyOptions) gradCase {
		return one("cross-entropy loss, "+name, logits, func(tp *Tape, x *Tensor) *Tensor {
			o := o
			if weight != nil {
				o.Weight = tp.Floats(weight, 4)
			}
			x = tp.Scale(1, x)
			return tp.Add(tp.CrossEntropyLoss(x, tp.Ints(targets), o), tp.CrossEntropyLoss(x, tp.Ints(targets), o))
		}, func(a array) array {
			return crossEntropyRef(a, targets, weight, o).each(func(x float64) float64 { return 2 * x })
		})
	}
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	return []gradCase{
		{name: "matmul, broadcast", shapes: [][]int{{3, 1, 4, 2}, {2, 2, 5}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.MatMul(in[0], in[1], false) },
			ref: func(in [][]float64) []float64 {
				a, b := array{[]int{3, 1, 4, 2}, in[0]}, array{[]int{1, 2, 2, 5}, in[1]}
				return build([]int{3, 2, 4, 5}, func(i []int) float64 {
					return a.at([]int{i[0], i[1], i[2], 0})*b.at([]int{0, i[1], 0, i[3]}) +
						a.at([]int{i[0], i[1], i[2], 1})*b.at([]int{0, i[1], 1, i[3]})
				}).data
			}},
		{name: "matmul by itself, transposed", shapes: [][]int{{2, 3, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.MatMul(in[0], in[0], true) },
			ref: func(in [][]float64) []float64 {
				a := array{[]int{2, 3, 4}, in[0]}
				return build([]int{2, 3, 3}, func(i []int) float64 {
					sum := 0.0
					for k := range 4 {
						sum += a.at([]int{i[0], i[1], k}) * a.at([]int{i[0], i[2], k})
					}
					return sum
				}).data
			}},
		{name: "linear of views", shapes: [][]int{{3, 5}, {3, 4}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Linear(tp.Transpose(in[0], 0, 1), tp.Transpose(in[1], 0, 1), in[2])
			},
			ref: func(in [][]float64) []float64 {
				return build([]int{5, 4}, func(i []int) float64 {
					sum := in[2][i[1]]
					for k := range 3 {
						sum += in[0][k*5+i[0]] * in[1][k*4+i[1]]
					}
					return sum
				}).data
			}},
		{name: "outer", shapes: [][]int{{3}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.Outer(in[0], in[1]) },
			ref: func(in [][]float64) []float64 {
				return build([]int{3, 4}, func(i []int) float64 { return in[0][i[0]] * in[1][i[1]] }).data
			}},
		one("index select, twice", []int{2, 3, 4}, func(tp *Tape, x *Tensor) *Tensor {
			return tp.Add(tp.IndexSelect(x, 1, tp.Ints(ids)), tp.IndexSelect(tp.Exp(x), 1, tp.Ints(ids)))
		}, func(a array) array {
			return build([]int{2, 4, 4}, func(i []int) float64 {
				x := a.at(with(i, 1, int(ids[i[1]])))
				return x + math.Exp(x)
			})
		}),
		one("scatter add to itself", []int{4, 3}, func(tp *Tape, x *Tensor) *Tensor {
			return tp.IndexAdd(x, 0, tp.Ints(ids), tp.Sin(x))
		}, func(a array) array {
			return build([]int{4, 3}, func(i []int) float64 {
				sum := a.at(i)
				for j, id := range ids {
					if int(id) == i[0] {
						sum += math.Sin(a.at(with(i, 0, j)))
					}
				}
				return sum
			})
		}),
		one("cumulative sum", []int{3, 4}, func(tp *Tape, x *Tensor) *Tensor {
			return tp.CumSum(tp.Exp(tp.CumSum(x, 1)), 0)
		}, func(a array) array {
			return build([]int{3, 4}, func(i []int) float64 {
				sum := 0.0
				for r := range i[0] + 1 {
					line := 0.0
					for c := range i[1] + 1 {
						line += a.at([]int{r, c})
					}
					sum += math.Exp(line)
				}
				return sum
			})
		}),
		one("top k", []int{3, 5}, func(tp *Tape, x *Tensor) *Tensor {
			values, _ := tp.TopK(tp.Tanh(x), 2)
			return values
		}, func(a array) array {
			return build([]int{3, 2}, func(i []int) float64 {
				row := a.data[i[0]*5:][:5]
				first := math.Inf(-1)
				for _, v := range row {
					first = max(first, v)
				}
				second := math.Inf(-1)
				for _, v := range row {
					if v < first {
						second = max(second, v)
					}
				}
				return math.Tanh([]float64{first, second}[i[1]])
			})
		}),
		one("clamp", []int{5, 5}, func(tp *Tape, x *Tensor) *Tensor { return tp.Clamp(x, -0.5, 1) }, func(a array) array {
			return a.each(func(x float64) float64 { return min(max(x, -0.5), 1) })
		}),
		crossEntropy("mean", nil, CrossEntropyOptions{}),
		crossEntropy("weights, smoothing, mean", weights, CrossEntropyOptions{Smoothing: 0.2, IgnoreIndex: &ignore}),
		crossEntropy("weights, none", weights, CrossEntropyOptions{Reduction: ReductionNone}),
		crossEntropy("smoothing, sum", nil, CrossEntropyOptions{
			Smoothing: 0.2, IgnoreIndex: &ignore, Reduction: ReductionSum,
		}),
		// Classes along axis 1, as in segmentation.
		one("cross-entropy loss of three dimensions", []int{2, 4, 3}, func(tp *Tape, x *Tensor) *Tensor {
			o := CrossEntropyOptions{Weight: tp.Floats(weights, 4), IgnoreIndex: &ignore, Reduction: ReductionNone}
			ids := tp.Transpose(FromSlice(tp.Backend(), spread, 3, 2), 0, 1)
			return tp.CrossEntropyLoss(tp.Transpose(x, 1, 2), ids, o)
		}, func(a array) array {
			rows := build([]int{6, 4}, func(i []int) float64 { return a.at([]int{i[0] / 3, i[1], i[0] % 3}) })
			ids := []int32{spread[0], spread[2], spread[4], spread[1], spread[3], spread[5]}
			return array{[]int{2, 3}, crossEntropyRef(rows, ids, weights, CrossEntropyOptions{
				IgnoreIndex: &ignore, Reduction: ReductionNone,
			}).data}
		}),
		one("cross-entropy loss of one row", []int{4}, func(tp *Tape, x *Tensor) *Tensor {
			return tp.CrossEntropyLoss(x, tp.Reshape(tp.Ints([]int32{2})), CrossEntropyOptions{})
		}, func(a array) array {
			return crossEntropyRef(array{[]int{1, 4}, a.data}, []int32{2}, nil, CrossEntropyOptions{})
		}),
		{name: "mse, broadcast", shapes: [][]int{{3, 4}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.MSE(in[0], in[1], ReductionMean) },
			ref: func(in [][]float64) []float64 {
				sum := 0.0
				for i, x := range in[0] {
					sum += (x - in[1][i%4]) * (x - in[1][i%4]) / 12
				}
				return []float64{sum}
			}},
		{name: "binary cross-entropy", shapes: [][]int{{3, 4}, {3, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.BCEWithLogits(tp.Scale(3, in[0]), tp.Sigmoid(in[1]), nil, ReductionBatchMean)
			},
			ref: func(in [][]float64) []float64 {
				sum := 0.0
				for i, x := range in[0] {
					p := 1 / (1 + math.Exp(-in[1][i]))
					sum += (p*softplus(-3*x) + (1-p)*softplus(3*x)) / 3
				}
				return []float64{sum}
			}},
		{name: "binary cross-entropy, weighted", shapes: [][]int{{3, 4}, {3, 4}, {4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.BCEWithLogits(tp.Scale(3, in[0]), tp.Sigmoid(in[1]), tp.Exp(in[2]), ReductionNone)
			},
			ref: func(in [][]float64) []float64 {
				return build([]int{12}, func(i []int) float64 {
					x, p := in[0][i[0]], 1/(1+math.Exp(-in[1][i[0]]))
					return math.Exp(in[2][i[0]%4])*p*softplus(-3*x) + (1-p)*softplus(3*x)
				}).data
			}},
		{name: "kl divergence", shapes: [][]int{{3, 4}, {3, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.KLDiv(in[0], tp.Exp(in[1]), false, ReductionNone)
			},
			ref: func(in [][]float64) []float64 {
				return reference.Zip(in[1], in[0], func(t, x float64) float64 { return math.Exp(t) * (t - x) })
			}},
		{name: "kl divergence of logarithms", shapes: [][]int{{3, 4}, {3, 4}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.KLDiv(in[0], in[1], true, ReductionMean) },
			ref: func(in [][]float64) []float64 {
				sum := 0.0
				for i, x := range in[0] {
					sum += math.Exp(in[1][i]) * (in[1][i] - x) / 12
				}
				return []float64{sum}
			}},
	}
}

// crossEntropyRef is the definition of CrossEntropyLoss.
func crossEntropyRef(logits array, targets []int32, weight []float32, o CrossEntropyOptions) array {
	n, classes := logits.shape[0], logits.shape[1]
	s, total, count := float64(o.Smoothing), 0.0, 0.0
	w := func(c int) float64 {
		if weight == nil {
			return 1
		}
		return float64(weight[c])
	}
	losses := array{[]int{n}, make([]float64, n)}
	for i, t := range targets {
		if o.IgnoreIndex != nil && t == *o.IgnoreIndex {
			continue
		}
		row := logits.data[i*classes:][:classes]
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(l)
		}
		nll := func(c int) float64 { return math.Log(sum) - row[c] }
		losses.data[i] = (1 - s) * w(int(t)) * nll(int(t))
		for c := range row {
			losses.data[i] += s / float64(classes) * w(c) * nll(c)
		}
		total += losses.data[i]
		count += w(int(t))
	}
	switch o.Reduction {
	case ReductionMean:
		return array{nil, []float64{total / count}}
	case ReductionSum:
		return array{nil, []float64{total}}
	}
	return losses
}

// largeCasesOfIndex are large enough to be split in parts.
func largeCasesOfIndex() []gradCase {
	ids := make([]int32, 700)
	for i := range ids {
		ids[i] = int32(i * 7 % 97)
	}
	return []gradCase{
		{name: "large matmul", shapes: [][]int{{2, 40, 8, 32}, {2, 33, 8, 32}, {32, 48}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				q, k := tp.Permute(in[0], 0, 2, 1, 3), tp.Permute(in[1], 0, 2, 1, 3)
				return tp.MatMul(tp.MatMul(tp.MatMul(q, k, true), k, false), in[2], false)
			}},
		{name: "large indexing", shapes: [][]int{{97, 300}, {700, 300}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.IndexAdd(in[0], 0, tp.Ints(ids), in[1])
				return tp.CumSum(tp.Add(tp.IndexSelect(x, 0, tp.Ints(ids)), in[1]), 0)
			}},
		{name: "large top k", shapes: [][]int{{400, 300}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				values, indices := tp.TopK(in[0], 20)
				return tp.Add(values, tp.TakeAlongDim(tp.CumSum(in[0], 1), 1, indices))
			}},
		{name: "large cross-entropy loss", shapes: [][]int{{700, 300}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.CrossEntropyLoss(in[0], tp.Ints(ids), CrossEntropyOptions{Smoothing: 0.1})
			}},
	}
}
