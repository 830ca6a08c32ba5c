package prepare

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

// unspaced are scripts in which no spaces separate words.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// A token is a word: letters, digits and marks without anything between. In
// scripts without spaces it is one character with its marks.
type token struct {
	text     string
	unspaced bool
}

// tokens returns the tokens of a text.
func tokens(text string) iter.Seq[token] {
	return func(yield func(token) bool) {
		start, spaceless := -1, false // of the token that is open
		end := func(i int) bool {
			if start < 0 {
				return true
			}
			t := token{text[start:i], spaceless}
			start = -1
			return yield(t)
		}
		for i, r := range text {
			switch {
			case start >= 0 && unicode.IsMark(r):
			case r >= firstUnspaced && unicode.IsOneOf(unspaced, r) && !unicode.IsPunct(r):
				if !end(i) {
					return
				}
				start, spaceless = i, true
			case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
				if start >= 0 && !spaceless {
					continue
				}
				if !end(i) {
					return
				}
				start, spaceless = i, false
			default:
				if !end(i) {
					return
				}
			}
		}
		end(len(text))
	}
}

// firstUnspaced is the first character of the scripts without spaces (Thai).
const firstUnspaced = '\u0e00'

// tokensPerWord is how many tokens of a script without spaces make a word,
// about: most words of Chinese have two characters.
const tokensPerWord = 2

// characters counts as the limits of options do.
func characters(text string) int { return utf8.RuneCountInString(text) }
