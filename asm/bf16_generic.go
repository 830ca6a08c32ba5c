package asm

import "math"

func toBF16Generic(dst []uint16, x []float32) {
	for i, v := range x {
		u := math.Float32bits(v)
		if v != v {
			dst[i] = uint16(u>>16) | 0x40 // keep a quiet NaN
			continue
		}
		dst[i] = uint16((u + 0x7fff + u>>16&1) >> 16)
	}
}

func fromBF16Generic(dst []float32, x []uint16) {
	for i, v := range x {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}
