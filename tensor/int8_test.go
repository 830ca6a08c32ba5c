package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// int8Inputs returns rows [n, d] of integers up to 127, which quantisation keeps, and two
// equal matrices [m, d], the second of int8 values.
func int8Inputs(t *testing.T, b Backend, n, m, d int) (x, w, q *Tensor) {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]float32, n*d)
	for i := range rows {
		rows[i] = float32(rng.IntN(255) - 127)
		if i%d == i/d%d {
			rows[i] = 127
		}
	}
	q = Randn(b, 3, m, d)
	if err := q.Quantize(); err != nil {
		t.Fatal(err)
	}
	w = Zeros(b, m, d)
	values, scales := q.Int8s()
	for i, v := range values {
		w.Float32s()[i] = float32(v) * scales[i/d]
	}
	return FromSlice(b, rows, n, d), w, q
}

// Operations on an int8 matrix are those on the float32 matrix of equal values.
func TestInt8Operations(t *testing.T) {
	b := NewCPU(2)
	defer b.Close()
	const n, m, d = 5, 37, 19
	x, w, q := int8Inputs(t, b, n, m, d)
	bias, second := Randn(b, 4, m), Randn(b, 5, 3, m)
	ids := FromSlice(b, []int32{0, 36, 7, 7, 31, 32}, 6)
	for name, op := range map[string]func(tp *Tape, w *Tensor) *Tensor{
		"linear":       func(tp *Tape, w *Tensor) *Tensor { return tp.Linear(x, w, bias) },
		"linear, 3":    func(tp *Tape, w *Tensor) *Tensor { return tp.Linear(tp.Reshape(x, 1, n, d), w, nil) },
		"lineargelu":   func(tp *Tape, w *Tensor) *Tensor { return tp.LinearGELU(tp.Scale(1e-3, x), w, nil) },
		"feedforward":  func(tp *Tape, w *Tensor) *Tensor { return tp.FeedForward(x, w, bias, second, nil) },
		"matmul":       func(tp *Tape, w *Tensor) *Tensor { return tp.MatMul(x, w, true) },
		"gather":       func(tp *Tape, w *Tensor) *Tensor { return tp.Gather(w, ids, 1) },
		"gather twice": func(tp *Tape, w *Tensor) *Tensor { return tp.Gather(w, ids, 2) },
		"addgather": func(tp *Tape, w *Tensor) *Tensor {
			return tp.AddGather(tp.Gather(w, ids, 1), w, tp.Ints([]int32{1, 2, 3, 4, 5, 6}), 3)
		},
		"linearmax": func(tp *Tape, w *Tensor) *Tensor { return tp.LinearMax(x, w, []int32{0, 2, 5}) },
		"crossentropy": func(tp *Tape, w *Tensor) *Tensor {
			_, nll := tp.CrossEntropy(tp.Scale(1e-3, x), w, tp.Ints([]int32{1, 2, 3, 4, 36}), 0.1, 1)
			return nll
		},
	} {
		for _, mode := range []Mode{Inference, Generation} {
			tp := NewTape(b)
			tp.Reset(mode, 0)
			got, want := op(tp, q), op(tp, w)
			if !slices.Equal(got.Shape(), want.Shape()) {
				t.Fatalf("%s: %v, want %v", name, got, want)
			}
			y := want.Float32s()
			for i, v := range got.Float32s() {
				if diff := math.Abs(float64(v - y[i])); !(diff <= 2e-5*math.Abs(float64(y[i]))+1e-3) {
					t.Errorf("%s: element %d is %v, want %v", name, i, v, y[i])
				}
			}
		}
	}
}

// Values and scales come back, and make the same matrix on another tensor.
func TestInt8Values(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, _, q := int8Inputs(t, b, 4, 40, 21)
	if q.DType() != Int8 || q.RequiresGrad() || fmt.Sprintf("%+v", q) != "int8[40 21]" {
		t.Errorf("%v, %+v", q.DType(), q)
	}
	values, scales := q.Int8s()
	again := Zeros(b, 40, 21)
	again.SetRequiresGrad(true)
	if err := again.SetInt8s(values, scales); err != nil || again.RequiresGrad() {
		t.Fatalf("error %v, gradient %v", err, again.RequiresGrad())
	}
	tp := NewTape(b)
	if !slices.Equal(tp.Linear(x, q, nil).Float32s(), tp.Linear(x, again, nil).Float32s()) {
		t.Error("the same values multiply otherwise")
	}
}

// without is a backend that has no int8.
type without struct{ Backend }

func (without) Name() string { return "other" }

func TestInt8Errors(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	infinite := Ones(b, 3, 4)
	infinite.Float32s()[5] = float32(math.Inf(1))
	zeros := Zeros(b, 2, 3)
	set := func(scales ...float32) func() error {
		return func() error { return zeros.SetInt8s(make([]int8, 6), scales) }
	}
	for want, f := range map[string]func() error{
		"row 1 of float32[3 4] has a value that is not finite": infinite.Quantize,
		"the backend other has no products of int8":            New(without{b}, Float32, 3, 4).Quantize,
		"float32[1 65537] has more than 65536 columns":         Zeros(b, 1, 1<<16+1).Quantize,
		"the scale of row 1 is NaN":                            set(1, nan),
		"the scale of row 0 is -1":                             set(-1, 1),
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if infinite.DType() != Float32 || infinite.Float32s()[0] != 1 || zeros.DType() != Float32 {
		t.Errorf("errors left %+v and %v", infinite, zeros)
	}
	x, _, q := int8Inputs(t, b, 4, 40, 21)
	recording := NewTape(b)
	recording.Reset(Gradient, 0)
	tp := NewTape(b)
	const inference = "int8[40 21], which is for inference: the tape must not record"
	mustPanic(t, "linear: weight is "+inference, func() { recording.Linear(x, q, nil) })
	mustPanic(t, "matmul: b is "+inference, func() { recording.MatMul(x, q, true) })
	mustPanic(t, "gather: table is "+inference, func() { recording.Gather(q, recording.Ints([]int32{1}), 1) })
	mustPanic(t, "matmul: float32[4 21] x int8[40 21] (transB false), want float32 matrices, or int8 for b^T",
		func() { tp.MatMul(x, q, false) })
	mustPanic(t, "linear: weight is int8[40 21], want int8[-1 20]", func() { tp.Linear(tp.Columns(x, 0, 20), q, nil) })
	mustPanic(t, "tensor: int8[1 21] is a view of an int8 matrix, or in a device's memory",
		func() { tp.Linear(x, tp.Rows(q, 1, 2), nil) })
	mustPanic(t, "tensor: int8[40 21] used as float32", func() { q.Float32s() })
	mustPanic(t, "tensor: New of type int8: see Quantize", func() { New(b, Int8, 1, 1) })
	mustPanic(t, "quantize: of float32[3], want a float32 matrix that is neither a result nor a view",
		func() { _ = Zeros(b, 3).Quantize() })
	mustPanic(t, "quantize: of float32[1 21], want a float32 matrix that is neither a result nor a view",
		func() { _ = tp.Rows(x, 1, 2).Quantize() })
	mustPanic(t, "int8: 5 values and 2 scales for float32[2 3]",
		func() { _ = zeros.SetInt8s(make([]int8, 5), make([]float32, 2)) })
}
