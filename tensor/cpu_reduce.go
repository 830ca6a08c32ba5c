package tensor

import (
	"fmt"
	"math"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// reduceArgs are a Reduce, a task of the pool. Every part makes a block of elements
// of dst, kept, from a chunk of the elements that fall on each. How the work is
// divided depends on sizes alone, so that results do not depend on the threads.
type reduceArgs struct {
	op         ReduceOp
	kept       loopNest // of dst and x
	reduced    loopNest // of x
	dst, x     []float32
	accumulate bool
	columns    bool // the elements of a block are adjacent in x
	rows       bool // the elements that fall on one of dst are a row of x, dst is adjacent
	short      bool // the few elements that fall on one of dst are adjacent in x
	n, m       int  // elements of dst, and of x for each
	block      int  // elements of dst in a part
	blocks     int
	chunk      int // elements of x for each of dst in a part
	chunks     int
	partial    []float64 // of each chunk, all of dst, if there are several
}

const (
	// reduceBlock is how many columns are reduced together.
	reduceBlock = 1024
	// Columns of up to reduceNarrow adjacent elements are reduced several rows at once.
	reduceNarrow = reduceBlock / 4
	// Rows of fewer elements than reduceShort are transposed, to be reduced as columns.
	reduceShort = 64
	// Of rows of up to reduceLong elements several are reduced by a kernel.
	reduceLong = 1 << 14
	// Rows of fewer elements than reduceFew are not worth a kernel.
	reduceFew = 16
)

var (
	// reductions holds the Reduces that are not running.
	reductions = sync.Pool{New: func() any { return new(reduceArgs) }}
	// reduceBuffers holds the results that no part uses.
	reduceBuffers = sync.Pool{New: func() any { return new([reduceBlock]float64) }}
)

// Reduce implements Backend.
func (c *CPU) Reduce(dst *Tensor, op ReduceOp, x *Tensor, accumulate bool) {
	if dst.rank != x.rank {
		panic(fmt.Sprintf("reduce: %v to %v", x, dst))
	}
	c.pool.mustBeOpen()
	a := reductions.Get().(*reduceArgs)
	a.op, a.accumulate = op, accumulate
	a.dst, a.x = dst.store.F32[dst.offset:], x.store.F32[x.offset:]
	a.plan(dst, x, accumulate)
	if parts := a.blocks * a.chunks; parts == 1 {
		a.Do(0)
	} else if parts > 1 {
		c.pool.Run(parts, a)
	}
	if a.chunks > 1 {
		a.combine()
	}
	a.dst, a.x = nil, nil
	reductions.Put(a)
}

// plan divides the work.
func (a *reduceArgs) plan(dst, x *Tensor, accumulate bool) {
	a.kept.rank, a.kept.operands = 0, 2
	a.reduced.rank, a.reduced.operands = 0, 1
	for d, n := range x.shape[:x.rank] {
		switch dst.shape[d] {
		case n:
			if n != 1 {
				a.kept.add(n, &[MaxExprInputs + 1]int{dst.strides[d], x.strides[d]})
			}
		case 1:
			a.reduced.add(n, &[MaxExprInputs + 1]int{x.strides[d]})
		default:
			panic(fmt.Sprintf("reduce: %v to %v", x, dst))
		}
	}
	a.kept.finish()
	a.reduced.finish()
	a.kept.innermost(1)
	a.reduced.innermost(0)
	a.n, a.m = a.kept.len(), a.reduced.len()
	inner := a.kept.rank - 1
	a.columns = a.kept.strides[inner][1] == 1 && a.kept.size[inner] > 1
	a.short = a.reduced.rank == 1 && a.reduced.strides[0][0] == 1 && a.m >= minTile && a.m < reduceShort &&
		a.kept.size[inner] >= minTile && a.kept.strides[inner][1] >= a.m
	stride := a.kept.strides[inner]
	a.rows = !accumulate && a.reduced.rank == 1 && (a.reduced.strides[0][0] == 1 || a.m == 1) && a.m > 0 &&
		stride[0] == 1 && stride[1] >= a.m && a.m <= reduceLong
	a.block = max(1, min(reduceBlock, elementGrain/max(a.m, 1)))
	if a.rows {
		a.block = max(4, 4*elementGrain/a.m&^3)
	} else if a.columns {
		a.block = reduceBlock
	}
	a.blocks = ceil.Div(a.n, a.block)
	a.chunk, a.chunks = max(a.m, 1), 1
	if a.n == 0 {
		return
	}
	// Few results of many elements: several chunks for each.
	if chunks := min(64, a.n*a.m/(8*elementGrain)/a.blocks); chunks > 1 && a.n <= 4096 {
		a.rows = false
		a.chunk = ceil.Div(a.m, chunks)
		a.chunks = ceil.Div(a.m, a.chunk)
		if size := a.chunks * a.n; cap(a.partial) < size {
			a.partial = make([]float64, size)
		} else {
			a.partial = a.partial[:size]
		}
	}
}

// identity is the reduction of no elements.
func (op ReduceOp) identity() float64 {
	switch op {
	case ReduceMax:
		return math.Inf(-1)
	case ReduceMin:
		return math.Inf(1)
	}
	return 0
}

// join puts the elements of b together with those of a, at the same places.
func (op ReduceOp) join(a, b []float64) {
	b = b[:len(a)]
	switch op {
	case ReduceSum:
		for i := range a {
			a[i] += b[i]
		}
	case ReduceMax:
		for i := range a {
			a[i] = max(a[i], b[i])
		}
	case ReduceMin:
		for i := range a {
			a[i] = min(a[i], b[i])
		}
	}
}

// Do carries out a part.
func (a *reduceArgs) Do(part int) {
	block, chunk := part%a.blocks, part/a.blocks
	from, to := block*a.block, min((block+1)*a.block, a.n)
	var p position
	a.kept.seek(&p, from)
	switch {
	case a.rows:
		for from < to {
			run := a.kept.run(&p, to-from)
			a.op.reduceRows(a.dst[p.at[0]:][:run], a.x[p.at[1]:], a.m, a.kept.strides[a.kept.rank-1][1])
			from += run
			a.kept.advance(&p, run)
		}
	case a.chunks > 1:
		a.reduce(a.partial[chunk*a.n+from:chunk*a.n+to], p, chunk*a.chunk, min((chunk+1)*a.chunk, a.m))
	default:
		values := reduceBuffers.Get().(*[reduceBlock]float64)
		a.reduce(values[:to-from], p, 0, a.m)
		a.storeAll(values[:to-from], p)
		reduceBuffers.Put(values)
	}
}

// reduce sets values to the reductions, from p on, of the elements first to last that
// fall on each.
func (a *reduceArgs) reduce(values []float64, p position, first, last int) {
	for len(values) > 0 {
		run := a.kept.run(&p, len(values))
		v := values[:run]
		switch {
		case a.columns:
			a.reduceColumns(v, p.at[1], first, last)
		case a.short:
			a.reduceShort(v, p.at[1], first, last)
		default:
			for i := range v {
				v[i] = a.reduceOne(p.at[1]+i*a.kept.strides[a.kept.rank-1][1], first, last)
			}
		}
		values = values[run:]
		a.kept.advance(&p, run)
	}
}

// storeAll writes results from p on.
func (a *reduceArgs) storeAll(values []float64, p position) {
	for len(values) > 0 {
		run := a.kept.run(&p, len(values))
		a.store(p.at[0], values[:run])
		values = values[run:]
		a.kept.advance(&p, run)
	}
}

// store writes results to the innermost dimension of dst.
func (a *reduceArgs) store(at int, values []float64) {
	stride := a.kept.strides[a.kept.rank-1][0]
	for i, v := range values {
		d := &a.dst[at+i*stride]
		if a.accumulate {
			v += float64(*d)
		}
		*d = float32(v)
	}
}

// combine joins the chunks.
func (a *reduceArgs) combine() {
	all := a.partial[:a.n]
	for rest := a.partial[a.n:]; len(rest) > 0; rest = rest[a.n:] {
		a.op.join(all, rest)
	}
	var p position
	a.kept.seek(&p, 0)
	a.storeAll(all, p)
}

// reduceOne reduces the elements first to last that fall on one result.
func (a *reduceArgs) reduceOne(at, first, last int) float64 {
	stride := a.reduced.strides[a.reduced.rank-1][0]
	if a.reduced.rank == 1 && first < last {
		return a.op.reduceRun(a.x[at+first*stride:], last-first, stride)
	}
	result := [1]float64{a.op.identity()}
	var p position
	a.reduced.seek(&p, first)
	for first < last {
		n := a.reduced.run(&p, last-first)
		a.op.join(result[:], []float64{a.op.reduceRun(a.x[at+p.at[0]:], n, stride)})
		first += n
		a.reduced.advance(&p, n)
	}
	return result[0]
}

// reduceShort reduces the elements first to last that fall on each of some results.
func (a *reduceArgs) reduceShort(values []float64, at, first, last int) {
	scratch := mapScratches.Get().(*[mapScratch]float32)
	defer mapScratches.Put(scratch)
	for i := range values {
		values[i] = a.op.identity()
	}
	stride := a.kept.strides[a.kept.rank-1][1]
	for len(values) > 0 {
		n := min(len(values), tileCols)
		asm.Transpose(scratch[:], tileCols, a.x[at+first:], stride, n, last-first)
		a.op.joinRows(values[:n], scratch[:], last-first, tileCols)
		values, at = values[n:], at+n*stride
	}
}

// reduceRows reduces rows of m elements.
func (op ReduceOp) reduceRows(dst, x []float32, m, stride int) {
	switch op {
	case ReduceSum:
		asm.SumRows(dst, x, m, stride)
	case ReduceMax:
		asm.MaxRows(dst, x, m, stride)
	case ReduceMin:
		asm.MinRows(dst, x, m, stride)
	}
}

// reduceRun reduces n elements of x that are stride apart.
func (op ReduceOp) reduceRun(x []float32, n, stride int) float64 {
	if stride == 1 && n >= reduceFew {
		switch x = x[:n]; op {
		case ReduceSum:
			return asm.Sum(x)
		case ReduceMax:
			return float64(asm.MaxElement(x))
		default:
			return float64(asm.MinElement(x))
		}
	}
	result := op.identity()
	switch op {
	case ReduceSum:
		for i := range n {
			result += float64(x[i*stride])
		}
	case ReduceMax:
		for i := range n {
			result = max(result, float64(x[i*stride]))
		}
	case ReduceMin:
		for i := range n {
			result = min(result, float64(x[i*stride]))
		}
	}
	return result
}

// reduceColumns reduces the elements first to last that fall on each of some
// results, which are adjacent in x.
func (a *reduceArgs) reduceColumns(values []float64, at, first, last int) {
	for i := range values {
		values[i] = a.op.identity()
	}
	var p position
	a.reduced.seek(&p, first)
	stride := a.reduced.strides[a.reduced.rank-1][0]
	for first < last {
		rows := a.reduced.run(&p, last-first)
		x := a.x[at+p.at[0]:]
		if wide := reduceBlock / len(values); stride == len(values) && len(values) <= reduceNarrow && rows >= 2*wide {
			// Rows that follow each other without a gap are one row.
			var buffer [reduceBlock]float64
			wider := buffer[:wide*len(values)]
			for i := range wider {
				wider[i] = a.op.identity()
			}
			whole := rows / wide
			a.op.joinRows(wider, x, whole, len(wider))
			for ; len(wider) > 0; wider = wider[len(values):] {
				a.op.join(values, wider[:len(values)])
			}
			if rest := rows - whole*wide; rest > 0 {
				a.op.joinRows(values, x[whole*wide*stride:], rest, stride)
			}
		} else {
			a.op.joinRows(values, x, rows, stride)
		}
		first += rows
		a.reduced.advance(&p, rows)
	}
}

// joinRows joins rows of x that are stride apart to values.
func (op ReduceOp) joinRows(values []float64, x []float32, rows, stride int) {
	if op == ReduceSum {
		asm.SumColumns(values, x, rows, stride)
		return
	}
	var buffer [reduceBlock]float32
	all := buffer[:len(values)]
	copy(all, x)
	if op == ReduceMax {
		asm.MaxColumns(all, x, rows, stride)
	} else {
		asm.MinColumns(all, x, rows, stride)
	}
	for i, v := range all {
		if op == ReduceMax {
			values[i] = max(values[i], float64(v))
		} else {
			values[i] = min(values[i], float64(v))
		}
	}
}
