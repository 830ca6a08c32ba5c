package asm

import "fmt"

// Dropout computes dst[i] = x[i] * (1/(1-p)) where element i is kept and 0
// where it is dropped, which happens with probability p in [0, 1). Element i
// is decided by a hash of seed and the counter offset+i alone: the same call
// drops the same elements again, on every instruction set, and a row split in
// parts with the matching offsets gives the same result. dst may be x.
func Dropout(dst, x []float32, p float32, seed, offset uint64) {
	checkLen("dropout", "x", len(x), len(dst))
	if !(p >= 0 && p < 1) {
		panic(fmt.Sprintf("dropout: probability %v is not in [0, 1)", p))
	}
	inv := float32(1 / (1 - float64(p)))
	threshold := uint32(float64(p) * (1 << 32))
	for len(x) > 0 {
		// The keys belong to the upper half of the counter, lanes have the lower.
		n := len(x)
		if left := 1<<32 - offset&(1<<32-1); uint64(n) > left {
			n = int(left)
		}
		key := dropoutKey(seed, offset>>32)
		dropout(dst[:n], x[:n], inv, threshold, uint32(offset)+uint32(key), uint32(key>>32))
		dst, x, offset = dst[n:], x[n:], offset+uint64(n)
	}
}

// dropoutKey mixes a seed and the upper half of a counter to two 32-bit keys,
// by two rounds of the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func dropoutKey(seed, upper uint64) uint64 {
	mix := func(z uint64) uint64 {
		z += 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	return mix(mix(seed) ^ upper)
}
