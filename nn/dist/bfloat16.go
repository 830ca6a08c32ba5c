package dist

import "math"

// bfloat16 is the upper half of a float32.
type bfloat16 uint16

func (x bfloat16) float32() float32 { return math.Float32frombits(uint32(x) << 16) }

// toBFloat16 rounds to the nearest, ties to even. NaN stays NaN.
func toBFloat16(x float32) bfloat16 {
	b := math.Float32bits(x)
	if x != x {
		return bfloat16(b>>16 | 1<<6)
	}
	return bfloat16((b + 0x7fff + b>>16&1) >> 16)
}

// RoundBFloat16 rounds numbers to bfloat16, as [Group.ReduceScatterBFloat16] does. A rank
// that adds up several summands rounds each of them and each sum of two; then the
// result does not depend on how many ranks there are.
func RoundBFloat16(x []float32) {
	for i, v := range x {
		x[i] = toBFloat16(v).float32()
	}
}
