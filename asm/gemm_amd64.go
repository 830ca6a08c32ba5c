//go:build amd64 && !purego

package asm

import "github.com/klauspost/cpuid/v2"

// The micro-kernels accumulate one tile after the other in registers; rows and
// width are the numbers in the name, and columns beyond cols are computed but
// neither read nor written in c:
//
//	for i := range rows {
//		for j := range cols {
//			var x float32
//			for p := range k {
//				x = fma(a[i*ars+p*acs], b[j/width*bps+p*brs+j%width], x)
//			}
//			x *= alpha
//			if beta != 0 {
//				x = fma(beta, c[i*ldc+j], x)
//			}
//			if bias != nil {
//				x += bias[j]
//			}
//			c[i*ldc+j] = x
//		}
//	}
//
// k and cols are at least 1, and every row of b has the full width of the tile. A
// tile prefetches as gemmFetch says.

//go:noescape
func gemm1x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm2x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm3x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm4x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm5x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm6x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm7x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm8x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm9x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm10x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm11x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm12x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm13x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm14x32avx512(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm1x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm2x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm3x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm4x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm5x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

//go:noescape
func gemm6x16avx2(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

// gemmPackCols8 transposes; count is a positive multiple of 8. Where rows is
// less than 8, it also sets lanes rows to 7, to arbitrary values.
//
//	for k := range count {
//		for i := range min(rows, 8) {
//			dst[k*width+i] = src[i*ld+k]
//		}
//	}
//
//go:noescape
func gemmPackCols8(dst []float32, width int, src []float32, ld, rows, count int)

// gemmPackCols16avx512 transposes up to 16 rows but reads 16; count is a
// positive multiple of 16.
//
//	for k := range count {
//		for i := range rows {
//			dst[k*width+i] = src[i*ld+k]
//		}
//	}
//
//go:noescape
func gemmPackCols16avx512(dst []float32, width int, src []float32, ld, rows, count int)

// gemmCopyRows8 copies rows of 8 values, in ascending order.
//
//	for k := range rows {
//		copy(dst[k*width:], src[k*ld:k*ld+8])
//	}
//
//go:noescape
func gemmCopyRows8(dst []float32, width int, src []float32, ld, rows int)

// gemmCopyRows16 is gemmCopyRows8 for rows of 16 values.
//
//go:noescape
func gemmCopyRows16(dst []float32, width int, src []float32, ld, rows int)

// gemmCopyRows32 is gemmCopyRows8 for rows of 32 values.
//
//go:noescape
func gemmCopyRows32(dst []float32, width int, src []float32, ld, rows int)

// gemmSplit8x14avx2 packs 8 columns of tiles of 14 rows. It reads two values
// behind each row of src.
//
//	for t := range tiles {
//		for k := range 8 {
//			copy(dst[t*pitch+k*14:], src[k*ld+t*14:k*ld+t*14+14])
//		}
//	}
//
//go:noescape
func gemmSplit8x14avx2(dst []float32, pitch int, src []float32, ld, tiles int)

// gemmSplit8x6avx2 is gemmSplit8x14avx2 for tiles of 6 rows.
//
//go:noescape
func gemmSplit8x6avx2(dst []float32, pitch int, src []float32, ld, tiles int)

// The dot products of gemmDots; k is a positive multiple of the number of lanes.

//go:noescape
func gemmDots4x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)

//go:noescape
func gemmDots2x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)

//go:noescape
func gemmDots1x4avx512(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)

//go:noescape
func gemmDots2x4avx2(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)

//go:noescape
func gemmDots1x4avx2(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int)

var gemmAVX512 = gemmKernels{
	mr: 14, nr: 32, kc: 384, group: 8,
	tile: []gemmTile{
		nil,
		gemm1x32avx512,
		gemm2x32avx512,
		gemm3x32avx512,
		gemm4x32avx512,
		gemm5x32avx512,
		gemm6x32avx512,
		gemm7x32avx512,
		gemm8x32avx512,
		gemm9x32avx512,
		gemm10x32avx512,
		gemm11x32avx512,
		gemm12x32avx512,
		gemm13x32avx512,
		gemm14x32avx512,
	},
	transpose: gemmTransposeAVX512,
	copyRows:  gemmCopyRowsAVX2,
	split8:    gemmSplit8x14avx2,
	narrow:    &gemmAVX2,
	dots:      []gemmDots{{4, gemmDots4x4avx512}, {2, gemmDots2x4avx512}, {1, gemmDots1x4avx512}},
	lanes:     16,
}

