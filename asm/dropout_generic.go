package asm

// dropoutHash is a bijection of 32-bit words, chosen by a key: three rounds of
// xorshift and multiplication with a key added in between.
func dropoutHash(x, key uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x += key
	x *= 0x846ca68b
	x ^= x >> 16
	x *= 0x9e3779b1
	x ^= x >> 15
	return x
}

// dropoutGeneric computes
// dst[i] = dropoutHash(counter+i, key) >= threshold ? x[i]*inv : 0.
func dropoutGeneric(dst, x []float32, inv float32, threshold, counter, key uint32) {
	for i, v := range x {
		if dropoutHash(counter+uint32(i), key) >= threshold {
			dst[i] = v * inv
		} else {
			dst[i] = 0
		}
	}
}
