package tensor

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// alongArgs are the arguments of an operation along an axis. A line is all
// elements along it at one position of the other axes.
type alongArgs struct {
	lines      loopNest // of dst, x and index
	strides    [3]int   // along the axis
	n          int      // elements along the axis that are gone through
	dst, x     []float32
	ids        []int32
	block      int // lines of a part
	blocks     int
	chunk      int // elements along the axis of a part
	op         ReduceOp
	reverse    bool
	accumulate bool
}

var alongs spans[alongArgs]

// newAlong returns the arguments for the axis of a shape. The operands, of which
// the last ones may be nil, are broadcast to it in the other axes.
func newAlong(shape []int, axis int, operands [3]*Tensor) alongArgs {
	a := alongArgs{n: shape[axis]}
	a.lines.operands = len(operands)
	for d, n := range shape {
		var strides [MaxExprInputs + 1]int
		for k, t := range operands {
			switch {
			case t == nil:
			case t.rank != len(shape) || d != axis && t.shape[d] != n && t.shape[d] != 1:
				panic(fmt.Sprintf("tensor: shape %v along axis %d: operand %d differs", slices.Clone(shape), axis, k))
			case t.shape[d] != 1:
				strides[k] = t.strides[d]
			}
		}
		if d == axis {
			copy(a.strides[:], strides[:3])
		} else if n != 1 {
			a.lines.add(n, &strides)
		}
	}
	a.lines.finish()
	return a
}

// alongLines is how many lines are worked on side by side.
const alongLines = 512

// adjacent reports whether neighbouring lines are adjacent in dst and x, and have
// the same ids.
func (a *alongArgs) adjacent() bool {
	s := &a.lines.strides[a.lines.rank-1]
	return s[0] == 1 && s[1] == 1 && s[2] == 0 && a.lines.size[a.lines.rank-1] > 1
}

// run carries out a function for all lines, each as a whole.
func (a *alongArgs) run(c *CPU, fn func(a *alongArgs, lo, hi int)) {
	grain := max(1, elementGrain/max(a.n, 1))
	if a.adjacent() {
		grain = max(grain, 64)
	}
	alongs.run(c.pool, a.lines.len(), grain, *a, fn)
}

// mustIndex panics unless all elements of an index are rows of an axis of size n.
func mustIndex(op string, index *Tensor, n int) {
	if index.dtype != Int32 {
		panic(fmt.Sprintf("%s: index %v, want int32", op, index))
	}
	if index.Len() == 0 {
		return
	}
	ids := index.store.I32[index.offset:]
	if index.Contiguous() {
		mustRows(op, ids[:index.Len()], n)
		return
	}
	var l loopNest
	var p position
	l.init(index.Shape(), []*Tensor{index})
	l.seek(&p, 0)
	for i := range l.len() {
		if id := ids[p.at[0]]; id < 0 || int(id) >= n {
			panic(fmt.Sprintf("%s: row %d of %d, at position %d", op, id, n, i))
		}
		l.advance(&p, 1)
	}
}

// floatsFrom returns the memory of a tensor from its first element on.
func floatsFrom(t *Tensor) []float32 { return t.store.F32[t.offset:] }

// GatherAlong implements Backend.
func (c *CPU) GatherAlong(dst, x, index *Tensor, axis int, accumulate bool) {
	c.pool.mustBeOpen()
	if dst.Len() == 0 {
		return
	}
	mustIndex("gatheralong", index, x.shape[axis])
	a := newAlong(dst.Shape(), axis, [3]*Tensor{dst, x, index})
	a.strides[1] = x.strides[axis]
	a.dst, a.x, a.ids, a.accumulate = floatsFrom(dst), floatsFrom(x), index.store.I32[index.offset:], accumulate
	lines := a.lines.len()
	a.block = min(lines, alongLines)
	a.blocks = ceil.Div(lines, a.block)
	a.chunk = min(a.n, max(1, elementGrain/a.block))
	alongs.run(c.pool, a.blocks*((a.n+a.chunk-1)/a.chunk), 1, a, gatherAlong)
}

