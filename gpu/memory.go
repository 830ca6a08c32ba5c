//go:build cuda

package gpu

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/marge-go/marge/tensor"
)

// buffer is memory of the card that belongs to a tensor.Storage. It is freed some
// time after it became unreachable.
type buffer struct {
	owner  *Backend
	ptr    devptr
	bytes  int
	mirror []words // of an int32 buffer: what the host knows of it
}

// words are consecutive elements of an int32 buffer.
type words struct {
	at   int
	data []int32
}

// memory is the part of a Backend that allocates and copies.
type memory struct {
	card    *card
	live    map[devptr]int // bytes of all allocations
	garbage *garbage
	retired []devptr  // like garbage, but the running method can use it
	held    []*buffer // whose addresses the running method has: they stay reachable

	workspace     devptr // scratch memory, the first used bytes of which the running method has
	workspaceSize int
	used          int

	staging staging
	tables  []tableCopy // the one used last comes last
}

// garbage are allocations that nothing refers to any more. The garbage collector
// adds to it at any time, and the next method frees it.
type garbage struct {
	mu  sync.Mutex
	ptr []devptr
}

func (g *garbage) add(p devptr) {
	g.mu.Lock()
	g.ptr = append(g.ptr, p)
	g.mu.Unlock()
}

// beginMethod frees garbage, and takes back the scratch memory of the last method.
func (m *memory) beginMethod() {
	m.free(m.retired)
	m.retired, m.used = m.retired[:0], 0
	m.sweep()
}

// endMethod lets go of the tensors of the method.
func (m *memory) endMethod() {
	clear(m.held)
	m.held = m.held[:0]
}

func (m *memory) sweep() {
	m.garbage.mu.Lock()
	ptr := m.garbage.ptr
	m.garbage.ptr = nil
	m.garbage.mu.Unlock()
	m.free(ptr)
}

// free frees memory that work in the stream may still use.
func (m *memory) free(ptr []devptr) {
	if len(ptr) > 0 {
		m.card.synchronize()
	}
	for _, p := range ptr {
		delete(m.live, p)
		m.card.memFree(p)
	}
}

// freeAll frees everything.
func (m *memory) freeAll() {
	m.staging.close(m.card)
	for p := range m.live {
		m.card.memFree(p)
	}
	m.live, m.tables, m.retired, m.workspace, m.workspaceSize = nil, nil, nil, 0, 0
}

// alloc returns memory, which holds anything. Where there is too little, it lets the
// garbage collector find what the program has dropped.
func (m *memory) alloc(bytes int) devptr {
	for range 4 {
		if p := m.card.memAlloc(bytes); p != 0 {
			m.live[p] = bytes
			return p
		}
		collect()
		m.sweep()
	}
	total := 0
	for _, n := range m.live {
		total += n
	}
	panic(&Error{Code: OutOfMemory, Text: fmt.Sprintf(
		"out of memory: %s wanted, %s of %s on card %s free, %s used by this backend "+
			"(smaller batches or documents need less)",
		size(bytes), size(m.card.memFreeBytes()), size(m.card.capacity), m.card.name, size(total))})
}

func size(bytes int) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

// collect runs the garbage collector and waits for cleanups, which it runs some
// time later.
func collect() {
	done := make(chan struct{})
	runtime.AddCleanup(new([16]byte), func(done chan struct{}) { close(done) }, done)
	runtime.GC()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	time.Sleep(time.Millisecond) // others run at the same time
}

// NewStorage implements tensor.Backend.
func (b *Backend) NewStorage(dt tensor.DType, n int) *tensor.Storage {
	defer b.enter("NewStorage")()
	buf := &buffer{owner: b, bytes: n * dt.Size()}
	if n > 0 {
		buf.ptr = b.alloc(buf.bytes)
		b.card.clear(buf.ptr, buf.bytes)
		runtime.AddCleanup(buf, b.garbage.add, buf.ptr)
	}
	return &tensor.Storage{Device: buf}
}

// bufferOf returns the memory of a tensor and the index of its first element there.
func (b *Backend) bufferOf(t *tensor.Tensor) (buf *buffer, offset int) {
	s, offset := t.Storage()
	buf, ok := s.Device.(*buffer)
	if !ok || buf.owner != b {
		panic(fmt.Sprintf("gpu: %s: %v is not on this backend", b.op, t))
	}
	b.held = append(b.held, buf)
	return buf, offset
}

