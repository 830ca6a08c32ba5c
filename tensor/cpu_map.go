package tensor

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// mapArgs are a Map, a task of the pool whose parts are grain elements, or a tile.
// Operand 0 of the nest is dst, the inputs follow.
type mapArgs struct {
	nest       loopNest
	constants  []Instruction
	code       []Instruction // without the constants
	result     uint8
	registers  int
	inputs     int
	operands   [MaxExprInputs + 1][]float32
	accumulate bool
	stream     bool                // the result bypasses the caches
	short      bool                // the innermost dimension is: several rows of it are computed together
	fixed      [MaxExprInputs]bool // inputs that are one number
	rows       [MaxExprInputs]bool // inputs of short rows that are all the same one
	gathers    int                 // inputs that are copied for every block
	direct     bool
	one        directMap

	slot   [maxRegisters]int8 // of each register in the scratch memory; -1: the operand itself
	slots  int
	out    int // slot of the result; -1: dst itself
	block  int // elements that are computed at a time
	n      int // elements
	grain  int
	tiles  [2]int // tiles along the two innermost dimensions; 0: no tiles
	tile   [2]int // elements of a tile along them
	length int    // elements of a slot
}

const (
	// A part ends when its last kernel does: more parts than threads even out threads
	// that others interrupt.
	partsPerThread = 4
	// mapBlock bounds the elements that an expression is computed for at a time, and
	// mapCache those of all operands and registers together, which stay in the
	// first-level cache. mapScratch is the memory for registers.
	mapBlock   = 4096
	mapCache   = 4096
	mapScratch = (maxRegisters + 1) * tileRows * tileCols
	// Tiles of operands that are transposed: a line of memory of each of many rows.
	tileRows, tileCols = 16, 256
	// Rows of fewer elements than shortRow are copied together.
	shortRow = 128
	// Calls of kernels for fewer elements than minDirect take longer than the elements.
	// Rows of at least minCopied elements are copied by one that takes many.
	minDirect, minCopied = 64, 8
	// A dimension with fewer elements than minTile is not worth tiles.
	minTile = 8
)

var (
	// maps holds the Maps that are not running.
	maps = sync.Pool{New: func() any { return new(mapArgs) }}
	// mapScratches holds the registers that no part uses.
	mapScratches = sync.Pool{New: func() any { return new([mapScratch]float32) }}
)

// Map implements Backend.
func (c *CPU) Map(dst *Tensor, e *Expr, in []*Tensor, accumulate bool) {
	if len(in) != e.inputs {
		panic(fmt.Sprintf("map: %d inputs of %s, want %d", len(in), e.name, e.inputs))
	}
	c.pool.mustBeOpen()
	a := maps.Get().(*mapArgs)
	if a.plan(dst, e, in, accumulate, c.pool.Threads()); a.n > 0 {
		if parts := a.parts(); parts == 1 {
			a.Do(0)
		} else {
			c.pool.Run(parts, a)
		}
	}
	clear(a.operands[:])
	maps.Put(a)
}

// plan decides how a Map is computed. No element depends on the division into parts, so
// that this may depend on the number of threads.
func (a *mapArgs) plan(dst *Tensor, e *Expr, in []*Tensor, accumulate bool, threads int) {
	var all [MaxExprInputs + 1]*Tensor
	all[0] = dst
	copy(all[1:], in)
	a.nest.init(dst.Shape(), all[:1+len(in)])
	a.n = a.nest.len()
	if a.n == 0 {
		return
	}
	a.nest.innermost(0)
	a.accumulate, a.inputs, a.registers = accumulate, e.inputs, e.registers
	a.code, a.constants, a.result = e.code, nil, e.result
	for len(a.code) > 0 && a.code[0].Op == OpConst {
		a.constants, a.code = e.code[:len(a.constants)+1], a.code[1:]
	}
	for k, t := range all[:1+len(in)] {
		a.operands[k] = t.store.F32[t.offset:]
	}
	inner := a.nest.rank - 1
	adjacent := a.nest.strides[inner][0] == 1 || a.nest.size[inner] == 1
	// Stores past the caches need whole lines.
	lines := a.nest.size[inner] >= 1024 || a.nest.size[inner]%16 == 0 && len(e.code) == 0
	a.stream = adjacent && !accumulate && a.n >= streamed && lines
	for _, x := range a.operands[1 : 1+a.inputs] {
		a.stream = a.stream && unsafe.SliceData(x) != unsafe.SliceData(a.operands[0])
	}
	if a.direct = a.planDirect(); a.direct {
		a.slots, a.tiles = 0, [2]int{}
		a.grain = a.n
		if threads > 1 {
			a.grain = max(elementGrain, (ceil.Div(a.n, partsPerThread*threads)+1023)&^1023)
		}
		if len(e.code) == 0 && a.stream {
			a.nest.sortOuter(a.one.from[0])
		}
		return
	}
	tiled := adjacent && a.planTiles()
	a.short = !tiled && a.nest.rank > 1 && a.nest.size[inner] < shortRow
	// Registers whose memory is not an operand's have a slot.
	a.slots = 0
	direct := func(operand int) bool {
		return !tiled && a.nest.strides[inner][operand] == 1 && (!a.short || a.nest.contiguous(operand))
	}
	a.gathers = 0
	for k := range e.registers {
		a.slot[k] = -1
		if k < a.inputs && direct(k+1) {
			continue
		}
		a.slot[k] = int8(a.slots)
		a.slots++
		if k < a.inputs {
			a.fixed[k] = a.nest.fixed(k + 1)
			a.rows[k] = a.short && a.nest.rank == 2 && a.nest.strides[0][k+1] == 0 && a.nest.strides[1][k+1] == 1
			if !a.fixed[k] && !a.rows[k] {
				a.gathers++
			}
		}
	}
	a.out = -1
	copies := len(a.code) == 0 && (a.slot[a.result] >= 0 || a.stream) // stored from where it is
	if !copies && (a.stream || accumulate || !direct(0) && a.n > 1) {
		a.out = a.slots
		a.slots++
	}
	a.layOut(tiled)
}

