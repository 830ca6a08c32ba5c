package tensor

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/asm"
)

// reduceArgs are the arguments of a Reduce. Every part makes a block of adjacent
// elements of dst, kept, from a chunk of the elements that fall on each.
type reduceArgs struct {
	op         ReduceOp
	kept       loopNest // of dst and x
	reduced    loopNest // of x
	dst, x     []float32
	accumulate bool
	columns    bool // the elements of a block are adjacent in x
	block      int  // elements of dst in a part
	blocks     int
	chunk      int       // elements of x for each of dst in a part
	partial    []float64 // of each chunk, all of dst; nil if there is one chunk
}

const (
	// reduceBlock is how many columns are reduced together.
	reduceBlock = 512
	// reduceRows is how many rows are added in float32 before float64 takes over.
	reduceRows = 16
)

var reductions spans[reduceArgs]

// Reduce implements Backend. How the work is divided depends on sizes alone, so
// that the result does not depend on the threads.
func (c *CPU) Reduce(dst *Tensor, op ReduceOp, x *Tensor, accumulate bool) {
	if dst.rank != x.rank {
		panic(fmt.Sprintf("reduce: %v to %v", x, dst))
	}
	var keptShape, reducedShape [MaxRank]int
	for d, n := range x.shape[:x.rank] {
		switch dst.shape[d] {
		case n:
			keptShape[d], reducedShape[d] = n, 1
		case 1:
			keptShape[d], reducedShape[d] = 1, n
		default:
			panic(fmt.Sprintf("reduce: %v to %v", x, dst))
		}
	}
	k, r := *x, *x
	k.shape, r.shape = keptShape, reducedShape
	a := reduceArgs{
		op: op, accumulate: accumulate, dst: dst.store.F32[dst.offset:], x: x.store.F32[x.offset:],
	}
	a.kept.init(k.Shape(), []*Tensor{dst, &k})
	a.reduced.init(r.Shape(), []*Tensor{&r})
	n, m := a.kept.len(), a.reduced.len()
	if n == 0 {
		return
	}
	a.columns = a.kept.strides[a.kept.rank-1][1] == 1 && a.kept.size[a.kept.rank-1] > 1
	a.block = max(1, min(reduceBlock, elementGrain/max(m, 1)))
	if a.columns {
		a.block = reduceBlock
	}
	a.blocks = (n + a.block - 1) / a.block
	a.chunk = m
	// Few results of many elements: several chunks for each.
	if chunks := min(64, n*m/(4*elementGrain)/a.blocks); chunks > 1 && n <= 4096 {
		a.chunk = (m + chunks - 1) / chunks
		a.partial = make([]float64, (m+a.chunk-1)/a.chunk*n)
	}
	parts := 1
	if m > 0 {
		parts = (m + a.chunk - 1) / a.chunk
	}
	reductions.run(c.pool, a.blocks*parts, 1, a, reduceParts)
	if a.partial != nil {
		a.combine(n)
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

// join puts two elements together.
func (op ReduceOp) join(a, b float64) float64 {
	switch op {
	case ReduceMax:
		return max(a, b)
	case ReduceMin:
		return min(a, b)
	}
	return a + b
}

func reduceParts(a *reduceArgs, lo, hi int) {
	for part := lo; part < hi; part++ {
		block, chunk := part%a.blocks, part/a.blocks
		n, m := a.kept.len(), a.reduced.len()
		from, to := block*a.block, min((block+1)*a.block, n)
		first, last := chunk*a.chunk, min((chunk+1)*a.chunk, m)
		var buffer [reduceBlock]float64
		values := buffer[:to-from]
		var p position
		a.kept.seek(&p, from)
		for done := 0; done < len(values); {
			run := a.kept.run(&p, len(values)-done)
			v := values[done : done+run]
			if a.columns {
				a.reduceColumns(v, p.at[1], first, last)
			} else {
				for i := range v {
					v[i] = a.reduceOne(p.at[1]+i*a.kept.strides[a.kept.rank-1][1], first, last)
				}
			}
			if a.partial != nil {
				copy(a.partial[chunk*n+from+done:], v)
			} else {
				a.store(p.at[0], v)
			}
			done += run
			a.kept.advance(&p, run)
		}
	}
}

// store writes results to adjacent elements of the innermost dimension of dst.
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

// combine joins the chunks of n results.
func (a *reduceArgs) combine(n int) {
	var p position
	a.kept.seek(&p, 0)
	for i := range n {
		v := a.op.identity()
		for at := i; at < len(a.partial); at += n {
			v = a.op.join(v, a.partial[at])
		}
		a.store(p.at[0], []float64{v})
		a.kept.advance(&p, 1)
	}
}

// reduceOne reduces the elements first to last that fall on one result.
func (a *reduceArgs) reduceOne(at, first, last int) float64 {
	result := a.op.identity()
	var p position
	a.reduced.seek(&p, first)
	stride := a.reduced.strides[a.reduced.rank-1][0]
	for first < last {
		n := a.reduced.run(&p, last-first)
		x := a.x[at+p.at[0]:]
		if stride == 1 && a.op == ReduceSum {
			result += asm.Sum(x[:n])
		} else {
			for i := range n {
				result = a.op.join(result, float64(x[i*stride]))
			}
		}
		first += n
		a.reduced.advance(&p, n)
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
	var buffer [reduceBlock]float32
	sum := buffer[:len(values)]
	rows := 0
	flush := func() {
		for i, v := range sum {
			values[i] += float64(v)
		}
		rows = 0
	}
	for ; first < last; first++ {
		x := a.x[at+p.at[0]:][:len(values)]
		switch {
		case a.op != ReduceSum:
			for i, v := range x {
				values[i] = a.op.join(values[i], float64(v))
			}
		case rows == 0:
			copy(sum, x)
			rows = 1
		default:
			asm.Add(sum, sum, x)
			if rows++; rows == reduceRows {
				flush()
			}
		}
		a.reduced.advance(&p, 1)
	}
	if rows > 0 {
		flush()
	}
}
