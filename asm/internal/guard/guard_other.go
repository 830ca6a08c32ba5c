//go:build !linux

// Package guard gives tests slices whose neighbouring memory must not be
// touched.
package guard

import (
	"math"
	"testing"
)

// pad is the number of sentinels on either side of a slice.
const pad = 64

// Alloc returns two zeroed slices of n values that lie between sentinels. The
// test fails at its end if a sentinel was overwritten.
func Alloc(t testing.TB, n int) (end, start []float32) {
	t.Helper()
	return between(t, n), between(t, n)
}

func between(t testing.TB, n int) []float32 {
	const sentinel = 0x7fc0ffee // a NaN, so that a read spoils the result too
	mem := make([]float32, n+2*pad)
	margins := [2][]float32{mem[:pad], mem[pad+n:]}
	for _, margin := range margins {
		for i := range margin {
			margin[i] = math.Float32frombits(sentinel)
		}
	}
	t.Cleanup(func() {
		for side, margin := range margins {
			for i, v := range margin {
				if math.Float32bits(v) != sentinel {
					t.Errorf("guard: value %d %s the slice was overwritten", i, [2]string{"before", "after"}[side])
				}
			}
		}
	})
	return mem[pad : pad+n : pad+n]
}