// ptr returns the address of a tensor's first element, or 0 for nil.
func (b *Backend) ptr(t *tensor.Tensor) devptr {
	if t == nil {
		return 0
	}
	buf, offset := b.bufferOf(t)
	return buf.ptr + devptr(offset*t.DType().Size())
}

// dense is ptr for a tensor that must have no gaps.
func (b *Backend) dense(t *tensor.Tensor) devptr {
	if t != nil && !t.Contiguous() {
		panic(fmt.Sprintf("gpu: %s: %v with strides %v is not contiguous", b.op, t, t.Strides()))
	}
	return b.ptr(t)
}

// scratchAlign is the alignment of scratch memory.
const scratchAlign = 256

// scratch returns memory that the running method can use. It holds anything.
func (b *Backend) scratch(bytes int) devptr {
	if bytes == 0 {
		return 0
	}
	bytes = (bytes + scratchAlign - 1) &^ (scratchAlign - 1)
	if b.used+bytes > b.workspaceSize {
		if b.workspace != 0 {
			b.retired = append(b.retired, b.workspace)
		}
		b.workspaceSize = max(bytes, 2*b.workspaceSize, 1<<20)
		b.workspace, b.used = 0, 0
		b.workspace = b.alloc(b.workspaceSize)
	}
	p := b.workspace + devptr(b.used)
	b.used += bytes
	return p
}

// tableCopy is the copy of a table on the card.
type tableCopy struct {
	hash  uint64
	words []int32
	ptr   devptr
	bytes int // of the memory
}

// maxTables is the number of tables that are kept: more than a step of a model has.
const maxTables = 256

// tableSize is the least memory of a table, in which later ones can stand, too. To free it
// would cost a wait for the card, for each of a batch of lengths that were not there before.
const tableSize = 4 << 10

var tableSeed = maphash.MakeSeed()

// table returns a copy of a small table, aligned for 8-byte elements. Those used last are kept.
func (b *Backend) table(words []int32) devptr {
	if len(words) == 0 {
		return 0
	}
	hash := maphash.Bytes(tableSeed, bytesOf(words))
	for i := len(b.tables) - 1; i >= 0; i-- {
		if t := b.tables[i]; t.hash == hash && slices.Equal(t.words, words) {
			b.tables = append(slices.Delete(b.tables, i, i+1), t)
			return t.ptr
		}
	}
	t := tableCopy{}
	if len(b.tables) == maxTables {
		t = b.tables[0] // what reads it comes before the copy in the stream
		b.tables = slices.Delete(b.tables, 0, 1)
	}
	if t.bytes < 4*len(words) {
		if t.bytes > 0 {
			b.retired = append(b.retired, t.ptr)
		}
		t.bytes = max(tableSize, 1<<bits.Len(uint(4*len(words)-1)))
		t.ptr = b.alloc(t.bytes)
	}
	t.hash, t.words = hash, slices.Clone(words)
	b.upload(t.ptr, words)
	b.tables = append(b.tables, t)
	return t.ptr
}

// bytesOf returns the memory of a slice of numbers.
func bytesOf(data any) []byte {
	switch d := data.(type) {
	case []byte:
		return d
	case []float32:
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d))), 4*len(d))
	case []int32:
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d))), 4*len(d))
	case []float64:
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d))), 8*len(d))
	}
	panic(fmt.Sprintf("gpu: copy of %T", data))
}

// staging is pinned memory through which data goes to the card, so that the host
// does not wait for it: pieces that are filled in turn. A piece is filled again
// when the card has read it.
type staging struct {
	pieces  [4]stagingPiece
	current int
	used    int // of the current piece
}

type stagingPiece struct {
	data     []byte
	read     event
	recorded bool
}

const stagingSize = 1 << 20

// upload copies host data to the card in the order of the stream. The data can be
// changed afterwards.
func (b *Backend) upload(dst devptr, data any) {
	for src := bytesOf(data); len(src) > 0; {
		n := copy(b.staging.room(b.card, len(src)), src)
		s := &b.staging
		b.card.copyIn(dst, s.pieces[s.current].data[s.used:s.used+n])
		s.used += (n + 15) &^ 15
		dst, src = dst+devptr(n), src[n:]
	}
}

