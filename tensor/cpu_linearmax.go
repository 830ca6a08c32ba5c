package tensor

import "github.com/marge-go/marge/asm"

// linearMaxArgs are the matrices of LinearMax: x [n, k], w [d, k], y and rows
// [segments, d], products [n, d].
type linearMaxArgs struct {
	x, w, y, products []float32
	dx, dw            []float32
	rows, offsets     []int32
	k, d              int
}

var linearMaxSpans spans[linearMaxArgs]

// LinearMax implements Backend.
func (c *CPU) LinearMax(dst, rows, products, x, w *Tensor, offsets []int32) {
	c.Gemm(products, x, w, GemmOptions{TransB: true, Alpha: 1})
	linearMaxSpans.run(c.pool, len(offsets)-1, 1, linearMaxArgs{
		y: dst.Float32s(), products: products.Float32s(), rows: rows.Int32s(), offsets: offsets, d: w.shape[0],
	}, segmentMax)
}

func segmentMax(a *linearMaxArgs, lo, hi int) {
	d := a.d
	for s := lo; s < hi; s++ {
		y, rows, from, to := a.y[s*d:(s+1)*d], a.rows[s*d:(s+1)*d], int(a.offsets[s]), int(a.offsets[s+1])
		if from == to {
			clear(y)
			for j := range rows {
				rows[j] = -1
			}
			continue
		}
		asm.ColumnMax(y, rows, a.products[from*d:to*d], to-from, d, int32(from))
	}
}

// LinearMaxBackward implements Backend. A row of dx belongs to one segment,
// and a row of dw takes the segments in order, so that sums do not depend on
// the number of threads.
func (c *CPU) LinearMaxBackward(dx, dw, dy, x, w, rows *Tensor) {
	a := linearMaxArgs{y: dy.Float32s(), rows: rows.Int32s(), k: w.shape[1], d: w.shape[0]}
	if dx != nil {
		a.dx, a.w = dx.Float32s(), w.Float32s()
		linearMaxSpans.run(c.pool, dy.shape[0], 1, a, linearMaxInputGradient)
	}
	if dw != nil {
		a.dw, a.x = dw.Float32s(), x.Float32s()
		linearMaxSpans.run(c.pool, a.d, max(1, rowGrain(a.k*dy.shape[0])), a, linearMaxWeightGradient)
	}
}

func linearMaxInputGradient(a *linearMaxArgs, lo, hi int) {
	for i := lo * a.d; i < hi*a.d; i++ {
		if row := int(a.rows[i]); row >= 0 {
			j := i % a.d
			asm.Axpy(a.y[i], a.w[j*a.k:(j+1)*a.k], a.dx[row*a.k:(row+1)*a.k])
		}
	}
}

func linearMaxWeightGradient(a *linearMaxArgs, lo, hi int) {
	for j := lo; j < hi; j++ {
		dw := a.dw[j*a.k : (j+1)*a.k]
		for i := j; i < len(a.rows); i += a.d {
			if row := int(a.rows[i]); row >= 0 {
				asm.Axpy(a.y[i], a.x[row*a.k:(row+1)*a.k], dw)
			}
		}
	}
}
