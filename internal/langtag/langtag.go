// Package langtag compares language tags (BCP 47): de_DE, DE-de and deu-DE are
// one language.
package langtag

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/language"
)

// maxLength is the length in bytes of the longest tag. RFC 5646, section 4.4.1,
// needs 35, and parsing takes quadratic time.
const maxLength = 100

// Canonical returns the canonical form of a tag (RFC 5646, section 4.5): de_DE
// becomes de-DE, zh-tw zh-TW, iw he. Subtags that are not registered keep their
// place and get the recommended case. A malformed tag, such as the empty one or
// one of more than 100 bytes, is an error that names it.
func Canonical(tag string) (string, error) {
	if len(tag) > maxLength {
		return "", fmt.Errorf("%.*q... of %d bytes is not a language tag", maxLength, tag, len(tag))
	}
	t, err := language.Parse(tag)
	var unknown language.ValueError
	switch {
	case errors.As(err, &unknown):
		return recommendedCase(strings.ReplaceAll(tag, "_", "-")), nil
	case err != nil:
		return "", fmt.Errorf("%q is not a language tag like de, pt-BR or sr-Latn", tag)
	}
	return t.String(), nil
}

// recommendedCase gives the subtags of a tag their recommended case (RFC 5646,
// section 2.1.1): language de, script Latn, region BR.
func recommendedCase(tag string) string {
	subtags := strings.Split(strings.ToLower(tag), "-")
	for i, s := range subtags {
		switch {
		case i == 0:
		case len(subtags[i-1]) == 1: // follows x or another singleton
		case len(s) == 2:
			subtags[i] = strings.ToUpper(s)
		case len(s) == 4 && s[0] >= 'a':
			subtags[i] = strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return strings.Join(subtags, "-")
}

// Match returns the index of the known tag that stands for a language: the one
// that is equal in canonical form, else the one that is equal after the last
// subtags of tag are dropped one by one ("lookup", RFC 4647, section 3.4). So
// de-AT matches a known de. A known de-AT does not match de: text in German
// need not be Austrian. ok is false if no known tag matches or tag is
// malformed; malformed known tags match nothing.
func Match(tag string, known []string) (i int, ok bool) {
	wanted, err := Canonical(tag)
	if err != nil {
		return 0, false
	}
	canonical := make([]string, len(known))
	for i, k := range known {
		canonical[i], _ = Canonical(k)
	}
	for wanted != "" {
		for i, k := range canonical {
			if k == wanted {
				return i, true
			}
		}
		wanted = wanted[:max(strings.LastIndexByte(wanted, '-'), 0)]
	}
	return 0, false
}
