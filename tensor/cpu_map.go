package tensor

import (
	"fmt"
	"sync"

	"github.com/marge-go/marge/asm"
)

// mapBlock is how many elements an expression is computed for at a time: its
// registers stay in the first-level cache.
const mapBlock = 512

// loopNest are the dimensions that operands of an operation are walked through,
// the outermost first, with the distance between neighbours in each operand.
// Dimensions of size 1 are left out, and those that all operands walk through
// without a jump are one.
type loopNest struct {
	rank    int
	size    [MaxRank]int
	strides [MaxRank][MaxExprInputs + 2]int
}

// newLoopNest returns the dimensions of shape for operands that are broadcast to
// it.
func newLoopNest(shape []int, operands ...*Tensor) (l loopNest) {
	for d, n := range shape {
		if n == 1 {
			continue
		}
		var strides [MaxExprInputs + 2]int
		for k, t := range operands {
			if at := d - (len(shape) - t.rank); at >= 0 && t.shape[at] != 1 {
				if t.shape[at] != n {
					panic(fmt.Sprintf("tensor: %v is not broadcast to %v", t, shape))
				}
				strides[k] = t.strides[at]
			}
		}
		if last := l.rank - 1; last >= 0 && l.joins(last, n, &strides, len(operands)) {
			l.size[last] *= n
			l.strides[last] = strides
			continue
		}
		l.size[l.rank], l.strides[l.rank] = n, strides
		l.rank++
	}
	if l.rank == 0 {
		l.rank, l.size[0] = 1, 1
	}
	return l
}

// joins reports whether dimension d and a following one of size n are one for
// all operands.
func (l *loopNest) joins(d, n int, strides *[MaxExprInputs + 2]int, operands int) bool {
	for k := range operands {
		if l.strides[d][k] != n*strides[k] {
			return false
		}
	}
	return true
}

// len returns the number of elements.
func (l *loopNest) len() int {
	n := 1
	for _, size := range l.size[:l.rank] {
		n *= size
	}
	return n
}

// position is a place in a loop nest.
type position struct {
	index [MaxRank]int
	at    [MaxExprInputs + 2]int // of the operands
}

// seek returns the position of element i.
func (l *loopNest) seek(i int) (p position) {
	for d := l.rank - 1; d >= 0; d-- {
		p.index[d] = i % l.size[d]
		i /= l.size[d]
		for k := range p.at {
			p.at[k] += p.index[d] * l.strides[d][k]
		}
	}
	return p
}

// run returns how many elements follow in the innermost dimension, at most n.
func (l *loopNest) run(p *position, n int) int {
	return min(n, l.size[l.rank-1]-p.index[l.rank-1])
}

// advance goes n elements further, which do not exceed run.
func (l *loopNest) advance(p *position, n int) {
	d := l.rank - 1
	p.index[d] += n
	for k := range p.at {
		p.at[k] += n * l.strides[d][k]
	}
	for ; d > 0 && p.index[d] == l.size[d]; d-- {
		p.index[d] = 0
		p.index[d-1]++
		for k := range p.at {
			p.at[k] += l.strides[d-1][k] - l.size[d]*l.strides[d][k]
		}
	}
}

// mapArgs are the arguments of a Map. Operand 0 of the nest is dst, the inputs
// follow.
type mapArgs struct {
	nest       loopNest
	code       []Instruction
	registers  int
	result     uint8
	inputs     int
	operands   [MaxExprInputs + 1][]float32
	accumulate bool
}

var maps spans[mapArgs]

// Map implements Backend.
func (c *CPU) Map(dst *Tensor, e *Expr, in []*Tensor, accumulate bool) {
	if len(in) != e.inputs {
		panic(fmt.Sprintf("map: %d inputs of %s, want %d", len(in), e.name, e.inputs))
	}
	var all [MaxExprInputs + 1]*Tensor
	all[0] = dst
	copy(all[1:], in)
	a := mapArgs{accumulate: accumulate, inputs: e.inputs}
	a.nest = newLoopNest(dst.Shape(), all[:1+len(in)]...)
	a.code, a.registers, a.result = e.Code()
	for k, t := range all[:1+len(in)] {
		a.operands[k] = t.store.F32[t.offset:]
	}
	maps.run(c.pool, a.nest.len(), elementGrain, a, mapPart)
}

// mapRegisters are the registers of a part of a Map.
type mapRegisters [maxRegisters + 1][mapBlock]float32

func mapPart(a *mapArgs, lo, hi int) {
	registers := mapScratch.Get().(*mapRegisters)
	defer mapScratch.Put(registers)
	p := a.nest.seek(lo)
	inner := a.nest.rank - 1
	for lo < hi {
		// A block has as much of the innermost dimension as there is or, where that is
		// little, several rows of it, which are copied together.
		n := a.nest.run(&p, min(mapBlock, hi-lo))
		direct := n == hi-lo || n >= mapBlock/4
		start := p
		if !direct {
			n = min(mapBlock, hi-lo)
		}
		var values [maxRegisters][]float32
		for k := range a.inputs {
			if direct && a.nest.strides[inner][k+1] == 1 {
				values[k] = a.operands[k+1][p.at[k+1] : p.at[k+1]+n]
			} else {
				values[k] = registers[k][:n]
			}
		}
		for k := a.inputs; k < a.registers; k++ {
			values[k] = registers[k][:n]
		}
		// Inputs that are not adjacent are copied.
		for done := 0; done < n; {
			m := a.nest.run(&p, n-done)
			for k := range a.inputs {
				stride := a.nest.strides[inner][k+1]
				if direct && stride == 1 {
					continue
				}
				gatherStrided(values[k][done:done+m], a.operands[k+1][p.at[k+1]:], stride)
			}
			done += m
			a.nest.advance(&p, m)
		}
		whole := direct && a.nest.strides[inner][0] == 1
		out := registers[maxRegisters][:n]
		if whole && !a.accumulate {
			out = a.operands[0][start.at[0] : start.at[0]+n]
		}
		evaluate(a.code, a.result, &values, out)
		switch {
		case whole && a.accumulate:
			y := a.operands[0][start.at[0] : start.at[0]+n]
			asm.Add(y, y, out)
		case !whole:
			for done := 0; done < n; {
				m := a.nest.run(&start, n-done)
				scatterStrided(a.operands[0][start.at[0]:], out[done:done+m], a.nest.strides[inner][0], a.accumulate)
				done += m
				a.nest.advance(&start, m)
			}
		}
		lo += n
	}
}

// gatherStrided sets dst[i] = src[i*stride].
func gatherStrided(dst, src []float32, stride int) {
	switch stride {
	case 1:
		copy(dst, src)
	case 0:
		v := src[0]
		for i := range dst {
			dst[i] = v
		}
	default:
		for i := range dst {
			dst[i] = src[i*stride]
		}
	}
}

// scatterStrided sets (adds) dst[i*stride] = src[i].
func scatterStrided(dst, src []float32, stride int, accumulate bool) {
	for i, v := range src {
		if accumulate {
			v += dst[i*stride]
		}
		dst[i*stride] = v
	}
}

// mapScratch holds the registers that no part uses.
var mapScratch = sync.Pool{New: func() any { return new(mapRegisters) }}
