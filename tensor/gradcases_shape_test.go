package tensor

import (
	"math"
	"slices"
)

// array is a tensor in float64, for specifications.
type array struct {
	shape []int
	data  []float64
}

// at returns element index of a, where axes of size 1 repeat.
func (a array) at(index []int) float64 {
	i := 0
	for d, n := range a.shape {
		if n == 1 {
			i *= n
			continue
		}
		i = i*n + index[d]
	}
	return a.data[i]
}

// build returns the array of a shape whose elements f gives.
func build(shape []int, f func(index []int) float64) array {
	n := 1
	for _, size := range shape {
		n *= size
	}
	a := array{shape, make([]float64, n)}
	index := make([]int, len(shape))
	for i := range a.data {
		rest := i
		for d := len(shape) - 1; d >= 0; d-- {
			index[d] = rest % shape[d]
			rest /= shape[d]
		}
		a.data[i] = f(index)
	}
	return a
}

// over reduces axes of a, which keep size 1.
func (a array) over(axes []int, start float64, join func(x, y float64) float64) array {
	shape := slices.Clone(a.shape)
	for _, axis := range axes {
		shape[axis] = 1
	}
	out := build(shape, func([]int) float64 { return start })
	build(a.shape, func(index []int) float64 {
		i := 0
		for d, n := range shape {
			i *= n
			if n > 1 {
				i += index[d]
			}
		}
		out.data[i] = join(out.data[i], a.at(index))
		return 0
	})
	return out
}

func (a array) sum(axes ...int) array {
	return a.over(axes, 0, func(x, y float64) float64 { return x + y })
}

func (a array) each(f func(x float64) float64) array {
	return build(a.shape, func(index []int) float64 { return f(a.at(index)) })
}

// zip combines arrays, b being broadcast to a.
func (a array) zip(b array, f func(x, y float64) float64) array {
	return build(a.shape, func(index []int) float64 { return f(a.at(index), b.at(index)) })
}

func minus(x, y float64) float64 { return x - y }
func times(x, y float64) float64 { return x * y }

