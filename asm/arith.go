package asm

// The functions of this file work element by element. dst may be an operand.

// Sub computes dst[i] = a[i] - b[i].
func Sub(dst, a, b []float32) {
	checkLen("sub", "a", len(a), len(dst))
	checkLen("sub", "b", len(b), len(dst))
	sub(dst, a, b)
}

// Mul computes dst[i] = a[i] * b[i].
func Mul(dst, a, b []float32) {
	checkLen("mul", "a", len(a), len(dst))
	checkLen("mul", "b", len(b), len(dst))
	mul(dst, a, b)
}

// Div computes dst[i] = a[i] / b[i].
func Div(dst, a, b []float32) {
	checkLen("div", "a", len(a), len(dst))
	checkLen("div", "b", len(b), len(dst))
	div(dst, a, b)
}

// Maximum computes dst[i] = max(a[i], b[i]): NaN where one is NaN. Of two zeros it takes either.
func Maximum(dst, a, b []float32) {
	checkLen("maximum", "a", len(a), len(dst))
	checkLen("maximum", "b", len(b), len(dst))
	maximum(dst, a, b)
}

// Minimum computes dst[i] = min(a[i], b[i]): NaN where one is NaN. Of two zeros it takes either.
func Minimum(dst, a, b []float32) {
	checkLen("minimum", "a", len(a), len(dst))
	checkLen("minimum", "b", len(b), len(dst))
	minimum(dst, a, b)
}

// Less sets dst[i] to 1 where a[i] < b[i], else 0.
func Less(dst, a, b []float32) {
	checkLen("less", "a", len(a), len(dst))
	checkLen("less", "b", len(b), len(dst))
	less(dst, a, b)
}

// Equal sets dst[i] to 1 where a[i] == b[i], else 0.
func Equal(dst, a, b []float32) {
	checkLen("equal", "a", len(a), len(dst))
	checkLen("equal", "b", len(b), len(dst))
	equal(dst, a, b)
}

// Where sets dst[i] to a[i] where mask[i] is not 0 (NaN is not), else to b[i].
func Where(dst, mask, a, b []float32) {
	checkLen("where", "mask", len(mask), len(dst))
	checkLen("where", "a", len(a), len(dst))
	checkLen("where", "b", len(b), len(dst))
	where(dst, mask, a, b)
}

// Abs computes dst[i] = |x[i]|.
func Abs(dst, x []float32) {
	checkLen("abs", "x", len(x), len(dst))
	abs(dst, x)
}

// Sqrt computes dst[i] = sqrt(x[i]), correctly rounded.
func Sqrt(dst, x []float32) {
	checkLen("sqrt", "x", len(x), len(dst))
	sqrt(dst, x)
}

// Log computes the natural logarithm with an error of at most 1 ULP: -Inf of 0, NaN of
// negative numbers.
func Log(dst, x []float32) {
	checkLen("log", "x", len(x), len(dst))
	log(dst, x)
}

// Log1p computes log(1 + x[i]) with an error of at most 1.5 ULP: -Inf of -1, NaN below.
func Log1p(dst, x []float32) {
	checkLen("log1p", "x", len(x), len(dst))
	log1p(dst, x)
}

// Sin computes the sine of x[i], in radians, with an error of at most 1.6 ULP.
func Sin(dst, x []float32) {
	checkLen("sin", "x", len(x), len(dst))
	sin(dst, x)
}

// Cos computes the cosine of x[i], in radians, with an error of at most 1.6 ULP.
func Cos(dst, x []float32) {
	checkLen("cos", "x", len(x), len(dst))
	cos(dst, x)
}

// Affine computes dst[i] = alpha*x[i] + beta. dst may be x.
func Affine(dst []float32, alpha float32, x []float32, beta float32) {
	checkLen("affine", "x", len(x), len(dst))
	affine(dst, alpha, x, beta)
}

// Clamp computes dst[i] = min(max(x[i], lo), hi): NaN where x[i] is NaN. lo and hi
// must not be NaN. dst may be x.
func Clamp(dst, x []float32, lo, hi float32) {
	checkLen("clamp", "x", len(x), len(dst))
	clamp(dst, x, lo, hi)
}

// MaxElement returns the greatest element of x: NaN if there is one, -Inf if x is
// empty.
func MaxElement(x []float32) float32 { return maxScaled(x, 1) }

// MinElement returns the smallest element of x: NaN if there is one, +Inf if x is
// empty.
func MinElement(x []float32) float32 { return -maxScaled(x, -1) }
