package asm

import (
	"sync"
	"unsafe"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/pages"
)

// gemmTile computes a row of tiles of C; gemm_amd64.go gives the loop.
type gemmTile func(c []float32, ldc int, a []float32, ars, acs int, b []float32, brs, bps, k int,
	bias []float32, alpha, beta float32, cols int, fetch gemmFetch)

// gemmKernels are the kernels and sizes of one instruction set.
type gemmKernels struct {
	mr, nr int // rows and columns of the largest tile
	// kc is the number of products that a tile sums before it is added to C.
	// It fixes the order of additions, so it does not depend on caches.
	kc int
	// A tile of rows is multiplied by this many panels of B before the next tile.
	// The panels stay in the second-level cache, the rows of A in the first.
	group int
	tile  []gemmTile // by number of rows, 1 to mr

	// transpose packs columns: dst[k*width+i] = src[i*ld+k] for i < rows and
	// k < count. It may write up to gemmSlack values behind a row before it
	// writes the next row.
	transpose func(dst []float32, width int, src []float32, ld, rows, count int)
	// copyRows packs rows: dst[k*width+j] = src[k*ld+j] for j < cols and
	// k < rows, with the same slack.
	copyRows func(dst []float32, width int, src []float32, ld, cols, rows int)
	// split8 packs 8 columns of tiles of mr rows that lie side by side in src:
	// dst[t*pitch+k*mr+i] = src[k*ld+t*mr+i] for i < mr, t < tiles and k < 8. It
	// reads up to 2 values behind each row of src. It may be nil.
	split8 func(dst []float32, pitch int, src []float32, ld, tiles int)

	narrow *gemmKernels // of narrower tiles that add in the same order, or nil

	dots  []gemmDots // by falling number of rows, the last has 1
	lanes int        // the dots take a multiple of this number of products
}

// gemmSlack is the number of values that packing may write behind its panel.
const gemmSlack = 16

// gemmTask is one call of Gemm. Its parts are rectangles of C.
//
// The loops within a part are, from the outermost: slabs of B (if A has several
// blocks of rows), blocks of rows of A, blocks of kc products, groups of panels of
// B, tiles of mr rows, and panels of nr columns.
//
// Each part packs the panels of B that it needs, even if other parts need the same:
// a cache line that two processors have read is slow to write, and parts that
// shared the work would wait for each other.
type gemmTask struct {
	GemmArgs
	kern    *gemmKernels
	mr      int  // rows of a tile
	kblocks int  // K is cut in kblocks even blocks
	pm, pn  int  // C is cut in pm x pn parts
	perPart bool // parts are problems of the batch, not rectangles of C
	parts   int
	values  int  // products of bfloat16 values, of which K is the number of pairs
	each    int  // values in a product: 1, or 2 in a pair
	thin    bool // see gemm_thin.go
	small   bool // see gemm_small.go
	packA   bool
	packB   bool
	rows    int // of a block of A
	// All blocks of rows of A are multiplied by one slab of B before the next. A
	// slab has slabBlocks blocks of products and slabCols columns.
	slabBlocks, slabCols int
	work                 []gemmWork
}

// gemmWork holds the buffers of one part.
type gemmWork struct {
	a, b []float32   // packed rows of A, a group of panels of B or a slab
	rows []float32   // of a panel of B^T, as pairs of bfloat16 values
	dots [16]float32 // products of the thin path
	_    [64]byte    // the next part starts on another cache line
}

// gemmTasks keeps used tasks and their buffers; the last used is on top.
var gemmTasks struct {
	sync.Mutex
	free []*gemmTask
}

func newGemmTask() *gemmTask {
	gemmTasks.Lock()
	defer gemmTasks.Unlock()
	if n := len(gemmTasks.free); n > 0 {
		t := gemmTasks.free[n-1]
		gemmTasks.free = gemmTasks.free[:n-1]
		return t
	}
	return new(gemmTask)
}

func (t *gemmTask) release() {
	t.GemmArgs = GemmArgs{}
	gemmTasks.Lock()
	defer gemmTasks.Unlock()
	gemmTasks.free = append(gemmTasks.free, t)
}

