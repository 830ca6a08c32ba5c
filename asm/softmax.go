package asm

import (
	"fmt"
	"math"
)

var negInf = float32(math.Inf(-1))

// Softmax computes the softmax of one row of attention scores
//
//	s[j] = scale*x[j] + bias[segment of j]
//	y[j] = exp(s[j] - lse), lse = log(sum of exp(s[j]))
//
// and returns lse. offsets has one entry more than there are segments and
// ascends from 0 to len(x); segment k is x[offsets[k]:offsets[k+1]]. Nil
// offsets mean one segment. Nil bias adds nothing. A bias of -Inf masks its
// segment: y is 0 there, whatever x is. Where everything is masked, or x is
// empty, y is 0 and lse is -Inf. y may be x.
func Softmax(y, x []float32, scale float32, bias []float32, offsets []int32) (lse float32) {
	checkLen("softmax", "y", len(y), len(x))
	reference, sum := softmaxTerms(y, x, scale, bias, offsets)
	if sum == 0 {
		clear(y)
		return negInf
	}
	Scale(y, float32(1/sum), y)
	return float32(reference + logOfPowers(sum))
}

// SoftmaxRows sets each row of y [rows, cols] to the [Softmax] of the row of x, without
// a scale or a bias. It takes less time than a call for each row where they are short.
// y may be x.
func SoftmaxRows(y, x []float32, rows, cols int) {
	const op, together = "softmax", 64
	checkMatrix(op, rows, cols)
	checkLen(op, "y", len(y), rows*cols)
	checkLen(op, "x", len(x), rows*cols)
	if cols == 0 {
		return
	}
	bits := inBits(1)
	var greatest [together]float32
	group := min(together, max(1, sumBlock/cols)) // of rows that stay in the L1 cache
	for len(x) > 0 {
		n := min(group, len(x)/cols)
		MaxRows(greatest[:n], x, cols, cols)
		for _, g := range greatest[:n] {
			if m := bits * g; withinExactBits(m) {
				sum := powerSumBlocks(y[:cols], x[:cols], bits, -m)
				scale(y[:cols], float32(1/sum), y[:cols])
			} else {
				Softmax(y[:cols], x[:cols], 1, nil, nil)
			}
			x, y = x[cols:], y[cols:]
		}
	}
}

// inBits returns the score x in bits: exp(x) is 2 to the power of the result.
func inBits(x float32) float32 { return float32(float64(x) * math.Log2E) }

// logOfPowers returns the logarithm of a sum that powerSum returned.
func logOfPowers(sum float64) float64 { return math.Log(sum / (1 << powerBits)) }

// exactBits is the greatest score, in bits, for which the kernels subtract a rounded
// reference. Rounding moves the reference by at most a bit. All powers then have the
// same error, which the division by their sum cancels. For greater scores it could
// move all powers out of the range of float32, so the greatest score is subtracted
// first, in the units of the scores, where it is exact.
const exactBits = 1 << 24

// withinExactBits reports whether a score in bits is at most exactBits in absolute
// value, and not NaN.
func withinExactBits(m float32) bool { return m >= -exactBits && m <= exactBits }

// softmaxTerms sets y to 2**24 times the exponentials of the scores less the
// reference, which is close to the greatest score, and returns their sum. It is 0
// where nothing is left unmasked.
func softmaxTerms(y, x []float32, scale float32, bias []float32, offsets []int32) (reference, sum float64) {
	segs := segments("softmax", len(x), bias, offsets)
	bits, m, far := inBits(scale), negInf, false
	for k := range segs.n {
		lo, hi, b := segs.at(k)
		if b != negInf && lo < hi {
			top, b := maxScaled(x[lo:hi], bits), inBits(b)
			m = max(m, top+b)
			far = far || !withinExactBits(b) || top != negInf && !withinExactBits(top)
		}
	}
	if far || m == negInf {
		return softmaxTermsFar(y, x, scale, &segs)
	}
	for k := range segs.n {
		lo, hi, b := segs.at(k)
		if b == negInf {
			clear(y[lo:hi])
			continue
		}
		sum += powerSumBlocks(y[lo:hi], x[lo:hi], bits, float32(float64(float64(b)*math.Log2E)-float64(m)))
	}
	bit := math.Ln2
	if scale != 0 {
		bit = float64(scale) / float64(bits) // undoes the rounding of bits too
	}
	return float64(m) * bit, sum
}