func gatherAlong(a *alongArgs, lo, hi int) {
	for part := lo; part < hi; part++ {
		first := part / a.blocks * a.chunk
		last := min(first+a.chunk, a.n)
		from := part % a.blocks * a.block
		to := min(from+a.block, a.lines.len())
		rows := a.adjacent()
		s := &a.lines.strides[a.lines.rank-1]
		var p position
		a.lines.seek(&p, from)
		for from < to {
			n := a.lines.run(&p, to-from)
			if rows {
				for i := first; i < last; i++ {
					y := a.dst[p.at[0]+i*a.strides[0]:][:n]
					x := a.x[p.at[1]+int(a.ids[p.at[2]+i*a.strides[2]])*a.strides[1]:][:n]
					if a.accumulate {
						asm.Add(y, y, x)
					} else {
						copy(y, x)
					}
				}
			} else {
				for j := range n {
					a.gatherLine(p.at[0]+j*s[0], p.at[1]+j*s[1], p.at[2]+j*s[2], first, last)
				}
			}
			from += n
			a.lines.advance(&p, n)
		}
	}
}

func (a *alongArgs) gatherLine(dst, x, id, first, last int) {
	for i := first; i < last; i++ {
		v := a.x[x+int(a.ids[id+i*a.strides[2]])*a.strides[1]]
		y := &a.dst[dst+i*a.strides[0]]
		if a.accumulate {
			v += *y
		}
		*y = v
	}
}

// ScatterAlong implements Backend. A part goes through its own lines, in order.
func (c *CPU) ScatterAlong(dst, src, index *Tensor, axis int, accumulate bool) {
	c.pool.mustBeOpen()
	if src.Len() == 0 {
		return
	}
	mustIndex("scatteralong", index, dst.shape[axis])
	a := newAlong(src.Shape(), axis, [3]*Tensor{dst, src, index})
	a.strides[0] = dst.strides[axis]
	a.dst, a.x, a.ids, a.accumulate = floatsFrom(dst), floatsFrom(src), index.store.I32[index.offset:], accumulate
	a.run(c, scatterAlong)
}

func scatterAlong(a *alongArgs, lo, hi int) {
	rows := a.adjacent()
	s := &a.lines.strides[a.lines.rank-1]
	var p position
	a.lines.seek(&p, lo)
	for lo < hi {
		n := a.lines.run(&p, hi-lo)
		if rows {
			for i := range a.n {
				y := a.dst[p.at[0]+int(a.ids[p.at[2]+i*a.strides[2]])*a.strides[0]:][:n]
				x := a.x[p.at[1]+i*a.strides[1]:][:n]
				if a.accumulate {
					asm.Add(y, y, x)
				} else {
					copy(y, x)
				}
			}
		} else {
			for j := range n {
				a.scatterLine(p.at[0]+j*s[0], p.at[1]+j*s[1], p.at[2]+j*s[2])
			}
		}
		lo += n
		a.lines.advance(&p, n)
	}
}

func (a *alongArgs) scatterLine(dst, x, id int) {
	for i := range a.n {
		v := a.x[x+i*a.strides[1]]
		y := &a.dst[dst+int(a.ids[id+i*a.strides[2]])*a.strides[0]]
		if a.accumulate {
			v += *y
		}
		*y = v
	}
}

// CopyInts implements Backend, on the calling goroutine: ids are few.
func (c *CPU) CopyInts(dst, x *Tensor) {
	c.pool.mustBeOpen()
	if !equalShapes(dst, x) || x.dtype != Int32 || !dst.Contiguous() {
		panic(fmt.Sprintf("copyints: %v from %v", dst, x))
	}
	if dst.Len() == 0 {
		return
	}
	from := x.store.I32[x.offset:]
	var l loopNest
	var p position
	l.init(x.Shape(), []*Tensor{x})
	l.seek(&p, 0)
	for i := range dst.Len() {
		if id := from[p.at[0]]; dst.dtype == Int32 {
			dst.store.I32[dst.offset+i] = id
		} else {
			dst.store.F32[dst.offset+i] = float32(id)
		}
		l.advance(&p, 1)
	}
}

