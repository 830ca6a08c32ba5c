package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// rowSoftmax is what a backend may have for the softmax along the last axis, which
// reads and writes memory once. Other axes, and other backends, use Map and Reduce.
type rowSoftmax interface {
	// SoftmaxRows sets each row of y to the softmax of that of x, both contiguous.
	SoftmaxRows(y, x *Tensor)
	// SoftmaxRowsBackward sets (adds) dx = y*(dy - sum of y*dy) row by row, all
	// contiguous.
	SoftmaxRowsBackward(dx, dy, y *Tensor, accumulate bool)
}

type softmaxArgs struct {
	y, x, dy   []float32
	cols       int
	accumulate bool
	stream     bool
	scratch    *scratches
}

var softmaxes spans[softmaxArgs]

// SoftmaxRows sets each row of y to the softmax of that of x, both contiguous.
func (c *CPU) SoftmaxRows(y, x *Tensor) {
	a := softmaxArgs{y: y.Float32s(), x: x.Float32s(), cols: x.Dim(-1), scratch: &c.scratch}
	grain := rowGrain(a.cols)
	if a.stream = len(a.y) >= streamed; a.stream {
		grain *= 4 // a part ends by waiting for its stores
	}
	softmaxes.run(c.pool, x.Rows(), grain, a, softmaxRows)
}

func softmaxRows(a *softmaxArgs, lo, hi int) {
	y, x := a.y[lo*a.cols:hi*a.cols], a.x[lo*a.cols:hi*a.cols]
	if a.stream {
		work := a.scratch.get(a.cols)
		asm.SoftmaxStream(y, work.data, x, hi-lo, a.cols, 1)
		a.scratch.put(work)
	} else {
		asm.SoftmaxRows(y, x, hi-lo, a.cols)
	}
	for ; len(x) > 0; x, y = x[a.cols:], y[a.cols:] {
		if math.IsInf(float64(x[0]), -1) && math.IsInf(float64(asm.MaxElement(x[:a.cols])), -1) {
			fillFloats(y[:a.cols], nan) // 0/0
		}
	}
}

// SoftmaxRowsBackward sets (adds) dx = y*(dy - sum of y*dy) row by row, all
// contiguous.
func (c *CPU) SoftmaxRowsBackward(dx, dy, y *Tensor, accumulate bool) {
	softmaxes.run(c.pool, y.Rows(), rowGrain(y.Dim(-1)), softmaxArgs{
		x: dx.Float32s(), dy: dy.Float32s(), y: y.Float32s(), cols: y.Dim(-1), accumulate: accumulate, scratch: &c.scratch,
	}, softmaxRowsBackward)
}

func softmaxRowsBackward(a *softmaxArgs, lo, hi int) {
	work := a.scratch.get(a.cols)
	defer a.scratch.put(work)
	for i := lo; i < hi; i++ {
		row := func(x []float32) []float32 { return x[i*a.cols : (i+1)*a.cols] }
		y, dy, dx := row(a.y), row(a.dy), row(a.x)
		out := dx
		if a.accumulate {
			out = work.data
		}
		asm.Mul(out, y, dy)
		asm.Axpy(-float32(asm.Sum(out)), y, out)
		if a.accumulate {
			asm.Add(dx, dx, out)
		}
	}
}
