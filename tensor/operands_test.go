package tensor

import (
	"fmt"
	"slices"
	"testing"
)

// operandCase is an operation and the shapes of its operands. Ids are int32.
type operandCase struct {
	name     string
	operands [][]int
	ids      int // operand that has ids, or -1
	any      int // operands before this one have any shape
	run      func(tp *Tape, in []*Tensor)
}

// operandCases are all operations that read tensors.
func operandCases() []operandCase {
	m, square, row := []int{4, 4}, []int{4, 4}, []int{4}
	segments := []int32{0, 1, 4}
	attention := AttentionOptions{Heads: 2, QOffsets: segments, KOffsets: segments}
	return []operandCase{
		{"add", [][]int{m, m}, -1, 0, func(tp *Tape, in []*Tensor) { tp.Add(in[0], in[1]) }},
		{"addinto", [][]int{m, m}, -1, 0, func(tp *Tape, in []*Tensor) { tp.AddInto(in[0], in[1]) }},
		{"scale", [][]int{m}, -1, 1, func(tp *Tape, in []*Tensor) { tp.Scale(2, in[0]) }},
		{"mulscalar", [][]int{m, {1}}, -1, 1, func(tp *Tape, in []*Tensor) { tp.MulScalar(in[0], in[1]) }},
		{"dot", [][]int{m, m}, -1, 0, func(tp *Tape, in []*Tensor) { tp.Dot(in[0], in[1]) }},
		{"linear", [][]int{m, square, row}, -1, 0, func(tp *Tape, in []*Tensor) { tp.Linear(in[0], in[1], in[2]) }},
		{"lineargelu", [][]int{m, square, row}, -1, 0, func(tp *Tape, in []*Tensor) { tp.LinearGELU(in[0], in[1], in[2]) }},
		{"feedforward", [][]int{m, square, row, square, row}, -1, 0, func(tp *Tape, in []*Tensor) {
			tp.FeedForward(in[0], in[1], in[2], in[3], in[4])
		}},
		{"matmul", [][]int{m, square}, -1, 0, func(tp *Tape, in []*Tensor) { tp.MatMul(in[0], in[1], true) }},
		{"gelu", [][]int{m}, -1, 1, func(tp *Tape, in []*Tensor) { tp.GELU(in[0]) }},
		{"layernorm", [][]int{m, row, row}, -1, 0, func(tp *Tape, in []*Tensor) { tp.LayerNorm(in[0], in[1], in[2], 1e-5) }},
		{"dropout", [][]int{m}, -1, 1, func(tp *Tape, in []*Tensor) { tp.Dropout(in[0], 0.5) }},
		{"adddropout", [][]int{m, m}, -1, 0, func(tp *Tape, in []*Tensor) { tp.AddDropout(in[0], in[1], 0.5) }},
		{"attention", [][]int{m, m, m, {2, 2}}, -1, 0, func(tp *Tape, in []*Tensor) {
			tp.Attention(in[0], in[1], in[2], in[3], attention)
		}},
		{"crossentropy", [][]int{m, square, row}, 2, 0, func(tp *Tape, in []*Tensor) {
			tp.CrossEntropy(in[0], in[1], in[2], 0, 1)
		}},
		{"gather", [][]int{square, row}, 1, 0, func(tp *Tape, in []*Tensor) { tp.Gather(in[0], in[1], 1) }},
		{"addgather", [][]int{m, square, row}, 2, 0, func(tp *Tape, in []*Tensor) { tp.AddGather(in[0], in[1], in[2], 1) }},
		{"segmentmean", [][]int{m}, -1, 0, func(tp *Tape, in []*Tensor) { tp.SegmentMean(in[0], segments) }},
		{"linearmax", [][]int{m, square}, -1, 0, func(tp *Tape, in []*Tensor) { tp.LinearMax(in[0], in[1], segments) }},
		{"normalize", [][]int{m}, -1, 1, func(tp *Tape, in []*Tensor) { tp.Normalize(in[0]) }},
	}
}

// make returns operands on a tape, as results that operations in place may take.
func (c *operandCase) make(tp *Tape, cpu *CPU) []*Tensor {
	var in []*Tensor
	for i, shape := range c.operands {
		switch {
		case i == c.ids:
			in = append(in, tp.Ints([]int32{0, 1, 2, 3}))
		case len(shape) == 2:
			in = append(in, tp.Linear(ramp(cpu, shape[0], 3), ramp(cpu, shape[1], 3), nil))
		default:
			in = append(in, tp.Floats(make([]float32, shape[0]), shape...))
		}
	}
	return in
}

