package tensor

import (
	"unsafe"

	"github.com/marge-go/marge/asm"
)

// Compresses reports whether the backend multiplies bfloat16 values, so that a tape
// keeps activations as such, see Tape.Compress.
func (c *CPU) Compresses() bool { return c.bf16 }

// compressArgs are the operands of an operation on compressed values.
type compressArgs struct {
	c      *CPU
	floats []float32
	halves []uint16 // the memory of pairs
	step   func(a *compressArgs, lo, hi int)
}

var compressions spans[compressArgs]

// compressed runs step on parts of x and of packed, which has x as pairs.
func (c *CPU) compressed(x, packed *Tensor, step func(a *compressArgs, lo, hi int)) {
	pairs := packed.Float32s()
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(pairs))), 2*len(pairs))[:x.Len()]
	compressions.run(c.pool, x.Len(), elementGrain, compressArgs{c, x.Float32s(), halves, step}, bySteps)
}

// compressStep is how many values a step takes: what its first pass leaves in the
// first-level cache the second one finds there.
const compressStep = 1 << 11

func bySteps(a *compressArgs, lo, hi int) {
	for ; lo < hi; lo += compressStep {
		a.step(a, lo, min(lo+compressStep, hi))
	}
}

// Compress rounds the contiguous x to bfloat16, two values for each element of dst.
func (c *CPU) Compress(dst, x *Tensor) { c.compressed(x, dst, compress) }

func compress(a *compressArgs, lo, hi int) { asm.ToBF16(a.halves[lo:hi], a.floats[lo:hi]) }

// Expand sets the contiguous dst to what Compress rounded.
func (c *CPU) Expand(dst, x *Tensor) { c.compressed(dst, x, expand) }

func expand(a *compressArgs, lo, hi int) { asm.FromBF16(a.floats[lo:hi], a.halves[lo:hi]) }

// CompressGELU sets packed to what Compress makes of x, and x to GELU(x).
func (c *CPU) CompressGELU(x, packed *Tensor) { c.compressed(x, packed, compressGELU) }

func compressGELU(a *compressArgs, lo, hi int) {
	compress(a, lo, hi)
	asm.GELU(a.floats[lo:hi], a.floats[lo:hi])
}

// ExpandGELU sets dst to GELU of what was compressed.
func (c *CPU) ExpandGELU(dst, packed *Tensor) { c.compressed(dst, packed, expandGELU) }

func expandGELU(a *compressArgs, lo, hi int) {
	expand(a, lo, hi)
	asm.GELU(a.floats[lo:hi], a.floats[lo:hi])
}

// ExpandGELUBackward multiplies dy by the derivative of GELU at what was compressed.
func (c *CPU) ExpandGELUBackward(dy, packed *Tensor) { c.compressed(dy, packed, expandGELUBackward) }

func expandGELUBackward(a *compressArgs, lo, hi int) {
	x := a.c.scratch.get(hi - lo)
	asm.FromBF16(x.data, a.halves[lo:hi])
	asm.GELUBackward(a.floats[lo:hi], a.floats[lo:hi], x.data, false)
	a.c.scratch.put(x)
}
