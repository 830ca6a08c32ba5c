package bench

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// smallRepeats is how many small operations are timed together.
const smallRepeats = 1000

// opsWorkloads returns single operations of a tape on matrices [M, N], and many on
// small ones, whose time is that of calling them.
func opsWorkloads() []Workload {
	var list []Workload
	for _, o := range []struct {
		kind  string
		bytes int // for each element: those of every operand once read and once written
	}{
		{"sub", 12}, {"mul", 12}, {"div", 12}, {"maximum", 12}, {"where", 16},
		{"mul_row", 8}, {"mul_column", 8}, {"mul_transposed", 12},
		{"neg", 8}, {"abs", 8}, {"sqrt", 8}, {"exp", 8}, {"log", 8}, {"tanh", 8}, {"sin", 8}, {"relu", 8}, {"sigmoid", 8},
		{"sum", 4}, {"sum_rows", 4}, {"sum_columns", 4}, {"max_rows", 4}, {"max_columns", 4}, {"sum_inner", 4},
		{"softmax", 8}, {"softmax_columns", 8},
		{"transpose", 8}, {"permute_heads", 8}, {"permute_images", 8},
	} {
		for _, rows := range []int{1024, 16384, 65536} {
			const cols = 1024
			list = append(list, Workload{
				Spec: Spec{"ops", o.kind, rows, cols, 0, 1, ""}, Name: fmt.Sprintf("%s/%dx%d", o.kind, rows, cols), Group: "ops",
				Bytes: float64(o.bytes) * float64(rows) * cols, Quick: rows < 65536,
			})
		}
	}
	for _, kind := range []string{"sub", "mul_row", "relu", "sigmoid", "sum_rows", "softmax", "transpose"} {
		list = append(list, Workload{
			Spec: Spec{"ops", kind, 16, 16, 0, smallRepeats, ""}, Name: kind + "/16x16", Group: "small", Quick: true,
		})
	}
	return list
}

// startOps prepares an operation on a tape that does not record, whose memory is
// used again.
func startOps(s *Spec, threads int) (run, stop func()) {
	c := tensor.NewCPU(threads)
	of := func(shape ...int) *tensor.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return tensor.FromSlice(c, filled(n), shape...)
	}
	tp := tensor.NewTape(c)
	x := of(s.M, s.N)
	binary := func(f func(a, b *tensor.Tensor) *tensor.Tensor, other *tensor.Tensor) func() {
		return func() { f(x, other) }
	}
	unary := func(f func(x *tensor.Tensor) *tensor.Tensor) func() { return func() { f(x) } }
	reduction := func(f func(x *tensor.Tensor, keep bool, axes ...int) *tensor.Tensor, axes ...int) func() {
		return func() { f(x, false, axes...) }
	}
	var do func()
	switch s.Kind {
	case "sub":
		do = binary(tp.Sub, of(s.M, s.N))
	case "mul":
		do = binary(tp.Mul, of(s.M, s.N))
	case "div":
		do = binary(tp.Div, of(s.M, s.N))
	case "maximum":
		do = binary(tp.Maximum, of(s.M, s.N))
	case "where":
		mask, y := of(s.M, s.N), of(s.M, s.N)
		m := mask.Float32s()
		for i, v := range m {
			m[i] = 0
			if v > 0 {
				m[i] = 1
			}
		}
		do = func() { tp.Where(mask, x, y) }
	case "mul_row":
		do = binary(tp.Mul, of(s.N))
	case "mul_column":
		do = binary(tp.Mul, of(s.M, 1))
	case "mul_transposed":
		other := of(s.N, s.M)
		do = func() { tp.Mul(x, tp.Transpose(other, 0, 1)) }
	case "neg":
		do = unary(tp.Neg)
	case "abs":
		do = unary(tp.Abs)
	case "sqrt":
		do = unary(tp.Sqrt)
	case "exp":
		do = unary(tp.Exp)
	case "log":
		do = unary(tp.Log)
	case "tanh":
		do = unary(tp.Tanh)
	case "sin":
		do = unary(tp.Sin)
	case "relu":
		do = unary(tp.ReLU)
	case "sigmoid":
		do = unary(tp.Sigmoid)
	case "sum":
		do = reduction(tp.Sum)
	case "sum_rows":
		do = reduction(tp.Sum, 1)
	case "sum_columns":
		do = reduction(tp.Sum, 0)
	case "max_rows":
		do = reduction(tp.Max, 1)
	case "max_columns":
		do = reduction(tp.Max, 0)
	case "sum_inner":
		narrow := of(s.M*s.N/16, 16)
		do = func() { tp.Sum(narrow, false, 1) }
	case "softmax":
		do = func() { tp.Softmax(x, 1) }
	case "softmax_columns":
		do = func() { tp.Softmax(x, 0) }
	case "transpose":
		do = func() { tp.Contiguous(tp.Transpose(x, 0, 1)) }
	case "permute_heads":
		heads := of(s.M/512, 512, 16, s.N/16)
		do = func() { tp.Contiguous(tp.Permute(heads, 0, 2, 1, 3)) }
	case "permute_images":
		images := of(s.M/64, 64, 32, s.N/32) // of 32x32 points, from the last dimension
		do = func() { tp.Contiguous(tp.Permute(images, 0, 2, 3, 1)) }
	default:
		panic("bench: no operation " + s.Kind)
	}
	return func() {
		tp.Reset(tensor.Inference, 0)
		for range s.Batch {
			do()
		}
	}, func() { c.Close() }
}
