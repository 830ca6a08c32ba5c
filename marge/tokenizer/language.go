package tokenizer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
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
func tokenOfLanguage(lang string) (string, error) {
	tag, err := langtag.Canonical(lang)
	if err != nil {
		return "", err
	}
	if !languageTag.MatchString(tag) || strings.HasSuffix(tag, "-XX") {
		return "", fmt.Errorf("%q is not a language tag like de, pt-BR or sr-Latn", lang)
	}
	if !strings.Contains(tag, "-") {
		return tag + noRegion, nil
	}
	return strings.ReplaceAll(tag, "-", "_"), nil
}

// languageOfToken returns the canonical tag of a language token; ok is false
// for tokens that are not language tokens.
func languageOfToken(token string) (tag string, ok bool) {
	if !languageToken.MatchString(token) {
		return "", false
	}
	tag, err := langtag.Canonical(strings.TrimSuffix(token, noRegion))
	return tag, err == nil
}

// LanguageToken returns the id of the token of a language, given as a BCP 47
// tag in any spelling: "de" has the token de_XX, "pt-BR" and "pt_br" have
// pt_BR. Where the tokenizer knows only de, "de-AT" has de_XX as well; where
// it knows only de-AT, "de" has none in a vocabulary of Train. In one that was
// loaded, of a model whose languages come in one region each, it has de_AT.
func (v *vocabulary) LanguageToken(lang string) (int32, error) {
	i, ok := v.match(lang)
	if !ok {
		return 0, v.noToken(lang)
	}
	return v.languages[i].id, nil
}

// match returns the index of a language.
func (v *vocabulary) match(lang string) (i int, ok bool) {
	known := v.Languages()
	if i, ok = langtag.Match(lang, known); ok || !v.anyRegion {
		return i, ok
	}
	for k, tag := range known {
		known[k], _, _ = strings.Cut(tag, "-")
	}
	return langtag.Match(lang, known)
}

// CheckLanguages returns an error that names all of the languages that have no
// LanguageToken, or nil.
func (v *vocabulary) CheckLanguages(langs []string) error {
	var missing []string
	for _, lang := range langs {
		if _, ok := v.match(lang); !ok {
			missing = append(missing, lang)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return v.noToken(missing...)
}

func (v *vocabulary) noToken(langs ...string) error {
	what := fmt.Sprintf("language %q", langs[0])
	if len(langs) > 1 {
		what = fmt.Sprintf("languages %q", langs)
	}
	if len(v.languages) == 0 {
		return fmt.Errorf("tokenizer: no token for %s: the vocabulary has no language tokens", what)
	}
	return fmt.Errorf("tokenizer: no token for %s; there are %s", what, strings.Join(v.Languages(), ", "))
}

// Languages returns the canonical BCP 47 tags of the languages that have a
// token, in the order of their ids.
func (v *vocabulary) Languages() []string {
	tags := make([]string, len(v.languages))
	for i, l := range v.languages {
		tags[i] = l.tag
	}
	return tags
}
