package asm

// gemmGeneric multiplies with tiles of 2x4, which fit in 16 scalar registers.
var gemmGeneric = gemmKernels{
	mr: 2, nr: 4, kc: 384, group: 8,
	tile:      []gemmTile{1: gemmTile1x4, 2: gemmTile2x4},
	transpose: gemmTransposeGeneric,
	copyRows:  gemmCopyRowsGeneric,
	dots:      []gemmDots{{1, gemmDots1x4}},
	lanes:     1,
}

func gemmTile1x4(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, _ gemmFetch) {
	for j := 0; j < cols; j += 4 {
		var x [4]float32
		panel := b[j/4*bps:]
		for p := range k {
			a0, b := a[p*acs], panel[p*brs:p*brs+4]
			x[0] += float32(a0 * b[0])
			x[1] += float32(a0 * b[1])
			x[2] += float32(a0 * b[2])
			x[3] += float32(a0 * b[3])
		}
		gemmStoreRow(c, &x, bias, alpha, beta, j, cols)
	}
}

func gemmTile2x4(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, _ gemmFetch) {
	for j := 0; j < cols; j += 4 {
		var x0, x1, x2, x3, y0, y1, y2, y3 float32
		panel := b[j/4*bps:]
		for p := range k {
			a0, a1, b := a[p*acs], a[p*acs+ars], panel[p*brs:p*brs+4]
			x0 += float32(a0 * b[0])
			x1 += float32(a0 * b[1])
			x2 += float32(a0 * b[2])
			x3 += float32(a0 * b[3])
			y0 += float32(a1 * b[0])
			y1 += float32(a1 * b[1])
			y2 += float32(a1 * b[2])
			y3 += float32(a1 * b[3])
		}
		gemmStoreRow(c, &[4]float32{x0, x1, x2, x3}, bias, alpha, beta, j, cols)
		gemmStoreRow(c[ldc:], &[4]float32{y0, y1, y2, y3}, bias, alpha, beta, j, cols)
	}
}

// gemmStoreRow computes c = alpha*x + beta*c + bias for columns j to min(j+4, cols)
// of a row of a tile.
func gemmStoreRow(c []float32, x *[4]float32, bias []float32, alpha, beta float32, j, cols int) {
	for i, v := range x[:min(cols-j, 4)] {
		v = float32(v * alpha)
		if beta != 0 {
			v += float32(beta * c[j+i])
		}
		if bias != nil {
			v += bias[j+i]
		}
		c[j+i] = v
	}
}

func gemmTransposeGeneric(dst []float32, width int, src []float32, ld, rows, count int) {
	for i := range rows {
		for k, v := range src[i*ld : i*ld+count] {
			dst[k*width+i] = v
		}
	}
}

func gemmCopyRowsGeneric(dst []float32, width int, src []float32, ld, cols, rows int) {
	for k := range rows {
		copy(dst[k*width:], src[k*ld:k*ld+cols])
	}
}

func gemmDots1x4(out *[16]float32, x []float32, ldx int, f []float32, ldf, k int) {
	var s0, s1, s2, s3 float32
	f0, f1, f2, f3 := f[:k], f[ldf:ldf+k], f[2*ldf:2*ldf+k], f[3*ldf:3*ldf+k]
	for p, v := range x[:k] {
		s0 += float32(v * f0[p])
		s1 += float32(v * f1[p])
		s2 += float32(v * f2[p])
		s3 += float32(v * f3[p])
	}
	out[0], out[1], out[2], out[3] = s0, s1, s2, s3
}
