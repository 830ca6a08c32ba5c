package asm

// The functions whose names end in Stream compute what those without it do, bit
// for bit, and write the result past the caches where the processor can, so that
// memory is not read before it is overwritten. That pays for results larger than the
// caches, and costs time if the result is needed at once. Rows that do not start at
// a multiple of 64 bytes are written as usual. A call returns when its results have
// left the processor, so it should not be short.

// SoftmaxStream sets each row of y [rows, cols] to the [Softmax] of scale times
// the row of x. It works in work, of length cols.
func SoftmaxStream(y, work, x []float32, rows, cols int, scale float32) {
	const op = "softmax"
	checkMatrix(op, rows, cols)
	checkLen(op, "y", len(y), rows*cols)
	checkLen(op, "x", len(x), rows*cols)
	checkLen(op, "work", len(work), cols)
	if scale >= 0 && cols > 0 && cols <= sumBlock && cols%16 == 0 && rows > 0 && wholeLines(y) {
		softmaxRows(y, work, x, rows, cols, scale)
		storeFence()
		return
	}
	for ; len(x) > 0; x, y = x[cols:], y[cols:] {
		if _, sum := softmaxTerms(work, x[:cols], scale, nil, nil); sum == 0 {
			clear(y[:cols])
		} else {
			scaleStream(y[:cols], float32(1/sum), work)
		}
	}
	storeFence()
}

// softmaxRows is SoftmaxStream for a scale that is not negative. While it takes
// the exponentials of a row, it writes the results of the one before and finds
// the maximum of the next.
func softmaxRows(y, work, x []float32, rows, cols int, scale float32) {
	row := func(a []float32, i int) []float32 { return a[i*cols : (i+1)*cols] }
	bits, greatest := inBits(scale), maxScaled(row(x, 0), 1)
	var inv float32
	for i := range rows {
		now, next := row(x, i), row(x, min(i+1, rows-1))
		if !(greatest > negInf) { // or NaN is among -Inf
			greatest = maxScaled(now, 1)
		}
		m, empty := bits*greatest, greatest == negInf
		if empty {
			m = 0
		}
		var sum float32
		switch {
		case !withinExactBits(m):
			if i > 0 {
				scaleStream(row(y, i-1), inv, work)
			}
			_, terms := softmaxTerms(work, now, scale, nil, nil)
			sum, greatest = float32(terms), maxScaled(next, 1)
		case i == 0:
			sum, greatest = powerSumMax(work, now, next, bits, -m)
		default:
			sum, greatest = softmaxStep(row(y, i-1), work, now, next, inv, bits, -m)
		}
		inv = 0
		if !empty {
			inv = float32(1 / float64(sum))
		}
	}
	scaleStream(row(y, rows-1), inv, work)
}

// GELUStream is [GELU] with a streamed result.
func GELUStream(dst, x []float32) {
	checkLen("gelu", "x", len(x), len(dst))
	geluStream(dst, x)
	storeFence()
}

// GELUBackwardStream is [GELUBackward] with a streamed result. It does not
// accumulate: that reads dx anyway.
func GELUBackwardStream(dx, dy, x []float32) {
	checkLen("gelu backward", "dy", len(dy), len(dx))
	checkLen("gelu backward", "x", len(x), len(dx))
	geluBackwardStream(dx, dy, x, false)
	storeFence()
}

// LayerNormStream is [LayerNorm] with a streamed y.
func LayerNormStream(y, mean, rstd, x, gamma, beta []float32, rows, cols int, eps float32) {
	layerNorm(normalizeStream, y, mean, rstd, x, gamma, beta, rows, cols, eps)
	storeFence()
}

// LayerNormBackwardStream is [LayerNormBackward] with a streamed dx. It does
// not accumulate: that reads dx anyway.
func LayerNormBackwardStream(dx, dgamma, dbeta, dy, x, gamma, mean, rstd []float32, rows, cols int) {
	layerNormBackward(normalizeBackwardStream, dx, dgamma, dbeta, dy, x, gamma, mean, rstd, rows, cols, false)
	storeFence()
}

// CopyStream copies x to dst with streamed stores, whose order only StreamFence
// determines: other threads see them after it. A signalling NaN becomes a quiet one.
func CopyStream(dst, x []float32) {
	checkLen("copy", "x", len(x), len(dst))
	head := min(toWholeLine(dst), len(dst))
	copy(dst[:head], x)
	scaleStream(dst[head:], 1, x[head:])
}

// The functions from here to StreamFence stream as CopyStream does. Before the first
// whole line of dst they write as usual.

// AddStream is [Add] with a streamed result.
func AddStream(dst, a, b []float32) {
	checkLen("add", "a", len(a), len(dst))
	checkLen("add", "b", len(b), len(dst))
	head := lineStart(dst)
	add(dst[:head], a[:head], b[:head])
	addStream(dst[head:], a[head:], b[head:])
}

