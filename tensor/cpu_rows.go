package tensor

import (
	"fmt"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// rowArgs are the operands of an operation on the rows of matrices.
type rowArgs struct {
	out, x, y        []float32
	gamma, beta      []float32
	mean, rstd       []float32
	dgamma, dbeta    []float32 // one row a part
	ids, offsets     []int32
	width, rows, ld  int
	grain            int
	alpha            float32
	accumulate       bool
	sums             []float64
	table, logits    []float32
	int8s            *asm.Int8Matrix // a table
	targets          []int32
	smoothing, scale float32
}

var rowSpans spans[rowArgs]

// LayerNorm implements Backend.
func (c *CPU) LayerNorm(y, mean, rstd, x, gamma, beta *Tensor, eps float32) {
	d := x.shape[1]
	rowSpans.run(c.pool, x.shape[0], rowGrain(d), rowArgs{
		out: y.Float32s(), x: x.Float32s(), gamma: gamma.Float32s(), beta: beta.Float32s(),
		mean: mean.Float32s(), rstd: rstd.Float32s(), width: d, alpha: eps,
	}, layerNorm)
}

func layerNorm(a *rowArgs, lo, hi int) {
	d, norm := a.width, asm.LayerNorm
	if len(a.out) >= streamed {
		norm = asm.LayerNormStream
	}
	norm(a.out[lo*d:hi*d], a.mean[lo:hi], a.rstd[lo:hi], a.x[lo*d:hi*d], a.gamma, a.beta, hi-lo, d, a.alpha)
}

// normSums is the largest number of parts whose sums LayerNormBackward adds up.
const normSums = 128

// LayerNormBackward implements Backend. Every part sums the gradients of
// gamma and beta over its own rows; the parts' sums are added in order.
func (c *CPU) LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *Tensor, accumulate [3]bool) {
	rows, d := x.shape[0], x.shape[1]
	grain := max(rowGrain(d), (rows+normSums-1)/normSums)
	parts := ceil.Div(rows, grain)
	a := rowArgs{
		out: floatsOrNil(dx), x: x.Float32s(), y: dy.Float32s(), gamma: gamma.Float32s(),
		mean: mean.Float32s(), rstd: rstd.Float32s(), width: d, grain: grain, accumulate: accumulate[0],
	}
	sums := c.scratch.get(2 * parts * d)
	clear(sums.data)
	if dgamma != nil {
		a.dgamma = sums.data[:parts*d]
	}
	if dbeta != nil {
		a.dbeta = sums.data[parts*d:]
	}
	rowSpans.run(c.pool, rows, grain, a, layerNormGradient)
	if dgamma != nil {
		addAllRows(dgamma.Float32s(), a.dgamma, parts, accumulate[1])
	}
	if dbeta != nil {
		addAllRows(dbeta.Float32s(), a.dbeta, parts, accumulate[2])
	}
	c.scratch.put(sums)
}

// addAllRows sets dst to the sum of the rows of x, or adds it. Setting is adding
// to zero, so that both have the same bits.
func addAllRows(dst, x []float32, rows int, accumulate bool) {
	if !accumulate {
		clear(dst)
	}
	asm.AddRows(dst, x, rows, len(dst), len(dst))
}

func layerNormGradient(a *rowArgs, lo, hi int) {
	d, part := a.width, lo/a.grain
	dy, x, mean, rstd := a.y[lo*d:hi*d], a.x[lo*d:hi*d], a.mean[lo:hi], a.rstd[lo:hi]
	var dx, dgamma, dbeta []float32
	if a.out != nil {
		dx = a.out[lo*d : hi*d]
	}
	if a.dgamma != nil {
		dgamma = a.dgamma[part*d : (part+1)*d]
	}
	if a.dbeta != nil {
		dbeta = a.dbeta[part*d : (part+1)*d]
	}
	if dx != nil && !a.accumulate && len(a.x) >= streamed {
		asm.LayerNormBackwardStream(dx, dgamma, dbeta, dy, x, a.gamma, mean, rstd, hi-lo, d)
		return
	}
	asm.LayerNormBackward(dx, dgamma, dbeta, dy, x, a.gamma, mean, rstd, hi-lo, d, a.accumulate)
}

// columnGrain returns the number of columns of a part where rows are summed in
// order. No column's sum depends on it, so it may depend on the number of
// threads.
func (c *CPU) columnGrain(n int) int {
	parts := 2 * c.pool.Threads()
	return max(64, ((n+parts-1)/parts+15)&^15)
}