// softmaxTermsFar is softmaxTerms for scores beyond exactBits, -Inf among them.
func softmaxTermsFar(y, x []float32, scale float32, segs *segmentation) (reference, sum float64) {
	greatest := func(x []float32, b float32) (at float32, score float64) {
		at = maxScaled(x, 1)
		if scale < 0 {
			at = -maxScaled(x, -1)
		}
		return at, float64(float64(scale)*float64(at)) + float64(b)
	}
	reference = math.Inf(-1)
	for k := range segs.n {
		if lo, hi, b := segs.at(k); b != negInf && lo < hi {
			_, score := greatest(x[lo:hi], b)
			reference = max(reference, score)
		}
	}
	for k := range segs.n {
		lo, hi, b := segs.at(k)
		at, score := greatest(x[lo:hi], b)
		if b == negInf || score == math.Inf(-1) {
			clear(y[lo:hi])
			continue
		}
		affine(y[lo:hi], 1, x[lo:hi], -at)
		sum += powerSumBlocks(y[lo:hi], y[lo:hi], inBits(scale), float32((score-reference)*math.Log2E))
	}
	return reference, sum
}

// LogSumExp returns log(sum of exp(x[i])): -Inf if x is empty. It is not
// rounded to float32, so that x[i] less it is exact at any offset of x.
func LogSumExp(x []float32) float64 {
	greatest, log := logSumExp(x)
	return float64(greatest) + log
}

// logSumExp returns the greatest element of x and the logarithm of the sum of
// exp(x[i] - greatest). It makes one pass over memory: every block is in the L1
// cache when its exponentials are taken.
func logSumExp(x []float32) (greatest float32, log float64) {
	m, s := negInf, 0.0
	for i := 0; i < len(x); i += sumBlock {
		block := x[i:min(i+sumBlock, len(x))]
		bm := maxScaled(block, 1)
		if bm != bm || bm == float32(math.Inf(1)) {
			m, s = max(m, bm), 1
		} else if bm > m {
			s *= math.Exp(float64(m) - float64(bm))
			m = bm
		}
		if m == negInf || !(m <= math.MaxFloat32) {
			continue
		}
		s += float64(sumExp(block, -m))
	}
	return m, math.Log(s)
}

// segmentation divides a row into segments, each with its own bias.
type segmentation struct {
	n       int // number of segments
	len     int // of the row
	bias    []float32
	offsets []int32
}

// segments checks and returns the segmentation of a row of length n.
func segments(op string, n int, bias []float32, offsets []int32) segmentation {
	s := segmentation{n: 1, len: n, bias: bias, offsets: offsets}
	if offsets != nil {
		s.n = len(offsets) - 1
		if s.n < 0 || offsets[0] != 0 || int(offsets[s.n]) != n {
			panic(fmt.Sprintf("%s: offsets %v do not run from 0 to %d", op, offsets, n))
		}
		for k := range s.n {
			if offsets[k] > offsets[k+1] {
				panic(fmt.Sprintf("%s: offsets %v do not ascend", op, offsets))
			}
		}
	}
	if bias != nil {
		checkLen(op, "bias", len(bias), s.n)
	}
	return s
}

// at returns the bounds and the bias of segment k.
func (s *segmentation) at(k int) (lo, hi int, bias float32) {
	hi = s.len
	if s.offsets != nil {
		lo, hi = int(s.offsets[k]), int(s.offsets[k+1])
	}
	if s.bias != nil {
		bias = s.bias[k]
	}
	return lo, hi, bias
}