// planTiles reports whether an input is adjacent not along the innermost dimension
// but along another one, which becomes the second.
func (a *mapArgs) planTiles() bool {
	inner := a.nest.rank - 1
	for k := 1; k <= a.inputs && a.nest.size[inner] >= minTile; k++ {
		if stride := a.nest.strides[inner][k]; stride == 0 || stride == 1 {
			continue
		}
		for d := range inner {
			if a.nest.strides[d][k] == 1 && a.nest.size[d] >= minTile {
				a.nest.move(d, inner-1)
				return true
			}
		}
	}
	return false
}

// layOut divides the elements into parts and the scratch memory into slots.
func (a *mapArgs) layOut(tiled bool) {
	a.tiles = [2]int{}
	a.grain = elementGrain
	if a.stream {
		a.grain *= 4 // a part ends by waiting for its stores
	}
	if tiled {
		inner := a.nest.rank - 1
		a.tile = [2]int{min(tileRows, a.nest.size[inner-1]), min(tileCols, a.nest.size[inner])}
		for i := range a.tiles {
			a.tiles[i] = ceil.Div(a.nest.size[inner-1+i], a.tile[i])
		}
		a.length = a.tile[0] * a.tile[1]
		return
	}
	a.block = a.grain
	if a.slots > 0 {
		a.block = min(mapBlock, max(256, mapCache/(a.slots+a.inputs+1)&^63))
	}
	if a.short { // blocks begin at the same place of a row
		size := a.nest.size[a.nest.rank-1]
		a.block -= a.block % size
	}
	a.block = min(a.block, a.n)
	a.length = (a.block + 15) &^ 15
}

// tileParts is how many tiles are a part.
const tileParts = 4

func (a *mapArgs) tileCount() int {
	inner := a.nest.rank - 1
	return a.n / (a.nest.size[inner-1] * a.nest.size[inner]) * a.tiles[0] * a.tiles[1]
}

func (a *mapArgs) parts() int {
	if a.tiles[0] > 0 {
		return ceil.Div(a.tileCount(), tileParts)
	}
	return ceil.Div(a.n, a.grain)
}

// Do carries out a part.
func (a *mapArgs) Do(part int) {
	var memory []float32
	if a.slots > 0 {
		scratch := mapScratches.Get().(*[mapScratch]float32)
		defer mapScratches.Put(scratch)
		memory = scratch[:]
		for i := range a.constants {
			fillFloats(a.slice(memory, int(a.slot[a.constants[i].To]), a.length), a.constants[i].Value)
		}
		for k := range a.inputs {
			if a.slot[k] >= 0 && a.fixed[k] {
				fillFloats(a.slice(memory, int(a.slot[k]), a.length), a.operands[k+1][0])
			}
		}
	}
	if a.tiles[0] > 0 {
		for i := part * tileParts; i < min((part+1)*tileParts, a.tileCount()); i++ {
			a.doTile(memory, i)
		}
	} else if lo, hi := part*a.grain, min((part+1)*a.grain, a.n); a.direct {
		a.doDirect(lo, hi)
	} else {
		a.doElements(memory, lo, hi)
	}
	if a.stream {
		asm.StreamFence()
	}
}

// slice returns the first n elements of a slot.
func (a *mapArgs) slice(memory []float32, slot, n int) []float32 {
	return memory[slot*a.length:][:n]
}

