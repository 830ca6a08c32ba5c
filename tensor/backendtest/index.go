package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/tensor"
)

// alongShapes are sizes before an axis, along it, and after it.
var alongShapes = [][3]int{
	{1, 1, 1}, {0, 3, 2}, {2, 3, 0}, {1, 7, 1}, {4, 5, 1}, {3, 4, 5}, {2, 1, 9}, {1, 300, 40}, {70, 600, 1}, {3, 9, 700},
}

// ids returns an int32 tensor of random numbers below n.
func (s *suite) ids(n int, shape ...int) (*tensor.Tensor, []int32) {
	x := tensor.New(s.b, tensor.Int32, shape...)
	values := make([]int32, x.Len())
	for i := range values {
		values[i] = int32(s.rng.IntN(n))
	}
	x.SetInt32s(values)
	return x, values
}

func (s *suite) along() {
	for _, shape := range alongShapes {
		before, n, after := shape[0], shape[1], shape[2]
		for _, m := range []int{0, 1, n, 2*n + 1} {
			// each calls f with the places of x, of what is gathered, and of the index.
			each := func(ids []int32, f func(x, y int)) {
				for i := range before {
					for j := range m {
						for k := range after {
							at := (i*m+j)*after + k
							id := ids[j%len(ids)]
							if len(ids) > m {
								id = ids[at]
							}
							f((i*n+int(id))*after+k, at)
						}
					}
				}
			}
			for _, full := range []bool{false, true} {
				own := []int{1, m, 1}
				if full {
					own = []int{before, m, after}
				}
				index, ids := s.ids(n, own...)
				name := fmt.Sprintf("%d of %v by %v", m, shape, own)
				x, x64 := s.random(before, n, after)
				src, src64 := s.random(before, m, after)
				gathered, sums := make([]float64, len(src64)), make([]float64, len(x64))
				each(ids, func(x, y int) {
					gathered[y] = x64[x]
					sums[x] += src64[y]
				})
				for _, accumulate := range []bool{false, true} {
					o := output{shape: []int{before, m, after}, want: gathered, accumulate: accumulate}
					s.check("gatheralong "+name, []output{o}, func(out []*tensor.Tensor) {
						s.b.GatherAlong(out[0], x, index, 1, accumulate)
					})
				}
				o := output{shape: []int{before, n, after}, want: sums, accumulate: true, tol: s.tol.Other, size: length(src64)}
				s.check("scatteralong "+name, []output{o}, func(out []*tensor.Tensor) {
					s.b.ScatterAlong(out[0], src, index, 1, true)
				})
				last := slices.Clone(x64)
				each(ids, func(x, y int) { last[x] = src64[y] })
				o = output{shape: []int{before, n, after}, want: last}
				s.check("scatteralong, the last, "+name, []output{o}, func(out []*tensor.Tensor) {
					s.b.Scale(out[0], 1, x)
					s.b.ScatterAlong(out[0], src, index, 1, false)
				})
			}
		}
		s.cumSums(before, n, after)
	}
	x, _ := s.random(2, 3)
	one, _ := s.random(2, 1)
	for _, bad := range []int32{-1, 3} {
		index := tensor.FromSlice(s.b, []int32{0, bad}, 2, 1)
		s.mustPanic(fmt.Sprintf("index %d of 3", bad), func() { s.b.GatherAlong(one, x, index, 1, false) })
		s.mustPanic(fmt.Sprintf("index %d of 3", bad), func() { s.b.ScatterAlong(x, one, index, 1, true) })
	}
	for _, transposed := range []bool{false, true} {
		s.strided(transposed)
	}
}

func (s *suite) cumSums(before, n, after int) {
	x, x64 := s.random(before, n, after)
	for _, reverse := range []bool{false, true} {
		want := make([]float64, len(x64))
		for i := range before {
			for k := range after {
				sum := 0.0
				for j := range n {
					if reverse {
						j = n - 1 - j
					}
					at := (i*n+j)*after + k
					sum += x64[at]
					want[at] = sum
				}
			}
		}
		for _, accumulate := range []bool{false, true} {
			o := output{shape: []int{before, n, after}, want: want, accumulate: accumulate, tol: s.tol.Other, size: length(x64)}
			name := fmt.Sprintf("cumsum of %dx%dx%d, reverse %v", before, n, after, reverse)
			s.check(name, []output{o}, func(out []*tensor.Tensor) { s.b.CumSum(out[0], x, 1, reverse, accumulate) })
		}
		o := output{shape: []int{before, n, after}, want: want, tol: s.tol.Other, size: length(x64)}
		s.check("cumsum in place", []output{o}, func(out []*tensor.Tensor) {
			s.b.Scale(out[0], 1, x)
			s.b.CumSum(out[0], out[0], 1, reverse, false)
		})
	}
}

