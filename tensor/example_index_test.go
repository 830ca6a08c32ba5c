package tensor_test

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

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
