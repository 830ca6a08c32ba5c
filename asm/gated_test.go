package asm

import (
	"math"
	"testing"
)

// gated are the tests of SwiGLU and Rotate.
var gated = []operation{
	{"SwiGLU", func(e *env, n int) {
		gate, up, dy := e.normal(n, 0, 4), e.normal(n, 0, 1), e.normal(n, 0, 1)
		dst, dgate, dup := e.place(n), e.place(n), e.place(n)
		SwiGLU(dst, gate, up)
		SwiGLUBackward(dgate, dup, dy, gate, up)
		for i := range dst {
			x, u, d := float64(gate[i]), float64(up[i]), float64(dy[i])
			s := 1 / (1 + math.Exp(-x))
			// The sigmoid is within 1e-7; what follows rounds a few times.
			const tol = 1e-7 + 4*eps
			e.near(at("swiglu", n, i), dst[i], x*s*u, tol*math.Abs(x*u))
			e.near(at("gradient of up", n, i), dup[i], d*x*s, tol*math.Abs(x*d))
			e.near(at("gradient of gate", n, i), dgate[i], d*u*(s+x*s*(1-s)), 3*tol*(1+math.Abs(x))*math.Abs(d*u))
		}
		gate0, up0 := e.put(gate), e.put(up)
		SwiGLUBackward(gate, up, dy, gate, up)
		SwiGLU(gate0, gate0, up0)
		for i := range dst {
			e.near(at("swiglu in place", n, i), gate0[i], float64(dst[i]), 0)
			e.near(at("gradient of gate in place", n, i), gate[i], float64(dgate[i]), 0)
			e.near(at("gradient of up in place", n, i), up[i], float64(dup[i]), 0)
		}
	}},
	{"Rotate", func(e *env, half int) {
		for heads := 0; heads < 4 && half > 0; heads++ {
			n := 2 * half * heads
			x, dst, angle := e.normal(n, 0, 1), e.place(n), e.normal(half, 0, 2)
			cos, sin := e.place(half), e.place(half)
			for i, a := range angle {
				cos[i], sin[i] = float32(math.Cos(float64(a))), float32(math.Sin(float64(a)))
			}
			Rotate(dst, x, cos, sin, false)
			for i := range n {
				c, s, other := float64(cos[i%half]), float64(sin[i%half]), i+half
				if i/half%2 == 1 {
					other, s = i-half, -s
				}
				v, w := float64(x[i]), float64(x[other])
				e.near(at("rotate", n, i), dst[i], v*c-w*s, 2*eps*(math.Abs(v)+math.Abs(w)))
			}
			Rotate(dst, dst, cos, sin, true)
			for i := range n {
				e.near(at("back in place", n, i), dst[i], float64(x[i]), 32*eps)
			}
		}
	}},
}

// Any bits: the kernels give what the portable version gives, up to rounding.
func FuzzGated(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		x := floatsOf(data)
		n := len(x) / 3
		gate, up, dy := x[:n], x[n:2*n], x[2*n:3*n]
		near := func(what string, i int, got, want float32, size float64) {
			a, b := float64(got), float64(want)
			switch {
			case a == b, a != a && b != b, math.IsNaN(size) || math.IsInf(size, 0) || size > 1e37:
			case math.Abs(a-b) > 2e-6*size+1e-37:
				t.Errorf("%s[%d]: %v, portable %v", what, i, got, want)
			}
		}
		want, wantUp := make([]float32, n), make([]float32, n)
		got, gotUp := make([]float32, n), make([]float32, n)
		forEachISA(t, func(t *testing.T) {
			swiGLUGeneric(want, gate, up)
			SwiGLU(got, gate, up)
			for i := range got {
				near("swiglu", i, got[i], want[i], math.Abs(float64(gate[i])*float64(up[i])))
			}
			swiGLUBackwardGeneric(want, wantUp, dy, gate, up)
			SwiGLUBackward(got, gotUp, dy, gate, up)
			for i := range got {
				d, g, u := float64(dy[i]), math.Abs(float64(gate[i])), float64(up[i])
				near("gradient of up", i, gotUp[i], wantUp[i], math.Abs(d*g))
				near("gradient of gate", i, got[i], want[i], math.Abs(d*u)*(1+g))
			}
			if half := n / 2; half > 0 {
				rotateGeneric(want[:2*half], gate[:2*half], up[:half], dy[:half], 1, 1)
				Rotate(got[:2*half], gate[:2*half], up[:half], dy[:half], false)
				for i := range 2 * half {
					j := i % half
					near("rotate", i, got[i], want[i],
						(math.Abs(float64(gate[j]))+math.Abs(float64(gate[j+half])))*(math.Abs(float64(up[j]))+math.Abs(float64(dy[j]))))
				}
			}
		})
	})
}
