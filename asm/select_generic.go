package asm

func aboveGeneric(bits []uint64, x, t []float32) {
	clear(bits)
	aboveFrom(0, bits, x, t)
}

// aboveFrom sets the bits of the values with index from and above.
func aboveFrom(from int, bits []uint64, x, t []float32) {
	threshold := t[0]
	for i := from; i < len(x); i++ {
		if len(t) > 1 {
			threshold = t[i]
		}
		if !(x[i] <= threshold) {
			bits[i/64] |= 1 << (i % 64)
		}
	}
}
