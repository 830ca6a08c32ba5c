package backendtest

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// shapes are numbers of rows and columns.
var shapes = [][2]int{{0, 4}, {1, 1}, {1, 5}, {3, 8}, {5, 33}, {17, 64}, {130, 20}}

func (s *suite) layerNorm() {
	const eps = 1e-5
	for _, shape := range append(shapes, [2]int{700, 300}) {
		n, d := shape[0], shape[1]
		x, x64 := s.random(n, d)
		gamma, gamma64 := s.random(d)
		beta, beta64 := s.random(d)
		name := fmt.Sprintf("layernorm of %dx%d", n, d)
		y := reference.LayerNorm(x64, gamma64, beta64, d, eps)
		means, rstds := make([]float64, n), make([]float64, n)
		for i := range n {
			row := x64[i*d : (i+1)*d]
			variance := 0.0
			for _, v := range row {
				means[i] += v / float64(d)
			}
			for _, v := range row {
				variance += (v - means[i]) * (v - means[i]) / float64(d)
			}
			rstds[i] = 1 / math.Sqrt(variance+eps)
		}
		// What is kept for the backward pass is the backend's own.
		mean, rstd := tensor.New(s.b, tensor.Float32, n), tensor.New(s.b, tensor.Float32, n)
		normal := output{shape: []int{n, d}, want: y, tol: s.tol.Other, size: length(gamma64)}
		s.check(name, []output{normal}, func(out []*tensor.Tensor) {
			s.b.LayerNorm(out[0], mean, rstd, x, gamma, beta, eps)
		})

		dy, dy64 := s.random(n, d)
		dx, dgamma, dbeta := make([]float64, n*d), make([]float64, d), make([]float64, d)
		size := 0.0
		for i := range n {
			sum, dot := 0.0, 0.0
			for j := range d {
				at := i*d + j
				normal := (x64[at] - means[i]) * rstds[i]
				dgamma[j] += dy64[at] * normal
				dbeta[j] += dy64[at]
				sum += dy64[at] * gamma64[j] / float64(d)
				dot += dy64[at] * gamma64[j] * normal / float64(d)
			}
			for j := range d {
				at := i*d + j
				normal := (x64[at] - means[i]) * rstds[i]
				dx[at] = rstds[i] * (dy64[at]*gamma64[j] - sum - normal*dot)
				size = math.Hypot(size, rstds[i]*dy64[at]*gamma64[j])
			}
		}
		for wanted := range 8 {
			for _, accumulate := range [][3]bool{{}, {true, true, true}, {false, true, false}} {
				outputs := []output{
					{shape: []int{n, d}, want: dx, size: size}, {shape: []int{d}, want: dgamma, size: length(dy64)},
					{shape: []int{d}, want: dbeta, size: length(dy64)},
				}
				for i := range outputs {
					outputs[i].nil, outputs[i].accumulate, outputs[i].tol = wanted>>i&1 != 0, accumulate[i], s.tol.Other
				}
				s.check(fmt.Sprint(name, ", backward ", wanted, accumulate), outputs, func(out []*tensor.Tensor) {
					s.b.LayerNormBackward(out[0], out[1], out[2], dy, x, gamma, mean, rstd, accumulate)
				})
			}
		}
	}
}

func (s *suite) gather() {
	for _, c := range []struct{ table, n, d int }{
		{1, 0, 3}, {1, 1, 1}, {3, 5, 1}, {5, 3, 8}, {11, 40, 33}, {7, 300, 64}, {2000, 900, 20},
	} {
		table, table64 := s.random(c.table, c.d)
		ids := make([]int32, c.n)
		for i := range ids {
			ids[i] = int32(s.rng.IntN(c.table))
		}
		rows := s.ints(ids...)
		for _, scale := range []float64{1, -2, 0.3} {
			name := fmt.Sprintf("%d of %d rows of %d, times %v", c.n, c.table, c.d, scale)
			scale = float64(float32(scale))
			want := reference.Gather(table64, ids, c.d, scale)
			for _, accumulate := range []bool{false, true} {
				o := output{shape: []int{c.n, c.d}, want: want, accumulate: accumulate, tol: s.tol.Other}
				if scale == 1 && !accumulate {
					o.tol = 0
				}
				s.check("gather "+name, []output{o}, func(out []*tensor.Tensor) {
					s.b.Gather(out[0], table, rows, float32(scale), accumulate)
				})
			}
			src, src64 := s.random(c.n, c.d)
			sums := make([]float64, c.table*c.d)
			for i, id := range ids {
				for j := range c.d {
					sums[int(id)*c.d+j] += scale * src64[i*c.d+j]
				}
			}
			o := output{shape: []int{c.table, c.d}, want: sums, accumulate: true, tol: s.tol.Other, size: length(src64)}
			s.check("scatteradd "+name, []output{o}, func(out []*tensor.Tensor) {
				s.b.ScatterAdd(out[0], src, rows, float32(scale))
			})
		}
		for _, bad := range []int32{-1, int32(c.table)} {
			one, _ := s.random(1, c.d)
			s.mustPanic(fmt.Sprintf("row %d of %d", bad, c.table), func() { s.b.Gather(one, table, s.ints(bad), 1, false) })
		}
	}
}

// segmentations are offsets of segments, some of them empty.
var segmentations = [][]int32{{0}, {0, 0}, {0, 1}, {0, 0, 3, 3}, {0, 2, 9, 10, 10, 43}, {0, 130}}

