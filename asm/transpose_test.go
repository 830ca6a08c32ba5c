package asm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// moves are the tests of copies.
var moves = []operation{
	{"CopyStream", func(e *env, n int) {
		whole := e.special(n + 3)
		for skip := range 4 { // not at a whole line
			x, dst := whole[skip:skip+n], e.place(n)
			CopyStream(dst, x)
			StreamFence()
			e.sameBits(at("copy", n, skip), dst, x)
		}
	}},
	{"Transpose", func(e *env, n int) {
		for _, cols := range []int{1, 7, 8, 9, 16, 33} {
			for _, gap := range []int{0, 3} {
				e.transpose(n, cols, n+gap, cols)
				e.transpose(cols, n, cols, n+gap)
			}
		}
	}},
}

// sameBits fails unless got and want have the same bits; any NaN is like any other.
func (e *env) sameBits(what string, got, want []float32) {
	e.t.Helper()
	for i, w := range want {
		if g := got[i]; math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
			e.t.Fatalf("%s: [%d] is %v, want %v", what, i, g, w)
		}
	}
}

// transpose compares Transpose with its definition, and what lies between the rows
// with what was there before.
func (e *env) transpose(rows, cols, ldDst, ldSrc int) {
	e.t.Helper()
	size := func(rows, cols, ld int) int { return max((rows-1)*ld+cols, 0) * min(rows, 1) * min(cols, 1) }
	src, dst := e.special(size(rows, cols, ldSrc)), e.special(size(cols, rows, ldDst))
	want := make([]float32, len(dst))
	copy(want, dst)
	for i := range rows {
		for j := range cols {
			want[j*ldDst+i] = src[i*ldSrc+j]
		}
	}
	Transpose(dst, ldDst, src, ldSrc, rows, cols)
	e.sameBits(at("transpose", rows, cols), dst, want)
}

// Any matrix, at pages without access: its transpose, and nothing else, is written.
func FuzzTranspose(f *testing.F) {
	for _, n := range [][4]uint8{{0, 0, 0, 0}, {1, 9, 0, 1}, {8, 8, 0, 0}, {17, 33, 2, 0}, {40, 16, 0, 7}} {
		f.Add(n[0], n[1], n[2], n[3], uint64(1))
	}
	f.Fuzz(func(t *testing.T, rows, cols, gapDst, gapSrc uint8, seed uint64) {
		r, c := int(rows%80), int(cols%80)
		forEachISA(t, func(t *testing.T) {
			for side := range 2 {
				e := &env{t, rand.New(rand.NewPCG(seed, 1)), func(n int) []float32 {
					end, start := guard.Alloc(t, n)
					return [][]float32{end, start}[side]
				}}
				e.transpose(r, c, r+int(gapDst%9), c+int(gapSrc%9))
			}
		})
	})
}

// Any bits are copied, wherever they begin.
func FuzzCopyStream(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(1), uint8(5)) })
	f.Fuzz(func(t *testing.T, data []byte, from, to uint8) {
		x := floatsOf(data)
		x = x[min(int(from%16), len(x)):]
		forEachISA(t, func(t *testing.T) {
			end, start := guard.Alloc(t, len(x)+int(to%16))
			for _, room := range [][]float32{end, start} {
				e := &env{t: t}
				dst := room[int(to%16):]
				CopyStream(dst, x)
				StreamFence()
				e.sameBits("copy", dst, x)
			}
		})
	})
}

// Any bits: the result is that of the portable version, but for a rounding, which
// products that are added may do without.
func FuzzAffine(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, float32(1.7), float32(-0.3)) })
	f.Fuzz(func(t *testing.T, data []byte, alpha, beta float32) {
		x := floatsOf(data)
		want := make([]float32, len(x))
		affineGeneric(want, alpha, x, beta)
		forEachISA(t, func(t *testing.T) {
			got := make([]float32, len(x))
			Affine(got, alpha, x, beta)
			for i, w := range want {
				product := float64(alpha) * float64(x[i])
				tol := 2*eps*(math.Abs(product)+math.Abs(float64(beta))) + math.SmallestNonzeroFloat32
				if got[i] == w || got[i] != got[i] && w != w || math.Abs(float64(got[i])-float64(w)) <= tol {
					continue
				}
				if math.Abs(product) > math.MaxFloat32/2 { // the rounded product may overflow alone
					continue
				}
				t.Fatalf("%v: %v*%v + %v is %v, portable %v", Current(), alpha, x[i], beta, got[i], w)
			}
		})
	})
}
