// Package tensor holds n-dimensional arrays, the operations on them, and
// reverse-mode automatic differentiation.
//
// A [Tensor] is a strided view of storage that belongs to a [Backend]. A
// [Tape] carries out operations through the backend and, while it records, keeps
// what [Tape.Backward] needs to compute gradients. Intermediate results live in
// the tape's arena until [Tape.Reset]; parameters are created with [New],
// [FromSlice], [Zeros], [Randn] and the like, and stay.
//
// All operations take views with any strides: what a kernel cannot read is copied.
// Element-wise operations broadcast shapes as NumPy does. They are expressions
// ([NewExpr]), which [Tape.Map] computes in one pass and which have derived gradients.
// An operation of the caller's own is a [Function].
//
// A layer or a model works on features in the last dimension. Documents of different
// lengths are packed: the tokens of all documents form the rows of one matrix, and
// an array of offsets tells where each document begins. Nothing is padded.
//
// The verb %v prints type and shape of a tensor, and %+v its values.
//
// Programming errors, such as shapes that do not fit, panic with the
// operation and the shapes.
package tensor

import (
	"fmt"
	"slices"

	"github.com/marge-go/marge/asm"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types.
const (
	Float32  DType = iota
	Int32          // token ids, row numbers
	BFloat16       // storage only
	Int8           // weights for inference, see [Tensor.Quantize]
)

// String returns the name of the type as PyTorch spells it.
func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Int32:
		return "int32"
	case BFloat16:
		return "bfloat16"
	case Int8:
		return "int8"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size returns the bytes that one element takes.
func (d DType) Size() int {
	switch d {
	case BFloat16:
		return 2
	case Int8:
		return 1
	}
	return 4
}

// MaxRank is the largest number of dimensions of a tensor.
const MaxRank = 6

// Storage is memory that a backend gave out. On the host exactly one of the
// slices, or Int8, is set; a device backend keeps its handle in Device.
type Storage struct {
	F32    []float32
	I32    []int32
	BF16   []uint16
	Int8   *asm.Int8Matrix
	Device any
}

// Tensor is a view of storage: element (i, j, ...) stands at
// offset + i*strides[0] + j*strides[1] + ...
type Tensor struct {
	backend Backend
	store   *Storage
	offset  int
	rank    int
	shape   [MaxRank]int
	strides [MaxRank]int
	dtype   DType

	requiresGrad bool
	gradSet      bool    // grad holds a sum; otherwise its content is undefined and counts as zero
	grad         *Tensor // same shape, contiguous
	base         *Tensor // the tensor that a view was taken of; it holds the gradient
	whole        bool    // the view has all of base, whose gradient is its own

	// Of results of a tape:
	tape       *Tape
	generation uint32  // of the tape when it made the tensor
	record     int     // 1 + the number of the record that made it, if Recompute, Forget or Compress may take its memory
	packed     *Tensor // what Compress keeps of it, or nil
	use        use
}

// use is what a tape did, and may do, with one of its tensors.
type use uint8

const (
	useRead        use = 1 << iota // an operation has read it
	useViewed                      // views were taken
	useAliased                     // Dropout returned an alias of it
	useTemporary                   // the operation that made it does not read it in the backward pass
	useComputable                  // Recompute may free it: LayerNorm made it
	useOverwritten                 // an operation in place took it
	useRecomputed                  // Recompute took it
	useForgotten                   // Forget or Compress took it
)

// New returns a tensor of zeros that does not belong to a tape. Only [Tensor.Quantize]
// and [Tensor.SetInt8s] make tensors of type Int8.
func New(b Backend, dt DType, shape ...int) *Tensor {
	if dt == Int8 {
		panic("tensor: New of type int8: see Quantize")
	}
	t := &Tensor{}
	t.init(b, dt, shape)
	t.store = b.NewStorage(dt, t.Len())
	return t
}

func (t *Tensor) init(b Backend, dt DType, shape []int) {
	if len(shape) > MaxRank {
		panic(fmt.Sprintf("tensor: shape %v: want at most %d dimensions", slices.Clone(shape), MaxRank))
	}
	t.backend, t.dtype, t.rank = b, dt, len(shape)
	t.shape, t.strides = [MaxRank]int{}, [MaxRank]int{} // shapes are compared with ==
	stride := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] < 0 {
			panic(fmt.Sprintf("tensor: shape %v has a negative dimension", slices.Clone(shape)))
		}
		t.shape[i], t.strides[i] = shape[i], stride
		stride *= shape[i]
	}
}