// CumSum implements Backend.
func (c *CPU) CumSum(dst, x *Tensor, axis int, reverse, accumulate bool) {
	c.pool.mustBeOpen()
	if dst.Len() == 0 {
		return
	}
	a := newAlong(dst.Shape(), axis, [3]*Tensor{dst, x})
	a.dst, a.x, a.reverse, a.accumulate = floatsFrom(dst), floatsFrom(x), reverse, accumulate
	a.run(c, cumSum)
}

func cumSum(a *alongArgs, lo, hi int) {
	s := &a.lines.strides[a.lines.rank-1]
	var p position
	a.lines.seek(&p, lo)
	rows := a.adjacent()
	for lo < hi {
		n := a.lines.run(&p, min(hi-lo, alongLines))
		if rows {
			a.cumSumRows(p.at[0], p.at[1], n)
		} else {
			for j := range n {
				a.cumSumLine(p.at[0]+j*s[0], p.at[1]+j*s[1])
			}
		}
		lo += n
		a.lines.advance(&p, n)
	}
}

// cumSumRows adds up n adjacent lines side by side.
func (a *alongArgs) cumSumRows(dst, x, n int) {
	var buffer [alongLines]float64
	sums := buffer[:n]
	for i := range a.n {
		if a.reverse {
			i = a.n - 1 - i
		}
		y, x := a.dst[dst+i*a.strides[0]:][:n], a.x[x+i*a.strides[1]:][:n]
		for j, v := range x {
			sums[j] += float64(v)
			v := sums[j]
			if a.accumulate {
				v += float64(y[j])
			}
			y[j] = float32(v)
		}
	}
}

func (a *alongArgs) cumSumLine(dst, x int) {
	stepDst, stepX := a.strides[0], a.strides[1]
	if a.reverse {
		dst, x = dst+(a.n-1)*stepDst, x+(a.n-1)*stepX
		stepDst, stepX = -stepDst, -stepX
	}
	sum := 0.0
	for range a.n {
		sum += float64(a.x[x])
		v := sum
		if a.accumulate {
			v += float64(a.dst[dst])
		}
		a.dst[dst] = float32(v)
		dst += stepDst
		x += stepX
	}
}

// ArgReduce implements Backend.
func (c *CPU) ArgReduce(dst *Tensor, op ReduceOp, x *Tensor) {
	c.pool.mustBeOpen()
	axis := -1
	for d, n := range x.Shape() {
		if dst.rank != x.rank || dst.shape[d] != n && (dst.shape[d] != 1 || axis >= 0) {
			panic(fmt.Sprintf("argreduce: %v to %v", x, dst))
		}
		if dst.shape[d] != n {
			axis = d
		}
	}
	if dst.Len() == 0 {
		return
	}
	if axis < 0 { // one element each
		clear(dst.Int32s())
		return
	}
	a := newAlong(x.Shape(), axis, [3]*Tensor{x, x, dst})
	a.op, a.x, a.ids = op, floatsFrom(x), dst.store.I32[dst.offset:]
	if a.n == 0 {
		panic(fmt.Sprintf("argreduce: %v to %v: no elements", x, dst))
	}
	a.run(c, argReduce)
}

// argReduce goes through lines side by side if they are adjacent in memory.
func argReduce(a *alongArgs, lo, hi int) {
	s := &a.lines.strides[a.lines.rank-1]
	var p position
	a.lines.seek(&p, lo)
	rows := s[1] == 1 && a.lines.size[a.lines.rank-1] > 1
	for lo < hi {
		n := a.lines.run(&p, min(hi-lo, alongLines))
		if rows {
			a.argRows(p.at[1], p.at[2], s[2], n)
		} else {
			for j := range n {
				a.ids[p.at[2]+j*s[2]] = a.argLine(p.at[1] + j*s[1])
			}
		}
		lo += n
		a.lines.advance(&p, n)
	}
}

// argRows goes through n adjacent lines, whose results are stride apart.
func (a *alongArgs) argRows(x, id, stride, n int) {
	var values [alongLines]float32
	var rows [alongLines]int32
	best, at := values[:n], rows[:n]
	copy(best, a.x[x:])
	for i := 1; i < a.n; i++ {
		for j, v := range a.x[x+i*a.strides[1]:][:n] {
			if a.op.better(v, best[j]) {
				best[j], at[j] = v, int32(i)
			}
		}
	}
	for j, i := range at {
		a.ids[id+j*stride] = i
	}
}

