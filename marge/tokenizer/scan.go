package tokenizer

import (
	"math"
	"unicode/utf8"
)

// splitPattern is the regular expression that cuts text into pieces before
// the byte-pair merges, which never cross a piece: words with the space in
// front of them (combining marks and the zero-width joiners of Persian and the
// Indic scripts are part of a word), numbers in groups of three digits, runs
// of symbols, and white space. pieceLen is the same thing as code.
const splitPattern = ` ?[\p{L}\p{M}\u200C\u200D]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}\u200C\u200D]+|\s+(?!\S)|\s+`

// maxDigits is the bound of the repetition of \p{N} in splitPattern.
const maxDigits = 3

// class is the kind of a code point, as far as the patterns tell them apart.
type class uint8

const (
	classOther  class = iota
	classLetter       // \p{L}
	classMark         // [\p{M}\u200C\u200D]
	classNumber       // \p{N}
	classSpace        // \s
)

type classRange struct {
	lo, hi rune // both inclusive
	class  class
}

// classTable gives the class of code point r as table[r>>8][r&0xff].
type classTable [(utf8.MaxRune + 1) >> 8]*[256]class

// ownClasses are the classes of splitPattern, where marks belong to words, and
// gpt2Classes those of gpt2PieceLen, where they are symbols. The tables are part
// of the package, rather than Go's unicode tables, because the ids of a trained
// model must not change with the Unicode version of the Go release that it is
// built with.
var (
	ownClasses  = newClassTable(classLetter)
	gpt2Classes = newClassTable(classOther)
)

// newClassTable makes a table in which marks have the given class.
func newClassTable(mark class) (pages classTable) {
	empty := new([256]class)
	for i := range pages {
		pages[i] = empty
	}
	for _, r := range classRanges {
		if r.class == classMark {
			r.class = mark
		}
		for c := r.lo; c <= r.hi; c++ {
			if pages[c>>8] == empty {
				pages[c>>8] = new([256]class)
			}
			pages[c>>8][c&0xff] = r.class
		}
	}
	return pages
}

// first returns the class of the first code point of s and its length in bytes.
// A byte that is not valid UTF-8 is a code point of classOther.
func (t *classTable) first(s string) (class, int) {
	if s[0] < utf8.RuneSelf {
		return t[0][s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return t[r>>8][r&0xff], n
}

// pieceLen returns the length in bytes of the match of splitPattern at the
// start of s, which must not be empty. The pattern matches any text, so pieces
// lie end to end.
func pieceLen(s string) int { return ownClasses.run(s, maxDigits) }

// gpt2PieceLen is pieceLen for the pattern of the byte-level vocabularies of
// GPT-2, RoBERTa and their kin:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2PieceLen(s string) int {
	if s[0] == '\'' && len(s) > 1 {
		switch s[1] {
		case 's', 't', 'm', 'd':
			return 2
		case 'r', 'v', 'l':
			if rest := s[1:min(len(s), 3)]; rest == "re" || rest == "ve" || rest == "ll" {
				return 3
			}
		}
	}
	return gpt2Classes.run(s, math.MaxInt)
}

// run returns the length of a run of code points of one class at the start of
// s, with the space in front of it. A number has at most digits of them.
func (t *classTable) run(s string, digits int) int {
	c, n := t.first(s)
	if s[0] == ' ' && len(s) > 1 {
		if next, size := t.first(s[1:]); next != classSpace {
			c, n = next, 1+size
		}
	}
	last := 0 // start of the last code point of the run
	for count := 1; n < len(s); count++ {
		next, size := t.first(s[n:])
		if next != c {
			break
		}
		if c == classNumber && count == digits {
			break
		}
		last = n
		n += size
	}
	// \s+(?!\S): the last code point of white space before something else is
	// left to the next piece, unless it is the only one.
	if c == classSpace && n < len(s) && last > 0 {
		return last
	}
	return n
}
