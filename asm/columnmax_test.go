package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// checkColumnMax compares with the definition, bit for bit, column by column.
func checkColumnMax(t *testing.T, y []float32, rows []int32, x []float32, n, ld int, first int32) {
	t.Helper()
	ColumnMax(y, rows, x, n, ld, first)
	for j := range y {
		best := 0
		for i := 1; i < n; i++ {
			if float64(x[i*ld+j]) > float64(x[best*ld+j]) {
				best = i
			}
		}
		if want := x[best*ld+j]; math.Float32bits(y[j]) != math.Float32bits(want) || rows[j] != first+int32(best) {
			t.Fatalf("%v: %d rows, %d apart, column %d of %d: got %v of row %d, want %v of row %d",
				Current(), n, ld, j, len(y), y[j], rows[j], want, first+int32(best))
		}
	}
}

func TestColumnMax(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(41, 42))
		for _, cols := range edges(8, 16, 32, 64, 128, 200) {
			for _, n := range []int{1, 2, 3, 8, 17} {
				ld := cols + rng.IntN(3)
				x := scoresOf(rng, make([]float32, max((n-1)*ld+cols, 0)))
				y, rows := make([]float32, cols+2), make([]int32, cols+2)
				y[0], y[cols+1], rows[0], rows[cols+1] = 1, 2, 3, 4
				checkColumnMax(t, y[1:cols+1], rows[1:cols+1], x, n, ld, int32(rng.IntN(1000)))
				if y[0] != 1 || y[cols+1] != 2 || rows[0] != 3 || rows[cols+1] != 4 {
					t.Fatalf("%d columns: values beside the results were written", cols)
				}
			}
		}
	})
}

func TestColumnMaxGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(43, 44))
		for _, cols := range []int{1, 7, 8, 15, 16, 17, 63, 64, 65, 100} {
			const n = 3
			rows := make([]int32, cols)
			yEnd, yStart := guard.Alloc(t, cols)
			xEnd, xStart := guard.Alloc(t, n*cols)
			for _, y := range [][]float32{yEnd, yStart} {
				for _, x := range [][]float32{xEnd, xStart} {
					checkColumnMax(t, y, rows, scoresOf(rng, x), n, cols, 5)
				}
			}
		}
	})
}

func TestColumnMaxPanics(t *testing.T) {
	y, x, rows := make([]float32, 3), make([]float32, 8), make([]int32, 3)
	for want, f := range map[string]func(){
		"rows":                       func() { ColumnMax(y, rows[:2], x, 1, 3, 0) },
		"8 values hold no 0 rows":    func() { ColumnMax(y, rows, x, 0, 3, 0) },
		"8 values hold no 3 rows":    func() { ColumnMax(y, rows, x, 3, 3, 0) },
		"columns that are 2 apart":   func() { ColumnMax(y, rows, x, 2, 2, 0) },
		"7 values hold no 2 rows of": func() { ColumnMax(y, rows, x[:7], 2, 5, 0) },
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) {
					t.Errorf("panicked with %q, want %q in it", msg, want)
				}
			}()
			f()
		}()
	}
}

// Any bits, in rows of any length.
func FuzzColumnMax(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(3)) })
	f.Fuzz(func(t *testing.T, data []byte, cols uint8) {
		x := floatsOf(data)
		if cols == 0 || len(x) < int(cols) {
			return
		}
		y, rows := make([]float32, cols), make([]int32, cols)
		forEachISA(t, func(t *testing.T) { checkColumnMax(t, y, rows, x, len(x)/int(cols), int(cols), 7) })
	})
}

func BenchmarkColumnMax(b *testing.B) {
	const n, cols = 126, 2048
	x := randomFloats(rand.New(rand.NewPCG(45, 46)), n*cols)
	y, rows := make([]float32, cols), make([]int32, cols)
	benchmarkEachISA(b, func(b *testing.B) {
		b.SetBytes(4 * n * cols)
		for b.Loop() {
			ColumnMax(y, rows, x, n, cols, 0)
		}
	})
}
