package tensor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/pages"
)

func init() {
	Register("cpu", func() (Backend, error) { return NewCPU(0), nil })
}

// CPU is the backend that computes on the processor with the kernels of asm.
// It is safe for concurrent use; a goroutine that finds its threads busy
// computes alone.
type CPU struct {
	pool    *Pool
	scratch scratches
	gemms   sync.Pool
	bf16    bool          // products are those of bfloat16 values
	large   atomic.Uint32 // number of storages of largeStorage elements or more
}

// NewCPU returns a CPU backend with the given number of threads; below 1:
// runtime.GOMAXPROCS(0).
func NewCPU(threads int) *CPU { return &CPU{pool: NewPool(threads)} }

// CPUOptions are the settings of NewCPUWith. The zero value is that of NewCPU.
type CPUOptions struct {
	Threads int // below 1: runtime.GOMAXPROCS(0)
	// Precision is how matrices are multiplied. Float32 is the default. With BFloat16
	// the operands of Gemm, of what consists of it, and of the products of attention are
	// rounded to bfloat16, which has 8 bits of precision, and sums are float32, see
	// asm.GemmArgs and asm.AttentionArgs; it is up to twice as fast where the processor has
	// the instruction, see CPU.Warning. What tapes keep for the backward pass of feed-forward
	// networks, and by Tape.Compress, is rounded, too. All else is float32: storage, attention
	// of single queries in generation, norms, softmax, losses and updates of parameters.
	Precision DType
	// Slow allows a Precision that the processor, or the instruction set in use, has no
	// instruction for. Products of matrices have the same bits there.
	Slow bool
}

// NewCPUWith returns a CPU backend. It is an error if there is no such precision, or
// if it would be slow and that is not asked for.
func NewCPUWith(o CPUOptions) (*CPU, error) {
	switch o.Precision {
	case Float32:
	case BFloat16:
		if !asm.BF16() && !o.Slow {
			return nil, fmt.Errorf("tensor: products of bfloat16 need AVX512_BF16, which Zen 4 and Cooper Lake were the first "+
				"to have; here, with instruction set %v, they would be slow: see CPUOptions.Slow", asm.Current())
		}
	default:
		return nil, fmt.Errorf("tensor: the CPU multiplies float32 or bfloat16, not %v", o.Precision)
	}
	c := NewCPU(o.Threads)
	c.bf16 = o.Precision == BFloat16
	return c, nil
}

// Precision returns how matrices are multiplied: Float32 or BFloat16.
func (c *CPU) Precision() DType {
	if c.bf16 {
		return BFloat16
	}
	return Float32
}

// dotGain is measured once.
var dotGain = sync.OnceValue(asm.DotGain)

// Warning returns what the caller of NewCPUWith may want to know and show, or "": that
// products of bfloat16 are slower than those of float32, although the processor has the
// instruction. The first call measures it, in about a millisecond.
func (c *CPU) Warning() string {
	if !c.bf16 || !asm.BF16() {
		return ""
	}
	return gainWarning(dotGain())
}

func gainWarning(gain float64) string {
	if gain >= 1 {
		return ""
	}
	return fmt.Sprintf("this processor multiplies bfloat16 at %.2f times the rate of float32: float32 is faster", gain)
}

// Name returns "cpu".
func (c *CPU) Name() string { return "cpu" }

// Runner returns the threads of the backend.
func (c *CPU) Runner() asm.Runner { return c.pool }

// Close implements Backend: it ends the threads, and operations panic
// afterwards. The threads of a CPU that becomes unreachable end by themselves.
func (c *CPU) Close() error {
	c.pool.Close()
	return nil
}

// scratches keeps float32 buffers for reuse.
type scratches struct{ free sync.Pool }

type scratch struct{ data []float32 }

func (s *scratches) get(n int) *scratch {
	b, _ := s.free.Get().(*scratch)
	if b == nil {
		b = new(scratch)
	}
	if cap(b.data) < n {
		b.data = make([]float32, n)
	}
	b.data = b.data[:n]
	return b
}

func (s *scratches) put(b *scratch) { s.free.Put(b) }

