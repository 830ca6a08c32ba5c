//go:build amd64 && !purego

package asm

// The kernels are in vec_arith_amd64.h and vec_log_amd64.h.

//go:noescape
func subAVX2(dst, a, b []float32)

//go:noescape
func subAVX512(dst, a, b []float32)

func sub(dst, a, b []float32) {
	switch isa {
	case AVX512:
		subAVX512(dst, a, b)
	case AVX2:
		subAVX2(dst, a, b)
	default:
		subGeneric(dst, a, b)
	}
}

//go:noescape
func divAVX2(dst, a, b []float32)

//go:noescape
func divAVX512(dst, a, b []float32)

func div(dst, a, b []float32) {
	switch isa {
	case AVX512:
		divAVX512(dst, a, b)
	case AVX2:
		divAVX2(dst, a, b)
	default:
		divGeneric(dst, a, b)
	}
}

//go:noescape
func maximumAVX2(dst, a, b []float32)

//go:noescape
func maximumAVX512(dst, a, b []float32)

func maximum(dst, a, b []float32) {
	switch isa {
	case AVX512:
		maximumAVX512(dst, a, b)
	case AVX2:
		maximumAVX2(dst, a, b)
	default:
		maximumGeneric(dst, a, b)
	}
}

//go:noescape
func minimumAVX2(dst, a, b []float32)

//go:noescape
func minimumAVX512(dst, a, b []float32)

func minimum(dst, a, b []float32) {
	switch isa {
	case AVX512:
		minimumAVX512(dst, a, b)
	case AVX2:
		minimumAVX2(dst, a, b)
	default:
		minimumGeneric(dst, a, b)
	}
}

//go:noescape
func lessAVX2(dst, a, b []float32)

//go:noescape
func lessAVX512(dst, a, b []float32)

func less(dst, a, b []float32) {
	switch isa {
	case AVX512:
		lessAVX512(dst, a, b)
	case AVX2:
		lessAVX2(dst, a, b)
	default:
		lessGeneric(dst, a, b)
	}
}

//go:noescape
func equalAVX2(dst, a, b []float32)

//go:noescape
func equalAVX512(dst, a, b []float32)

func equal(dst, a, b []float32) {
	switch isa {
	case AVX512:
		equalAVX512(dst, a, b)
	case AVX2:
		equalAVX2(dst, a, b)
	default:
		equalGeneric(dst, a, b)
	}
}

//go:noescape
func whereAVX2(dst, mask, a, b []float32)

//go:noescape
func whereAVX512(dst, mask, a, b []float32)

func where(dst, mask, a, b []float32) {
	switch isa {
	case AVX512:
		whereAVX512(dst, mask, a, b)
	case AVX2:
		whereAVX2(dst, mask, a, b)
	default:
		whereGeneric(dst, mask, a, b)
	}
}

//go:noescape
func absAVX2(dst, x []float32)

//go:noescape
func absAVX512(dst, x []float32)

func abs(dst, x []float32) {
	switch isa {
	case AVX512:
		absAVX512(dst, x)
	case AVX2:
		absAVX2(dst, x)
	default:
		absGeneric(dst, x)
	}
}

//go:noescape
func sqrtAVX2(dst, x []float32)

//go:noescape
func sqrtAVX512(dst, x []float32)

func sqrt(dst, x []float32) {
	switch isa {
	case AVX512:
		sqrtAVX512(dst, x)
	case AVX2:
		sqrtAVX2(dst, x)
	default:
		sqrtGeneric(dst, x)
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
