package asm

import "math"

// gemmGenericBF16 is the specification of products of bfloat16 values.
var gemmGenericBF16 = gemmKernels{
	mr: 1, nr: 4, kc: 384, group: 8,
	tile:      []gemmTile{1: gemmTile1x4BF16},
	transpose: gemmTransposeGeneric,
}

// smallestNormal is the smallest positive float32 that is not denormal.
const smallestNormal = 0x1p-126

// flushed returns 0 of x's sign for a denormal x.
func flushed(x float32) float32 {
	if x > -smallestNormal && x < smallestNormal {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

// roundBF16 returns the bits of x rounded to bfloat16, to nearest, ties to even.
// Denormal values become zeros. A NaN stays one.
func roundBF16(x float32) uint32 {
	var half [1]uint16
	toBF16Generic(half[:], []float32{flushed(x)})
	return uint32(half[0])
}

// gemmPairsGeneric rounds values to bfloat16 and makes pairs of them, the last with a
// zero if their number is odd.
func gemmPairsGeneric(dst, src []float32) {
	for i := 0; i < len(src); i += 2 {
		bits := roundBF16(src[i])
		if i+1 < len(src) {
			bits |= roundBF16(src[i+1]) << 16
		}
		dst[i/2] = math.Float32frombits(bits)
	}
}

// gemmZipGeneric makes pairs of two rows each of src, whose columns 0 to cols it
// rounds to bfloat16; a last row has zeros beside it.
func gemmZipGeneric(dst []float32, width int, src []float32, ld, cols, rows int) {
	for k := 0; k < rows; k += 2 {
		for j := range cols {
			bits := roundBF16(src[k*ld+j])
			if k+1 < rows {
				bits |= roundBF16(src[(k+1)*ld+j]) << 16
			}
			dst[k/2*width+j] = math.Float32frombits(bits)
		}
	}
}

// addBF16 adds the product of two bfloat16 values, given as float32, to a sum, and
// rounds once. In float64 the product is exact. The sum is exact, too, or one of the
// two is too small to change the other's rounding to float32.
func addBF16(a, b, sum float32) float32 {
	return flushed(float32(float64(float64(flushed(a))*float64(flushed(b))) + float64(flushed(sum))))
}

// dotBF16 adds the products of two pairs to a sum, those of the upper values first.
func dotBF16(a, b, sum float32) float32 {
	x, y := math.Float32bits(a), math.Float32bits(b)
	const upper = 0xffff0000
	sum = addBF16(math.Float32frombits(x&upper), math.Float32frombits(y&upper), sum)
	return addBF16(math.Float32frombits(x<<16), math.Float32frombits(y<<16), sum)
}

func gemmTile1x4BF16(c []float32, _ int, a []float32, _, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, _ gemmFetch) {
	for j := 0; j < cols; j += 4 {
		var x [4]float32
		panel := b[j/4*bps:]
		for p := range k {
			for i := range x {
				x[i] = dotBF16(a[p*acs], panel[p*brs+i], x[i])
			}
		}
		for i, v := range x[:min(cols-j, 4)] {
			v = float32(v * alpha)
			if beta != 0 {
				v = fma32(beta, c[j+i], v)
			}
			if bias != nil {
				v += bias[j+i]
			}
			c[j+i] = v
		}
	}
}

// fma32 returns a*b + c, rounded once, as the instruction for float32 does. The
// product is exact in float64. A sum that is not is rounded to odd there: then it
// rounds to float32 as the exact one does.
func fma32(a, b, c float32) float32 {
	product := float64(float64(a) * float64(b))
	sum := product + float64(c)
	// What is lost in the sum (Knuth, The Art of Computer Programming, volume 2, 4.2.2, theorem B).
	virtual := sum - product
	lost := (product - (sum - virtual)) + (float64(c) - virtual)
	if bits := math.Float64bits(sum); lost != 0 && bits&1 == 0 && !math.IsInf(sum, 0) && sum == sum {
		if (lost > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}
