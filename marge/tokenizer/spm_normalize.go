package tokenizer

import "strings"

// spaceSymbol is how the pieces of SentencePiece spell a space.
const spaceSymbol = "\u2581"

// spmNormalizer does what the normalizer_spec of a SentencePiece model says: it
// replaces by the longest rule that applies at a place, leaves user-defined
// symbols as they are, and makes white space explicit.
type spmNormalizer struct {
	charsmap *charsmap // nil for none
	symbols  *trie     // the user-defined symbols; nil for none
	plain    [256]bool // ASCII characters that no rule or symbol begins with

	addPrefix, removeSpaces, suffix bool
	space                           string // what a space becomes
}

// maxSymbols is how many user-defined symbols SentencePiece looks at that begin
// at one place.
const maxSymbols = 64

func newSPMNormalizer(m *spmModel, symbols []trieKey) (n spmNormalizer, err error) {
	spec := &m.normalizer
	n = spmNormalizer{addPrefix: spec.addPrefix, removeSpaces: spec.removeSpaces, suffix: m.suffix, space: " "}
	if spec.escapeSpaces {
		n.space = spaceSymbol
	}
	for b := range 0x80 {
		n.plain[b] = b != ' '
	}
	if len(spec.charsmap) > 0 {
		if n.charsmap, err = parseCharsmap(spec.charsmap); err != nil {
			return n, err
		}
		for b, starts := range n.charsmap.starts() {
			n.plain[b] = n.plain[b] && !starts
		}
	}
	if len(symbols) > 0 {
		for _, s := range symbols {
			n.plain[s.text[0]] = false
		}
		n.symbols, err = newTrie(symbols)
	}
	return n, err
}

// next returns the length in bytes of what is replaced as a whole at the start
// of s, and what replaces it.
func (n *spmNormalizer) next(s string) (size int, by string) {
	if n.symbols != nil {
		if size, _ = n.symbols.longest(s, maxSymbols); size > 0 {
			return size, s[:size]
		}
	}
	if n.charsmap != nil {
		if size, by = n.charsmap.longest(s); size > 0 {
			return size, by
		}
	}
	r, size := decodeRune(s)
	if r < 0 {
		return size, "\ufffd"
	}
	return size, s[:size]
}

// normalize appends the normalised form of s to m, which is empty.
func (n *spmNormalizer) normalize(m *mapped, s string) {
	at := 0
	if n.removeSpaces {
		for at < len(s) {
			size, by := n.next(s[at:])
			if by != " " {
				break
			}
			at += size
		}
	}
	if at == len(s) {
		return
	}
	if n.addPrefix && !n.suffix {
		m.add(n.space, int32(at))
	}
	afterSpace := n.removeSpaces
	for at < len(s) {
		if n.plain[s[at]] {
			first := at
			for at++; at < len(s) && n.plain[s[at]]; at++ {
			}
			m.copy(s[first:at], int32(first))
			afterSpace = false
			continue
		}
		size, by := n.next(s[at:])
		if afterSpace {
			by = strings.TrimLeft(by, " ")
		}
		if by != "" {
			n.append(m, by, int32(at))
			afterSpace = n.removeSpaces && by[len(by)-1] == ' '
		}
		at += size
	}
	if n.removeSpaces {
		for strings.HasSuffix(view(m.text), n.space) {
			last := len(m.text) - len(n.space)
			if m.track {
				at = int(m.from[last]) // of the space that is put back
			}
			m.truncate(last)
		}
	}
	if n.addPrefix && n.suffix {
		m.add(n.space, int32(at))
	}
}

// append appends a text whose spaces become explicit.
func (n *spmNormalizer) append(m *mapped, text string, from int32) {
	for text != "" {
		i := strings.IndexByte(text, ' ')
		if i < 0 {
			m.add(text, from)
			return
		}
		m.add(text[:i], from)
		m.add(n.space, from)
		text = text[i+1:]
	}
}
