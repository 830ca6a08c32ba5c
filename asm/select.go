package asm

import "github.com/marge-go/marge/internal/ceil"

import "fmt"

// Above sets bit i%64 of bits[i/64] where x[i] is greater than the threshold or
// where either is NaN. It clears all other bits, also those beyond the end of x:
//
//	bits[i/64] |= 1 << (i%64) if !(x[i] <= t[i])
//
// t holds a threshold for every value of x, or one for all. bits has one word for
// every 64 values of x, rounded up. A search compares a row of scores with the worst
// that it keeps, and looks at the few that are better. It sees every NaN among them,
// and a threshold of NaN lets everything pass.
func Above(bits []uint64, x, t []float32) {
	if len(bits) != ceil.Div(len(x), 64) {
		panic(fmt.Sprintf("above: bits has %d words, want %d for %d values", len(bits), ceil.Div(len(x), 64), len(x)))
	}
	if len(t) != 1 && len(t) != len(x) {
		panic(fmt.Sprintf("above: %d thresholds for %d values, want one or as many", len(t), len(x)))
	}
	if len(x) > 0 {
		above(bits, x, t)
	}
}