// gradCasesOfShapes are reductions and operations on shapes.
func gradCasesOfShapes() []gradCase {
	shape := []int{3, 4, 5}
	first := func(in [][]float64) array { return array{shape, in[0]} }
	variance := func(a array, axes ...int) array {
		n := 1.0
		for _, axis := range axes {
			n *= float64(a.shape[axis])
		}
		mean := a.sum(axes...).each(func(x float64) float64 { return x / n })
		return a.zip(mean, minus).each(func(x float64) float64 { return x * x }).sum(axes...).
			each(func(x float64) float64 { return x / (n - 1) })
	}
	logSumExp := func(a array, axes ...int) array { return a.each(math.Exp).sum(axes...).each(math.Log) }
	greatest := func(a array, axes ...int) array {
		return a.over(axes, math.Inf(-1), func(x, y float64) float64 { return max(x, y) })
	}
	one := func(name string, op func(tp *Tape, x *Tensor) *Tensor, ref func(a array) array) gradCase {
		return gradCase{name: name, shapes: [][]int{shape},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.Contiguous(op(tp, in[0])) },
			ref: func(in [][]float64) []float64 { return ref(first(in)).data }}
	}
	return []gradCase{
		one("sum", func(tp *Tape, x *Tensor) *Tensor { return tp.Sum(x, false) },
			func(a array) array { return a.sum(0, 1, 2) }),
		one("sum of the middle", func(tp *Tape, x *Tensor) *Tensor { return tp.Sum(x, true, 1) },
			func(a array) array { return a.sum(1) }),
		one("sum of two", func(tp *Tape, x *Tensor) *Tensor { return tp.Sum(x, false, 0, -1) },
			func(a array) array { return a.sum(0, 2) }),
		one("mean", func(tp *Tape, x *Tensor) *Tensor { return tp.Mean(x, false, -1) }, func(a array) array {
			return a.sum(2).each(func(x float64) float64 { return x / 5 })
		}),
		one("variance", func(tp *Tape, x *Tensor) *Tensor { return tp.Variance(x, 1, false, 0, 1) },
			func(a array) array { return variance(a, 0, 1) }),
		one("norm", func(tp *Tape, x *Tensor) *Tensor { return tp.Norm(x, false, 1) }, func(a array) array {
			return a.each(func(x float64) float64 { return x * x }).sum(1).each(math.Sqrt)
		}),
		one("max", func(tp *Tape, x *Tensor) *Tensor { return tp.Max(x, false, 1) },
			func(a array) array { return greatest(a, 1) }),
		one("min", func(tp *Tape, x *Tensor) *Tensor { return tp.Min(x, true, 0, 2) }, func(a array) array {
			return a.over([]int{0, 2}, math.Inf(1), func(x, y float64) float64 { return min(x, y) })
		}),
		one("logsumexp", func(tp *Tape, x *Tensor) *Tensor { return tp.LogSumExp(x, false, 1) },
			func(a array) array { return logSumExp(a, 1) }),
		one("softmax of the last", func(tp *Tape, x *Tensor) *Tensor { return tp.Softmax(x, -1) }, func(a array) array {
			return a.zip(logSumExp(a, 2), minus).each(math.Exp)
		}),
		one("softmax of the first", func(tp *Tape, x *Tensor) *Tensor { return tp.Softmax(x, 0) }, func(a array) array {
			return a.zip(logSumExp(a, 0), minus).each(math.Exp)
		}),
		one("logsoftmax", func(tp *Tape, x *Tensor) *Tensor { return tp.LogSoftmax(x, 1) }, func(a array) array {
			return a.zip(logSumExp(a, 1), minus)
		}),
		one("centred", func(tp *Tape, x *Tensor) *Tensor { return tp.Mul(tp.Sub(x, tp.Mean(x, true, 1)), x) },
			func(a array) array {
				return a.zip(a.sum(1).each(func(x float64) float64 { return x / 4 }), minus).zip(a, times)
			}),
		one("permute", func(tp *Tape, x *Tensor) *Tensor { return tp.Exp(tp.Permute(x, 2, 0, 1)) }, func(a array) array {
			return build([]int{5, 3, 4}, func(i []int) float64 { return math.Exp(a.at([]int{i[1], i[2], i[0]})) })
		}),
		one("permute and back", func(tp *Tape, x *Tensor) *Tensor {
			return tp.Mul(x, tp.Permute(tp.Permute(x, 2, 0, 1), 1, 2, 0))
		}, func(a array) array { return a.zip(a, times) }),
		one("transpose, reshape", func(tp *Tape, x *Tensor) *Tensor {
			return tp.Sin(tp.Reshape(tp.Transpose(x, 0, 2), 4, -1))
		}, func(a array) array {
			b := build([]int{5, 4, 3}, func(i []int) float64 { return math.Sin(a.at([]int{i[2], i[1], i[0]})) })
			return array{[]int{4, 15}, b.data}
		}),
		one("slice of the middle", func(tp *Tape, x *Tensor) *Tensor { return tp.Tanh(tp.Slice(x, 1, 1, 3)) },
			func(a array) array {
				return build([]int{3, 2, 5}, func(i []int) float64 { return math.Tanh(a.at([]int{i[0], i[1] + 1, i[2]})) })
			}),
		one("split and concatenate", func(tp *Tape, x *Tensor) *Tensor {
			parts := tp.Split(x, 2, 2, 3)
			return tp.Concat(2, parts[1], parts[0], tp.Exp(parts[1]))
		}, func(a array) array {
			return build([]int{3, 4, 8}, func(i []int) float64 {
				switch k := i[2]; {
				case k < 3:
					return a.at([]int{i[0], i[1], k + 2})
				case k < 5:
					return a.at([]int{i[0], i[1], k - 3})
				default:
					return math.Exp(a.at([]int{i[0], i[1], k - 3}))
				}
			})
		}),
		one("stack", func(tp *Tape, x *Tensor) *Tensor { return tp.Stack(1, x, tp.Neg(x)) }, func(a array) array {
			return build([]int{3, 2, 4, 5}, func(i []int) float64 {
				return a.at([]int{i[0], i[2], i[3]}) * float64(1-2*i[1])
			})
		}),
		one("unsqueeze, expand", func(tp *Tape, x *Tensor) *Tensor {
			return tp.Expand(tp.Unsqueeze(tp.Slice(x, 0, 1, 2), -1), 2, 4, 5, 3)
		}, func(a array) array {
			return build([]int{2, 4, 5, 3}, func(i []int) float64 { return a.at([]int{1, i[1], i[2]}) })
		}),
		one("squeeze", func(tp *Tape, x *Tensor) *Tensor { return tp.Abs(tp.Squeeze(tp.Slice(x, 1, 2, 3), 1)) },
			func(a array) array {
				return build([]int{3, 5}, func(i []int) float64 { return math.Abs(a.at([]int{i[0], 2, i[1]})) })
			}),
	}
}
