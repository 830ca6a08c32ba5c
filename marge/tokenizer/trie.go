package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
)

// trie finds the keys that a text begins with. It is a double array (Aoe, "An
// efficient digital search algorithm by using a double-array structure", 1989)
// in which the child of a node by byte c lies at base XOR c, so that a step is
// one look-up.
type trie struct{ nodes []trieNode }

// trieNode has the base in the upper 23 bits of link and in the lower 9 the
// byte by which its parent leads to it, or noByte. Every base belongs to one
// node, so that this byte tells whether a node is a child. Base 0 belongs to
// none: nodes without children have it.
type trieNode struct {
	link uint32
	id   int32 // of the key that ends here, or -1
}

const (
	noByte   = 0x100 // of the root, and of places where no node is
	byteMask = 0x1ff
	baseBits = 23

	trieBlock   = 256 // places whose numbers differ in the last byte
	openBlocks  = 16  // how many of the last blocks are searched for room
	maxTrieSize = 1 << baseBits
)

type trieKey struct {
	text string
	id   int32
}

// newTrie makes the trie of different keys that are not empty. It takes memory
// of 8 bytes for each different beginning of a key, at most 64 MiB; more is an
// error. The keys are sorted in place.
func newTrie(keys []trieKey) (*trie, error) {
	slices.SortFunc(keys, func(a, b trieKey) int { return cmp.Compare(a.text, b.text) })
	b := trieBuilder{keys: keys}
	b.grow()
	b.used[0] = true
	pending := []trieSpan{{hi: len(keys)}}
	for len(pending) > 0 {
		s := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		first := len(pending)
		pending = b.children(pending, s)
		if len(b.nodes) > maxTrieSize {
			return nil, fmt.Errorf("the tokens have more than %d different beginnings", maxTrieSize)
		}
		slices.Reverse(pending[first:]) // keys that follow each other lie side by side
	}
	return &trie{b.nodes}, nil
}

// trieSpan is a node whose children are still to be made: those of the keys lo
// to hi, which are equal in their first bytes.
type trieSpan struct{ node, lo, hi, depth int }

type trieBuilder struct {
	keys  []trieKey
	nodes []trieNode
	// next and prev link the free places of the open blocks in a ring through
	// place 0, which is the root's.
	next, prev []int32
	used       []bool // by base
}

// grow adds a block of free places, and closes the oldest that is open.
func (b *trieBuilder) grow() {
	n := len(b.nodes)
	for i := n; i < n+trieBlock; i++ {
		b.nodes = append(b.nodes, trieNode{noByte, -1})
		b.used = append(b.used, false)
		b.next, b.prev = append(b.next, int32(i+1)), append(b.prev, int32(i-1))
	}
	last := int32(n + trieBlock - 1)
	if n > 0 {
		end := b.prev[0]
		b.next[end], b.prev[n] = int32(n), end
	}
	b.next[last], b.prev[0] = 0, last
	if closed := n - openBlocks*trieBlock; closed >= 0 {
		for i := max(closed, 1); i < closed+trieBlock; i++ {
			if b.free(i) {
				b.unlink(i)
			}
		}
	}
}

func (b *trieBuilder) free(i int) bool { return i > 0 && b.nodes[i].link == noByte && b.next[i] >= 0 }

// unlink takes a place out of the ring of free ones.
func (b *trieBuilder) unlink(i int) {
	b.next[b.prev[i]], b.prev[b.next[i]] = b.next[i], b.prev[i]
	b.next[i] = -1
}

// children makes the children of a node and appends them to pending.
func (b *trieBuilder) children(pending []trieSpan, s trieSpan) []trieSpan {
	if s.lo < s.hi && len(b.keys[s.lo].text) == s.depth {
		b.nodes[s.node].id = b.keys[s.lo].id
		s.lo++
	}
	var bytes [256]byte
	var starts [256]int
	n := 0
	for i := s.lo; i < s.hi; i++ {
		if c := b.keys[i].text[s.depth]; n == 0 || bytes[n-1] != c {
			bytes[n], starts[n] = c, i
			n++
		}
	}
	if n == 0 {
		return pending
	}
	base := b.room(bytes[:n])
	b.used[base] = true
	b.nodes[s.node].link |= uint32(base) << (32 - baseBits)
	for k, c := range bytes[:n] {
		end := s.hi
		if k+1 < n {
			end = starts[k+1]
		}
		child := base ^ int(c)
		b.unlink(child)
		b.nodes[child].link = uint32(c)
		pending = append(pending, trieSpan{child, starts[k], end, s.depth + 1})
	}
	return pending
}

// room returns a base that no node has and whose children by these bytes are
// free places.
func (b *trieBuilder) room(bytes []byte) int {
	for {
	search:
		for i := int(b.next[0]); i != 0; i = int(b.next[i]) {
			base := i ^ int(bytes[0])
			if b.used[base] {
				continue
			}
			for _, c := range bytes[1:] {
				if !b.free(base ^ int(c)) {
					continue search
				}
			}
			return base
		}
		b.grow()
	}
}

// child returns the child of a node by byte c.
func (t *trie) child(node uint32, c byte) (child uint32, ok bool) {
	child = t.nodes[node].link>>(32-baseBits) ^ uint32(c)
	return child, t.nodes[child].link&byteMask == uint32(c)
}

// find returns the id of key, or -1.
func (t *trie) find(key string) int32 {
	node := uint32(0)
	for i := range len(key) {
		var ok bool
		if node, ok = t.child(node, key[i]); !ok {
			return -1
		}
	}
	return t.nodes[node].id
}

// longest returns the length and the id of the longest key that s begins with,
// among the first limit ones by length; 0 and -1 if there is none.
func (t *trie) longest(s string, limit int) (n int, id int32) {
	id = -1
	node := uint32(0)
	for i := 0; i < len(s) && limit > 0; i++ {
		var ok bool
		if node, ok = t.child(node, s[i]); !ok {
			break
		}
		if found := t.nodes[node].id; found >= 0 {
			n, id = i+1, found
			limit--
		}
	}
	return n, id
}
