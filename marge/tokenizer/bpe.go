package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/internal/heap"
)

// pair is two neighbouring tokens, the left one in the upper half. Pairs sort
// by left token, then by right token.
type pair uint64

func pairOf(left, right int32) pair { return pair(uint32(left))<<32 | pair(uint32(right)) }

func (p pair) left() int32  { return int32(p >> 32) }
func (p pair) right() int32 { return int32(uint32(p)) }

// merge is one rule: the two tokens of pair become the token id.
type merge struct {
	pair pair
	id   int32
}

const (
	// cacheSize bounds the number of pieces whose ids are remembered, and
	// maxCached the length of each, so that a cache stays below 25 MB
	// even on hostile text and at about 5 MB on ordinary text.
	cacheSize = 1 << 15
	maxCached = 128
)

// bpe turns the pieces of a text into ids. It is safe for concurrent use.
type bpe struct {
	bytes  [256]int32     // id of the token of one byte
	merges []merge        // in order of rank
	ranks  map[pair]int32 // index into merges

	cache pieceCache
}

// pieceCache maps the hash of a piece to its ids; a newer piece replaces an
// older one with the same hash.
type pieceCache struct {
	slots []atomic.Pointer[cached]
	seed  maphash.Seed
}

type cached struct {
	piece string
	ids   []int32
}

func newPieceCache() pieceCache {
	return pieceCache{make([]atomic.Pointer[cached], cacheSize), maphash.MakeSeed()}
}

// slot returns the place of a piece of at most maxCached bytes.
func (c *pieceCache) slot(piece string) *atomic.Pointer[cached] {
	return &c.slots[maphash.String(c.seed, piece)%cacheSize]
}

func newBPE(bytes [256]int32, merges []merge) *bpe {
	b := &bpe{
		bytes:  bytes,
		merges: merges,
		ranks:  make(map[pair]int32, len(merges)),
		cache:  newPieceCache(),
	}
	for rank, m := range merges {
		b.ranks[m.pair] = int32(rank)
	}
	return b
}

// appendPiece appends the ids of one piece.
func (b *bpe) appendPiece(dst []int32, piece string) []int32 {
	if len(piece) == 1 {
		return append(dst, b.bytes[piece[0]])
	}
	if len(piece) > maxCached {
		return b.appendMerged(dst, piece)
	}
	slot := b.cache.slot(piece)
	if c := slot.Load(); c != nil && c.piece == piece {
		return append(dst, c.ids...)
	}
	ids := b.appendMerged(nil, piece)
	slot.Store(&cached{strings.Clone(piece), ids})
	return append(dst, ids...)
}

// candidate is a possible merge: its rank in the upper half, the position of
// its left symbol in the lower. Lower ranks go first, then lower positions.
type candidate uint64

func (c candidate) Before(d candidate) bool { return c < d }

// symbol is an element of the doubly linked list that a piece is while it is
// merged. The rank is that of the merge with the next symbol, or noRank.
type symbol struct {
	id, prev, next, rank int32
}

const noRank = -1

type scratch struct {
	symbols    []symbol
	candidates heap.Heap[candidate]
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is the number of symbols above which scratch memory is left to
// the garbage collector.
const maxScratch = 1 << 16

// appendMerged appends the ids of a piece: starting from its bytes, the merge
// of lowest rank anywhere in the piece is applied, the leftmost of several,
// until none is left. It takes O(n log n) time for n bytes.
func (b *bpe) appendMerged(dst []int32, piece string) []int32 {
	s := scratches.Get().(*scratch)
	s.symbols, s.candidates = s.symbols[:0], s.candidates[:0]
	for i := range len(piece) {
		s.symbols = append(s.symbols, symbol{id: b.bytes[piece[i]], prev: int32(i - 1), next: int32(i + 1)})
	}
	s.symbols[len(piece)-1].next = -1
	for i := range s.symbols {
		if b.rank(s.symbols, int32(i)) {
			s.candidates = append(s.candidates, s.symbols[i].candidate(int32(i)))
		}
	}
	s.candidates.Init()
	for len(s.candidates) > 0 {
		c := s.candidates.Pop()
		at := int32(uint32(c))
		left := &s.symbols[at]
		if left.rank != int32(c>>32) {
			continue // one of its symbols has been merged since
		}
		left.id = b.merges[left.rank].id
		right := &s.symbols[left.next]
		left.next, right.rank = right.next, noRank
		if left.next >= 0 {
			s.symbols[left.next].prev = at
		}
		if b.rank(s.symbols, at) {
			s.candidates.Push(left.candidate(at))
		}
		if left.prev >= 0 && b.rank(s.symbols, left.prev) {
			s.candidates.Push(s.symbols[left.prev].candidate(left.prev))
		}
	}
	for i := int32(0); i >= 0; i = s.symbols[i].next {
		dst = append(dst, s.symbols[i].id)
	}
	if cap(s.symbols) <= maxScratch {
		scratches.Put(s)
	}
	return dst
}

// rank sets the rank of symbol i and reports whether it has one.
func (b *bpe) rank(symbols []symbol, i int32) bool {
	s := &symbols[i]
	s.rank = noRank
	if s.next < 0 {
		return false
	}
	rank, ok := b.ranks[pairOf(s.id, symbols[s.next].id)]
	if ok {
		s.rank = rank
	}
	return ok
}

func (s symbol) candidate(at int32) candidate { return candidate(s.rank)<<32 | candidate(at) }