// Backend returns the backend that holds the tensor.
func (t *Tensor) Backend() Backend { return t.backend }

// DType returns the type of the elements.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions. The slice must not be changed.
func (t *Tensor) Shape() []int { return t.shape[:t.rank] }

// Strides returns the distances, in elements, between neighbours along each
// dimension. The slice must not be changed.
func (t *Tensor) Strides() []int { return t.strides[:t.rank] }

// Dim returns the size of dimension i; negative i counts from the last.
func (t *Tensor) Dim(i int) int {
	if i < 0 {
		i += t.rank
	}
	return t.shape[:t.rank][i]
}

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape() {
		n *= d
	}
	return n
}

// Rows returns the product of all dimensions but the last.
func (t *Tensor) Rows() int {
	n := 1
	for _, d := range t.shape[:max(t.rank-1, 0)] {
		n *= d
	}
	return n
}

// Storage returns the memory behind the tensor and the index of its first
// element there. It is for backends.
func (t *Tensor) Storage() (*Storage, int) { return t.store, t.offset }

// WithStorage returns a tensor like t, with the same shape, strides and offset, in
// other memory. It is for backends that wrap another one.
func (t *Tensor) WithStorage(s *Storage) *Tensor {
	return &Tensor{
		backend: t.backend, store: s, offset: t.offset,
		rank: t.rank, shape: t.shape, strides: t.strides, dtype: t.dtype,
	}
}

// Contiguous reports whether the elements stand in memory in row-major order
// without gaps.
func (t *Tensor) Contiguous() bool {
	if t.Len() == 0 {
		return true
	}
	stride := 1
	for i := t.rank - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.strides[i] != stride {
			return false
		}
		stride *= t.shape[i]
	}
	return true
}

// Float32s returns the elements of a contiguous float32 tensor on the host,
// without a copy. It panics for others, of which CopyTo makes a copy.
func (t *Tensor) Float32s() []float32 {
	t.check(Float32)
	t.mustBeOnHost()
	return t.store.F32[t.offset : t.offset+t.Len() : t.offset+t.Len()]
}

// Int32s returns the elements of a contiguous int32 tensor on the host,
// without a copy.
func (t *Tensor) Int32s() []int32 {
	t.check(Int32)
	t.mustBeOnHost()
	return t.store.I32[t.offset : t.offset+t.Len() : t.offset+t.Len()]
}

func (t *Tensor) mustBeOnHost() {
	if t.store.Device != nil {
		panic(fmt.Sprintf("tensor: %v is on backend %s, not in memory of the host: use CopyTo", t, t.backend.Name()))
	}
}

// check panics unless t is contiguous and of the given type, and can be used.
func (t *Tensor) check(dt DType) {
	t.checkType(dt)
	if !t.Contiguous() {
		panic(fmt.Sprintf("tensor: %v with strides %v is not contiguous: use Tape.Contiguous or CopyTo", t, t.Strides()))
	}
}

func (t *Tensor) checkType(dt DType) {
	t.mustLive("tensor")
	if t.store == nil {
		panic(fmt.Sprintf("tensor: the memory of %v was given to %s", t, t.use.taker()))
	}
	if t.dtype != dt {
		panic(fmt.Sprintf("tensor: %v used as %v", t, dt))
	}
}

