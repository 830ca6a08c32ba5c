package asm

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// columnExtremes are the extremes of columns and what joins two elements.
var columnExtremes = []struct {
	name string
	f    func(dst, x []float32, rows, ld int)
	join func(a, b float64) float64
}{
	{"MaxColumns", MaxColumns, func(a, b float64) float64 { return max(a, b) }},
	{"MinColumns", MinColumns, func(a, b float64) float64 { return min(a, b) }},
}

// testColumns compares the reductions of n columns with their definitions.
func testColumns(e *env, n int) {
	for _, rows := range []int{0, 1, 2, 7, 8, 9, 17} {
		ld := n + rows%3
		size := max(0, (rows-1)*ld+n) * min(rows, 1)
		x := e.normal(size, 0.3, 2)
		before := e.normal(n, 0, 1)
		sums := to64(before)
		SumColumns(sums, x, rows, ld)
		for j := range sums {
			want := float64(before[j])
			for i := range rows {
				want += float64(x[i*ld+j])
			}
			if sums[j] != want {
				e.t.Fatalf("%s: %v, want %v", at(fmt.Sprintf("SumColumns, %d rows", rows), n, j), sums[j], want)
			}
		}
		odd := e.put(x)
		for i := range odd {
			if e.rng.IntN(50) == 0 {
				odd[i] = []float32{float32(math.NaN()), negInf, -negInf}[e.rng.IntN(3)]
			}
		}
		for _, c := range columnExtremes {
			for _, x := range [][]float32{x, odd} {
				dst := e.put(before)
				if n > 2 {
					dst[2] = float32(math.NaN())
				}
				start := e.put(dst)
				c.f(dst, x, rows, ld)
				for j := range dst {
					want := float64(start[j])
					for i := range rows {
						want = c.join(want, float64(x[i*ld+j]))
					}
					e.near(at(fmt.Sprintf("%s, %d rows", c.name, rows), n, j), dst[j], want, 0)
				}
			}
		}
	}
}

func TestColumnsPanics(t *testing.T) {
	x := make([]float32, 8)
	for name, f := range map[string]func(cols, rows, ld int){
		"SumColumns": func(cols, rows, ld int) { SumColumns(make([]float64, cols), x, rows, ld) },
		"MaxColumns": func(cols, rows, ld int) { MaxColumns(make([]float32, cols), x, rows, ld) },
		"MinColumns": func(cols, rows, ld int) { MinColumns(make([]float32, cols), x, rows, ld) },
	} {
		for _, c := range [][3]int{{3, 3, 3}, {3, 2, 2}, {9, 1, 9}, {3, -1, 4}} {
			func() {
				defer func() {
					if msg := fmt.Sprint(recover()); !strings.Contains(msg, "8 elements hold no") {
						t.Errorf("%s: %v: panicked with %q", name, c, msg)
					}
				}()
				f(c[0], c[1], c[2])
			}()
		}
	}
}

// Any bits, in columns of any length.
func FuzzColumns(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(3)) })
	f.Fuzz(func(t *testing.T, data []byte, cols uint8) {
		x := floatsOf(data)
		if cols == 0 || len(x) < int(cols) {
			return
		}
		n, rows := int(cols), len(x)/int(cols)
		forEachISA(t, func(t *testing.T) {
			sums, wantSums := make([]float64, n), make([]float64, n)
			SumColumns(sums, x, rows, n)
			sumColumnsGeneric(wantSums, x, rows, n)
			least, wantLeast := make([]float32, n), make([]float32, n)
			MinColumns(least, x, rows, n)
			minColumnsGeneric(wantLeast, x, rows, n)
			most, wantMost := make([]float32, n), make([]float32, n)
			MaxColumns(most, x, rows, n)
			maxColumnsGeneric(wantMost, x, rows, n)
			for j := range n {
				same := func(a, b float64) bool { return a == b || a != a && b != b }
				if !same(sums[j], wantSums[j]) || !same(float64(least[j]), float64(wantLeast[j])) ||
					!same(float64(most[j]), float64(wantMost[j])) {
					t.Fatalf("%v: column %d of %d: %v, %v, %v, portable %v, %v, %v", Current(), j, n,
						sums[j], least[j], most[j], wantSums[j], wantLeast[j], wantMost[j])
				}
			}
		})
	})
}

func BenchmarkColumns(b *testing.B) {
	const rows, cols = 1024, 1024
	x, sums, dst := make([]float32, rows*cols), make([]float64, cols), make([]float32, cols)
	for name, f := range map[string]func(){
		"SumColumns": func() { SumColumns(sums, x, rows, cols) },
		"MaxColumns": func() { MaxColumns(dst, x, rows, cols) },
	} {
		b.Run(name, func(b *testing.B) {
			benchmarkEachISA(b, func(b *testing.B) {
				b.SetBytes(4 * rows * cols)
				for b.Loop() {
					f()
				}
			})
		})
	}
}
