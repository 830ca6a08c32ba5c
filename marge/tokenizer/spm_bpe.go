package tokenizer

import (
	"math"

	"github.com/marge-go/marge/internal/heap"
)

// spmPairs is a BPE model of SentencePiece: of the neighbours in a text that
// are a piece together, those whose piece has the highest score are merged
// first, the leftmost of several.
type spmPairs struct {
	pieces  map[string]spmMerged
	symbols *trie // the user-defined symbols, which are never merged
	unk     int32
	bytes   *[256]int32 // nil without byte fallback
}

type spmMerged struct {
	id     int32
	score  uint32 // in the order of the scores
	unused bool
}

func newSPMPairs(m *spmModel, ids []int32, n *spmNormalizer, unk int32, bytes *[256]int32) *spmPairs {
	p := &spmPairs{pieces: make(map[string]spmMerged, len(m.pieces)), symbols: n.symbols, unk: unk, bytes: bytes}
	for i, piece := range m.pieces {
		switch piece.kind {
		case spmNormal, spmUserDefined, spmUnused:
			p.pieces[piece.text] = spmMerged{ids[i], orderedBits(piece.score), piece.kind == spmUnused}
		}
	}
	return p
}

// orderedBits maps scores to numbers of the same order, with -0 below 0.
func orderedBits(score float32) uint32 {
	bits := math.Float32bits(score)
	if bits>>31 != 0 {
		return ^bits
	}
	return bits | 1<<31
}

// spmSymbol is an element of the doubly linked list of a text that is merged:
// its bytes lo to hi. One that has become part of its neighbour is empty.
type spmSymbol struct {
	lo, hi, prev, next int32
	frozen             bool
}

// spmCandidate is a possible merge: of the symbol left, with the next one, to a
// piece of size bytes.
type spmCandidate struct {
	score      uint32
	left, size int32
}

func (c spmCandidate) Before(d spmCandidate) bool {
	return c.score > d.score || c.score == d.score && c.left < d.left
}

// spmMerging is memory for spmPairs.encode.
type spmMerging struct {
	symbols    []spmSymbol
	candidates heap.Heap[spmCandidate]
	parts      map[string]int // where the unused pieces that were made divide
}

func (p *spmPairs) encode(out *output, s *spmMerging, m *mapped) {
	text := view(m.text)
	s.symbols, s.candidates = s.symbols[:0], s.candidates[:0]
	s.parts = nil
	for at := 0; at < len(text); {
		size := 0
		if p.symbols != nil {
			size, _ = p.symbols.longest(text[at:], maxSymbols)
		}
		frozen := size > 0
		if !frozen {
			size = min(int(charLen[text[at]>>4]), len(text)-at)
		}
		i := int32(len(s.symbols))
		s.symbols = append(s.symbols, spmSymbol{int32(at), int32(at + size), i - 1, i + 1, frozen})
		at += size
	}
	if len(s.symbols) == 0 {
		return
	}
	s.symbols[len(s.symbols)-1].next = -1
	for i := range s.symbols {
		p.propose(s, text, int32(i))
	}
	for len(s.candidates) > 0 {
		c := s.candidates.Pop()
		left := &s.symbols[c.left]
		if left.hi == left.lo || left.next < 0 || s.symbols[left.next].hi-left.lo != c.size {
			continue // one of the two has been merged since
		}
		right := &s.symbols[left.next]
		left.hi, left.next = right.hi, right.next
		right.lo = right.hi
		if left.next >= 0 {
			s.symbols[left.next].prev = c.left
		}
		if left.prev >= 0 {
			p.propose(s, text, left.prev)
		}
		p.propose(s, text, c.left)
	}
	unknown := false
	for i := int32(0); i >= 0; i = s.symbols[i].next {
		symbol := s.symbols[i]
		unknown = p.add(out, s, m, int(symbol.lo), int(symbol.hi), unknown, 0)
	}
}

// propose adds the merge of a symbol with the next one, if that is a piece.
func (p *spmPairs) propose(s *spmMerging, text string, i int32) {
	left := &s.symbols[i]
	if left.next < 0 || left.frozen || s.symbols[left.next].frozen {
		return
	}
	piece := text[left.lo:s.symbols[left.next].hi]
	known, ok := p.pieces[piece]
	if !ok {
		return
	}
	s.candidates.Push(spmCandidate{known.score, i, int32(len(piece))})
	if known.unused {
		if s.parts == nil {
			s.parts = map[string]int{}
		}
		s.parts[piece] = int(left.hi - left.lo)
	}
}

// maxParts is how often SentencePiece divides a piece.
const maxParts = 100

// add appends the id of a symbol, or those of the two that an unused piece was
// made of. It takes and returns whether the symbol before is unknown.
func (p *spmPairs) add(out *output, s *spmMerging, m *mapped, lo, hi int, unknown bool, depth int) bool {
	text := view(m.text[lo:hi])
	known, ok := p.pieces[text]
	if ok && known.unused && depth <= maxParts {
		n, divided := s.parts[text]
		if ok = divided; ok {
			unknown = p.add(out, s, m, lo, lo+n, unknown, depth+1)
			return p.add(out, s, m, lo+n, hi, unknown, depth+1)
		}
	}
	switch {
	case ok:
		out.add(known.id, m.place(lo))
	case p.bytes != nil:
		for i := lo; i < hi; i++ {
			out.add(p.bytes[m.text[i]], m.place(i))
		}
	case !unknown:
		out.add(p.unk, m.place(lo))
	}
	return !ok
}
