package tensor_test

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// The gradient of y = x W^T + b with respect to W and b.
func Example() {
	cpu := tensor.NewCPU(0)
	w := tensor.FromFloat32s(cpu, []float32{1, 2, 3}, 1, 3)
	b := tensor.FromFloat32s(cpu, []float32{0.5}, 1)
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
	x := tensor.FromFloat32s(cpu, []float32{
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
	tokens := tensor.FromFloat32s(cpu, []float32{
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
