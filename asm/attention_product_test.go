package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// attentionProductCase is a product of a [rows, k], transposed or not, and b of
// the width of a tile.
type attentionProductCase struct {
	rows, k         int
	transposed, add bool
	pad             int // by how much the leading dimensions exceed the widths
}

// check computes the product of random matrices and compares it with float64.
func (c attentionProductCase) check(t *testing.T, rng *rand.Rand, alloc func(n int) []float32) {
	t.Helper()
	nr := gemmKernelsOf(isa).nr
	lda, ldb, ldc := c.k+c.pad, nr+c.pad, nr+c.pad
	product, size, ars, acs := attentionProductRows, c.rows*lda-c.pad, lda, 1
	if c.transposed {
		lda = c.rows + c.pad
		product, size, ars, acs = attentionProductColumns, c.k*lda-c.pad, 1, lda
	}
	fill := func(n int) []float32 {
		x := alloc(n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	x, a, b := fill(c.rows*ldc-c.pad), fill(size), fill(c.k*ldb-c.pad)
	was := append([]float32(nil), x...)
	product(x, ldc, a, lda, b, ldb, c.k, c.rows, c.add)
	for i, got := range x {
		row, col := i/ldc, i%ldc
		if col >= nr {
			if got != was[i] {
				t.Fatalf("%v: %+v: a value between rows, at %d, is overwritten", isa, c, i)
			}
			continue
		}
		want, bound := 0.0, 0.0
		if c.add {
			want, bound = float64(was[i]), math.Abs(float64(was[i]))
		}
		for p := range c.k {
			v := float64(a[row*ars+p*acs]) * float64(b[p*ldb+col])
			want, bound = want+v, bound+math.Abs(v)
		}
		if bound *= float64(c.k+1) / (1 << 24); !(math.Abs(float64(got)-want) <= bound) {
			t.Fatalf("%v: %+v: row %d, column %d is %v, want %v within %.2g", isa, c, row, col, got, want, bound)
		}
	}
}

func TestAttentionProducts(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		onGuard := func(n int) []float32 {
			end, _ := guard.Alloc(t, n)
			return end
		}
		for rows := 1; rows <= 43; rows++ {
			for _, k := range []int{1, 2, 3, 4, 5, 7, 8, 64} {
				for _, pad := range []int{0, 3} {
					for _, transposed := range []bool{false, true} {
						attentionProductCase{rows, k, transposed, (rows+k)%2 == 0, pad}.check(t, rng, onHeap)
						if rows < 16 && k < 6 {
							attentionProductCase{rows, k, transposed, rows%2 == 0, pad}.check(t, rng, onGuard)
						}
					}
				}
			}
		}
	})
}

func FuzzAttentionProducts(f *testing.F) {
	f.Add(uint64(1), uint8(14), uint8(64), false, true, uint8(0))
	f.Add(uint64(2), uint8(27), uint8(5), true, false, uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, rows, k uint8, transposed, add bool, pad uint8) {
		forEachISA(t, func(t *testing.T) {
			c := attentionProductCase{int(rows)%80 + 1, int(k) + 1, transposed, add, int(pad % 40)}
			c.check(t, rand.New(rand.NewPCG(seed, 1)), onHeap)
		})
	})
}

func BenchmarkAttentionProducts(b *testing.B) {
	for _, k := range []int{48, 64, 128} {
		type product func(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool)
		for name, product := range map[string]product{
			"rows": attentionProductRows, "columns": attentionProductColumns} {
			b.Run(fmt.Sprintf("%s/k=%d", name, k), func(b *testing.B) {
				const rows = 84
				nr := gemmKernelsOf(isa).nr
				x, y, z := make([]float32, rows*nr), make([]float32, 128*128), make([]float32, k*nr)
				for b.Loop() {
					product(x, nr, y, 128, z, nr, k, rows, false)
				}
				b.ReportMetric(2*float64(rows*nr*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
