package asm

// Erf computes dst[i] = erf(x[i]), the error function, with an error below
// 1.25 ULP. dst may be x.
func Erf(dst, x []float32) {
	checkLen("erf", "x", len(x), len(dst))
	erf(dst, x)
}

// Tanh computes dst[i] = tanh(x[i]) with an error below 3 ULP. dst may be x.
func Tanh(dst, x []float32) {
	checkLen("tanh", "x", len(x), len(dst))
	tanh(dst, x)
}