func (a *alongArgs) argLine(x int) int32 {
	if a.op == ReduceMax && a.strides[1] == 1 {
		return int32(asm.ArgMax(a.x[x:][:a.n]))
	}
	at, best := 0, a.x[x]
	for i := 1; i < a.n; i++ {
		if v := a.x[x+i*a.strides[1]]; a.op.better(v, best) {
			at, best = i, v
		}
	}
	return int32(at)
}

// better reports whether v is to be taken instead of best, which comes before it.
func (op ReduceOp) better(v, best float32) bool {
	if op == ReduceMin {
		v, best = -v, -best
	}
	return v > best || v != v && best == best
}

// TopK implements Backend.
func (c *CPU) TopK(values, indices, x *Tensor) {
	c.pool.mustBeOpen()
	if values.Len() == 0 {
		return
	}
	axis := x.rank - 1
	if values.rank != x.rank || !slices.Equal(values.Shape(), indices.Shape()) ||
		values.shape[axis] > x.shape[axis] || x.shape[axis] > math.MaxInt32 {
		panic(fmt.Sprintf("topk: %v and %v of %v", values, indices, x))
	}
	a := newAlong(x.Shape(), axis, [3]*Tensor{values, x, indices})
	for k, t := range [3]*Tensor{values, x, indices} {
		a.strides[k] = t.strides[axis]
	}
	a.chunk = values.shape[axis]
	a.dst, a.x, a.ids = floatsFrom(values), floatsFrom(x), indices.store.I32[indices.offset:]
	a.run(c, topK)
}

// topKKeys keeps buffers of topK.
var topKKeys = sync.Pool{New: func() any { return new([]uint64) }}

// topK keeps the greatest keys of a line in a heap whose first is the smallest.
func topK(a *alongArgs, lo, hi int) {
	buffer := topKKeys.Get().(*[]uint64)
	*buffer = slices.Grow((*buffer)[:0], a.chunk)
	keys := (*buffer)[:a.chunk]
	var p position
	a.lines.seek(&p, lo)
	for ; lo < hi; lo++ {
		n := a.lines.run(&p, 1)
		x := a.x[p.at[1]:]
		for i := range keys {
			keys[i] = topKKey(x[i*a.strides[1]], i)
		}
		for i := len(keys)/2 - 1; i >= 0; i-- {
			siftDown(keys, i)
		}
		worst := x[topKRow(keys[0])*a.strides[1]]
		for i := len(keys); i < a.n; i++ {
			v := x[i*a.strides[1]]
			if v <= worst { // later equals come behind
				continue
			}
			if key := topKKey(v, i); key > keys[0] {
				keys[0] = key
				siftDown(keys, 0)
				worst = x[topKRow(keys[0])*a.strides[1]]
			}
		}
		slices.Sort(keys)
		for i := range keys {
			row := topKRow(keys[len(keys)-1-i])
			a.dst[p.at[0]+i*a.strides[0]] = x[row*a.strides[1]]
			a.ids[p.at[2]+i*a.strides[2]] = int32(row)
		}
		a.lines.advance(&p, n)
	}
	topKKeys.Put(buffer)
}

// topKKey returns a number that is the greater the earlier element i, of value v,
// comes: by value, NaN first, and then by i.
func topKKey(v float32, i int) uint64 {
	bits := uint32(math.MaxUint32)
	if v == v {
		bits = math.Float32bits(v + 0) // +0 for -0
		if bits>>31 != 0 {
			bits = ^bits
		} else {
			bits |= 1 << 31
		}
	}
	return uint64(bits)<<32 | uint64(^uint32(i))
}

func topKRow(key uint64) int { return int(^uint32(key)) }

// siftDown restores the order of a heap below element i.
func siftDown(keys []uint64, i int) {
	for {
		child := 2*i + 1
		if child >= len(keys) {
			return
		}
		if child+1 < len(keys) && keys[child+1] < keys[child] {
			child++
		}
		if keys[i] <= keys[child] {
			return
		}
		keys[i], keys[child] = keys[child], keys[i]
		i = child
	}
}