// grow makes buf at least n values long and aligns it to a cache line. A large
// buffer is on large pages: small pages are scattered in memory, and parts of the
// buffer would evict each other from the second-level cache. The contents are lost.
func grow(buf *[]float32, n int) {
	if len(*buf) >= n {
		return
	}
	size, align := n, 16
	if n >= gemmLargeBuffer {
		align = pages.Size / 4
		size = (n + align - 1) / align * align
	}
	mem := make([]float32, size+align)
	off := int(-(uintptr(unsafe.Pointer(unsafe.SliceData(mem))) / 4)) & (align - 1)
	pages.Advise(mem[off:])
	*buf = mem[off : off+n]
}

// gemmLargeBuffer is the number of values of the smallest buffer on large pages:
// 128 KiB.
const gemmLargeBuffer = 1 << 15

// span cuts n into parts of sizes that differ by at most 1 and returns the
// bounds of part i.
func span(n, parts, i int) (from, to int) {
	return n * i / parts, n * (i + 1) / parts
}

// Gemm computes g on the threads of run; nil means Serial. The result does not
// depend on the number of threads. It panics if the shapes and slices of g do
// not fit together.
func Gemm(run Runner, g *GemmArgs) {
	g.check()
	if g.M == 0 || g.N == 0 {
		return
	}
	if run == nil {
		run = Serial
	}
	t := newGemmTask()
	defer t.release()
	t.GemmArgs = *g
	t.Batch = max(t.Batch, 1)
	if t.K == 0 {
		t.noProducts()
		return
	}
	t.plan(run.Threads())
	if t.parts == 1 {
		t.Do(0)
	} else {
		run.Run(t.parts, t)
	}
}

// Do computes part p.
func (t *gemmTask) Do(p int) {
	w := &t.work[p]
	switch {
	case t.thin:
		t.doThin(w, p)
	case t.small:
		from, to := span(t.Batch, t.parts, p)
		t.doSmall(w, from, to)
	case t.perPart:
		from, to := span(t.Batch, t.parts, p)
		for b := from; b < to; b++ {
			t.multiply(w, t.problem(b), 0, t.M, 0, t.N)
		}
	default:
		r0, r1 := span(t.M, t.pm, p%t.pm)
		n0, n1 := span(ceil.Div(t.N, t.kern.nr), t.pn, p/t.pm)
		for b := range t.Batch {
			t.multiply(w, t.problem(b), r0, r1, n0*t.kern.nr, min(n1*t.kern.nr, t.N))
		}
	}
}

// gemmProblem holds the operands of one problem of the batch.
type gemmProblem struct{ a, b, c, pre []float32 }

// sums returns the matrix in which the products are summed.
func (p *gemmProblem) sums() []float32 {
	if p.pre != nil {
		return p.pre
	}
	return p.c
}

func (t *gemmTask) problem(b int) gemmProblem {
	p := gemmProblem{a: t.A[b*t.StrideA:], b: t.B[b*t.StrideB:], c: t.C[b*t.StrideC:]}
	if t.PreActivation != nil {
		p.pre = t.PreActivation[b*t.StrideC:]
	}
	return p
}

// depth returns the number of products of the largest block.
func (t *gemmTask) depth() int { return ceil.Div(ceil.Div(t.K, 16), t.kblocks) * 16 }

// block returns the range of products of block kb. The bounds are multiples of 16,
// as packing handles 16 at a time.
func (t *gemmTask) block(kb int) (k0, k1 int) {
	k0, k1 = span(ceil.Div(t.K, 16), t.kblocks, kb)
	return k0 * 16, min(k1*16, t.K)
}

// activate sets rows i0 to i1 and columns n0 to n1 of C to the activation of
// their sums.
func (t *gemmTask) activate(p gemmProblem, i0, i1, n0, n1 int) {
	sums := p.sums()
	for i := i0; i < i1; i++ {
		GELU(p.c[i*t.LDC+n0:i*t.LDC+n1], sums[i*t.LDC+n0:i*t.LDC+n1])
	}
}

// noProducts computes C = act(beta*C + bias), the result for K = 0.
func (t *gemmTask) noProducts() {
	for b := range t.Batch {
		p := gemmProblem{c: t.C[b*t.StrideC:]}
		if t.PreActivation != nil {
			p.pre = t.PreActivation[b*t.StrideC:]
		}
		for i := range t.M {
			row := p.sums()[i*t.LDC : i*t.LDC+t.N]
			for j := range row {
				var v float32
				if t.Beta != 0 {
					v = t.Beta * row[j]
				}
				if t.Bias != nil {
					v += t.Bias[j]
				}
				row[j] = v
			}
		}
		if t.Activation != NoActivation {
			t.activate(p, 0, t.M, 0, t.N)
		}
	}
}