// room returns free pinned memory: n bytes if a piece has as many.
func (s *staging) room(c *card, n int) []byte {
	p := &s.pieces[s.current]
	if p.data != nil && s.used+min(n, stagingSize) > stagingSize {
		c.record(p.read)
		p.recorded = true
		s.current, s.used = (s.current+1)%len(s.pieces), 0
		p = &s.pieces[s.current]
		if p.recorded {
			p.read.wait()
		}
	}
	if p.data == nil {
		p.data, p.read = c.pinned(stagingSize), c.newEvent()
	}
	return p.data[s.used:]
}

func (s *staging) close(c *card) {
	for _, p := range s.pieces {
		if p.data != nil {
			p.read.destroy()
			c.freePinned(p.data)
		}
	}
	*s = staging{}
}

// download waits for all work and copies memory of the card to a slice of numbers.
func (b *Backend) download(dst any, src devptr) {
	if data := bytesOf(dst); len(data) > 0 {
		b.card.copyOut(data, src)
	}
}

// Upload implements tensor.Backend.
func (b *Backend) Upload(dst *tensor.Tensor, f []float32, i []int32) {
	defer b.enter("Upload")()
	p := b.dense(dst)
	if n := dst.Len(); len(f)+len(i) != n {
		panic(fmt.Sprintf("gpu: upload of %d values to %v", len(f)+len(i), dst))
	}
	if dst.DType() == tensor.Int32 {
		b.upload(p, i)
		buf, offset := b.bufferOf(dst)
		buf.forget(offset, len(i))
		buf.know(offset, slices.Clone(i))
	} else {
		b.upload(p, f)
	}
}

// Download implements tensor.Backend.
func (b *Backend) Download(dst []float32, src *tensor.Tensor) {
	defer b.enter("Download")()
	b.download(dst, b.dense(src))
}

// know remembers elements that the host gave, which must be forgotten.
func (buf *buffer) know(at int, data []int32) {
	if len(data) == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(buf.mirror, at, func(w words, at int) int { return w.at - at })
	buf.mirror = slices.Insert(buf.mirror, i, words{at, data})
}

// forget drops what the host knows of n elements.
func (buf *buffer) forget(at, n int) {
	if n == 0 {
		return
	}
	var kept []words
	for _, w := range buf.mirror {
		if before := min(at-w.at, len(w.data)); before > 0 {
			kept = append(kept, words{w.at, w.data[:before]})
		}
		if after := max(at+n-w.at, 0); after < len(w.data) {
			kept = append(kept, words{w.at + after, w.data[after:]})
		}
	}
	buf.mirror = kept
}

// ints returns the elements of a contiguous int32 tensor if the host gave them, and
// nil for others. They must not be changed.
func (b *Backend) ints(t *tensor.Tensor) []int32 {
	if !t.Contiguous() {
		return nil
	}
	n := t.Len()
	if n == 0 {
		return []int32{}
	}
	buf, offset := b.bufferOf(t)
	for _, w := range buf.mirror {
		if offset >= w.at && offset+n <= w.at+len(w.data) {
			return w.data[offset-w.at:][:n:n]
		}
	}
	return nil
}

// written says that a kernel writes the int32 tensor t, any element between its
// first and its last. Every method with such a result calls it.
func (b *Backend) written(t *tensor.Tensor) {
	if t.Len() == 0 {
		return
	}
	buf, offset := b.bufferOf(t)
	last := offset
	for i, d := range t.Shape() {
		last += (d - 1) * t.Strides()[i]
	}
	buf.forget(offset, last-offset+1)
}

// hostInts returns the elements of a contiguous int32 tensor. If a kernel wrote
// them, it waits for the card.
func (b *Backend) hostInts(t *tensor.Tensor) []int32 {
	if known := b.ints(t); known != nil {
		return known
	}
	data := make([]int32, t.Len())
	b.download(data, b.dense(t))
	buf, offset := b.bufferOf(t)
	buf.forget(offset, len(data))
	buf.know(offset, data)
	return data
}

// rows returns row numbers, of which it checks that a matrix of n rows has them.
func (b *Backend) rows(op string, t *tensor.Tensor, n int) []int32 {
	ids := b.hostInts(t)
	for i, id := range ids {
		if id < 0 || int(id) >= n {
			panic(fmt.Sprintf("%s: row %d of %d, at position %d", op, id, n, i))
		}
	}
	return ids
}