func rowsOf(offsets []int32) int { return int(offsets[len(offsets)-1]) }

func (s *suite) segments() {
	for _, offsets := range segmentations {
		for _, d := range []int{1, 5, 33, 64} {
			n, segments := rowsOf(offsets), len(offsets)-1
			name := fmt.Sprintf("segments %v of rows of %d", offsets, d)
			x, x64 := s.random(n, d)
			mean := output{
				shape: []int{segments, d}, want: reference.SegmentMean(x64, offsets, d), tol: s.tol.Other, size: length(x64),
			}
			s.check(name, []output{mean}, func(out []*tensor.Tensor) { s.b.SegmentMean(out[0], x, offsets) })
			dy, dy64 := s.random(segments, d)
			dx := make([]float64, n*d)
			for i := range segments {
				for r := offsets[i]; r < offsets[i+1]; r++ {
					for j := range d {
						dx[int(r)*d+j] = dy64[i*d+j] / float64(offsets[i+1]-offsets[i])
					}
				}
			}
			o := output{shape: []int{n, d}, want: dx, accumulate: true, tol: s.tol.Other}
			s.check(name+", backward", []output{o}, func(out []*tensor.Tensor) { s.b.SegmentMeanBackward(out[0], dy, offsets) })
		}
	}
}

func (s *suite) linearMax() {
	for _, offsets := range segmentations {
		for _, size := range [][2]int{{1, 1}, {3, 7}, {16, 16}, {9, 65}} {
			k, d := size[0], size[1]
			n, segments := rowsOf(offsets), len(offsets)-1
			name := fmt.Sprintf("segments %v, %d to %d columns", offsets, k, d)
			// Small integers, with many equal products: the first row counts.
			integers := func(rows, cols int) (*tensor.Tensor, []float64) {
				values := make([]float32, rows*cols)
				for i := range values {
					values[i] = float32(s.rng.IntN(5) - 2)
				}
				return s.tensor(values, rows, cols), widen(values)
			}
			x, x64 := integers(n, k)
			w, w64 := integers(d, k)
			want, rows64 := reference.LinearMax(x64, w64, offsets, k)
			rows := tensor.New(s.b, tensor.Int32, segments, d)
			s.check(name, []output{
				{shape: []int{segments, d}, want: want},
				{shape: []int{n, d}, want: reference.Linear(x64, w64, nil, n, k, d)},
			}, func(out []*tensor.Tensor) { s.b.LinearMax(out[0], rows, out[1], x, w, offsets) })

			dy, dy64 := s.random(segments, d)
			dx, dw := make([]float64, n*k), make([]float64, d*k)
			for i, row := range rows64 {
				for c := range k {
					if row >= 0 {
						dx[int(row)*k+c] += dy64[i] * w64[i%d*k+c]
						dw[i%d*k+c] += dy64[i] * x64[int(row)*k+c]
					}
				}
			}
			for wanted := range 4 {
				outputs := []output{
					{shape: []int{n, k}, want: dx, accumulate: true, tol: s.tol.Other, nil: wanted&1 != 0, size: 4 * length(dy64)},
					{shape: []int{d, k}, want: dw, accumulate: true, tol: s.tol.Other, nil: wanted&2 != 0, size: 4 * length(dy64)},
				}
				s.check(fmt.Sprint(name, ", backward ", wanted), outputs, func(out []*tensor.Tensor) {
					s.b.LinearMaxBackward(out[0], out[1], dy, x, w, rows)
				})
			}
		}
	}
}

func (s *suite) normalize() {
	for _, shape := range append(shapes, [2]int{300, 200}) {
		n, d := shape[0], shape[1]
		for _, size := range []float64{1, 1e-40, 1e30, 0} {
			values := s.values(n * d)
			for i := range values {
				values[i] = float32(float64(values[i]) * size)
			}
			x, x64 := s.tensor(values, n, d), widen(values)
			name := fmt.Sprintf("normalize %dx%d of size %g", n, d, size)
			norm := tensor.New(s.b, tensor.Float32, n)
			y := tensor.New(s.b, tensor.Float32, n, d)
			want := reference.Normalize(x64, d)
			s.check(name, []output{{shape: []int{n, d}, want: want, tol: s.tol.Other}}, func(out []*tensor.Tensor) {
				s.b.Normalize(out[0], norm, x)
				s.b.Scale(y, 1, out[0])
			})
			weight := max(size, 0x1p-120) // the gradient is of the size of weight/size
			dys := s.values(n * d)
			for i := range dys {
				dys[i] = float32(float64(dys[i]) * min(weight, 1))
			}
			dy, dy64 := s.tensor(dys, n, d), widen(dys)
			dx, terms := make([]float64, n*d), 0.0
			for i := range n {
				length, dot := length(x64[i*d:(i+1)*d]), 0.0
				if length == 0 {
					continue
				}
				for j := i * d; j < (i+1)*d; j++ {
					dot += want[j] * dy64[j]
				}
				for j := i * d; j < (i+1)*d; j++ {
					dx[j] = (dy64[j] - want[j]*dot) / length
					terms = math.Hypot(terms, dy64[j]/length)
				}
			}
			if size == 1e30 {
				terms += 1 // what is added to, beside which the gradient is nothing
			}
			o := output{shape: []int{n, d}, want: dx, accumulate: true, tol: s.tol.Other, size: terms}
			s.check(name+", backward", []output{o}, func(out []*tensor.Tensor) { s.b.NormalizeBackward(out[0], dy, y, norm) })
		}
	}
}
