package tensor_test

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
)

// The gradient of y = x W^T + b with respect to W and b.
func Example() {
	cpu := tensor.NewCPU(0)
	w := tensor.FromSlice(cpu, []float32{1, 2, 3}, 1, 3)
	b := tensor.FromSlice(cpu, []float32{0.5}, 1)
	w.SetRequiresGrad(true)
	b.SetRequiresGrad(true)

	tape := tensor.NewTape(cpu)
	tape.Reset(tensor.Gradient, 0) // record operations for Backward
	x := tape.Floats([]float32{2, 4, 8}, 1, 3)
	y := tape.Linear(x, w, b)
	fmt.Println(y, y.Float32s())

	tape.Backward(y)
	fmt.Println(w.Grad().Float32s(), b.Grad().Float32s())
	// Output:
	// float32[1 1] [34.5]
	// [2 4 8] [1]
}

// Views share the memory of the tensor that they are taken of.
func ExampleTape_Columns() {
	cpu := tensor.NewCPU(0)
	x := tensor.FromSlice(cpu, []float32{
		1, 2, 3, 4,
		5, 6, 7, 8,
	}, 2, 4)
	tape := tensor.NewTape(cpu)
	v := tape.Columns(x, 1, 3)
	fmt.Println(v, v.Strides(), v.Contiguous())
	row := tape.Rows(x, 1, 2)
	row.Float32s()[0] = 50
	fmt.Println(x.Float32s())
	// Output:
	// float32[2 2] [4 1] false
	// [1 2 3 4 50 6 7 8]
}

// Three documents of one, two and no tokens, packed without padding.
func ExampleTape_SegmentMean() {
	cpu := tensor.NewCPU(0)
	tokens := tensor.FromSlice(cpu, []float32{
		1, 2, // first document
		3, 4, // second
		5, 8,
	}, 3, 2)
	tape := tensor.NewTape(cpu)
	means := tape.SegmentMean(tokens, []int32{0, 1, 3, 3})
	fmt.Println(means.Float32s())
	// Output: [1 2 4 6 0 0]
}

// The query's document sees two documents of evidence, of two tokens and one.
// The bias of ln 2 makes the second count twice.
func ExampleTape_Attention() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	q := tape.Floats([]float32{0, 0}, 1, 2)
	k := tape.Floats([]float32{1, 0, 0, 1, 1, 1}, 3, 2)
	v := tape.Floats([]float32{4, 0, 0, 4, 8, 8}, 3, 2)
	bias := tape.Floats([]float32{0, 0.6931472}, 1, 2)
	out := tape.Attention(q, k, v, bias, tensor.AttentionOptions{
		Heads: 1, QOffsets: []int32{0, 1}, KOffsets: []int32{0, 2, 3}, Scale: 0.7071,
	})
	fmt.Printf("%.3f\n", out.Float32s())
	// Output: [5.000 5.000]
}

func ExampleOpen() {
	b, err := tensor.Open("cpu")
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Name())
	// Output: cpu
}

func ExampleTensor_Format() {
	cpu := tensor.NewCPU(0)
	x := tensor.FromSlice(cpu, []float32{1, -0.5, 1.0 / 3, 20}, 2, 2)
	fmt.Printf("%v\n%+v\n", x, x)
	fmt.Printf("%+v\n", tensor.Arange(cpu, 0, 10000, 1))
	// Output:
	// float32[2 2]
	// [[ 1.     -0.5   ]
	//  [ 0.3333 20.    ]]
	// [0.000e+00 1.000e+00 2.000e+00 ... 9.997e+03 9.998e+03 9.999e+03]
}

// Shapes are broadcast: a column and a row make a matrix.
func ExampleTape_Add() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	column, row := tape.Floats([]float32{10, 20}, 2, 1), tape.Floats([]float32{1, 2, 3}, 3)
	fmt.Printf("%+v\n", tape.Add(column, row))
	// Output:
	// [[11. 12. 13.]
	//  [21. 22. 23.]]
}

// The element-wise operations of Tape are expressions; this is one of the caller's own,
// in one pass over memory.
func ExampleTape_Map() {
	mish := tensor.NewExpr("mish", 1, func(in []tensor.Value) tensor.Value {
		return in[0].Mul(in[0].Exp().Log1p().Tanh())
	})
	cpu := tensor.NewCPU(0)
	x := tensor.FromSlice(cpu, []float32{-1, 0, 1}, 3)
	x.SetRequiresGrad(true)
	tape := tensor.NewTape(cpu)
	tape.Reset(tensor.Gradient, 0)
	y := tape.Map(mish, x)
	tape.Backward(tape.Sum(y, false))
	fmt.Printf("%+v\n%+v\n", y, x.Grad())
	// Output:
	// [-0.3034  0.      0.8651]
	// [0.0592 0.6    1.049 ]
}

