package tensor

import (
	"cmp"
	"slices"
)

// An arena takes memory from its backend in chunks that double from 1 Mi to 64
// Mi elements (4 to 256 MiB); what a chunk does not use is never touched.
const (
	minArenaChunk = 1 << 20
	maxArenaChunk = 1 << 26
)

// arenaAlign is the alignment of tensors in an arena, in elements (64 bytes).
const arenaAlign = 16

// arena hands out memory that is freed all at once, or piece by piece for reuse.
// It keeps its chunks, so that a step like the one before takes no new memory.
type arena struct {
	backend Backend
	dtype   DType
	chunks  []arenaChunk
	current int          // the chunks after it are unused
	used    int          // of the current chunk
	free    []arenaPiece // freed pieces, sorted by place; neighbours are merged
	poison  bool         // fill freed memory with NaN
}

type arenaChunk struct {
	store *Storage
	size  int
}

type arenaPiece struct{ chunk, at, n int }

func arenaSize(n int) int { return (n + arenaAlign - 1) &^ (arenaAlign - 1) }

// alloc takes the smallest free piece that n elements fit in, or else memory not
// yet used since the last reset.
func (a *arena) alloc(n int) (*Storage, int) {
	n = arenaSize(n)
	best := -1
	for i, p := range a.free {
		if p.n >= n && (best < 0 || p.n < a.free[best].n) {
			best = i
		}
	}
	if best >= 0 {
		p := &a.free[best]
		store, at := a.chunks[p.chunk].store, p.at
		if p.at, p.n = p.at+n, p.n-n; p.n == 0 {
			a.free = slices.Delete(a.free, best, best+1)
		}
		return store, at
	}
	for ; a.current < len(a.chunks); a.current, a.used = a.current+1, 0 {
		c := a.chunks[a.current]
		if a.used+n <= c.size {
			at := a.used
			a.used += n
			return c.store, at
		}
		a.put(arenaPiece{a.current, a.used, c.size - a.used})
	}
	size := minArenaChunk
	if len(a.chunks) > 0 {
		size = min(2*a.chunks[len(a.chunks)-1].size, maxArenaChunk)
	}
	size = max(n, size)
	a.chunks = append(a.chunks, arenaChunk{a.backend.NewStorage(a.dtype, size), size})
	a.current, a.used = len(a.chunks)-1, n
	return a.chunks[a.current].store, 0
}

// release frees a piece of n elements.
func (a *arena) release(store *Storage, at, n int) {
	if a.poison {
		a.fill(store, at, n)
	}
	chunk := slices.IndexFunc(a.chunks, func(c arenaChunk) bool { return c.store == store })
	a.put(arenaPiece{chunk, at, arenaSize(n)})
}

// put adds a piece to the free ones.
func (a *arena) put(p arenaPiece) {
	if p.n == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(a.free, p, func(q, p arenaPiece) int {
		return cmp.Or(cmp.Compare(q.chunk, p.chunk), cmp.Compare(q.at, p.at))
	})
	if i < len(a.free) && a.free[i].chunk == p.chunk && a.free[i].at == p.at+p.n {
		p.n += a.free[i].n
		a.free = slices.Delete(a.free, i, i+1)
	}
	if i > 0 && a.free[i-1].chunk == p.chunk && a.free[i-1].at+a.free[i-1].n == p.at {
		a.free[i-1].n += p.n
		return
	}
	a.free = slices.Insert(a.free, i, p)
}

// reset frees all memory.
func (a *arena) reset() {
	a.current, a.used, a.free = 0, 0, a.free[:0]
	if a.poison {
		for _, c := range a.chunks {
			a.fill(c.store, 0, c.size)
		}
	}
}

// fill fills memory with NaN.
func (a *arena) fill(store *Storage, at, n int) {
	t := &Tensor{store: store, offset: at}
	t.init(a.backend, a.dtype, []int{n})
	a.backend.Fill(t, nan)
}

func (a *arena) bytes() int {
	n := 0
	for _, c := range a.chunks {
		n += c.size * a.dtype.Size()
	}
	return n
}
