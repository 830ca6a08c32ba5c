package asm

// ToBF16 converts x to bfloat16, the upper half of a float32, rounding to
// nearest, ties to even. A NaN stays a NaN.
func ToBF16(dst []uint16, x []float32) {
	checkLen("to bf16", "x", len(x), len(dst))
	toBF16(dst, x)
}

// FromBF16 converts x from bfloat16, exactly.
func FromBF16(dst []float32, x []uint16) {
	checkLen("from bf16", "x", len(x), len(dst))
	fromBF16(dst, x)
}
