package asm

import "math"

// The scores of a block of queries and a run of keys have one row for each key and
// one lane for each query. Row i is hidden from lane j where i > last[j]-base.

// attentionMaxGeneric raises m[j] to the greatest score that lane j sees plus
// bias[j], unless that bias is -Inf. An empty last hides nothing. Where a score is
// NaN, m[j] may be anything: attentionExp gives NaN for that score.
func attentionMaxGeneric(m, s []float32, ld, rows int, bias []float32, last []int32, base int) {
	for j := range m {
		if bias[j] == negInf {
			continue
		}
		top := negInf
		for i := range rows {
			if len(last) == 0 || i <= int(last[j])-base {
				top = max(top, s[i*ld+j])
			}
		}
		m[j] = max(m[j], top+bias[j])
	}
}

// attentionExpGeneric turns scores into exp(score + bias[j] - m[j]) and adds them
// to sum[j]. They are 0 where the key is hidden or bias[j] is -Inf. The bias is
// added first, as in attentionMax, so that the greatest score gives 1 however
// large the numbers are.
func attentionExpGeneric(sum, s []float32, ld, rows int, bias, m []float32, last []int32, base int) {
	for j := range sum {
		top := max(m[j], -math.MaxFloat32)
		for i := range rows {
			p := &s[i*ld+j]
			if bias[j] == negInf || i > int(last[j])-base {
				*p = 0
				continue
			}
			*p = exp32(*p + bias[j] - top)
			sum[j] += *p
		}
	}
}

// attentionGradientGeneric turns scores into p as attentionExpGeneric does with lse
// as m. It turns dp into p*(dp - delta[j]) and adds that to sum[j].
func attentionGradientGeneric(sum, s, dp []float32, ld, rows int, bias, lse, delta []float32, last []int32, base int) {
	for j := range sum {
		top := max(lse[j], -math.MaxFloat32)
		for i := range rows {
			p, d := &s[i*ld+j], &dp[i*ld+j]
			if bias[j] == negInf || i > int(last[j])-base {
				*p, *d = 0, 0
				continue
			}
			*p = exp32(*p + bias[j] - top)
			*d = float32(*p * (*d - delta[j]))
			sum[j] += *d
		}
	}
}

// attentionDropoutGeneric sets x to 0 where dropoutHash(counters[j]+i, keys[j]) is
// below the threshold, and multiplies the other elements by inv.
func attentionDropoutGeneric(x []float32, ld, rows int, counters, keys []uint32, inv float32, threshold uint32) {
	for i := range rows {
		row := x[i*ld : i*ld+len(counters)]
		for j, v := range row {
			if dropoutHash(counters[j]+uint32(i), keys[j]) >= threshold {
				row[j] = v * inv
			} else {
				row[j] = 0
			}
		}
	}
}

// attentionScaleGeneric sets row i of dst to row i of x times factors[i].
func attentionScaleGeneric(dst []float32, ld int, x []float32, ldx, width int, factors []float32) {
	for i, f := range factors {
		for j, v := range x[i*ldx : i*ldx+width] {
			dst[i*ld+j] = v * f
		}
	}
}

// attentionCopyGeneric copies the rows of x to those of dst.
func attentionCopyGeneric(dst []float32, ld int, x []float32, ldx, rows, width int) {
	for i := range rows {
		copy(dst[i*ld:i*ld+width], x[i*ldx:])
	}
}

// attentionAddGeneric sets the rows of dst to alpha times those of x, or adds to
// them if accumulate is set.
func attentionAddGeneric(dst []float32, ld int, x []float32, ldx, rows, width int, alpha float32, accumulate bool) {
	for i := range rows {
		for j, v := range x[i*ldx : i*ldx+width] {
			v = float32(v * alpha)
			if accumulate {
				v += dst[i*ld+j]
			}
			dst[i*ld+j] = v
		}
	}
}

// attentionDotsGeneric sets dst[i] to the inner product of the rows i of x and y.
func attentionDotsGeneric(dst, x []float32, ldx int, y []float32, ldy, width int) {
	for i := range dst {
		dst[i] = dotGeneric(x[i*ldx:i*ldx+width], y[i*ldy:i*ldy+width])
	}
}

// attentionProductRowsGeneric computes c = a*b, or c += a*b if add is set, for
// a [rows, k]. b [k, ...] and c have as many columns as a tile of GEMM.
func attentionProductRowsGeneric(c []float32, ldc int, a []float32, lda int, b []float32, ldb, k, rows int, add bool) {
	attentionProduct(c, ldc, a, lda, 1, b, ldb, k, rows, add)
}

// attentionProductColumnsGeneric is attentionProductRowsGeneric for a stored as
// a^T [k, rows].
func attentionProductColumnsGeneric(c []float32, ldc int, a []float32, lda int, b []float32,
	ldb, k, rows int, add bool) {
	attentionProduct(c, ldc, a, 1, lda, b, ldb, k, rows, add)
}

// attentionProduct computes both, from a with rows ars apart and columns acs apart.
func attentionProduct(c []float32, ldc int, a []float32, ars, acs int, b []float32, ldb, k, rows int, add bool) {
	kern, beta := &gemmGeneric, float32(0)
	if add {
		beta = 1
	}
	for i := 0; i < rows; i += kern.mr {
		kern.tile[min(kern.mr, rows-i)](c[i*ldc:], ldc, a[i*ars:], ars, acs, b, ldb, 0, k, nil, 1, beta, kern.nr, gemmFetch{})
	}
}
