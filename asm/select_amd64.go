//go:build amd64 && !purego

package asm

// The kernels compute aboveGeneric for whole groups of 16 values. They do not
// change the bits of other values.

//go:noescape
func aboveAVX2(bits []uint64, x, t []float32)

//go:noescape
func aboveAVX512(bits []uint64, x, t []float32)

func above(bits []uint64, x, t []float32) {
	bits[len(bits)-1] = 0 // the kernels set only its first bits
	switch isa {
	case AVX512:
		aboveAVX512(bits, x, t)
	case AVX2:
		aboveAVX2(bits, x, t)
	default:
		aboveGeneric(bits, x, t)
		return
	}
	aboveFrom(len(x)&^15, bits, x, t)
}
