package gradcheck

import (
	"math"
	"slices"
	"sort"

	"github.com/marge-go/marge/tensor"
)

// each calls f for every index of a shape, in row-major order.
func each(shape []int, f func(index []int)) {
	if slices.Contains(shape, 0) {
		return
	}
	index := make([]int, len(shape))
	for {
		f(index)
		d := len(shape) - 1
		for ; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}

// place returns where the element of t at an index is in memory. Dimensions of size 1,
// and first ones that t lacks, repeat.
func place(t *tensor.Tensor, index []int) int {
	_, at := device(t)
	index = index[len(index)-len(t.Shape()):]
	for d, n := range t.Shape() {
		if n != 1 {
			at += index[d] * t.Strides()[d]
		}
	}
	return at
}

// indexed calls f for every element of t with its place and with that of the element of
// x at the same position, but at index along an axis.
func indexed(t, x, index *tensor.Tensor, axis int, f func(at, from int)) {
	rows, _ := device(index)
	each(t.Shape(), func(position []int) {
		at := place(t, position)
		keep := position[axis]
		i := int(rows.i[place(index, position)])
		if i < 0 || i >= x.Dim(axis) {
			panic("gradcheck: index outside")
		}
		position[axis] = i
		f(at, place(x, position))
		position[axis] = keep
	})
}

func (backend) GatherAlong(dst, x, index *tensor.Tensor, axis int, accumulate bool) {
	to, _ := device(dst)
	from, _ := device(x)
	indexed(dst, x, index, axis, func(at, place int) {
		if !accumulate {
			to.f[at] = 0
		}
		to.f[at] += from.f[place]
	})
}

func (backend) ScatterAlong(dst, src, index *tensor.Tensor, axis int, accumulate bool) {
	to, _ := device(dst)
	from, _ := device(src)
	indexed(src, dst, index, axis, func(at, place int) {
		if !accumulate {
			to.f[place] = 0
		}
		to.f[place] += from.f[at]
	})
}

func (backend) CopyInts(dst, x *tensor.Tensor) {
	to, _ := device(dst)
	from, _ := device(x)
	each(x.Shape(), func(index []int) {
		if id := from.i[place(x, index)]; dst.DType() == tensor.Int32 {
			to.i[place(dst, index)] = id
		} else {
			to.f[place(dst, index)] = float64(id)
		}
	})
}

// lines calls f for every line of x along an axis, with the index of its first element.
func lines(x *tensor.Tensor, axis int, f func(index []int)) {
	shape := slices.Clone(x.Shape())
	shape[axis] = 1
	each(shape, f)
}

// line returns the elements of a line.
func line(x *tensor.Tensor, axis int, index []int) []float64 {
	m, _ := device(x)
	at := place(x, index)
	values := make([]float64, x.Dim(axis))
	for i := range values {
		values[i] = m.f[at+i*x.Strides()[axis]]
	}
	return values
}

func (backend) CumSum(dst, x *tensor.Tensor, axis int, reverse, accumulate bool) {
	to, _ := device(dst)
	lines(x, axis, func(index []int) {
		values, at, sum := line(x, axis, index), place(dst, index), 0.0
		for i := range values {
			if reverse {
				i = len(values) - 1 - i
			}
			sum += values[i]
			y := &to.f[at+i*dst.Strides()[axis]]
			if !accumulate {
				*y = 0
			}
			*y += sum
		}
	})
}

// greater reports whether a comes before b among the greatest: NaN first.
func greater(a, b float64) bool { return a > b || math.IsNaN(a) && !math.IsNaN(b) }

func (backend) ArgReduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor) {
	to, _ := device(dst)
	axis := slices.Index(dst.Shape(), 1)
	for d, n := range x.Shape() {
		if dst.Dim(d) != n {
			axis = d
		}
	}
	lines(x, axis, func(index []int) {
		values, best := line(x, axis, index), 0
		for i, v := range values {
			w := values[best]
			if op == tensor.ReduceMin && !math.IsNaN(v) {
				v, w = -v, -w
			}
			if greater(v, w) {
				best = i
			}
		}
		to.i[place(dst, index)] = int32(best)
	})
}

func (backend) TopK(values, indices, x *tensor.Tensor) {
	v, _ := device(values)
	rows, _ := device(indices)
	axis := len(x.Shape()) - 1
	lines(x, axis, func(index []int) {
		all := line(x, axis, index)
		order := make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(i, j int) bool { return greater(all[order[i]], all[order[j]]) })
		at, row := place(values, index), place(indices, index)
		for k, i := range order[:values.Dim(axis)] {
			v.f[at+k*values.Strides()[axis]] = all[i]
			rows.i[row+k*indices.Strides()[axis]] = int32(i)
		}
	})
}

// weightOf returns the weight of a class.
func weightOf(weight []float64, class int) float64 {
	if weight == nil {
		return 1
	}
	return weight[class]
}

func (backend) CrossEntropyRows(
	losses, counts, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32,
) {
	z, w, loss, count, s := matrixOf(logits), values(weight), values(losses), values(counts), float64(smoothing)
	for i, target := range ids(targets) {
		loss[i], count[i] = 0, 0
		if target == ignore {
			continue
		}
		row := z.row(i)
		sum := logSumExp(row)
		count[i] = weightOf(w, int(target))
		loss[i] = (1 - s) * count[i] * (sum - row[target])
		for c, v := range row {
			if s > 0 {
				loss[i] += s / float64(z.cols) * weightOf(w, c) * (sum - v)
			}
		}
	}
}

func (backend) CrossEntropyRowsBackward(
	dlogits, dlosses, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32, accumulate bool,
) {
	z, dz, w, d, s := matrixOf(logits), matrixOf(dlogits), values(weight), values(dlosses), float64(smoothing)
	dz.clear(accumulate)
	for i, target := range ids(targets) {
		if target == ignore {
			continue
		}
		row, sum, all := z.row(i), logSumExp(z.row(i)), 0.0
		for c := range row {
			all += weightOf(w, c) * s / float64(z.cols)
		}
		own := (1 - s) * weightOf(w, int(target))
		for c, v := range row {
			slope := (own+all)*math.Exp(v-sum) - s/float64(z.cols)*weightOf(w, c)
			if c == int(target) {
				slope -= own
			}
			dz.row(i)[c] += d[i] * slope
		}
	}
}
