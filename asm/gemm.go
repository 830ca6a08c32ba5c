package asm

import "fmt"

// Activation is a function that a GEMM applies to every element of its result.
type Activation uint8

// The activations.
const (
	NoActivation   Activation = iota
	GELUActivation            // x/2 * (1 + erf(x/sqrt(2)))
)

// GemmArgs describes C = act(alpha*op(A)*op(B) + beta*C + bias) on row-major
// matrices: op(A) is MxK, op(B) is KxN and C is MxN.
type GemmArgs struct {
	TransA, TransB bool // A is stored KxM, B is stored NxK
	M, N, K        int
	Alpha          float32
	A              []float32
	LDA            int // distance between the starts of two rows of A as stored
	B              []float32
	LDB            int
	Beta           float32 // 0: C is not read and may hold anything
	C              []float32
	LDC            int
	Bias           []float32 // nil or N values, added to every row
	Activation     Activation
	// PreActivation, if not nil, receives the value before the activation. It
	// has the layout of C (LDC, StrideC), needs an Activation and excludes a Beta.
	PreActivation []float32
	// Batch is the number of problems of this shape; 0 means 1. The operands
	// of problem b start at b*StrideA, b*StrideB and b*StrideC. Bias is shared.
	Batch                     int
	StrideA, StrideB, StrideC int
	// Rowwise makes a row of C depend on nothing but K, B, N and its row of A, bit by
	// bit: without it, products of a few rows round otherwise than products of many.
	// It takes longer where a transposed B is multiplied by many rows.
	Rowwise bool
	// BF16 rounds the values of A and B to bfloat16, to nearest even and denormal
	// values to zero; C and all sums are float32. A sum takes the products in pairs, of
	// each that with the odd number first; it is rounded after each, and a denormal one
	// becomes zero. Every instruction set gives the same bits if Alpha is 1; only what
	// [BF16] says is fast. Rows of C depend on their rows of A alone, as with Rowwise.
	BF16 bool
}

// check panics unless the shapes are consistent and every slice is long enough.
func (g *GemmArgs) check() {
	if g.M < 0 || g.N < 0 || g.K < 0 || g.Batch < 0 {
		panic(fmt.Sprintf("gemm: negative size: M=%d N=%d K=%d Batch=%d", g.M, g.N, g.K, g.Batch))
	}
	ra, ca, rb, cb := g.M, g.K, g.K, g.N
	if g.TransA {
		ra, ca = ca, ra
	}
	if g.TransB {
		rb, cb = cb, rb
	}
	g.checkOperand("A", g.A, ra, ca, g.LDA, g.StrideA)
	g.checkOperand("B", g.B, rb, cb, g.LDB, g.StrideB)
	g.checkOperand("C", g.C, g.M, g.N, g.LDC, g.StrideC)
	if g.Batch > 1 && g.StrideC == 0 && g.M > 0 && g.N > 0 {
		panic("gemm: StrideC is 0: the problems of the batch would share C")
	}
	if g.Bias != nil && len(g.Bias) != g.N {
		panic(fmt.Sprintf("gemm: bias has %d values, C has %d columns", len(g.Bias), g.N))
	}
	if g.Activation > GELUActivation {
		panic(fmt.Sprintf("gemm: unknown activation %d", g.Activation))
	}
	if g.PreActivation != nil {
		if g.Activation == NoActivation {
			panic("gemm: PreActivation without an Activation")
		}
		if g.Beta != 0 {
			panic(fmt.Sprintf("gemm: PreActivation with Beta %v, want 0", g.Beta))
		}
		g.checkOperand("PreActivation", g.PreActivation, g.M, g.N, g.LDC, g.StrideC)
	}
}

func (g *GemmArgs) checkOperand(name string, x []float32, rows, cols, ld, stride int) {
	if ld < cols {
		panic(fmt.Sprintf("gemm: %s is %dx%d, but its rows are only %d apart", name, rows, cols, ld))
	}
	if rows == 0 || cols == 0 {
		return
	}
	need := (rows-1)*ld + cols
	if g.Batch > 1 {
		if stride < 0 {
			panic(fmt.Sprintf("gemm: negative stride %d of %s", stride, name))
		}
		need += (g.Batch - 1) * stride
	}
	if len(x) < need {
		panic(fmt.Sprintf("gemm: %s is %dx%d with rows %d apart (batch %d, stride %d): needs %d values, has %d",
			name, rows, cols, ld, g.Batch, stride, need, len(x)))
	}
}