// elementGrain is the size of a part of an element-wise operation, in elements:
// 64 KiB.
const elementGrain = 1 << 14

// Results of streamed elements and more, 32 MiB, bypass the caches.
const streamed = 1 << 23

// rowGrain returns how many rows of the given width form one part.
func rowGrain(width int) int { return max(1, elementGrain/max(width, 1)) }

// matrix returns the elements of a float32 matrix, from its first on, and the
// distance between the starts of its rows, whose elements are adjacent.
func matrix(t *Tensor) (data []float32, ld int) {
	if t.rank != 2 {
		panic(fmt.Sprintf("tensor: %v is no matrix", t))
	}
	data, ld = matrices(t)
	if t.shape[0] > 0 && t.shape[1] > 0 {
		data = data[: (t.shape[0]-1)*t.strides[0]+t.shape[1] : (t.shape[0]-1)*t.strides[0]+t.shape[1]]
	}
	return data, ld
}

// floatsOrNil is Float32s for arguments that may be missing.
func floatsOrNil(t *Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Float32s()
}

// Storages of 4 MiB and more start at a large page, so that they consist of such:
// arithmetic on small ones that lie in the third-level cache takes 1.2 times as long.
// Those of 16 MiB and more start at rotating 32 KiB offsets modulo 256 KiB from one.
// AMD's first-level cache distinguishes the lines of a set by a hash of their
// address, and operands that lie multiples of 256 MiB apart collide in it: AdamW
// on four such arrays takes up to seven times as long.
const (
	pagedStorage  = 1 << 20
	largeStorage  = 1 << 22
	storageStep   = 1 << 13
	storagePlaces = 8
)

// NewStorage implements Backend.
func (c *CPU) NewStorage(dt DType, n int) *Storage {
	c.pool.mustBeOpen()
	switch dt {
	case Int32:
		return &Storage{I32: make([]int32, n)}
	case BFloat16:
		return &Storage{BF16: make([]uint16, n)}
	}
	if n < pagedStorage {
		return &Storage{F32: make([]float32, n)}
	}
	const page = pages.Size / 4
	place := 0
	if n >= largeStorage {
		place = int(c.large.Add(1)) % storagePlaces * storageStep
	}
	all := make([]float32, place+n+page)
	all = all[-uintptr(unsafe.Pointer(unsafe.SliceData(all)))/4%page:]
	pages.Advise(all[:place+n])
	return &Storage{F32: all[place : place+n : place+n]}
}

// Upload implements Backend.
func (c *CPU) Upload(dst *Tensor, f []float32, i []int32) {
	c.pool.mustBeOpen()
	if dst.dtype == Int32 {
		copy(dst.Int32s(), i)
	} else {
		copy(dst.Float32s(), f)
	}
}

// Download implements Backend.
func (c *CPU) Download(dst []float32, src *Tensor) {
	c.pool.mustBeOpen()
	copy(dst, src.Float32s())
}

// elementArgs are the operands of an element-wise operation.
type elementArgs struct {
	dst, a, b    []float32
	alpha        float32
	accumulate   bool
	seed, stream uint64
}

var elements spans[elementArgs]

func (c *CPU) elementwise(n int, args elementArgs, fn func(a *elementArgs, lo, hi int)) {
	elements.run(c.pool, n, elementGrain, args, fn)
}

// Fill implements Backend.
func (c *CPU) Fill(dst *Tensor, value float32) {
	c.elementwise(dst.Len(), elementArgs{dst: dst.Float32s(), alpha: value}, fill)
}

func fill(a *elementArgs, lo, hi int) {
	dst := a.dst[lo:hi]
	if a.alpha == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		dst[i] = a.alpha
	}
}

// Add implements Backend.
func (c *CPU) Add(dst, a, b *Tensor) {
	c.elementwise(dst.Len(), elementArgs{dst: dst.Float32s(), a: a.Float32s(), b: b.Float32s()}, add)
}

func add(a *elementArgs, lo, hi int) { asm.Add(a.dst[lo:hi], a.a[lo:hi], a.b[lo:hi]) }