// AddRows implements Backend.
func (c *CPU) AddRows(dst, x *Tensor, accumulate bool) {
	data, ld := matrix(x)
	d := x.shape[1]
	rowSpans.run(c.pool, d, c.columnGrain(d), rowArgs{
		out: dst.Float32s(), x: data, rows: x.shape[0], ld: ld, accumulate: accumulate,
	}, addRows)
}

func addRows(a *rowArgs, lo, hi int) {
	if !a.accumulate {
		clear(a.out[lo:hi])
	}
	if a.rows > 0 {
		asm.AddRows(a.out[lo:hi], a.x[lo:], a.rows, hi-lo, a.ld)
	}
}

// AddDot implements Backend.
func (c *CPU) AddDot(dst, x, y *Tensor, accumulate bool) {
	sum := float32(c.sumParts(rowArgs{x: x.Float32s(), y: y.Float32s()}, dot))
	if accumulate {
		sum += dst.Float32s()[0]
	}
	dst.Float32s()[0] = sum
}

func dot(a *rowArgs, lo, hi int) { a.sums[lo/elementGrain] = float64(asm.Dot(a.x[lo:hi], a.y[lo:hi])) }

// SumSquares implements Backend.
func (c *CPU) SumSquares(x *Tensor) float64 {
	return c.sumParts(rowArgs{x: x.Float32s()}, sumSquares)
}

func sumSquares(a *rowArgs, lo, hi int) { a.sums[lo/elementGrain] = asm.SumSquares(a.x[lo:hi]) }

// partSums keeps buffers of sums for reuse.
var partSums sync.Pool

// sumParts adds up, in order, what fn sets in a.sums for each part of a.x, of
// elementGrain elements.
func (c *CPU) sumParts(a rowArgs, fn func(a *rowArgs, lo, hi int)) (total float64) {
	buf, _ := partSums.Get().(*[]float64)
	if buf == nil {
		buf = new([]float64)
	}
	parts := ceil.Div(len(a.x), elementGrain)
	if cap(*buf) < parts {
		*buf = make([]float64, parts)
	}
	a.sums = (*buf)[:parts]
	rowSpans.run(c.pool, len(a.x), elementGrain, a, fn)
	for _, s := range a.sums {
		total += s
	}
	partSums.Put(buf)
	return total
}

// Gather implements Backend.
func (c *CPU) Gather(dst, table, rows *Tensor, scale float32, accumulate bool) {
	ids := rows.Int32s()
	mustRows("gather", ids, table.shape[0])
	d := table.shape[1]
	if table.dtype == Int8 {
		rowSpans.run(c.pool, len(ids), rowGrain(d), rowArgs{
			out: dst.Float32s(), int8s: table.int8s(), ids: ids, width: d, alpha: scale, accumulate: accumulate,
		}, gatherInt8)
		return
	}
	rowSpans.run(c.pool, len(ids), rowGrain(d), rowArgs{
		out: dst.Float32s(), table: table.Float32s(), ids: ids, width: d, alpha: scale, accumulate: accumulate,
	}, gather)
}

func gather(a *rowArgs, lo, hi int) {
	d := a.width
	for i, id := range a.ids[lo:hi] {
		dst, src := a.out[(lo+i)*d:(lo+i+1)*d], a.table[int(id)*d:(int(id)+1)*d]
		switch {
		case a.accumulate:
			asm.Axpy(a.alpha, src, dst)
		case a.alpha == 1:
			copy(dst, src)
		default:
			asm.Scale(dst, a.alpha, src)
		}
	}
}

// ScatterAdd implements Backend. A part takes the ids with the same remainder,
// in order: a row's sum does not depend on the number of parts.
func (c *CPU) ScatterAdd(dst, src, rows *Tensor, scale float32) {
	ids := rows.Int32s()
	mustRows("scatteradd", ids, dst.shape[0])
	d := dst.shape[1]
	parts := min(4*c.pool.Threads(), len(ids)/max(rowGrain(d), 1)+1)
	rowSpans.run(c.pool, parts, 1, rowArgs{
		out: dst.Float32s(), x: src.Float32s(), ids: ids, width: d, rows: parts, alpha: scale,
	}, scatterAdd)
}

// scatterAdd prefetches the next row while it adds one.
func scatterAdd(a *rowArgs, lo, hi int) {
	d, parts := a.width, uint32(a.rows)
	var x, y []float32
	for i, id := range a.ids {
		if part := int(uint32(id) % parts); part >= lo && part < hi {
			nextX, nextY := a.x[i*d:(i+1)*d], a.out[int(id)*d:(int(id)+1)*d]
			if y != nil {
				asm.AxpyFetch(a.alpha, x, y, nextX, nextY)
			}
			x, y = nextX, nextY
		}
	}
	asm.Axpy(a.alpha, x, y)
}

