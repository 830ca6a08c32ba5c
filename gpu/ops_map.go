//go:build cuda

package gpu

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

const (
	// mapEach is how many elements a thread of kernels/map.cu computes.
	mapEach = 4
	// mapRegisters bounds the bytes of a block's registers, which are in shared memory.
	mapRegisters = 32 << 10
)

// Map implements tensor.Backend.
func (b *Backend) Map(dst *tensor.Tensor, e *tensor.Expr, in []*tensor.Tensor, accumulate bool) {
	defer b.enter("Map")()
	if len(in) != e.Inputs() {
		panic(fmt.Sprintf("map: %d inputs of %s, want %d", len(in), e.Name(), e.Inputs()))
	}
	code, registers, result := e.Code()
	constants := 0
	for constants < len(code) && code[constants].Op == tensor.OpConst {
		constants++
	}
	switch steps := code[constants:]; len(steps) {
	case 0:
		b.mapOne(dst, tensor.Instruction{Op: tensor.OpConst, A: result}, code[:constants], in, accumulate)
	case 1:
		b.mapOne(dst, steps[0], code[:constants], in, accumulate)
	default:
		b.mapSteps(dst, code, registers, result, in, accumulate)
	}
}

// operands returns how many operands an operation has; a copy has one.
func operands(op tensor.ExprOp) int {
	switch {
	case op == tensor.OpConst:
		return 1
	case op <= tensor.OpEqual:
		return 2
	case op < tensor.OpWhere:
		return 1
	}
	return 3
}

// mapOne computes one operation, or a copy: OpConst.
func (b *Backend) mapOne(
	dst *tensor.Tensor, step tensor.Instruction, constants []tensor.Instruction, in []*tensor.Tensor, accumulate bool,
) {
	var tensors [3]*tensor.Tensor
	var values [3]float32
	for i, register := range [3]uint8{step.A, step.B, step.C} {
		if i == operands(step.Op) {
			break
		}
		if int(register) < len(in) {
			tensors[i] = in[register]
			continue
		}
		for _, c := range constants {
			if c.To == register {
				values[i] = c.Value
			}
		}
	}
	l := broadcastNest(dst.Shape(), dst, tensors[0], tensors[1], tensors[2])
	l.innermost(0)
	if step.Op == tensor.OpConst && b.mapTransposed(dst, tensors[0], l, accumulate) {
		return
	}
	n := l.len()
	table, rank := b.nest(l)
	const block = 256
	b.launch("map_one", [3]int{ceil.Div(n, block*mapEach), 1, 1}, block, 0,
		b.ptr(dst), b.ptr(tensors[0]), b.ptr(tensors[1]), b.ptr(tensors[2]), values[0], values[1], values[2],
		table, rank, n, int32(step.Op), flag(accumulate))
}

// mapTransposed copies (adds) x by tiles if x is adjacent along another dimension than
// dst, and reports whether it did.
func (b *Backend) mapTransposed(dst, x *tensor.Tensor, l *nest, accumulate bool) bool {
	const tile = 32 // as in kernels/map.cu
	inner := l.rank - 1
	if inner < 1 || l.strides[inner][0] != 1 || l.strides[inner][1] <= 1 || l.size[inner] < tile/4 {
		return false
	}
	for d := range inner {
		if l.strides[d][1] != 1 || l.size[d] < tile/4 {
			continue
		}
		rows, along := l.remove(inner)
		columns, across := l.remove(d)
		outer := l.len()
		table, rank := b.nest(&nest{rank: l.rank, operands: 2, size: l.size, strides: l.strides})
		b.launch("map_transpose", [3]int{ceil.Div(rows, tile) * ceil.Div(columns, tile) * outer, 1, 1}, tile*8, 0,
			b.ptr(dst), b.ptr(x), table, rank, rows, columns, across[0], along[1], flag(accumulate))
		return true
	}
	return false
}

// mapSteps computes an expression of several operations.
func (b *Backend) mapSteps(
	dst *tensor.Tensor, code []tensor.Instruction, registers int, result uint8, in []*tensor.Tensor, accumulate bool,
) {
	all := [maxOperands]*tensor.Tensor{dst}
	copy(all[1:], in)
	l := broadcastNest(dst.Shape(), all[:]...)
	l.innermost(0)
	n := l.len()
	table, rank := b.nest(l)
	steps := make([]int32, 0, 3*len(code))
	for _, c := range code {
		registers := uint32(c.To) | uint32(c.A)<<8 | uint32(c.B)<<16 | uint32(c.C)<<24
		steps = append(steps, int32(c.Op), int32(registers), int32(math.Float32bits(c.Value)))
	}
	block := 256
	for registers*block*mapEach*4 > mapRegisters && block > 32 {
		block /= 2
	}
	args := []any{b.ptr(dst)}
	for _, t := range all[1:] {
		args = append(args, b.ptr(t))
	}
	args = append(args, table, rank, n, b.table(steps), int32(len(code)), int32(result), int32(len(in)), flag(accumulate))
	b.launch("map_steps", [3]int{ceil.Div(n, block*mapEach), 1, 1}, block, registers*block*mapEach*4, args...)
}
