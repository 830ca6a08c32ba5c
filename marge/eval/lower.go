package eval

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lower returns a text in lower case by the full mapping of the Unicode
// standard (section 3.13), as Python's str.lower does and strings.ToLower does
// not: a capital I with a dot keeps the dot as a combining character, and a
// capital sigma at the end of a word becomes a final one.
//
// golang.org/x/text/cases knows both rules, but forgets the second where a
// word crosses the end of its buffer.
func lower(s string) string {
	if !strings.ContainsAny(s, "İΣ") {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	for i, r := range s {
		switch r {
		case 'İ':
			b.WriteString("i\u0307")
		case 'Σ':
			if endsCased(s[:i]) && !startsCased(s[i+utf8.RuneLen(r):]) {
				b.WriteRune('ς')
			} else {
				b.WriteRune('σ')
			}
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// startsCased reports whether the first character that is not case-ignorable
// is cased.
func startsCased(s string) bool {
	for _, r := range s {
		if !caseIgnorable(r) {
			return cased(r)
		}
	}
	return false
}

// endsCased reports whether the last character that is not case-ignorable is
// cased.
func endsCased(s string) bool {
	for len(s) > 0 {
		r, size := utf8.DecodeLastRuneInString(s)
		if !caseIgnorable(r) {
			return cased(r)
		}
		s = s[:len(s)-size]
	}
	return false
}

// cased is the Unicode property Cased.
func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Uppercase, unicode.Other_Lowercase)
}

// caseIgnorable is the Unicode property Case_Ignorable: marks, modifiers,
// format characters, and the punctuation that is found within words.
func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		slices.Contains([]rune("'.:·\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a"), r)
}

// isSpace reports what Python's str.split splits at: white space, and the
// four separators of ASCII.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}
