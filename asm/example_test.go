package asm_test

import (
	"fmt"

	"github.com/marge-go/marge/asm"
)

// C = A B^T + bias for a 2x3 matrix A and a 2x3 matrix B, as in a linear layer.
func ExampleGemm() {
	c := make([]float32, 4)
	asm.Gemm(asm.Serial, &asm.GemmArgs{
		TransB: true, M: 2, N: 2, K: 3, Alpha: 1,
		A: []float32{
			1, 2, 3,
			4, 5, 6,
		}, LDA: 3,
		B: []float32{
			1, 0, 0,
			0, 1, 1,
		}, LDB: 3,
		C: c, LDC: 2,
		Bias: []float32{10, 20},
	})
	fmt.Println(c)
	// Output: [11 25 14 31]
}

// A block of C inside a larger matrix: LDC is the width of that matrix.
func ExampleGemm_submatrix() {
	c := make([]float32, 12) // 3x4
	asm.Gemm(asm.Serial, &asm.GemmArgs{
		M: 2, N: 2, K: 1, Alpha: 1,
		A: []float32{1, 2}, LDA: 1,
		B: []float32{3, 4}, LDB: 2,
		C: c[5:], LDC: 4, // from row 1, column 1 on
	})
	for row := range 3 {
		fmt.Println(c[4*row : 4*row+4])
	}
	// Output:
	// [0 0 0 0]
	// [0 3 4 0]
	// [0 6 8 0]
}

// Scores of four keys in two documents of two keys each. The bias is added to
// all scores of a document.
func ExampleSoftmax() {
	scores := []float32{1, 1, 1, 1}
	weights := make([]float32, 4)
	lse := asm.Softmax(weights, scores, 1, []float32{0, 2}, []int32{0, 2, 4})
	fmt.Printf("%.3f, log of the sum %.3f\n", weights, lse)
	// Output: [0.060 0.060 0.440 0.440], log of the sum 3.820
}

// Every build has the portable kernels; the tests run on all that there are.
func ExampleSupported() {
	fmt.Println(asm.Supported()[0])
	isa, err := asm.ParseISA("sse2")
	fmt.Println(isa, err)
	// Output:
	// generic
	// generic asm: unknown instruction set "sse2" (have generic, avx2, avx512)
}
