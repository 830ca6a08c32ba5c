package tensor_test

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// Scores of two heads: views of one tensor are multiplied where they are.
func ExampleTape_MatMul() {
	b := tensor.NewCPU(0)
	defer b.Close()
	tp := tensor.NewTape(b)
	x := tp.Floats([]float32{1, 0, 0, 2, 3, 0, 0, 4}, 2, 2, 2) // [tokens, heads, width]
	heads := tp.Transpose(x, 0, 1)
	scores := tp.MatMul(heads, heads, true) // [heads, tokens, tokens]
	causal := tp.Tril(scores, 0)
	fmt.Println(scores.Shape(), causal.Float32s())
	// Output:
	// [2 2 2] [1 0 3 9 4 0 8 16]
}

func ExampleTape_TopK() {
	b := tensor.NewCPU(0)
	defer b.Close()
	tp := tensor.NewTape(b)
	scores := tp.Floats([]float32{0.1, 0.7, 0.2, 0.5, 0.3, 0.9}, 2, 3)
	best, at := tp.TopK(scores, 2)
	fmt.Println(best.Float32s(), at.Int32s())
	fmt.Println(tp.IndexSelect(scores, 1, tp.Ints([]int32{2, 0})).Float32s())
	// Output:
	// [0.7 0.2 0.9 0.5] [1 2 2 0]
	// [0.2 0.1 0.9 0.5]
}

func ExampleTape_CrossEntropyLoss() {
	b := tensor.NewCPU(0)
	defer b.Close()
	tp := tensor.NewTape(b)
	logits := tp.Floats([]float32{2, 0, 0, 2, 1, 1}, 3, 2)
	targets := tp.Ints([]int32{0, 1, -100}) // -100 does not count
	loss := tp.CrossEntropyLoss(logits, targets, tensor.CrossEntropyOptions{})
	fmt.Printf("%.4f\n", loss.Float32s()[0])
	// Output:
	// 0.1269
}
