package eval

import (
	"iter"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Words returns the words of a text in lower case: the segments between the word
// boundaries of Unicode (UAX #29) that contain a letter or a digit. It uses no
// dictionary, so scripts without spaces give single characters (Chinese, Thai) or
// runs (katakana).
func Words(text string) []string {
	var words []string
	for w := range segments(lower(text)) {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			words = append(words, w)
		}
	}
	return words
}

// segments yields what lies between word boundaries.
func segments(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		state := -1
		var word string
		for len(text) > 0 {
			word, text, state = uniseg.FirstWordInString(text, state)
			if !yield(word) {
				return
			}
		}
	}
}
