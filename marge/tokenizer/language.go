package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
)

// noRegion ends the token of a language that is given without script, region
// or variant: "de" has the token "de_XX".
const noRegion = "_XX"

var (
	languageTag   = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	languageToken = regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z0-9]{2,8})+$`)
)

// tokenOfLanguage turns a BCP 47 tag into the spelling of its language token:
// "de" into "de_XX", "pt-BR" into "pt_BR".
func tokenOfLanguage(tag string) (string, error) {
	tag = canonicalTag(tag)
	if !languageTag.MatchString(tag) || strings.HasSuffix(tag, "-XX") {
		return "", fmt.Errorf("%q is not a language tag like de, pt-BR or sr-Latn", tag)
	}
	if !strings.Contains(tag, "-") {
		return tag + noRegion, nil
	}
	return strings.ReplaceAll(tag, "-", "_"), nil
}

// languageOfToken is the inverse of tokenOfLanguage; ok is false for tokens
// that are not language tokens.
func languageOfToken(token string) (tag string, ok bool) {
	if !languageToken.MatchString(token) {
		return "", false
	}
	return strings.ReplaceAll(strings.TrimSuffix(token, noRegion), "_", "-"), true
}

// canonicalTag gives the subtags of a BCP 47 tag their recommended case
// (RFC 5646, section 2.1.1): language de, script Latn, region BR.
func canonicalTag(tag string) string {
	subtags := strings.Split(strings.ToLower(tag), "-")
	for i, s := range subtags {
		switch {
		case i == 0:
		case len(s) == 2:
			subtags[i] = strings.ToUpper(s)
		case len(s) == 4 && s[0] >= 'a':
			subtags[i] = strings.ToUpper(s[:1]) + s[1:]
		}
	}
	return strings.Join(subtags, "-")
}
