package asm

import "math"

// Sum returns the sum of x, accumulated in float64.
func Sum(x []float32) float64 { return sum(x) }

// SumSquares returns the sum of x[i]*x[i], computed in float64.
func SumSquares(x []float32) float64 { return sumSquares(x) }

// Dot returns the sum of x[i]*y[i], accumulated in float32 (in float64 by the
// portable version).
func Dot(x, y []float32) float32 {
	checkLen("dot", "y", len(y), len(x))
	return dot(x, y)
}

// argMaxBlock is the length of the blocks whose maxima ArgMax compares. A block
// stays in the L1 cache for the scan that finds the position.
const argMaxBlock = 2048

// ArgMax returns the index of the first greatest element of x, or of the first
// NaN if there is one. It returns -1 if x is empty.
func ArgMax(x []float32) int {
	best, start := float32(math.Inf(-1)), 0
	for i := 0; i < len(x); i += argMaxBlock {
		m := maxScaled(x[i:min(i+argMaxBlock, len(x))], 1)
		if m > best || m != m {
			best, start = m, i
		}
		if m != m {
			break
		}
	}
	for i := start; i < len(x); i++ {
		if x[i] == best || x[i] != x[i] {
			return i
		}
	}
	return -1
}
