package backendtest

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// lengths are numbers of elements around those of vectors, panels and parts.
var lengths = []int{0, 1, 3, 8, 17, 64, 129, 1000, 40_003}

func (s *suite) memory() {
	if s.b.Name() == "" {
		s.Error("the backend has no name")
	}
	for _, n := range lengths {
		x := tensor.New(s.b, tensor.Float32, n)
		for i, v := range download(x) {
			if v != 0 {
				s.Fatalf("element %d of new memory is %v", i, v)
			}
		}
		values := s.values(n)
		x.SetFloat32s(values)
		for i := range values {
			values[i]++ // the backend has a copy
		}
		got := download(x)
		for i := range values {
			values[i]--
		}
		if n > 0 && math.Abs(float64(got[n/2]-values[n/2])) > 1e-6 {
			s.Errorf("%d values: [%d] is %v, want %v", n, n/2, got[n/2], values[n/2])
		}
	}
	special := []float32{
		nan, float32(math.Inf(1)), float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32,
	}
	if got := download(s.tensor(special, 5)); !equalBits(got, special) {
		s.Errorf("%v became %v", special, got)
	}
}

func (s *suite) elements() {
	for _, n := range lengths {
		x, x64 := s.random(n)
		y, y64 := s.random(n)
		scalar, scalar64 := s.random(1)
		// one checks an operation with one output; tol 0 wants equal bits.
		one := func(op string, want []float64, accumulate bool, tol float64, launch func(out *tensor.Tensor)) {
			s.Helper()
			o := output{shape: []int{n}, want: want, accumulate: accumulate, tol: tol}
			s.check(fmt.Sprintf("%s of %d", op, n), []output{o}, func(out []*tensor.Tensor) { launch(out[0]) })
		}
		tol := s.tol.Other
		for _, v := range []float64{0, 1.5, math.Inf(-1)} {
			one("fill", reference.Each(x64, func(float64) float64 { return v }), false, 0, func(out *tensor.Tensor) {
				s.b.Fill(out, float32(v))
			})
		}
		one("add", reference.Zip(x64, y64, reference.Plus), false, 0, func(out *tensor.Tensor) { s.b.Add(out, x, y) })
		one("add in place", reference.Zip(x64, x64, reference.Plus), false, 0, func(out *tensor.Tensor) {
			s.b.Scale(out, 1, x)
			s.b.Add(out, out, x)
		})
		scaled := reference.Each(x64, func(v float64) float64 { return -0.75 * v })
		one("axpy", scaled, true, tol, func(out *tensor.Tensor) { s.b.Axpy(-0.75, x, out) })
		one("scale", scaled, false, 0, func(out *tensor.Tensor) { s.b.Scale(out, -0.75, x) })
		product := reference.Each(x64, func(v float64) float64 { return scalar64[0] * v })
		slope := reference.Zip(x64, y64, func(x, dy float64) float64 {
			return dy * (0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
		})
		for _, accumulate := range []bool{false, true} {
			one("mulscalar", product, accumulate, tol, func(out *tensor.Tensor) { s.b.MulScalar(out, x, scalar, accumulate) })
			one("gelubackward", slope, accumulate, tol, func(out *tensor.Tensor) { s.b.GELUBackward(out, y, x, accumulate) })
		}
		one("mulscalar in place", product, false, tol, func(out *tensor.Tensor) {
			s.b.Scale(out, 1, x)
			s.b.MulScalar(out, out, scalar, false)
		})
		one("gelu", reference.Each(x64, reference.GELU), false, tol, func(out *tensor.Tensor) { s.b.GELU(out, x) })
		one("gelubackward in place", slope, false, tol, func(out *tensor.Tensor) {
			s.b.Scale(out, 1, y)
			s.b.GELUBackward(out, out, x, false)
		})
	}
}

// dropoutStream is the counter of the first element of stream 1.
const dropoutStream = 1 << 36

func (s *suite) dropout() {
	times := func(a, factor float64) float64 {
		if factor == 0 {
			return 0 // not -0
		}
		return a * factor
	}
	for _, n := range lengths {
		for _, p := range []float32{0.1, 0.5} {
			for stream := range uint64(3) {
				name := fmt.Sprintf("dropout %v of %d, stream %d", p, n, stream)
				x, x64 := s.random(n)
				y, y64 := s.random(n)
				kept := reference.Zip(y64, reference.DropoutMask(n, p, 7, stream*dropoutStream), times)
				one := []output{{shape: []int{n}, want: kept}}
				s.check(name, one, func(out []*tensor.Tensor) { s.b.Dropout(out[0], y, p, 7, stream) })
				s.check(name+" in place", one, func(out []*tensor.Tensor) {
					s.b.Scale(out[0], 1, y)
					s.b.Dropout(out[0], out[0], p, 7, stream)
				})
				// The sum is one of two float32 numbers.
				sum := []output{{shape: []int{n}, want: reference.Zip(x64, reference.Each(kept, func(v float64) float64 {
					return float64(float32(v))
				}), reference.Plus)}}
				s.check(name+" and sum", sum, func(out []*tensor.Tensor) { s.b.AddDropout(out[0], x, y, p, 7, stream) })
				s.check(name+" and sum in place", sum, func(out []*tensor.Tensor) {
					s.b.Scale(out[0], 1, y)
					s.b.AddDropout(out[0], x, out[0], p, 7, stream)
				})
			}
		}
	}
}

func (s *suite) sums() {
	for _, n := range lengths {
		x, x64 := s.random(n)
		y, y64 := s.random(n)
		products := reference.Zip(x64, y64, func(a, b float64) float64 { return a * b })
		dot := 0.0
		for _, v := range products {
			dot += v
		}
		for _, accumulate := range []bool{false, true} {
			o := output{shape: []int{1}, want: []float64{dot}, accumulate: accumulate, tol: s.tol.Other, size: length(products)}
			s.check(fmt.Sprintf("dot of %d", n), []output{o}, func(out []*tensor.Tensor) {
				s.b.AddDot(out[0], x, y, accumulate)
			})
		}
		want := length(x64) * length(x64)
		got := s.b.SumSquares(x)
		if !(math.Abs(got-want) <= 1e-9*want) || got != s.b.SumSquares(x) {
			s.Errorf("sum of %d squares is %v, want %v, twice", n, got, want)
		}
	}
	const huge = float32(1e30)
	large := s.tensor([]float32{huge, -huge}, 2)
	if got, want := s.b.SumSquares(large), 2*float64(huge)*float64(huge); !(math.Abs(got-want) <= 1e-9*want) {
		s.Errorf("sum of squares beyond float32 is %v, want %v", got, want)
	}
	x, _ := s.random(5)
	y, _ := s.random(700, 9)
	all := tensor.SumSquaresAll([]*tensor.Tensor{x, y, large})
	if len(all) != 3 || all[0] != s.b.SumSquares(x) || all[1] != s.b.SumSquares(y) || all[2] != s.b.SumSquares(large) {
		s.Errorf("sums of squares of three tensors: %v", all)
	}
	for _, rows := range []int{0, 1, 2, 65, 700} {
		for _, cols := range []int{1, 7, 32, 300} {
			x, x64 := s.wideRandom(rows, cols)
			want := make([]float64, cols)
			for i, v := range x64 {
				want[i%cols] += v
			}
			for _, accumulate := range []bool{false, true} {
				o := output{shape: []int{cols}, want: want, accumulate: accumulate, tol: s.tol.Other, size: length(x64)}
				name := fmt.Sprintf("addrows of %dx%d", rows, cols)
				s.check(name, []output{o}, func(out []*tensor.Tensor) {
					s.b.AddRows(out[0], x, accumulate)
				})
			}
		}
	}
}
