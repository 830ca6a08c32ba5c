package tensor

import (
	"fmt"

	"github.com/marge-go/marge/internal/ceil"
)

// compressor is a backend that keeps activations for the backward pass as bfloat16
// values, since it rounds operands of products to these anyway.
type compressor interface {
	// Compresses reports whether it does so.
	Compresses() bool
	// Compress rounds the values of x to bfloat16, two for each element of dst, in order.
	// Both are contiguous.
	Compress(dst, x *Tensor)
	// Expand gives back what Compress rounded.
	Expand(dst, x *Tensor)
	// CompressGELU sets packed to what Compress makes of x, and x to GELU(x).
	CompressGELU(x, packed *Tensor)
	// ExpandGELU sets dst to GELU of what was compressed.
	ExpandGELU(dst, packed *Tensor)
	// ExpandGELUBackward multiplies dy by the derivative of GELU at what was compressed.
	ExpandGELUBackward(dy, packed *Tensor)
}

// compressor returns the backend if it compresses, or nil.
func (tp *Tape) compressor() compressor {
	if c, ok := tp.backend.(compressor); ok && c.Compresses() {
		return c
	}
	return nil
}

// Forget frees the memory of y, a result of this tape that neither an operation nor the
// host will read any more: at once or, if the tape has recorded, when the backward pass
// has gone through the operation that made y. Views, and results of which views were taken,
// stay as they are.
func (tp *Tape) Forget(y *Tensor) { tp.forget("forget", y, nil) }

// Compress is Forget for factors of products. The backward pass reads y rounded to
// bfloat16 if that is how the backend multiplies, which for factors makes no difference,
// and most of its memory is free at once.
func (tp *Tape) Compress(y *Tensor) { tp.forget("compress", y, tp.compressor()) }

// forget marks y, and frees its memory as far as that is possible, with c by keeping it
// compressed.
func (tp *Tape) forget(op string, y *Tensor, c compressor) {
	tp.mustUse(op, y)
	if y.tape != tp || y.dtype != Float32 {
		panic(fmt.Sprintf("%s: %v is no float32 result on this tape", op, y))
	}
	if y.use&(useViewed|useAliased) != 0 || y.base != nil || y.Len() == 0 {
		return
	}
	y.use |= useForgotten
	if len(tp.records) > 0 { // also in NoGrad: y may be of before
		for i := len(tp.records) - 1; i >= 0 && y.record == 0; i-- {
			if tp.records[i].out == y {
				y.record = i + 1
			}
		}
		if c == nil {
			return
		}
		y.packed = tp.New(ceil.Div(y.Len(), 2))
		c.Compress(y.packed, y)
	}
	tp.release(y)
	y.store = nil
}

// drop frees what is left of the output of a record, if Forget, Compress or Recompute
// took it, and what the backward pass made of it again: nothing reads it any more.
func (tp *Tape) drop(record int) {
	y := tp.records[record].out
	if y.use&(useRecomputed|useForgotten) == 0 || y.use&useAliased != 0 {
		return
	}
	tp.release(y.packed)
	if y.packed = nil; y.store != nil {
		tp.release(y)
		y.store = nil
	}
}
