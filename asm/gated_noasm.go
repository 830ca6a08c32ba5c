//go:build !amd64 || purego

package asm

func swiGLU(dst, gate, up []float32) { swiGLUGeneric(dst, gate, up) }
func swiGLUBackward(dgate, dup, dy, gate, up []float32) {
	swiGLUBackwardGeneric(dgate, dup, dy, gate, up)
}
func rotate(dst, x, cos, sin []float32, heads int, sign float32) {
	rotateGeneric(dst, x, cos, sin, heads, sign)
}
