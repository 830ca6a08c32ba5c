package asm

import "math"

// absMaxGeneric returns the bits of the greatest magnitude of a value: those of NaN
// are greater than those of infinity.
func absMaxGeneric(x []float32) uint32 {
	most := uint32(0)
	for _, v := range x {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	return most
}

// int8RoundGeneric sets q[i] to 128 + round(x[i]*factor), to nearest, ties to even. The
// products are in [-127, 127], up to rounding.
func int8RoundGeneric(q []uint8, x []float32, factor float32) {
	const shift = 3 << 22 // a float32 of this size has no bits of fraction
	for i, v := range x {
		v = float32(v * factor)
		q[i] = uint8(int32(float32(v+shift)-shift) + 128)
	}
}

func dequantizeGeneric(dst []float32, q []int8, scale float32) {
	for i, v := range q {
		dst[i] = float32(v) * scale
	}
}

var int8Generic = []int8Kernel{{rows: 1, cols: int8Panel, tile: int8TileGeneric}}

// int8TileGeneric is the specification of int8Kernel.
func int8TileGeneric(c []float32, _ int, a []uint8, _ int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32) {
	var total [int8Panel]int32
	for k := range blocks {
		a0, a1, a2, a3 := int32(a[4*k]), int32(a[4*k+1]), int32(a[4*k+2]), int32(a[4*k+3])
		b := b[4*int8Panel*k:][:4*int8Panel]
		for j := range total {
			b := b[4*j:][:4]
			total[j] += a0*int32(b[0]) + a1*int32(b[1]) + a2*int32(b[2]) + a3*int32(b[3])
		}
	}
	for j, sum := range total {
		c[j] = float32(float32(float32(sum-sums[j])*scales[j])*rowScales[0]) + bias[j]
	}
}