// Axpy implements Backend.
func (c *CPU) Axpy(alpha float32, x, y *Tensor) {
	c.elementwise(y.Len(), elementArgs{dst: y.Float32s(), a: x.Float32s(), alpha: alpha}, axpy)
}

func axpy(a *elementArgs, lo, hi int) { asm.Axpy(a.alpha, a.a[lo:hi], a.dst[lo:hi]) }

// Scale implements Backend.
func (c *CPU) Scale(dst *Tensor, alpha float32, x *Tensor) {
	c.elementwise(dst.Len(), elementArgs{dst: dst.Float32s(), a: x.Float32s(), alpha: alpha}, scale)
}

func scale(a *elementArgs, lo, hi int) { asm.Scale(a.dst[lo:hi], a.alpha, a.a[lo:hi]) }

// MulScalar implements Backend.
func (c *CPU) MulScalar(dst, x, s *Tensor, accumulate bool) {
	alpha := s.Float32s()[0]
	switch {
	case accumulate:
		c.Axpy(alpha, x, dst)
	case alpha != 1 || dst != x:
		c.Scale(dst, alpha, x)
	}
}

// GELU implements Backend.
func (c *CPU) GELU(dst, x *Tensor) {
	c.elementwise(dst.Len(), elementArgs{dst: dst.Float32s(), a: x.Float32s()}, gelu)
}

func gelu(a *elementArgs, lo, hi int) {
	if len(a.dst) >= streamed {
		asm.GELUStream(a.dst[lo:hi], a.a[lo:hi])
	} else {
		asm.GELU(a.dst[lo:hi], a.a[lo:hi])
	}
}

// GELUBackward implements Backend.
func (c *CPU) GELUBackward(dx, dy, x *Tensor, accumulate bool) {
	c.elementwise(dx.Len(), elementArgs{
		dst: dx.Float32s(), a: dy.Float32s(), b: x.Float32s(), accumulate: accumulate,
	}, geluGradient)
}

func geluGradient(a *elementArgs, lo, hi int) {
	if len(a.dst) >= streamed && !a.accumulate {
		asm.GELUBackwardStream(a.dst[lo:hi], a.a[lo:hi], a.b[lo:hi])
	} else {
		asm.GELUBackward(a.dst[lo:hi], a.a[lo:hi], a.b[lo:hi], a.accumulate)
	}
}

// Dropout implements Backend.
func (c *CPU) Dropout(dst, x *Tensor, p float32, seed, stream uint64) {
	c.elementwise(dst.Len(), elementArgs{
		dst: dst.Float32s(), a: x.Float32s(), alpha: p, seed: seed, stream: stream,
	}, dropout)
}

// AddDropout implements Backend.
func (c *CPU) AddDropout(dst, x, y *Tensor, p float32, seed, stream uint64) {
	c.elementwise(dst.Len(), elementArgs{
		dst: dst.Float32s(), a: y.Float32s(), b: x.Float32s(), alpha: p, seed: seed, stream: stream,
	}, addDropout)
}

func addDropout(a *elementArgs, lo, hi int) {
	dropout(a, lo, hi)
	asm.Add(a.dst[lo:hi], a.dst[lo:hi], a.b[lo:hi])
}

// Each stream of one seed has streamLen elements.
const (
	streamShift = 36
	streamLen   = 1 << streamShift
)

func dropout(a *elementArgs, lo, hi int) {
	asm.Dropout(a.dst[lo:hi], a.a[lo:hi], a.alpha, a.seed, a.stream<<streamShift+uint64(lo))
}

// adamArgs are the operands of an AdamW update.
type adamArgs struct {
	p, g, m, v []float32
	params     asm.AdamWParams
}

var adams spans[adamArgs]

// AdamW implements Backend.
func (c *CPU) AdamW(p, g, m, v *Tensor, o AdamWOptions) {
	adams.run(c.pool, p.Len(), elementGrain, adamArgs{
		p.Float32s(), g.Float32s(), m.Float32s(), v.Float32s(), asm.AdamWParams(o),
	}, adamW)
}

func adamW(a *adamArgs, lo, hi int) {
	asm.AdamW(a.p[lo:hi], a.g[lo:hi], a.m[lo:hi], a.v[lo:hi], &a.params)
}
