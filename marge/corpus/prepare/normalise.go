package prepare

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/marge-go/marge/marge/corpus"
)

// Normalise brings the text of a document into one form, so that texts that
// look the same are the same:
//
//   - Unicode's composed form (NFC);
//   - lines end with a newline; white space within a line is one space, and
//     there is none at its ends; between two lines there is at most one that is
//     empty, at the ends of the text none;
//   - no control characters, byte order marks, soft hyphens, zero-width spaces
//     or marks of writing direction. Joiners, which Persian and Indic scripts
//     need, stay.
//
// A text of which nothing is left is dropped as [NoText], a document without ID
// as [NoID]. Each byte that is not UTF-8 becomes U+FFFD, in all fields. Normalise of
// what it returned changes nothing.
func Normalise(doc corpus.Document) (corpus.Document, Reason) {
	doc.Text = normal(doc.Text)
	for _, field := range []*string{&doc.ID, &doc.Lang, &doc.Date, &doc.Shard, &doc.Group, &doc.Source} {
		*field = string([]rune(*field)) // as JSON does
	}
	switch {
	case doc.Text == "":
		return doc, NoText
	case doc.ID == "":
		return doc, NoID
	}
	return doc, ""
}

func normal(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	newlines, space := 0, false // to write before the next character
	// What is left out can separate a letter from its accent: NFC comes last. It
	// makes no character that is looked for here.
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") { // U+FFFD for a byte that is not UTF-8
		switch {
		case r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			newlines, space = newlines+1, false
			continue
		case unicode.IsSpace(r):
			space = true
			continue
		case invisible(r):
			continue
		}
		if out.Len() > 0 {
			if newlines > 0 {
				out.WriteString("\n\n"[:min(newlines, 2)])
			} else if space {
				out.WriteByte(' ')
			}
		}
		newlines, space = 0, false
		out.WriteRune(r)
	}
	return norm.NFC.String(out.String())
}

// invisible reports whether a character is left out.
func invisible(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d': // joiners
		return false
	case r == '\u00ad' || r == '\ufeff' || r >= '\u200b' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' ||
		r >= '\u2060' && r <= '\u2069':
		return true
	}
	return unicode.IsControl(r)
}