// strided tests views in all places.
func (s *suite) strided(transposed bool) {
	const rows, cols, m = 5, 7, 4
	tp := tensor.NewTape(s.b)
	part := func(x *tensor.Tensor) *tensor.Tensor {
		if transposed {
			return tp.Transpose(x, 0, 1)
		}
		return x
	}
	axis := 0
	if transposed {
		axis = 1
	}
	x, x64 := s.wideRandom(rows, cols)
	index, ids := s.ids(rows, m, cols)
	want := make([]float64, m*cols)
	for i, id := range ids {
		want[i] = x64[int(id)*cols+i%cols]
	}
	o := output{shape: []int{m, cols}, want: want, strided: true}
	s.check("gatheralong of views", []output{o}, func(out []*tensor.Tensor) {
		s.b.GatherAlong(part(out[0]), part(x), part(index), axis, false)
	})
	src, src64 := s.wideRandom(m, cols)
	sums := make([]float64, rows*cols)
	for i, id := range ids {
		sums[int(id)*cols+i%cols] += src64[i]
	}
	o = output{shape: []int{rows, cols}, want: sums, accumulate: true, strided: true, tol: s.tol.Other}
	o.size = length(src64)
	s.check("scatteralong of views", []output{o}, func(out []*tensor.Tensor) {
		s.b.ScatterAlong(part(out[0]), part(src), part(index), axis, true)
	})
	copied := tensor.New(s.b, tensor.Int32, m, cols-2)
	middle := tp.Slice(index, 1, 1, cols-1)
	if transposed {
		copied, middle = tensor.New(s.b, tensor.Int32, cols-2, m), tp.Transpose(middle, 0, 1)
	}
	s.b.CopyInts(copied, middle)
	floats := tensor.New(s.b, tensor.Float32, copied.Shape()...)
	s.b.CopyInts(floats, middle)
	numbers := download(floats)
	for i, got := range s.positions(copied, rows) {
		row, col := i/(cols-2), i%(cols-2)
		if transposed {
			row, col = i%m, i/m
		}
		if want := ids[row*cols+1+col]; got != float64(want) || numbers[i] != float32(want) {
			s.Errorf("copyints of a view, transposed %v: [%d] is %v and %v, want %v", transposed, i, got, numbers[i], want)
		}
	}
	total := make([]float64, rows*cols)
	for i, v := range x64 {
		if total[i] = v; i >= cols {
			total[i] += total[i-cols]
		}
	}
	o = output{shape: []int{rows, cols}, want: total, strided: true, tol: s.tol.Other, size: length(x64)}
	s.check("cumsum of views", []output{o}, func(out []*tensor.Tensor) {
		s.b.CumSum(part(out[0]), part(x), axis, false, false)
	})
}

// positions returns the elements of an int32 tensor.
func (s *suite) positions(index *tensor.Tensor, n int) []float64 {
	table := make([]float32, n)
	for i := range table {
		table[i] = float32(i)
	}
	out := tensor.New(s.b, tensor.Float32, index.Len(), 1)
	if index.Len() > 0 {
		flat := tensor.NewTape(s.b).Reshape(index, index.Len(), 1)
		s.b.GatherAlong(out, s.tensor(table, n, 1), flat, 0, false)
	}
	return widen(download(out))
}

func (s *suite) order() {
	specials := []float32{nan, float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1, -1}
	for _, shape := range alongShapes {
		for round := range 2 {
			before, n, after := shape[0], shape[1], shape[2]
			values := s.values(before * n * after)
			for i := range values {
				if round == 1 {
					values[i] = specials[s.rng.IntN(len(specials))]
				}
			}
			x := s.tensor(values, before, n, after)
			for _, op := range []tensor.ReduceOp{tensor.ReduceMax, tensor.ReduceMin} {
				out := tensor.New(s.b, tensor.Int32, before, 1, after)
				s.b.ArgReduce(out, op, x)
				want := make([]float64, 0, before*after)
				for i := range before {
					for k := range after {
						line := make([]float32, n)
						for j := range line {
							line[j] = values[(i*n+j)*after+k]
							if op == tensor.ReduceMin {
								line[j] = -line[j]
							}
						}
						want = append(want, float64(ranking(line)[0]))
					}
				}
				if got := s.positions(out, n); !slices.Equal(got, want) {
					s.Errorf("argreduce %d of %v, round %d: %v, want %v", op, shape, round, got, want)
				}
			}
			for _, k := range []int{0, min(1, after), after / 2, after} {
				top, rows := tensor.New(s.b, tensor.Float32, before, n, k), tensor.New(s.b, tensor.Int32, before, n, k)
				s.b.TopK(top, rows, x)
				var want []float64
				var wantValues []float32
				for i := range before * n {
					line := values[i*after : (i+1)*after]
					for _, j := range ranking(line)[:k] {
						want, wantValues = append(want, float64(j)), append(wantValues, line[j])
					}
				}
				if got := s.positions(rows, after); !slices.Equal(got, want) {
					s.Errorf("top %d of %v, round %d: %v, want %v", k, shape, round, got, want)
				}
				if got := download(top); !equalBits(got, wantValues) {
					s.Errorf("values of top %d of %v, round %d: %v, want %v", k, shape, round, got, wantValues)
				}
			}
		}
	}
}

// ranking returns the positions of numbers by size, the greatest and NaN first.
func ranking(x []float32) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := x[i], x[j]
		switch {
		case a > b || a != a && b == b:
			return -1
		case b > a || b != b && a == a:
			return 1
		}
		return 0
	})
	return order
}
