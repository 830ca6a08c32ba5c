package asm

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// rowReductions are the reductions of rows and what each makes of a row.
var rowReductions = []struct {
	name string
	f    func(dst, x []float32, cols, ld int)
	ref  func(row []float32) (value, tolerance float64)
}{
	{"SumRows", SumRows, func(row []float32) (sum, tolerance float64) {
		for _, v := range row {
			sum += float64(v)
			tolerance += math.Abs(float64(v))
		}
		return sum, eps*math.Abs(sum) + tolerance*1e-14
	}},
	{"MaxRows", MaxRows, func(row []float32) (greatest, _ float64) {
		greatest = math.Inf(-1)
		for _, v := range row {
			greatest = max(greatest, float64(v))
		}
		return greatest, 0
	}},
	{"MinRows", MinRows, func(row []float32) (least, _ float64) {
		least = math.Inf(1)
		for _, v := range row {
			least = min(least, float64(v))
		}
		return least, 0
	}},
}

// testRows compares the reductions of rows of n elements with their definitions.
func testRows(e *env, n int) {
	for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 8} {
		ld := n + rows%3
		x := e.normal(max(0, (rows-1)*ld+n)*min(rows, 1), 0.3, 2)
		for _, r := range rowReductions {
			dst := e.place(rows)
			r.f(dst, x, n, ld)
			for i := range dst {
				want, tolerance := r.ref(x[i*ld : i*ld+n])
				e.near(at(fmt.Sprintf("%s, %d rows", r.name, rows), n, i), dst[i], want, tolerance)
			}
		}
	}
}

func TestRowsPanics(t *testing.T) {
	x := make([]float32, 8)
	for _, r := range rowReductions {
		for _, c := range [][3]int{{3, 3, 3}, {2, 3, 2}, {1, 9, 9}, {1, -1, 4}} {
			func() {
				defer func() {
					if msg := fmt.Sprint(recover()); !strings.Contains(msg, "8 elements hold no") {
						t.Errorf("%s: %d rows of %d columns, %d apart: panicked with %q", r.name, c[0], c[1], c[2], msg)
					}
				}()
				r.f(make([]float32, c[0]), x, c[1], c[2])
			}()
		}
	}
}

// Any bits, in rows of any length.
func FuzzRows(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(3)) })
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		x := floatsOf(data)
		cols := int(width) * 3
		if cols == 0 || len(x) < cols {
			return
		}
		rows := len(x) / cols
		forEachISA(t, func(t *testing.T) {
			for _, r := range rowReductions {
				dst := make([]float32, rows)
				r.f(dst, x, cols, cols)
				for i, got := range dst {
					want, tolerance := r.ref(x[i*cols : (i+1)*cols])
					if float32(want) == got || want != want && got != got || math.IsInf(tolerance, 0) ||
						math.Abs(float64(got)-want) <= tolerance+math.SmallestNonzeroFloat32 {
						continue
					}
					t.Fatalf("%v: %s of row %d of %d elements is %v, want %v", Current(), r.name, i, cols, got, want)
				}
			}
		})
	})
}

func BenchmarkRows(b *testing.B) {
	const n = 1 << 20
	x := make([]float32, n)
	dst := make([]float32, n/16)
	for _, r := range rowReductions {
		for _, cols := range []int{16, 100, 1024} {
			b.Run(fmt.Sprintf("%s/%d", r.name, cols), func(b *testing.B) {
				benchmarkEachISA(b, func(b *testing.B) {
					b.SetBytes(4 * n)
					for b.Loop() {
						r.f(dst[:n/cols], x, cols, cols)
					}
				})
			})
		}
	}
}
