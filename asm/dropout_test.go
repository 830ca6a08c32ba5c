package asm

import (
	"math"
	"math/bits"
	"testing"
)

// keptBits returns which of n elements Dropout keeps, as +1 and -1 about 1/2.
func keptBits(n int, p float32, seed, offset uint64) []float64 {
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	Dropout(y, x, p, seed, offset)
	kept := make([]float64, n)
	for i, v := range y {
		kept[i] = -1
		if v != 0 {
			kept[i] = 1
		}
	}
	return kept
}

// checkCorrelation fails the test if two sequences of +1 and -1 of probability
// 1/2 are correlated by more than six standard deviations of chance.
func checkCorrelation(t *testing.T, what string, a, b []float64) {
	t.Helper()
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	if z := s / math.Sqrt(float64(len(a))); math.Abs(z) > 6 {
		t.Errorf("%s: correlation %.1f standard deviations from 0", what, z)
	}
}

func TestDropoutStatistics(t *testing.T) {
	const n = 1 << 18
	for _, p := range []float32{0, 0.01, 0.1, 0.5, 0.9, 0.999} {
		for seed := range uint64(8) {
			dropped, inBlocks := 0.0, 0.0
			for block := range 64 { // variance between blocks shows clustering
				d := 0.0
				for _, k := range keptBits(n/64, p, seed, uint64(block*n/64)) {
					d += (1 - k) / 2
				}
				dropped += d
				inBlocks += (d - float64(p)*n/64) * (d - float64(p)*n/64)
			}
			sd := math.Sqrt(n * float64(p) * (1 - float64(p)))
			if math.Abs(dropped-n*float64(p)) > 6*sd {
				t.Errorf("p=%v, seed %d: %v of %d dropped", p, seed, dropped, n)
			}
			// Chi-square with 64 degrees of freedom: standard deviation sqrt(128).
			if chi := inBlocks / (sd * sd / 64); p > 0 && math.Abs(chi-64) > 6*math.Sqrt(128) {
				t.Errorf("p=%v, seed %d: variance between blocks %.2f of the expected", p, seed, chi/64)
			}
		}
	}
}

func TestDropoutIndependence(t *testing.T) {
	const n = 1 << 16
	base := keptBits(n+1024, 0.5, 7, 0)
	for _, lag := range []int{1, 2, 3, 4, 7, 8, 15, 16, 32, 64, 100, 128, 256, 512, 768, 1024} {
		checkCorrelation(t, "lag", base[:n], base[lag:lag+n])
	}
	for bit := range 64 {
		checkCorrelation(t, "seeds that differ in one bit", base[:n], keptBits(n, 0.5, 7^1<<bit, 0))
	}
	for bit := 17; bit < 64; bit++ {
		checkCorrelation(t, "offsets that differ in one bit", base[:n], keptBits(n, 0.5, 7, 1<<bit))
	}
	// Streams of different seeds are not shifts or permutations by xor of each other.
	other := keptBits(n+1024, 0.5, 8, 0)
	for _, d := range []int{1, 2, 16, 333} {
		checkCorrelation(t, "shift of another seed", base[:n], other[d:d+n])
		permuted := make([]float64, n)
		for i := range permuted {
			permuted[i] = other[i^d]
		}
		checkCorrelation(t, "permutation of another seed", base[:n], permuted)
	}
}

// Every bit of the counter and of the seed changes every bit of the hash with
// probability 1/2, up to six standard deviations of chance.
func TestDropoutHashAvalanche(t *testing.T) {
	const n = 1 << 14
	hash := func(seed, counter uint64) uint32 {
		key := dropoutKey(seed, counter>>32)
		return dropoutHash(uint32(counter)+uint32(key), uint32(key>>32))
	}
	for in := range 128 {
		var flips [32]int
		for i := range uint64(n) {
			seed, counter := i>>5, i*i
			a := hash(seed, counter)
			if in < 64 {
				counter ^= 1 << in
			} else {
				seed ^= 1 << (in - 64)
			}
			for d := a ^ hash(seed, counter); d != 0; d &= d - 1 {
				flips[bits.TrailingZeros32(d)]++
			}
		}
		for out, f := range flips {
			if z := (float64(f) - n/2) / math.Sqrt(n/4.); math.Abs(z) > 6 {
				t.Errorf("input bit %d flips output bit %d at a rate of %.3f", in, out, float64(f)/n)
			}
		}
	}
}

func TestDropoutSameOnEveryISAAndSplit(t *testing.T) {
	const n, offset = 1000, 1<<32 - 500 // over the boundary of the keys
	var want []float64
	forEachISA(t, func(t *testing.T) {
		got := keptBits(n, 0.3, 42, offset)
		if want == nil {
			want = got
		}
		for cut := range n {
			for i, v := range append(keptBits(cut, 0.3, 42, offset), keptBits(n-cut, 0.3, 42, offset+uint64(cut))...) {
				if v != want[i] {
					t.Fatalf("element %d differs when cut at %d", i, cut)
				}
			}
		}
	})
}

func TestDropoutValues(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		x := make([]float32, 100)
		for i := range x {
			x[i] = float32(math.Inf(1))
			if i%2 == 0 {
				x[i] = float32(math.NaN())
			}
		}
		y := make([]float32, len(x))
		Dropout(y, x, 0.5, 1, 0)
		zeros := 0
		for _, v := range y {
			if v == 0 {
				zeros++
			}
		}
		if zeros < 25 || zeros > 75 {
			t.Errorf("%d of 100 infinities and NaN dropped to 0", zeros)
		}
		x[0], x[1] = 3, -4
		Dropout(x[:2], x[:2], 0, 1, 0)
		if x[0] != 3 || x[1] != -4 {
			t.Errorf("p = 0 changed 3, -4 to %v", x[:2])
		}
	})
}
