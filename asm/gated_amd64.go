//go:build amd64 && !purego

package asm

//go:noescape
func swiGLUAVX2(dst, gate, up []float32)

//go:noescape
func swiGLUAVX512(dst, gate, up []float32)

func swiGLU(dst, gate, up []float32) {
	switch isa {
	case AVX512:
		swiGLUAVX512(dst, gate, up)
	case AVX2:
		swiGLUAVX2(dst, gate, up)
	default:
		swiGLUGeneric(dst, gate, up)
	}
}

//go:noescape
func swiGLUBackwardAVX2(dgate, dup, dy, gate, up []float32)

//go:noescape
func swiGLUBackwardAVX512(dgate, dup, dy, gate, up []float32)

func swiGLUBackward(dgate, dup, dy, gate, up []float32) {
	switch isa {
	case AVX512:
		swiGLUBackwardAVX512(dgate, dup, dy, gate, up)
	case AVX2:
		swiGLUBackwardAVX2(dgate, dup, dy, gate, up)
	default:
		swiGLUBackwardGeneric(dgate, dup, dy, gate, up)
	}
}

//go:noescape
func rotateAVX2(dst, x, cos, sin []float32, heads int, sign float32)

//go:noescape
func rotateAVX512(dst, x, cos, sin []float32, heads int, sign float32)

func rotate(dst, x, cos, sin []float32, heads int, sign float32) {
	switch isa {
	case AVX512:
		rotateAVX512(dst, x, cos, sin, heads, sign)
	case AVX2:
		rotateAVX2(dst, x, cos, sin, heads, sign)
	default:
		rotateGeneric(dst, x, cos, sin, heads, sign)
	}
}
