package tensor

import (
	"fmt"
	"math"
	"slices"
)

var nan = float32(math.NaN())

// Tape carries out operations and, while it records, remembers them for
// Backward. Its tensors live until Reset. A tape is for one goroutine; several
// tapes may share parameters for reading, but only one may run Backward on
// them at a time.
type Tape struct {
	backend   Backend
	floats    arena
	ints      arena
	tensors   slab[Tensor]
	attention slab[AttentionOptions]
	records   []record
	loans     []loan
	recording bool
	training  bool
	seed      uint64
	streams   uint64 // dropouts so far
}

// record is one operation to go back through. Which fields are set is the
// business of the operation and its backward function.
type record struct {
	backward func(tp *Tape, r *record)
	again    func(tp *Tape, r *record) // computes a forgotten out, or nil
	out      *Tensor
	in       [4]*Tensor
	saved    [3]*Tensor
	offsets  []int32
	attn     *AttentionOptions
	f        float32
	flag     bool
	seed     uint64
	stream   uint64
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
	Inference Mode = iota // no recording, no dropout
	Gradient              // records for Backward, no dropout
	Training              // records for Backward, dropout is on
)

// Reset forgets all operations and takes back the memory of all tensors that
// the tape made: none of them may be used any more. The seed determines the
// dropout of what follows.
func (tp *Tape) Reset(mode Mode, seed uint64) {
	tp.settle()
	tp.floats.reset()
	tp.ints.reset()
	tp.tensors.reset()
	tp.attention.reset()
	clear(tp.records)
	tp.records = tp.records[:0]
	tp.recording, tp.training = mode != Inference, mode == Training
	tp.seed, tp.streams = seed, 0
}

// Backend returns the backend that the tape's operations run on.
func (tp *Tape) Backend() Backend { return tp.backend }

// Bytes returns the memory that the tape holds for tensors.
func (tp *Tape) Bytes() int { return tp.floats.bytes() + tp.ints.bytes() }

// Poison makes every later Reset fill the tape's memory with NaN, so that
// tests find reads of what was never written.
func (tp *Tape) Poison() { tp.floats.poison = true }

// New returns a float32 tensor with undefined content.
func (tp *Tape) New(shape ...int) *Tensor {
	t := tp.tensors.get()
	t.init(tp.backend, Float32, shape)
	t.store, t.offset = tp.floats.alloc(t.Len())
	return t
}

// release gives back the memory of a tensor of New that nobody uses any more,
// views included, before Reset does; nil is nothing.
func (tp *Tape) release(t *Tensor) {
	if t != nil {
		tp.floats.release(t.store, t.offset, t.Len())
	}
}

// Forget gives back the memory of y, a result of LayerNorm without views that no
// further operation reads. The backward pass computes it again.
func (tp *Tape) Forget(y *Tensor) {
	if y.viewed || y.base != nil {
		panic(fmt.Sprintf("forget: %v has views or is one", y))
	}
	if tp.recording && y.requiresGrad {
		i := len(tp.records) - 1
		for i >= 0 && tp.records[i].out != y {
			i--
		}
		if i < 0 || tp.records[i].again == nil {
			panic(fmt.Sprintf("forget: %v is no result of LayerNorm on this tape", y))
		}
		y.maker = i + 1
	}
	tp.release(y)
	y.store = nil
}

// remember computes t again if it was forgotten.
func (tp *Tape) remember(t *Tensor) {
	if t != nil && t.store == nil {
		t.store, t.offset = tp.floats.alloc(t.Len())
		r := &tp.records[t.maker-1]
		r.again(tp, r)
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
	t := tp.tensors.get()
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
	v := tp.tensors.get()
	x.view(v, lo*x.strides[0])
	v.shape[0] = hi - lo
	return v
}

// Columns returns the columns lo:hi of a matrix x [n, d] as a view. Gradients
// of the view flow to those columns of x.
func (tp *Tape) Columns(x *Tensor, lo, hi int) *Tensor {
	if x.rank != 2 || lo < 0 || hi < lo || hi > x.shape[1] {
		panic(fmt.Sprintf("columns: %d:%d of %v", lo, hi, x))
	}
	v := tp.tensors.get()
	x.view(v, lo)
	v.shape[1] = hi - lo
	return v
}

// Detach returns x as a view that gradients do not flow through.
func (tp *Tape) Detach(x *Tensor) *Tensor {
	v := tp.tensors.get()
	x.view(v, 0)
	v.base, v.requiresGrad = nil, false
	return v
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

// gradient returns the tensor that collects the gradient of t, or nil if t
// needs none, and whether it must be added to (else it is to be overwritten).
func (tp *Tape) gradient(t *Tensor) (g *Tensor, accumulate bool) {
	if t == nil || !t.requiresGrad {
		return nil, false
	}
	if t.base != nil {
		whole := tp.sum(t.base)
		g = tp.tensors.get()
		*g = *whole
		g.rank, g.shape = t.rank, t.shape
		// whole is contiguous with the shape of base, as base is in all that Rows and Columns are taken of.
		g.offset = whole.offset + t.offset - t.base.offset
		return g, true
	}
	if t.inTape(tp) {
		if t.grad == nil {
			t.grad = tp.New(t.Shape()...)
		}
	} else {
		gradients.Lock()
		defer gradients.Unlock()
		if t.grad == nil {
			t.grad = New(t.backend, Float32, t.Shape()...)
		}
	}
	accumulate = t.gradSet
	t.gradSet = true
	return t.grad, accumulate
}

// give makes the gradient of r's output, which nobody else reads, the gradient
// of t, if t is a tensor of this tape that has none yet.
func (tp *Tape) give(t *Tensor, r *record) bool {
	if !t.inTape(tp) || !tp.adopt(t, r.out.grad) {
		return false
	}
	r.out.grad = nil
	return true
}

// sum is gradient for operations that can only add.
func (tp *Tape) sum(t *Tensor) *Tensor {
	g, accumulate := tp.gradient(t)
	if g != nil && !accumulate {
		tp.backend.Fill(g, 0)
	}
	return g
}

// inTape reports whether t lives, or lived until Forget, in the tape's arena.
func (t *Tensor) inTape(tp *Tape) bool {
	return t.store == nil || slices.ContainsFunc(tp.floats.chunks, func(c arenaChunk) bool { return c.store == t.store })
}

// Backward adds the gradients of loss, a tensor of one element made by
// CrossEntropy or another operation of this tape, to the gradients of all
// parameters that it depends on. It can be called once between two Resets. The
// gradients of the operations' results do not outlive it.
func (tp *Tape) Backward(loss *Tensor) {
	if !tp.recording {
		panic("tensor: Backward on a tape that does not record")
	}
	if loss.Len() != 1 {
		panic(fmt.Sprintf("tensor: Backward from %v, want one element", loss))
	}
	if !loss.requiresGrad {
		panic("tensor: Backward from a loss that depends on no parameter")
	}
	tp.backend.Fill(tp.sum(loss), 1)
	tp.backward()
}

// backward goes back through all records from the gradients that are set.
func (tp *Tape) backward() {
	for i := len(tp.records) - 1; i >= 0; i-- {
		if r := &tp.records[i]; r.out.gradSet {
			for _, in := range r.in {
				tp.remember(in)
			}
			r.backward(tp, r)
			tp.release(r.out.grad)
			r.out.grad = nil
			if r.out.maker == i+1 {
				tp.release(r.out)
			}
		}
	}
	tp.recording = false
}
