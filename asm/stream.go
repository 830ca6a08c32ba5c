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

// StreamFence orders the stores of CopyStream before all later ones.
func StreamFence() { storeFence() }