// doElements computes the elements lo to hi.
func (a *mapArgs) doElements(memory []float32, lo, hi int) {
	var p position
	a.nest.seek(&p, lo)
	inner := a.nest.rank - 1
	for k := range a.inputs {
		if a.slot[k] >= 0 && a.rows[k] {
			repeatRow(a.slice(memory, int(a.slot[k]), a.length), a.operands[k+1][:a.nest.size[inner]], p.index[inner])
		}
	}
	var values [maxRegisters][]float32
	for lo < hi {
		n := min(a.block, hi-lo)
		if !a.short {
			n = a.nest.run(&p, n)
		}
		for k := range a.registers {
			if slot := a.slot[k]; slot >= 0 {
				values[k] = a.slice(memory, int(slot), n)
			} else {
				values[k] = a.operands[k+1][p.at[k+1]:][:n]
			}
		}
		start := p
		for done := 0; done < n; {
			if a.short && a.gathers == 0 {
				a.nest.seek(&p, lo+n)
				break
			}
			m := a.nest.run(&p, n-done)
			for k := range a.inputs {
				if a.slot[k] >= 0 && !a.fixed[k] && !a.rows[k] {
					gatherStrided(values[k][done:done+m], a.operands[k+1][p.at[k+1]:], a.nest.strides[inner][k+1])
				}
			}
			done += m
			a.nest.advance(&p, m)
		}
		a.finish(memory, &values, &start, n)
		lo += n
	}
}

// doTile computes a tile: rows along the second dimension, whose elements are
// adjacent in dst and along the first in what is transposed.
func (a *mapArgs) doTile(memory []float32, i int) {
	inner := a.nest.rank - 1
	first := [2]int{i % a.tiles[0] * a.tile[0], i / a.tiles[0] % a.tiles[1] * a.tile[1]}
	rows := min(a.tile[0], a.nest.size[inner-1]-first[0])
	cols := min(a.tile[1], a.nest.size[inner]-first[1])
	i /= a.tiles[0] * a.tiles[1]
	at := [MaxExprInputs + 1]int{}
	for k := range at {
		at[k] = first[0]*a.nest.strides[inner-1][k] + first[1]*a.nest.strides[inner][k]
	}
	for d := inner - 2; d >= 0; d-- {
		for k := range at {
			at[k] += i % a.nest.size[d] * a.nest.strides[d][k]
		}
		i /= a.nest.size[d]
	}
	n := rows * cols
	var values [maxRegisters][]float32
	for k := range a.registers {
		values[k] = a.slice(memory, int(a.slot[k]), n)
	}
	for k := range a.inputs {
		src, along, across := a.operands[k+1][at[k+1]:], a.nest.strides[inner-1][k+1], a.nest.strides[inner][k+1]
		switch {
		case a.fixed[k]:
		case along == 1 && across >= rows:
			asm.Transpose(values[k], cols, src, across, cols, rows)
		default:
			for r := range rows {
				gatherStrided(values[k][r*cols:][:cols], src[r*along:], across)
			}
		}
	}
	out := values[a.result]
	if a.out >= 0 {
		out = a.slice(memory, a.out, n)
		evaluate(a.code, a.result, &values, out)
	}
	for r := range rows {
		a.store(a.operands[0][at[0]+r*a.nest.strides[inner-1][0]:], out[r*cols:][:cols], 1)
	}
}

// finish computes the expression of n elements that are in registers and stores
// them from p on.
func (a *mapArgs) finish(memory []float32, values *[maxRegisters][]float32, p *position, n int) {
	inner := a.nest.rank - 1
	out := values[a.result]
	switch {
	case a.out >= 0:
		out = a.slice(memory, a.out, n)
		evaluate(a.code, a.result, values, out)
	case len(a.code) > 0 || a.slot[a.result] < 0 && !a.stream:
		evaluate(a.code, a.result, values, a.operands[0][p.at[0]:][:n])
		return
	}
	for done := 0; done < n; {
		m := a.nest.run(p, n-done)
		a.store(a.operands[0][p.at[0]:], out[done:done+m], a.nest.strides[inner][0])
		done += m
		a.nest.advance(p, m)
	}
}

// store writes (adds) a run of results.
func (a *mapArgs) store(dst, src []float32, stride int) {
	switch {
	case a.stream:
		asm.CopyStream(dst[:len(src)], src)
	case stride != 1:
		scatterStrided(dst, src, stride, a.accumulate)
	case a.accumulate:
		asm.Add(dst[:len(src)], dst[:len(src)], src)
	default:
		copy(dst, src)
	}
}

// repeatRow sets dst to the elements of row from first on, over and over.
func repeatRow(dst, row []float32, first int) {
	n := copy(dst, row[first:])
	n += copy(dst[n:], row[:first])
	for ; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// gatherStrided sets dst[i] = src[i*stride].
func gatherStrided(dst, src []float32, stride int) {
	switch stride {
	case 1:
		copy(dst, src)
	case 0:
		fillFloats(dst, src[0])
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
