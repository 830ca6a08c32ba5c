package tensor

// An arena takes memory from its backend in chunks that double from 1 Mi to 64
// Mi elements (4 to 256 MiB); what a chunk does not use is never touched.
const (
	minArenaChunk = 1 << 20
	maxArenaChunk = 1 << 26
)

// arenaAlign is the alignment of tensors in an arena, in elements (64 bytes).
const arenaAlign = 16

// arena gives out memory that is all given back at once, or piece by piece for
// further pieces of the same size. It keeps what it took, so that a step like
// the one before it takes nothing new.
type arena struct {
	backend Backend
	dtype   DType
	chunks  []arenaChunk
	current int
	used    int                  // of the current chunk
	free    map[int][]arenaPiece // by size: what was given back
	poison  bool
}

type arenaChunk struct {
	store *Storage
	size  int
}

type arenaPiece struct {
	store *Storage
	at    int
}

func arenaSize(n int) int { return (n + arenaAlign - 1) &^ (arenaAlign - 1) }

func (a *arena) alloc(n int) (*Storage, int) {
	n = arenaSize(n)
	if free := a.free[n]; len(free) > 0 {
		p := free[len(free)-1]
		a.free[n] = free[:len(free)-1]
		return p.store, p.at
	}
	for ; a.current < len(a.chunks); a.current, a.used = a.current+1, 0 {
		if c := a.chunks[a.current]; a.used+n <= c.size {
			at := a.used
			a.used += n
			return c.store, at
		}
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

// release gives back a piece of n elements.
func (a *arena) release(store *Storage, at, n int) {
	if a.free == nil {
		a.free = map[int][]arenaPiece{}
	}
	if a.poison && a.dtype == Float32 {
		for i := range store.F32[at : at+n] {
			store.F32[at+i] = nan
		}
	}
	n = arenaSize(n)
	a.free[n] = append(a.free[n], arenaPiece{store, at})
}

// reset gives all memory back to the arena.
func (a *arena) reset() {
	a.current, a.used = 0, 0
	for n, free := range a.free {
		a.free[n] = free[:0]
	}
	if a.poison && a.dtype == Float32 {
		for _, c := range a.chunks {
			for i := range c.store.F32 {
				c.store.F32[i] = nan
			}
		}
	}
}

func (a *arena) bytes() int {
	n := 0
	for _, c := range a.chunks {
		n += c.size * a.dtype.Size()
	}
	return n
}
