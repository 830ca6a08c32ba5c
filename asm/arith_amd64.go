//go:build amd64 && !purego

package asm

// The kernels are in vec_arith_amd64.h and vec_log_amd64.h.

// longRun is the number of elements from which on operands are mostly not in the
// first-level cache. There vectors of 256 bits are faster, also on a processor that has
// wider ones (Zen 4: 1.06 times in the third-level cache, 1.15 times in memory).
const longRun = 1 << 10

// wide reports whether a kernel uses the vectors of AVX-512 for n elements, given
// that isa is not Generic.
func wide(n int) bool { return isa == AVX512 && n < longRun }

//go:noescape
func addAVX2(dst, a, b []float32)

//go:noescape
func addAVX512(dst, a, b []float32)

//go:noescape
func addStreamAVX2(dst, a, b []float32)

func add(dst, a, b []float32) {
	switch {
	case isa == Generic:
		addGeneric(dst, a, b)
	case wide(len(dst)):
		addAVX512(dst, a, b)
	default:
		addAVX2(dst, a, b)
	}
}

func addStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		add(dst, a, b)
	} else {
		addStreamAVX2(dst, a, b)
	}
}

//go:noescape
func subAVX2(dst, a, b []float32)

//go:noescape
func subAVX512(dst, a, b []float32)

//go:noescape
func subStreamAVX2(dst, a, b []float32)

func sub(dst, a, b []float32) {
	switch {
	case isa == Generic:
		subGeneric(dst, a, b)
	case wide(len(dst)):
		subAVX512(dst, a, b)
	default:
		subAVX2(dst, a, b)
	}
}

func subStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		sub(dst, a, b)
	} else {
		subStreamAVX2(dst, a, b)
	}
}

//go:noescape
func mulAVX2(dst, a, b []float32)

//go:noescape
func mulAVX512(dst, a, b []float32)

//go:noescape
func mulStreamAVX2(dst, a, b []float32)

func mul(dst, a, b []float32) {
	switch {
	case isa == Generic:
		mulGeneric(dst, a, b)
	case wide(len(dst)):
		mulAVX512(dst, a, b)
	default:
		mulAVX2(dst, a, b)
	}
}

func mulStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		mul(dst, a, b)
	} else {
		mulStreamAVX2(dst, a, b)
	}
}

//go:noescape
func divAVX2(dst, a, b []float32)

//go:noescape
func divAVX512(dst, a, b []float32)

//go:noescape
func divStreamAVX2(dst, a, b []float32)

func div(dst, a, b []float32) {
	switch {
	case isa == Generic:
		divGeneric(dst, a, b)
	case wide(len(dst)):
		divAVX512(dst, a, b)
	default:
		divAVX2(dst, a, b)
	}
}

func divStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		div(dst, a, b)
	} else {
		divStreamAVX2(dst, a, b)
	}
}

//go:noescape
func maximumAVX2(dst, a, b []float32)

//go:noescape
func maximumAVX512(dst, a, b []float32)

//go:noescape
func maximumStreamAVX2(dst, a, b []float32)

func maximum(dst, a, b []float32) {
	switch {
	case isa == Generic:
		maximumGeneric(dst, a, b)
	case wide(len(dst)):
		maximumAVX512(dst, a, b)
	default:
		maximumAVX2(dst, a, b)
	}
}

func maximumStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		maximum(dst, a, b)
	} else {
		maximumStreamAVX2(dst, a, b)
	}
}

//go:noescape
func minimumAVX2(dst, a, b []float32)

//go:noescape
func minimumAVX512(dst, a, b []float32)

//go:noescape
func minimumStreamAVX2(dst, a, b []float32)

func minimum(dst, a, b []float32) {
	switch {
	case isa == Generic:
		minimumGeneric(dst, a, b)
	case wide(len(dst)):
		minimumAVX512(dst, a, b)
	default:
		minimumAVX2(dst, a, b)
	}
}

func minimumStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		minimum(dst, a, b)
	} else {
		minimumStreamAVX2(dst, a, b)
	}
}

//go:noescape
func lessAVX2(dst, a, b []float32)

//go:noescape
func lessAVX512(dst, a, b []float32)

//go:noescape
func lessStreamAVX2(dst, a, b []float32)

func less(dst, a, b []float32) {
	switch {
	case isa == Generic:
		lessGeneric(dst, a, b)
	case wide(len(dst)):
		lessAVX512(dst, a, b)
	default:
		lessAVX2(dst, a, b)
	}
}

func lessStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		less(dst, a, b)
	} else {
		lessStreamAVX2(dst, a, b)
	}
}

//go:noescape
func equalAVX2(dst, a, b []float32)

//go:noescape
func equalAVX512(dst, a, b []float32)

//go:noescape
func equalStreamAVX2(dst, a, b []float32)

func equal(dst, a, b []float32) {
	switch {
	case isa == Generic:
		equalGeneric(dst, a, b)
	case wide(len(dst)):
		equalAVX512(dst, a, b)
	default:
		equalAVX2(dst, a, b)
	}
}

func equalStream(dst, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		equal(dst, a, b)
	} else {
		equalStreamAVX2(dst, a, b)
	}
}

//go:noescape
func whereAVX2(dst, mask, a, b []float32)

//go:noescape
func whereAVX512(dst, mask, a, b []float32)

//go:noescape
func whereStreamAVX2(dst, mask, a, b []float32)

func where(dst, mask, a, b []float32) {
	switch {
	case isa == Generic:
		whereGeneric(dst, mask, a, b)
	case wide(len(dst)):
		whereAVX512(dst, mask, a, b)
	default:
		whereAVX2(dst, mask, a, b)
	}
}

