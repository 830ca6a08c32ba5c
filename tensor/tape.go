package tensor

import (
	"fmt"
	"math"
	"slices"
)

var nan = float32(math.NaN())

// Tape carries out operations and, while it records, keeps what Backward needs.
// Its tensors live until Reset; using one later panics. A tape is for one
// goroutine; several tapes may share parameters, but only one may run Backward on
// them at a time. Other tapes may read a tape's results, as constants, while it is
// not in use.
type Tape struct {
	backend   Backend
	floats    arena
	ints      arena
	tensors   slab[Tensor]
	stale     slab[Tensor] // of before the last Reset, kept so that their use is noticed
	attention slab[AttentionOptions]

	rowAttention slab[AttentionRowsOptions]

	records    []record
	early      []earlyGradient
	uses       parameterUses
	done       func(p *Tensor) // of BackwardEach, while it runs
	lent       []*Tensor       // parameters whose gradients are in memory of the tape
	operands   []*Tensor       // of the backend's Map, used again and again
	lists      []*Tensor       // those of the records
	generation uint32          // the number of Resets
	recording  bool
	training   bool
	rowwise    bool  // see Generation
	spent      bool  // Backward was called
	applying   bool  // the backward pass of a Function runs
	parent     *Tape // whose Checkpoint computes on this tape
	child      *Tape // for Checkpoint; nil before its first call
	seed       uint64
	streams    uint64 // dropouts so far
}

// record is one operation to go back through. Which fields are set is the
// business of the operation and its backward function.
type record struct {
	backward func(tp *Tape, r *record)
	forward  func(tp *Tape, r *record) // computes out again, or nil
	out      *Tensor
	in       [MaxExprInputs]*Tensor
	expr     *Expr
	axis, n  int
	list     []*Tensor // more inputs
	saved    [3]*Tensor
	offsets  []int32
	attn     *AttentionOptions
	f        float32
	flag     bool
	seed     uint64
	stream   uint64

	function   func(dout *Tensor) []*Tensor         // of Apply
	checkpoint func(tp *Tape, in []*Tensor) *Tensor // of Checkpoint
}

// slab gives out structures that are all given back at once.
type slab[T any] struct {
	chunks [][]T
	n      int
}

const slabChunk = 256

func (s *slab[T]) get() *T {
	c := s.n / slabChunk
	if c == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	t := &s.chunks[c][s.n%slabChunk]
	s.n++
	return t
}

func (s *slab[T]) reset() {
	for c := range s.chunks {
		if c*slabChunk < s.n {
			clear(s.chunks[c])
		}
	}
	s.n = 0
}

// NewTape returns a tape that does not record: see Reset.
func NewTape(b Backend) *Tape {
	return &Tape{
		backend: b,
		floats:  arena{backend: b, dtype: Float32},
		ints:    arena{backend: b, dtype: Int32},
	}
}

// Mode tells what a tape is used for.
type Mode uint8

// The modes of a tape.
const (
	Inference  Mode = iota // no recording, no dropout
	Gradient               // records for Backward, no dropout
	Training               // records for Backward, dropout is on
	Generation             // Inference in which, to the last bit, no row depends on how many others there are
)

// Reset clears all operations and frees the memory of all tensors that the tape
// made: none of them can be used any more. The seed determines the dropout of what
// follows.
func (tp *Tape) Reset(mode Mode, seed uint64) {
	tp.takeGradientsBack()
	tp.returnGradients()
	tp.floats.reset()
	tp.ints.reset()
	tp.tensors, tp.stale = tp.stale, tp.tensors
	tp.tensors.reset()
	tp.attention.reset()
	tp.rowAttention.reset()
	clear(tp.records)
	tp.records = tp.records[:0]
	clear(tp.lists)
	tp.lists = tp.lists[:0]
	tp.generation++
	tp.recording, tp.training, tp.rowwise = mode == Gradient || mode == Training, mode == Training, mode == Generation
	tp.spent, tp.applying = false, false
	tp.seed, tp.streams = seed, 0
}

// Backend returns the backend that the tape's operations run on.
func (tp *Tape) Backend() Backend { return tp.backend }

// Bytes returns the memory that the tape holds for tensors.
func (tp *Tape) Bytes() int {
	n := tp.floats.bytes() + tp.ints.bytes()
	if tp.child != nil {
		n += tp.child.Bytes()
	}
	return n
}

// Poison makes the tape fill freed memory with NaN, so that tests find reads of
// values that were never written.
func (tp *Tape) Poison() {
	tp.floats.poison = true
	if tp.child != nil {
		tp.child.Poison()
	}
}

// tensor returns a tensor of the tape without memory.
func (tp *Tape) tensor() *Tensor {
	t := tp.tensors.get()
	t.tape, t.generation = tp, tp.generation
	return t
}

// New returns a float32 tensor with undefined content.
func (tp *Tape) New(shape ...int) *Tensor {
	t := tp.tensor()
	t.init(tp.backend, Float32, shape)
	t.store, t.offset = tp.floats.alloc(t.Len())
	return t
}

