package bench

import (
	"runtime"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// gonumKinds are the single operations that gonum has.
var gonumKinds = []string{"sub", "mul", "div", "neg", "sum", "sum_rows", "max_rows", "transpose"}

// InGonum tells whether gonum has a workload, and does not take long for it. Of
// small operations it has none: on slices without shapes and with results in
// memory that exists, what they measure, the way to the loop, is not there.
func (w *Workload) InGonum() bool {
	switch w.Op {
	case "gemm", "matmul":
		return w.Flops < 1e9
	case "ops":
		return w.Batch == 1 && slices.Contains(gonumKinds, w.Kind)
	}
	return false
}

// Gonum prepares a workload of InGonum for gonum, on as many threads where it uses
// several. Single operations are in float64, as gonum has them, but for neg; they
// write to memory that exists, neg in place.
func (w *Workload) Gonum(threads int) (run func()) {
	runtime.GOMAXPROCS(threads)
	switch w.Op {
	case "gemm":
		return gonumGemm(&w.Spec)
	case "matmul":
		_, run = gonumMatMul(&w.Spec)
		return run
	}
	return gonumOps(&w.Spec)
}

func gonumOps(s *Spec) (run func()) {
	n := s.M * s.N
	x := wide(n)
	binary := func(f func(dst, a, b []float64) []float64) func() {
		y, dst := wide(n), make([]float64, n)
		return func() { f(dst, x, y) }
	}
	rows := func(f func(x []float64) float64) func() {
		dst := make([]float64, s.M)
		return func() {
			for i := range dst {
				dst[i] = f(x[i*s.N : (i+1)*s.N])
			}
		}
	}
	switch s.Kind {
	case "sub":
		return binary(floats.SubTo)
	case "mul":
		return binary(floats.MulTo)
	case "div":
		return binary(floats.DivTo)
	case "neg":
		v := blas32.Vector{N: n, Data: filled(n), Inc: 1}
		return func() { blas32.Scal(-1, v) }
	case "sum":
		return func() { floats.Sum(x) }
	case "sum_rows":
		return rows(floats.Sum)
	case "max_rows":
		return rows(floats.Max)
	case "transpose":
		a, dst := mat.NewDense(s.M, s.N, x), mat.NewDense(s.N, s.M, nil)
		return func() { dst.Copy(a.T()) }
	}
	panic("bench: gonum has no operation " + s.Kind)
}

// wide returns n numbers between -1 and 1.
func wide(n int) []float64 {
	x := make([]float64, n)
	for i, v := range filled(n) {
		x[i] = float64(v)
	}
	return x
}
