package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Reduce is right over any axes, whatever the order of the dimensions in memory,
// of all sizes at which it proceeds in another way, with NaN, and its bits do not
// depend on the number of threads.
func TestReduceViews(t *testing.T) {
	backends := []*CPU{NewCPU(1), NewCPU(3)}
	rng := rand.New(rand.NewPCG(21, 22))
	for _, shape := range [][]int{{1}, {5}, {129, 70}, {8, 7}, {7, 8}, {200, 3},
		{3, 200}, {17, 65, 9}, {40, 1, 41}, {6, 5, 4, 3, 2, 2},
		{70000, 2}, {2, 70000}, {4100, 9}, {9, 4100}, {900, 700}, {500000}, {30000, 16}, {0, 4}, {4, 0}} {
		for axes := range 1 << len(shape) {
			if len(shape) > 4 && rng.IntN(8) != 0 {
				continue
			}
			for _, op := range []ReduceOp{ReduceSum, ReduceMax, ReduceMin} {
				x := permuted(backends[0], rng, shape, rng.IntN(2) == 0)
				if n := len(x.store.F32); rng.IntN(3) == 0 && n > 20 {
					x.store.F32[rng.IntN(n)] = float32(math.NaN())
				}
				kept := append([]int(nil), shape...)
				for d := range kept {
					if axes>>d&1 == 1 {
						kept[d] = 1
					}
				}
				none := map[ReduceOp]float64{ReduceMax: math.Inf(-1), ReduceMin: math.Inf(1)}[op]
				accumulate := rng.IntN(2) == 0
				dst := permuted(backends[0], rng, kept, true)
				want, size := make([]float64, len(dst.store.F32)), make([]float64, len(dst.store.F32))
				place := func(index []int) int {
					i := dst.offset
					for d := range kept {
						if kept[d] != 1 {
							i += index[d] * dst.strides[d]
						}
					}
					return i
				}
				eachIndex(kept, func(index []int) { want[place(index)] = none })
				eachIndex(shape, func(index []int) {
					i, v := place(index), x.at(index)
					switch op {
					case ReduceSum:
						want[i] += v
						size[i] += math.Abs(v)
					case ReduceMax:
						want[i] = max(want[i], v)
					case ReduceMin:
						want[i] = min(want[i], v)
					}
				})
				eachIndex(kept, func(index []int) {
					if i := place(index); accumulate {
						want[i] += float64(dst.store.F32[i])
					}
				})
				var results [2][]float32
				for k, b := range backends {
					y := *dst
					y.store = &Storage{F32: append([]float32(nil), dst.store.F32...)}
					b.Reduce(&y, op, x, accumulate)
					results[k] = y.store.F32
				}
				for i, got := range results[0] {
					if math.Float32bits(got) != math.Float32bits(results[1][i]) {
						t.Fatalf("reduction %d of %v to %v: %v on one thread, %v on three", op, shape, kept, got, results[1][i])
					}
				}
				eachIndex(kept, func(index []int) {
					i := place(index)
					got, w := float64(results[0][i]), want[i]
					// A sum of up to 16 numbers in float32, and the rounding of the result.
					tol := 16*0x1p-24*size[i] + 0x1p-23*math.Abs(w)
					if op != ReduceSum && !accumulate {
						tol = 0
					}
					if got != w && !(math.Abs(got-w) <= tol) && !(got != got && w != w) {
						t.Fatalf("reduction %d of %v to %v at %v: %v, want %v", op, shape, kept, index, got, w)
					}
				})
			}
		}
	}
}