// release frees the memory of a tensor of New before Reset does. Neither it nor a
// view of it may be used afterwards. Releasing nil does nothing.
func (tp *Tape) release(t *Tensor) {
	if t != nil {
		tp.floats.release(t.store, t.offset, t.Len())
	}
}

// Floats returns a tensor that holds a copy of data.
func (tp *Tape) Floats(data []float32, shape ...int) *Tensor {
	t := tp.New(shape...)
	t.SetFloat32s(data)
	return t
}

// Ints returns an int32 tensor [len(data)] that holds a copy of data.
func (tp *Tape) Ints(data []int32) *Tensor {
	t := tp.newInts(len(data))
	t.SetInt32s(data)
	return t
}

// newInts returns an int32 tensor with undefined content.
func (tp *Tape) newInts(shape ...int) *Tensor {
	t := tp.tensor()
	t.init(tp.backend, Int32, shape)
	t.store, t.offset = tp.ints.alloc(t.Len())
	return t
}

// Rows returns the rows lo:hi of x [n, ...] as a view. Gradients of the view
// flow to those rows of x.
func (tp *Tape) Rows(x *Tensor, lo, hi int) *Tensor {
	if lo < 0 || hi < lo || hi > x.shape[0] {
		panic(fmt.Sprintf("rows: %d:%d of %v", lo, hi, x))
	}
	v := tp.view("rows", x, useViewed)
	v.offset += lo * x.strides[0]
	v.shape[0] = hi - lo
	return v
}

// Columns returns the columns lo:hi of a matrix x [n, d] as a view. Gradients
// of the view flow to those columns of x.
func (tp *Tape) Columns(x *Tensor, lo, hi int) *Tensor {
	if x.rank != 2 || lo < 0 || hi < lo || hi > x.shape[1] {
		panic(fmt.Sprintf("columns: %d:%d of %v", lo, hi, x))
	}
	v := tp.view("columns", x, useViewed)
	v.shape[1] = hi - lo
	v.move(lo)
	return v
}

// Detach returns x as a view that gradients do not flow through.
func (tp *Tape) Detach(x *Tensor) *Tensor {
	v := tp.view("detach", x, useViewed)
	v.base, v.requiresGrad = nil, false
	return v
}

// alias returns another tensor with the memory and the gradient of x.
func (tp *Tape) alias(op string, x *Tensor) *Tensor {
	v := tp.view(op, x, useAliased)
	v.whole = x.base == nil || x.whole
	return v
}

// view returns another tensor of the same memory as x. It marks x only if x is the
// tape's own, since other tapes may be reading it.
func (tp *Tape) view(op string, x *Tensor, how use) *Tensor {
	tp.mustUse(op, x)
	if x.tape == tp {
		x.use |= how
	}
	v := tp.tensor()
	*v = Tensor{
		backend: x.backend, store: x.store, offset: x.offset,
		rank: x.rank, shape: x.shape, strides: x.strides, dtype: x.dtype,
		requiresGrad: x.requiresGrad && tp.recording, base: x.base, tape: tp, generation: tp.generation,
	}
	if v.base == nil {
		v.base = x
	}
	return v
}

// mustUse panics unless an operation can read x.
func (tp *Tape) mustUse(op string, x *Tensor) {
	x.mustLive(op)
	switch {
	case tp.spent && !tp.applying:
		panic(op + ": after Backward the tape needs a Reset")
	case x.use&(useOverwritten|useRecomputed|useForgotten) != 0 && (x.store == nil || !tp.applying):
		panic(fmt.Sprintf("%s: %v was given to %s", op, x, x.use.taker()))
	case x.tape != nil && x.tape != tp && x.requiresGrad && tp.differentiates():
		panic(fmt.Sprintf("%s: %v is a result of another tape, where gradients do not reach it", op, x))
	}
}

// differentiates reports whether gradients are to flow through what the tape
// computes, now or when a Checkpoint computes it again.
func (tp *Tape) differentiates() bool {
	return tp.recording || tp.parent != nil && tp.parent.differentiates()
}

// read panics unless an operation can read all inputs, and marks them as read.
// Inputs can be nil.
func (tp *Tape) read(op string, inputs ...*Tensor) {
	for _, t := range inputs {
		if t == nil {
			continue
		}
		tp.mustUse(op, t)
		if t.tape == tp { // others may be shared
			t.use |= useRead
		}
	}
}

// result prepares the output of an operation: whether it needs a gradient.
func (tp *Tape) result(out *Tensor, inputs ...*Tensor) bool {
	if !tp.recording {
		return false
	}
	out.requiresGrad = slices.ContainsFunc(inputs, func(t *Tensor) bool { return t != nil && t.requiresGrad })
	return out.requiresGrad
}

func (tp *Tape) push() *record {
	tp.records = append(tp.records, record{})
	return &tp.records[len(tp.records)-1]
}