// Every operation refuses, by its name, an operand of another shape or type and
// one that its tape no longer has.
func TestOperandsThatDoNotFit(t *testing.T) {
	cpu := NewCPU(1)
	defer cpu.Close()
	for n, c := range operandCases() {
		for i := range c.operands {
			t.Run(fmt.Sprintf("%d %s/%d", n, c.name, i), func(t *testing.T) {
				tp, other := NewTape(cpu), NewTape(cpu)
				tp.Reset(Training, 1)
				other.Reset(Training, 1)
				c.run(tp, c.make(tp, cpu))

				in := c.make(tp, cpu)
				in[i] = c.make(other, cpu)[i]
				stale := fmt.Sprintf("%s: %v is from before the last Reset of its tape", c.name, in[i])
				other.Reset(Training, 2)
				mustPanic(t, stale, func() { c.run(tp, in) })

				if i < c.any {
					return
				}
				name := c.name
				anyRank := i == 0 && slices.Contains([]string{"linear", "lineargelu", "feedforward", "layernorm"}, name)
				for _, shape := range [][]int{{2, 3, 4}, {5}, {4, 5}} {
					anyWidth := slices.Contains([]string{"gather", "segmentmean"}, name) && i != c.ids
					if anyWidth && len(shape) == len(c.operands[i]) || anyRank && shape[len(shape)-1] == 4 {
						continue
					}
					if name == "matmul" && len(shape) == 3 {
						continue // a batch
					}
					in := c.make(tp, cpu)
					in[i] = ramp(cpu, shape...)
					mustPanic(t, name+": ", func() { c.run(tp, in) })
				}
				if i != c.ids {
					return
				}
				in = c.make(tp, cpu)
				in[i] = ramp(cpu, 4)
				mustPanic(t, name+": ", func() { c.run(tp, in) })
			})
		}
	}
}

// An operand stays what it was for the operation that read it, whatever is done
// in place to it afterwards: its memory is not taken.
func TestOperandsAreKept(t *testing.T) {
	cpu := NewCPU(1)
	defer cpu.Close()
	for n, c := range operandCases() {
		for i, shape := range c.operands {
			taken, inPlace := map[string]int{"addinto": 0, "addgather": 0, "adddropout": 1}[c.name]
			if len(shape) != 2 || inPlace && i == taken {
				continue
			}
			t.Run(fmt.Sprintf("%d %s/%d", n, c.name, i), func(t *testing.T) {
				tp := NewTape(cpu)
				tp.Reset(Training, 1)
				in := c.make(tp, cpu)
				c.run(tp, in)
				memory := &in[i].Float32s()[0]
				if sum := tp.AddInto(in[i], ramp(cpu, shape...)); &sum.Float32s()[0] == memory {
					t.Error("the operand was overwritten")
				}
				// Without the operation it would be.
				in = c.make(tp, cpu)
				memory = &in[i].Float32s()[0]
				if sum := tp.AddInto(in[i], ramp(cpu, shape...)); &sum.Float32s()[0] != memory {
					t.Error("an operand that nothing has read was not overwritten")
				}
			})
		}
	}
}

// Operations on segments refuse offsets that do not divide the rows.
func TestSegmentsThatDoNotFit(t *testing.T) {
	cpu := NewCPU(1)
	defer cpu.Close()
	tp := NewTape(cpu)
	x, w := ramp(cpu, 4, 3), ramp(cpu, 2, 3)
	for _, offsets := range [][]int32{nil, {}, {0}, {0, 3}, {0, 5}, {1, 4}, {0, 3, 2, 4}, {-1, 4}} {
		mustPanic(t, "segmentmean: ", func() { tp.SegmentMean(x, offsets) })
		mustPanic(t, "linearmax: ", func() { tp.LinearMax(x, w, offsets) })
	}
	tp.SegmentMean(x, []int32{0, 0, 4})
	tp.LinearMax(x, w, []int32{0, 0, 4})
}

// Ids of rows that a table does not have are refused, the first behind its last
// row as any other.
func TestRowsOutside(t *testing.T) {
	cpu := NewCPU(1)
	defer cpu.Close()
	tp := NewTape(cpu)
	table, x := ramp(cpu, 4, 3), ramp(cpu, 2, 3)
	for _, id := range []int32{4, 5, -1} {
		ids := tp.Ints([]int32{3, id})
		want := fmt.Sprintf("row %d of 4, at position 1", id)
		mustPanic(t, want, func() { tp.Gather(table, ids, 1) })
		mustPanic(t, want, func() { tp.AddGather(x, table, ids, 1) })
		mustPanic(t, want, func() { cpu.ScatterAdd(table, x, ids, 1) })
		mustPanic(t, want, func() { tp.CrossEntropy(x, table, ids, 0, 1) })
	}
	tp.Gather(table, tp.Ints([]int32{3, 0}), 1)
}
