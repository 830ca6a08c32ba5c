//go:build cuda

package gpu

import (
	"fmt"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// gated are the methods that a backend has all or none of.
type gated interface {
	tensor.Backend
	SwiGLU(y, gate, up *tensor.Tensor)
	SwiGLUBackward(dgate, dup, dy, gate, up *tensor.Tensor)
	RMSNorm(y, rstd, x, weight *tensor.Tensor, eps float32)
	RMSNormBackward(dx, dweight, dy, x, weight, rstd *tensor.Tensor, accumulate [2]bool)
	Rotate(y, x, cos, sin *tensor.Tensor, back bool)
}

var _ gated = (*Backend)(nil)

func TestSwiGLU(t *testing.T) {
	b := open(t)
	for _, n := range []int{0, 1, 255, 257, 3000} {
		like(t, fmt.Sprintf("swiglu of %d", n), b, 1e-6, func(b tensor.Backend) [][]float32 {
			gate, up := tensor.FromSlice(b, random(1, n), n), tensor.FromSlice(b, random(2, n), n)
			dy, y := tensor.FromSlice(b, random(3, n), n), tensor.New(b, tensor.Float32, n)
			b.(gated).SwiGLU(y, gate, up)
			dgate, dup := tensor.New(b, tensor.Float32, n), tensor.New(b, tensor.Float32, n)
			b.(gated).SwiGLUBackward(dgate, dup, dy, gate, up)
			b.(gated).SwiGLUBackward(gate, up, dy, gate, up) // in place
			return [][]float32{values(y), values(dgate), values(dup), values(gate), values(up)}
		})
	}
}

func TestRMSNorm(t *testing.T) {
	b := open(t)
	for _, shape := range [][2]int{{0, 3}, {1, 1}, {5, 7}, {9, 64}, {130, 33}, {70, 300}} {
		n, d := shape[0], shape[1]
		for _, wanted := range []int{1, 2, 3} {
			for _, accumulate := range []bool{false, true} {
				like(t, fmt.Sprintf("rmsnorm of %v, gradients %d", shape, wanted), b, 2e-6, func(b tensor.Backend) [][]float32 {
					x, weight := tensor.FromSlice(b, random(1, n*d), n, d), tensor.FromSlice(b, random(2, d), d)
					dy, y := tensor.FromSlice(b, random(3, n*d), n, d), tensor.New(b, tensor.Float32, n, d)
					rstd := tensor.New(b, tensor.Float32, n)
					b.(gated).RMSNorm(y, rstd, x, weight, 1e-5)
					dx, dweight := tensor.FromSlice(b, random(4, n*d), n, d), tensor.FromSlice(b, random(5, d), d)
					out := [][]float32{values(y), values(rstd)}
					given := [2]*tensor.Tensor{dx, dweight}
					for k := range given {
						if wanted>>k&1 == 0 {
							given[k] = nil
						}
					}
					b.(gated).RMSNormBackward(given[0], given[1], dy, x, weight, rstd, [2]bool{accumulate, accumulate})
					return append(out, values(dx), values(dweight))
				})
			}
		}
	}
}

func TestRotate(t *testing.T) {
	b := open(t)
	for _, c := range []struct{ n, heads, half int }{{0, 1, 1}, {1, 1, 1}, {5, 3, 4}, {40, 2, 16}} {
		for _, back := range []bool{false, true} {
			like(t, fmt.Sprintf("rotate %+v", c), b, 1e-6, func(b tensor.Backend) [][]float32 {
				x := tensor.FromSlice(b, random(1, c.n*c.heads*2*c.half), c.n, c.heads*2*c.half)
				cos := tensor.FromSlice(b, random(2, c.n*c.half), c.n, c.half)
				sin := tensor.FromSlice(b, random(3, c.n*c.half), c.n, c.half)
				y := tensor.New(b, tensor.Float32, x.Shape()...)
				b.(gated).Rotate(y, x, cos, sin, back)
				b.(gated).Rotate(x, x, cos, sin, back) // in place
				return [][]float32{values(y), values(x)}
			})
		}
	}
}