// SetFloat32s copies data, in row-major order, into a contiguous tensor.
func (t *Tensor) SetFloat32s(data []float32) {
	t.check(Float32)
	if len(data) != t.Len() {
		panic(fmt.Sprintf("tensor: %d values for %v", len(data), t))
	}
	t.backend.Upload(t, data, nil)
}

// SetInt32s copies data, in row-major order, into a contiguous tensor.
func (t *Tensor) SetInt32s(data []int32) {
	t.check(Int32)
	if len(data) != t.Len() {
		panic(fmt.Sprintf("tensor: %d values for %v", len(data), t))
	}
	t.backend.Upload(t, nil, data)
}

// CopyTo copies the elements of a float32 tensor, in row-major order, to host
// memory.
func (t *Tensor) CopyTo(dst []float32) {
	t.checkType(Float32)
	if len(dst) != t.Len() {
		panic(fmt.Sprintf("tensor: %v copied to %d values", t, len(dst)))
	}
	if !t.Contiguous() {
		dense := New(t.backend, Float32, t.Shape()...)
		t.backend.Map(dense, exprCopy, []*Tensor{t}, false)
		t = dense
	}
	t.backend.Download(dst, t)
}

// Item returns the value of a tensor of one float32 element.
func (t *Tensor) Item() float32 {
	if t.Len() != 1 {
		panic(fmt.Sprintf("item: of %v, want one element", t))
	}
	var v [1]float32
	t.CopyTo(v[:])
	return v[0]
}

// SetRequiresGrad marks a tensor made by New as a parameter: operations on a
// recording tape add to its gradient.
func (t *Tensor) SetRequiresGrad(on bool) { t.requiresGrad = on }

// RequiresGrad reports whether gradients flow to the tensor.
func (t *Tensor) RequiresGrad() bool { return t.requiresGrad }

// Grad returns the gradient of a parameter, of the parameter's shape: the sum
// over all backward passes since ZeroGrad. It is zero-filled where nothing
// flowed.
func (t *Tensor) Grad() *Tensor {
	if t.base != nil || t.tape != nil || !t.requiresGrad {
		panic(fmt.Sprintf("tensor: %v is no parameter: it holds no gradient", t))
	}
	gradients.Lock()
	defer gradients.Unlock()
	if t.grad == nil {
		t.grad = New(t.backend, Float32, t.Shape()...)
	} else if !t.gradSet {
		t.backend.Fill(t.grad, 0)
	}
	t.gradSet = true
	return t.grad
}

// HasGrad reports whether a gradient has flowed to a parameter since ZeroGrad.
func (t *Tensor) HasGrad() bool {
	gradients.Lock()
	defer gradients.Unlock()
	return t.gradSet
}

// ZeroGrad clears the gradient. Its memory is kept.
func (t *Tensor) ZeroGrad() {
	gradients.Lock()
	defer gradients.Unlock()
	t.gradSet = false
}

// mustLive panics if t is of a tape that was reset since.
func (t *Tensor) mustLive(op string) {
	if t.tape != nil && t.generation != t.tape.generation {
		panic(fmt.Sprintf("%s: %v is from before the last Reset of its tape", op, t))
	}
}

// taker returns what took a tensor's memory.
func (u use) taker() string {
	switch {
	case u&useRecomputed != 0:
		return "Recompute"
	case u&useForgotten != 0:
		return "Forget or Compress"
	}
	return "an operation in place"
}

// mustShape panics unless t is a tensor of the given type and dimensions
// (-1: any).
func mustShape(op, name string, t *Tensor, dt DType, dims ...int) {
	ok := t != nil && t.dtype == dt && t.rank == len(dims)
	for i := 0; ok && i < len(dims); i++ {
		ok = dims[i] < 0 || t.shape[i] == dims[i]
	}
	if !ok {
		panic(fmt.Sprintf("%s: %s is %v, want %v%v", op, name, t, dt, slices.Clone(dims)))
	}
}