func mustRows(op string, ids []int32, n int) {
	for i, id := range ids {
		if id < 0 || int(id) >= n {
			panic(fmt.Sprintf("%s: row %d of %d, at position %d", op, id, n, i))
		}
	}
}

// SegmentMean implements Backend.
func (c *CPU) SegmentMean(dst, x *Tensor, offsets []int32) {
	rowSpans.run(c.pool, len(offsets)-1, 1, rowArgs{
		out: dst.Float32s(), x: x.Float32s(), offsets: offsets, width: x.shape[1],
	}, segmentMean)
}

func segmentMean(a *rowArgs, lo, hi int) {
	d := a.width
	for s := lo; s < hi; s++ {
		out, from, to := a.out[s*d:(s+1)*d], int(a.offsets[s]), int(a.offsets[s+1])
		clear(out)
		if from < to {
			asm.AddRows(out, a.x[from*d:to*d], to-from, d, d)
			asm.Scale(out, 1/float32(to-from), out)
		}
	}
}

// SegmentMeanBackward implements Backend.
func (c *CPU) SegmentMeanBackward(dx, dy *Tensor, offsets []int32) {
	rowSpans.run(c.pool, len(offsets)-1, 1, rowArgs{
		out: dx.Float32s(), y: dy.Float32s(), offsets: offsets, width: dx.shape[1],
	}, segmentMeanGradient)
}

func segmentMeanGradient(a *rowArgs, lo, hi int) {
	d := a.width
	for s := lo; s < hi; s++ {
		from, to := int(a.offsets[s]), int(a.offsets[s+1])
		for i := from; i < to; i++ {
			asm.Axpy(1/float32(to-from), a.y[s*d:(s+1)*d], a.out[i*d:(i+1)*d])
		}
	}
}

// CrossEntropy implements Backend.
func (c *CPU) CrossEntropy(
	loss, nll, dhidden, dtable, hidden, table, targets, logits *Tensor, smoothing, scale float32,
) {
	n, v := hidden.shape[0], table.shape[0]
	ids := targets.Int32s()
	mustRows("crossentropy: target", ids, v)
	block := logits.shape[0]
	losses := nll.Float32s()
	total := 0.0
	for lo := 0; lo < n; lo += block {
		rows := min(block, n-lo)
		h, z := slice(hidden, lo, rows), slice(logits, 0, rows)
		c.Gemm(&z, &h, table, GemmOptions{TransB: true, Alpha: 1})
		rowSpans.run(c.pool, rows, 4, rowArgs{
			logits: z.Float32s(), targets: ids[lo : lo+rows], out: losses[lo : lo+rows], width: v,
			smoothing: smoothing, scale: scale, accumulate: dhidden != nil,
		}, crossEntropy)
		for _, l := range losses[lo : lo+rows] {
			total += float64(l)
		}
		if dhidden != nil {
			dh := slice(dhidden, lo, rows)
			c.Gemm(&dh, &z, table, GemmOptions{Alpha: 1})
		}
		if dtable != nil {
			o := GemmOptions{TransA: true, Alpha: 1}
			if lo > 0 {
				o.Beta = 1
			}
			c.Gemm(dtable, &z, &h, o)
		}
	}
	if n == 0 && dtable != nil {
		c.Fill(dtable, 0)
	}
	loss.Float32s()[0] = float32(total * float64(scale))
}

// crossEntropy sets the losses of rows of logits and, for the backward pass,
// replaces the logits by their gradients.
func crossEntropy(a *rowArgs, lo, hi int) {
	for i := lo; i < hi; i++ {
		logits := a.logits[i*a.width : (i+1)*a.width]
		if target := int(a.targets[i]); a.accumulate {
			a.out[i] = asm.CrossEntropyGradient(logits, target, a.smoothing, a.scale)
		} else {
			a.out[i] = asm.CrossEntropy(logits, target, a.smoothing)
		}
	}
}

// slice is Tape.Rows without a tape. It reads nothing about the gradient of t,
// which another tape may be changing.
func slice(t *Tensor, lo, n int) Tensor {
	s := Tensor{
		backend: t.backend, store: t.store, offset: t.offset + lo*t.strides[0],
		rank: t.rank, shape: t.shape, strides: t.strides, dtype: t.dtype,
	}
	s.shape[0] = n
	return s
}
