package safetensors

import "math"

// Float32s returns the elements of a tensor as float32 values, which represent
// those of types F32, BF16, F16, F8_E4M3, F8_E5M2 and BOOL exactly; true is 1. Those of F64
// are rounded. It is an error if the tensor has another type.
//
// The slice shares t.Data where that is F32, aligned and the machine is
// little-endian; otherwise it is a converted copy. Callers that write to it must copy
// it first.
func (t Tensor) Float32s() ([]float32, error) {
	switch t.DType {
	case F32:
		return elements[float32](t), nil
	case F64:
		return convert(elements[float64](t), func(v float64) float32 { return float32(v) }), nil
	case BF16:
		return convert(elements[uint16](t), func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }), nil
	case F16:
		return convert(elements[uint16](t), halfToFloat), nil
	case F8E5M2: // the upper half of a binary16 value
		return convert(elements[uint8](t), func(q uint8) float32 { return halfToFloat(uint16(q) << 8) }), nil
	case F8E4M3:
		return convert(elements[uint8](t), e4m3ToFloat), nil
	case Bool:
		return convert(elements[uint8](t), func(b uint8) float32 { return float32(min(b, 1)) }), nil
	}
	return nil, t.typeError("F32, BF16, F16, F64, F8_E4M3, F8_E5M2 or BOOL")
}

func convert[T number](in []T, f func(T) float32) []float32 {
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// halfToFloat converts an IEEE 754 binary16 value.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero and subnormal: fraction * 2^-24
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// e4m3ToFloat converts a value of 4 bits of exponent and 3 of fraction, without
// infinities (Micikevicius et al., "FP8 formats for deep learning", arXiv:2209.05433).
func e4m3ToFloat(q uint8) float32 {
	sign := uint32(q>>7) << 31
	exponent, fraction := uint32(q>>3)&0xf, uint32(q)&7
	switch {
	case exponent == 0: // zero and subnormal: fraction * 2^-9
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-9) | sign)
	case exponent == 0xf && fraction == 7:
		return float32(math.NaN())
	}
	return math.Float32frombits(sign | (exponent+127-7)<<23 | fraction<<20)
}