var gemmAVX2 = gemmKernels{
	mr: 6, nr: 16, kc: 384, group: gemmGroupAVX2(),
	tile: []gemmTile{
		nil,
		gemm1x16avx2,
		gemm2x16avx2,
		gemm3x16avx2,
		gemm4x16avx2,
		gemm5x16avx2,
		gemm6x16avx2,
	},
	transpose: gemmTransposeAVX2,
	copyRows:  gemmCopyRowsAVX2,
	split8:    gemmSplit8x6avx2,
	dots:      []gemmDots{{2, gemmDots2x4avx2}, {1, gemmDots1x4avx2}},
	lanes:     8,
}

func gemmKernelsOf(isa ISA) *gemmKernels {
	switch isa {
	case AVX512:
		return &gemmAVX512
	case AVX2:
		return &gemmAVX2
	}
	return &gemmGeneric
}

// gemmGroupAVX2 returns the number of panels of B in a group. 16 panels take 384
// KiB, too much for a second-level cache of 512 KiB that also holds rows of A.
func gemmGroupAVX2() int {
	if gemmL2() >= 1<<20 {
		return 16
	}
	return 8
}

// gemmWays returns how many cache lines that are multiples of 4 KiB apart the
// first-level cache holds.
func gemmWays() int {
	if l1 := cpuid.CPU.Cache.L1D; l1 > 8*4096 {
		return l1 / 4096
	}
	return 8
}

// gemmL2 returns the bytes of the second-level cache.
func gemmL2() int {
	if l2 := cpuid.CPU.Cache.L2; l2 > 0 {
		return l2
	}
	return 256 << 10
}

// gemmL3 returns the bytes of the third-level cache.
func gemmL3() int {
	if l3 := cpuid.CPU.Cache.L3; l3 > 0 {
		return l3
	}
	return 8 << 20
}

func gemmTransposeAVX512(dst []float32, width int, src []float32, ld, rows, count int) {
	blocks := count &^ 15
	if rows <= 8 || blocks == 0 || rows < 16 && len(src) < 15*ld+blocks {
		gemmTransposeAVX2(dst, width, src, ld, rows, count)
		return
	}
	// The last sixteen rows may overlap the sixteen before them.
	for i := 0; i < rows; i += 16 {
		i := max(min(i, rows-16), 0)
		gemmPackCols16avx512(dst[i:], width, src[i*ld:], ld, min(rows, 16), blocks)
	}
	if blocks < count {
		gemmTransposeAVX2(dst[blocks*width:], width, src[blocks:], ld, rows, count-blocks)
	}
}

func gemmTransposeAVX2(dst []float32, width int, src []float32, ld, rows, count int) {
	blocks := count &^ 7
	if blocks > 0 {
		if rows < 8 {
			gemmPackCols8(dst, width, src, ld, rows, blocks)
		}
		// The last eight rows may overlap the eight before them.
		for i := 0; i < rows && rows >= 8; i += 8 {
			i := min(i, rows-8)
			gemmPackCols8(dst[i:], width, src[i*ld:], ld, 8, blocks)
		}
	}
	for i := range rows {
		for k, v := range src[i*ld+blocks : i*ld+count] {
			dst[(blocks+k)*width+i] = v
		}
	}
}

func gemmCopyRowsAVX2(dst []float32, width int, src []float32, ld, cols, rows int) {
	for from := 0; from < cols; {
		kernel, lanes := gemmCopyRows8, 8
		switch {
		case cols-from >= 32:
			kernel, lanes = gemmCopyRows32, 32
		case cols-from > 8:
			kernel, lanes = gemmCopyRows16, 16
		}
		dst, src := dst[from:], src[from:]
		// Whole vectors where src has them behind the columns asked for.
		whole := 0
		if len(src) >= lanes {
			whole = min(rows, (len(src)-lanes)/ld+1)
		}
		if whole > 0 {
			kernel(dst, width, src, ld, whole)
		}
		for k := whole; k < rows; k++ {
			copy(dst[k*width:k*width+min(cols-from, width)], src[k*ld:])
		}
		from += lanes
	}
}
