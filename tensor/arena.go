package tensor

// An arena takes memory from its backend in chunks that double from 1 Mi to 64
// Mi elements (4 to 256 MiB); what a chunk does not use is never touched.
const (
	minArenaChunk = 1 << 20
	maxArenaChunk = 1 << 26
)

// arenaAlign is the alignment of tensors in an arena, in elements (64 bytes).
const arenaAlign = 16

// arena gives out memory that is all given back at once. It keeps what it
// took, so that a step like the one before it takes nothing new.
type arena struct {
	backend Backend
	dtype   DType
	chunks  []arenaPiece
	current int
	used    int // of the current chunk
	poison  bool
}

type arenaPiece struct {
	store *Storage
	size  int
}

func (a *arena) alloc(n int) (*Storage, int) {
	n = (n + arenaAlign - 1) &^ (arenaAlign - 1)
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
	a.chunks = append(a.chunks, arenaPiece{a.backend.NewStorage(a.dtype, size), size})
	a.current, a.used = len(a.chunks)-1, n
	return a.chunks[a.current].store, 0
}

// reset gives all memory back to the arena.
func (a *arena) reset() {
	a.current, a.used = 0, 0
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