func whereStream(dst, mask, a, b []float32) {
	if isa == Generic || !wholeLines(dst) {
		where(dst, mask, a, b)
	} else {
		whereStreamAVX2(dst, mask, a, b)
	}
}

//go:noescape
func absAVX2(dst, x []float32)

//go:noescape
func absAVX512(dst, x []float32)

//go:noescape
func absStreamAVX2(dst, x []float32)

func abs(dst, x []float32) {
	switch {
	case isa == Generic:
		absGeneric(dst, x)
	case wide(len(dst)):
		absAVX512(dst, x)
	default:
		absAVX2(dst, x)
	}
}

func absStream(dst, x []float32) {
	if isa == Generic || !wholeLines(dst) {
		abs(dst, x)
	} else {
		absStreamAVX2(dst, x)
	}
}

//go:noescape
func sqrtAVX2(dst, x []float32)

//go:noescape
func sqrtAVX512(dst, x []float32)

//go:noescape
func sqrtStreamAVX2(dst, x []float32)

func sqrt(dst, x []float32) {
	switch {
	case isa == Generic:
		sqrtGeneric(dst, x)
	case wide(len(dst)):
		sqrtAVX512(dst, x)
	default:
		sqrtAVX2(dst, x)
	}
}

func sqrtStream(dst, x []float32) {
	if isa == Generic || !wholeLines(dst) {
		sqrt(dst, x)
	} else {
		sqrtStreamAVX2(dst, x)
	}
}

//go:noescape
func scaleAVX2(dst []float32, alpha float32, x []float32)

//go:noescape
func scaleAVX512(dst []float32, alpha float32, x []float32)

//go:noescape
func scaleStreamAVX2(dst []float32, alpha float32, x []float32)

func scale(dst []float32, alpha float32, x []float32) {
	switch {
	case isa == Generic:
		scaleGeneric(dst, alpha, x)
	case wide(len(dst)):
		scaleAVX512(dst, alpha, x)
	default:
		scaleAVX2(dst, alpha, x)
	}
}

func scaleStream(dst []float32, alpha float32, x []float32) {
	if isa == Generic || !wholeLines(dst) {
		scale(dst, alpha, x)
	} else {
		scaleStreamAVX2(dst, alpha, x)
	}
}

//go:noescape
func affineAVX2(dst []float32, alpha float32, x []float32, beta float32)

//go:noescape
func affineAVX512(dst []float32, alpha float32, x []float32, beta float32)

//go:noescape
func affineStreamAVX2(dst []float32, alpha float32, x []float32, beta float32)

func affine(dst []float32, alpha float32, x []float32, beta float32) {
	switch {
	case isa == Generic:
		affineGeneric(dst, alpha, x, beta)
	case wide(len(dst)):
		affineAVX512(dst, alpha, x, beta)
	default:
		affineAVX2(dst, alpha, x, beta)
	}
}

func affineStream(dst []float32, alpha float32, x []float32, beta float32) {
	if isa == Generic || !wholeLines(dst) {
		affine(dst, alpha, x, beta)
	} else {
		affineStreamAVX2(dst, alpha, x, beta)
	}
}

//go:noescape
func clampAVX2(dst, x []float32, lo, hi float32)

//go:noescape
func clampAVX512(dst, x []float32, lo, hi float32)

//go:noescape
func clampStreamAVX2(dst, x []float32, lo, hi float32)

func clamp(dst, x []float32, lo, hi float32) {
	switch {
	case isa == Generic:
		clampGeneric(dst, x, lo, hi)
	case wide(len(dst)):
		clampAVX512(dst, x, lo, hi)
	default:
		clampAVX2(dst, x, lo, hi)
	}
}

func clampStream(dst, x []float32, lo, hi float32) {
	if isa == Generic || !wholeLines(dst) {
		clamp(dst, x, lo, hi)
	} else {
		clampStreamAVX2(dst, x, lo, hi)
	}
}

//go:noescape
func logAVX2(dst, x []float32)

//go:noescape
func logAVX512(dst, x []float32)

func log(dst, x []float32) {
	switch isa {
	case AVX512:
		logAVX512(dst, x)
	case AVX2:
		logAVX2(dst, x)
	default:
		logGeneric(dst, x)
	}
}

//go:noescape
func log1pAVX2(dst, x []float32)

//go:noescape
func log1pAVX512(dst, x []float32)

func log1p(dst, x []float32) {
	switch isa {
	case AVX512:
		log1pAVX512(dst, x)
	case AVX2:
		log1pAVX2(dst, x)
	default:
		log1pGeneric(dst, x)
	}
}

//go:noescape
func sinAVX2(dst, x []float32) int

//go:noescape
func sinAVX512(dst, x []float32) int

func sin(dst, x []float32) {
	f, lanes := sinAVX2, 8
	switch isa {
	case AVX512:
		f, lanes = sinAVX512, 16
	case Generic:
		sinGeneric(dst, x)
		return
	}
	for done := f(dst, x); done < len(x); done = f(dst, x) {
		end := min(done+lanes, len(x))
		sinGeneric(dst[done:end], x[done:end])
		dst, x = dst[end:], x[end:]
	}
}

//go:noescape
func cosAVX2(dst, x []float32) int

//go:noescape
func cosAVX512(dst, x []float32) int

func cos(dst, x []float32) {
	f, lanes := cosAVX2, 8
	switch isa {
	case AVX512:
		f, lanes = cosAVX512, 16
	case Generic:
		cosGeneric(dst, x)
		return
	}
	for done := f(dst, x); done < len(x); done = f(dst, x) {
		end := min(done+lanes, len(x))
		cosGeneric(dst[done:end], x[done:end])
		dst, x = dst[end:], x[end:]
	}
}
