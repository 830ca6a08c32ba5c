package asm

import "fmt"

// SwiGLU computes dst[i] = gate[i] * sigmoid(gate[i]) * up[i], the activation of a
// feed-forward network with a gate (Shazeer 2020, arXiv:2002.05202). The error of the
// sigmoid is below 1e-7. dst may be gate or up.
func SwiGLU(dst, gate, up []float32) {
	checkLen("swiglu", "gate", len(gate), len(dst))
	checkLen("swiglu", "up", len(up), len(dst))
	swiGLU(dst, gate, up)
}

// SwiGLUBackward computes the gradients of SwiGLU,
//
//	dup[i] = dy[i] * x*s
//	dgate[i] = dy[i] * up[i] * (s + x*s*(1-s))
//
// where x is gate[i] and s its sigmoid. dgate and dup may be operands.
func SwiGLUBackward(dgate, dup, dy, gate, up []float32) {
	checkLen("swiglu backward", "dup", len(dup), len(dgate))
	checkLen("swiglu backward", "dy", len(dy), len(dgate))
	checkLen("swiglu backward", "gate", len(gate), len(dgate))
	checkLen("swiglu backward", "up", len(up), len(dgate))
	swiGLUBackward(dgate, dup, dy, gate, up)
}

// Rotate turns the columns i and i + len(cos) of each of several heads, a row of
// 2*len(cos) columns each, by an angle (Su et al. 2021, arXiv:2104.09864, eq. 34):
//
//	dst[i] = x[i]*cos[i] - x[i+half]*sin[i]
//	dst[i+half] = x[i+half]*cos[i] + x[i]*sin[i]
//
// With back it turns them by the opposite angle. dst may be x.
func Rotate(dst, x, cos, sin []float32, back bool) {
	half := len(cos)
	checkLen("rotate", "x", len(x), len(dst))
	checkLen("rotate", "sin", len(sin), half)
	if half == 0 || len(x)%(2*half) != 0 {
		panic(fmt.Sprintf("asm: rotate: %d columns in heads of 2*%d", len(x), half))
	}
	sign := float32(1)
	if back {
		sign = -1
	}
	if heads := len(x) / (2 * half); heads > 0 {
		rotate(dst, x, cos, sin, heads, sign)
	}
}