// SubStream is [Sub] with a streamed result.
func SubStream(dst, a, b []float32) {
	checkLen("sub", "a", len(a), len(dst))
	checkLen("sub", "b", len(b), len(dst))
	head := lineStart(dst)
	sub(dst[:head], a[:head], b[:head])
	subStream(dst[head:], a[head:], b[head:])
}

// MulStream is [Mul] with a streamed result.
func MulStream(dst, a, b []float32) {
	checkLen("mul", "a", len(a), len(dst))
	checkLen("mul", "b", len(b), len(dst))
	head := lineStart(dst)
	mul(dst[:head], a[:head], b[:head])
	mulStream(dst[head:], a[head:], b[head:])
}

// DivStream is [Div] with a streamed result.
func DivStream(dst, a, b []float32) {
	checkLen("div", "a", len(a), len(dst))
	checkLen("div", "b", len(b), len(dst))
	head := lineStart(dst)
	div(dst[:head], a[:head], b[:head])
	divStream(dst[head:], a[head:], b[head:])
}

// MaximumStream is [Maximum] with a streamed result.
func MaximumStream(dst, a, b []float32) {
	checkLen("maximum", "a", len(a), len(dst))
	checkLen("maximum", "b", len(b), len(dst))
	head := lineStart(dst)
	maximum(dst[:head], a[:head], b[:head])
	maximumStream(dst[head:], a[head:], b[head:])
}

// MinimumStream is [Minimum] with a streamed result.
func MinimumStream(dst, a, b []float32) {
	checkLen("minimum", "a", len(a), len(dst))
	checkLen("minimum", "b", len(b), len(dst))
	head := lineStart(dst)
	minimum(dst[:head], a[:head], b[:head])
	minimumStream(dst[head:], a[head:], b[head:])
}

// LessStream is [Less] with a streamed result.
func LessStream(dst, a, b []float32) {
	checkLen("less", "a", len(a), len(dst))
	checkLen("less", "b", len(b), len(dst))
	head := lineStart(dst)
	less(dst[:head], a[:head], b[:head])
	lessStream(dst[head:], a[head:], b[head:])
}

// EqualStream is [Equal] with a streamed result.
func EqualStream(dst, a, b []float32) {
	checkLen("equal", "a", len(a), len(dst))
	checkLen("equal", "b", len(b), len(dst))
	head := lineStart(dst)
	equal(dst[:head], a[:head], b[:head])
	equalStream(dst[head:], a[head:], b[head:])
}

// WhereStream is [Where] with a streamed result.
func WhereStream(dst, mask, a, b []float32) {
	checkLen("where", "mask", len(mask), len(dst))
	checkLen("where", "a", len(a), len(dst))
	checkLen("where", "b", len(b), len(dst))
	head := lineStart(dst)
	where(dst[:head], mask[:head], a[:head], b[:head])
	whereStream(dst[head:], mask[head:], a[head:], b[head:])
}

// AbsStream is [Abs] with a streamed result.
func AbsStream(dst, x []float32) {
	checkLen("abs", "x", len(x), len(dst))
	head := lineStart(dst)
	abs(dst[:head], x[:head])
	absStream(dst[head:], x[head:])
}

// SqrtStream is [Sqrt] with a streamed result.
func SqrtStream(dst, x []float32) {
	checkLen("sqrt", "x", len(x), len(dst))
	head := lineStart(dst)
	sqrt(dst[:head], x[:head])
	sqrtStream(dst[head:], x[head:])
}

// ScaleStream is [Scale] with a streamed result.
func ScaleStream(dst []float32, alpha float32, x []float32) {
	checkLen("scale", "x", len(x), len(dst))
	head := lineStart(dst)
	scale(dst[:head], alpha, x[:head])
	scaleStream(dst[head:], alpha, x[head:])
}

// AffineStream is [Affine] with a streamed result.
func AffineStream(dst []float32, alpha float32, x []float32, beta float32) {
	checkLen("affine", "x", len(x), len(dst))
	head := lineStart(dst)
	affine(dst[:head], alpha, x[:head], beta)
	affineStream(dst[head:], alpha, x[head:], beta)
}

// ClampStream is [Clamp] with a streamed result.
func ClampStream(dst, x []float32, lo, hi float32) {
	checkLen("clamp", "x", len(x), len(dst))
	head := lineStart(dst)
	clamp(dst[:head], x[:head], lo, hi)
	clampStream(dst[head:], x[head:], lo, hi)
}

// lineStart returns the number of elements of x before the first that starts a line.
func lineStart(x []float32) int { return min(toWholeLine(x), len(x)) }

// StreamFence orders the stores of CopyStream before all later ones.
func StreamFence() { storeFence() }
