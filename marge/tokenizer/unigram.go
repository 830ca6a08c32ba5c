package tokenizer

import "slices"

// unigram segments text into the pieces of a vocabulary whose scores have the
// greatest sum: the Viterbi algorithm for a unigram language model (Kudo,
// arXiv:1804.10959, section 3). The scores are log-probabilities, summed in
// float32 as SentencePiece does or in float64 as `tokenizers` does, from left to
// right; of equal sums the one whose last piece is longest is taken, as both do.
type unigram[F float32 | float64] struct {
	trie    *trie
	scores  []F         // by id
	unknown F           // the score of a character that is no piece
	unk     int32       // its id
	bytes   *[256]int32 // ids of the bytes that stand for unknown text; nil without them
	limit   F           // a sum of which sums begin anew from 0; 0 for none
}

// unknownPenalty is how much less an unknown character scores than the worst
// piece.
const unknownPenalty = 10

// rebaseLimit is the limit of SentencePiece: in a text whose sum becomes larger,
// float32 would lose the differences between pieces.
const rebaseLimit = 100_000

// cell is the best segmentation that ends at a place: its score, where its last
// piece begins, and that piece. The start of a place that none reaches is -1.
type cell[F float32 | float64] struct {
	score     F
	start, id int32
}

// lattice is memory for unigram.encode.
type lattice[F float32 | float64] struct{ cells []cell[F] }

// charLen is the length of a character by its first byte, as SentencePiece
// tells it.
const charLen = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x03\x04"

// encode appends the ids of text. Unknown characters that follow each other are
// one token, or one for each byte.
func (u *unigram[F]) encode(out *output, l *lattice[F], text *mapped, lo, hi int) {
	if lo == hi {
		return
	}
	u.search(l, text.text[lo:hi])
	first := len(out.ids)
	for end := int32(hi - lo); end > 0; {
		c := l.cells[end]
		start := c.start
		if c.id != u.unk {
			out.add(c.id, text.place(lo+int(start)))
			end = start
			continue
		}
		for start > 0 && l.cells[start].id == u.unk {
			start = l.cells[start].start
		}
		u.addUnknown(out, text, lo+int(start), lo+int(end))
		end = start
	}
	slices.Reverse(out.ids[first:])
	if out.track {
		slices.Reverse(out.places[len(out.places)-(len(out.ids)-first):])
	}
}

// addUnknown appends, last first, the ids of unknown text.
func (u *unigram[F]) addUnknown(out *output, text *mapped, lo, hi int) {
	if u.bytes == nil {
		out.add(u.unk, text.place(lo))
		return
	}
	for i := hi - 1; i >= lo; i-- {
		out.add(u.bytes[text.text[i]], text.place(i))
	}
}

// search fills the cells of a text.
func (u *unigram[F]) search(l *lattice[F], text []byte) {
	if cap(l.cells) <= len(text) {
		l.cells = make([]cell[F], len(text)+1+len(text)/2)
	}
	cells := l.cells[:len(text)+1]
	for i := range cells {
		cells[i].start = -1
	}
	cells[0] = cell[F]{0, 0, -1}
	nodes, scores := u.trie.nodes, u.scores
	reached := 0
	for start := 0; start < len(text); {
		sum := cells[start].score
		if u.limit > 0 && (sum > u.limit || sum < -u.limit) {
			for i := start; i <= reached; i++ {
				if cells[i].start >= 0 {
					cells[i].score -= sum
				}
			}
			sum = 0
		}
		size := min(int(charLen[text[start]>>4]), len(text)-start)
		known := false
		link := nodes[0].link
		for i := start; i < len(text); i++ {
			c := uint32(text[i])
			n := nodes[link>>(32-baseBits)^c]
			if link = n.link; link&byteMask != c {
				break
			}
			if n.id < 0 {
				continue
			}
			end := i + 1
			reached = max(reached, end)
			if score := sum + scores[n.id]; cells[end].start < 0 || score > cells[end].score {
				cells[end] = cell[F]{score, int32(start), n.id}
			}
			if end-start == size {
				known = true
			}
		}
		if !known {
			end := start + size
			reached = max(reached, end)
			if score := sum + u.unknown; cells[end].start < 0 || score > cells[end].score {
				cells[end] = cell[F]{score, int32(start), u.unk}
			}
		}
		start += size
	}
}
