package asm

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// testCopyRows copies rows of n elements, and looks at what lies between them.
func testCopyRows(e *env, n int) {
	for _, rows := range []int{0, 1, 2, 5} {
		for _, gap := range []int{0, 3} {
			ldDst, ldSrc := n+gap, n+2*gap
			size := func(ld int) int { return max(0, (rows-1)*ld+n) * min(rows, 1) }
			src, dst := e.normal(size(ldSrc), 0, 1), e.normal(size(ldDst), 0, 1)
			want := e.put(dst)
			for i := range rows {
				copy(want[i*ldDst:i*ldDst+n], src[i*ldSrc:])
			}
			CopyRows(dst, ldDst, src, ldSrc, rows, n)
			e.same(fmt.Sprintf("CopyRows of %d, gap %d", rows, gap), dst, want)
		}
	}
}

func TestCopyRowsPanics(t *testing.T) {
	x := make([]float32, 8)
	for _, c := range [][4]int{{3, 4, 3, 3}, {4, 3, 3, 3}, {2, 4, 2, 3}, {4, 4, -1, 3}, {4, 4, 1, -1}, {4, -1, 2, 3}} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, "copy rows: ") {
					t.Errorf("%v: panicked with %q", c, msg)
				}
			}()
			CopyRows(x, c[0], x, c[1], c[2], c[3])
		}()
	}
}

// Any bits, in rows of any length and distance.
func FuzzCopyRows(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(5), uint8(2)) })
	f.Fuzz(func(t *testing.T, data []byte, width, gap uint8) {
		src := floatsOf(data)
		cols, ld := int(width), int(width)+int(gap)
		if cols == 0 || len(src) < cols {
			return
		}
		rows := (len(src)-cols)/ld + 1
		got, want := make([]float32, rows*cols), make([]float32, rows*cols)
		copyRowsGeneric(want, cols, src, ld, rows, cols)
		forEachISA(t, func(t *testing.T) {
			CopyRows(got, cols, src, ld, rows, cols)
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v: %d rows of %d, %d apart: element %d is %v, want %v", Current(), rows, cols, ld, i, got[i], want[i])
				}
			}
		})
	})
}

func BenchmarkCopyRows(b *testing.B) {
	const n = 1 << 20
	src, dst := make([]float32, n), make([]float32, n)
	for _, cols := range []int{16, 64, 100} {
		b.Run(fmt.Sprint(cols), func(b *testing.B) {
			benchmarkEachISA(b, func(b *testing.B) {
				b.SetBytes(8 * n)
				for b.Loop() {
					CopyRows(dst, cols, src, cols, n/cols, cols)
				}
			})
		})
	}
}