// Axes are numbered from 0, or from the end with negative numbers.
func ExampleTape_Sum() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	x := tape.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	fmt.Printf("%+v %+v %+v\n", tape.Sum(x, false), tape.Mean(x, false, -1), tape.Max(x, true, 0))
	// Output: 21. [2. 5.] [[4. 5. 6.]]
}

// A view is an operand like any other.
func ExampleTape_Permute() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	x := tape.Reshape(tensor.Arange(cpu, 0, 6, 1), 1, 2, 3)
	y := tape.Permute(x, 2, 0, 1)
	fmt.Println(y, y.Strides())
	fmt.Printf("%+v\n", tape.Concat(-1, tape.Squeeze(y, 1), tensor.Ones(cpu, 3, 1)))
	// Output:
	// float32[3 1 2] [1 6 3]
	// [[0. 3. 1.]
	//  [1. 4. 1.]
	//  [2. 5. 1.]]
}

// Two heads of attention scores: a batch of products, without a copy of the views.
func ExampleTape_MatMul() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	x := tape.Reshape(tensor.Arange(cpu, 0, 8, 1), 2, 2, 2) // tokens, heads, width
	heads := tape.Transpose(x, 0, 1)
	fmt.Printf("%+v\n", tape.MatMul(heads, heads, true))
	// Output:
	// [[[ 1.  5.]
	//   [ 5. 41.]]
	//
	//  [[13. 33.]
	//   [33. 85.]]]
}

func ExampleTape_TakeAlongDim() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	x := tape.Floats([]float32{3, 1, 2, 4, 6, 5}, 2, 3)
	values, indices := tape.TopK(x, 2)
	fmt.Printf("%+v\n%+v\n", values, indices)
	fmt.Printf("%+v\n", tape.TakeAlongDim(x, 1, tape.ArgMin(x, 1, true)))
	// Output:
	// [[3. 2.]
	//  [6. 5.]]
	// [[0 2]
	//  [1 2]]
	// [[1.]
	//  [4.]]
}

func ExampleTape_CrossEntropyLoss() {
	cpu := tensor.NewCPU(0)
	tape := tensor.NewTape(cpu)
	logits := tape.Floats([]float32{2, 0, 0, 0, 2, 0}, 2, 3)
	loss := tape.CrossEntropyLoss(logits, tape.Ints([]int32{0, 2}), tensor.CrossEntropyOptions{})
	fmt.Printf("%.4f\n", loss.Item())
	// Output: 1.2395
}

// Rounding has no gradient; this one passes it on as it is (the straight-through
// estimator).
func ExampleTape_Apply() {
	round := func(tp *tensor.Tape, in []*tensor.Tensor) (*tensor.Tensor, func(*tensor.Tensor) []*tensor.Tensor) {
		values := make([]float32, in[0].Len())
		in[0].CopyTo(values)
		for i, v := range values {
			values[i] = float32(math.Round(float64(v)))
		}
		out := tp.Floats(values, in[0].Shape()...)
		return out, func(dout *tensor.Tensor) []*tensor.Tensor { return []*tensor.Tensor{dout} }
	}
	cpu := tensor.NewCPU(0)
	x := tensor.FromSlice(cpu, []float32{0.4, 1.6}, 2)
	x.SetRequiresGrad(true)
	tape := tensor.NewTape(cpu)
	tape.Reset(tensor.Gradient, 0)
	y := tape.Apply(round, x)
	tape.Backward(tape.Dot(y, y))
	fmt.Printf("%+v %+v\n", y, x.Grad())
	// Output: [0. 2.] [0. 4.]
}

// What the block computes on the way takes no memory until Backward, which computes it
// again.
func ExampleTape_Checkpoint() {
	cpu := tensor.NewCPU(0)
	x := tensor.FromSlice(cpu, []float32{1, 2}, 2)
	x.SetRequiresGrad(true)
	calls := 0
	block := func(tape *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
		calls++
		return tape.Mul(tape.Mul(in[0], in[0]), in[0])
	}
	tape := tensor.NewTape(cpu)
	tape.Reset(tensor.Training, 0)
	tape.Backward(tape.Sum(tape.Checkpoint(block, x), false))
	fmt.Printf("%+v, %d calls\n", x.Grad(), calls)
	// Output: [ 3. 12.], 2 calls
}
