package source

import (
	"cmp"
	"slices"

	"github.com/abadojack/whatlanggo"

	"github.com/marge-go/marge/internal/langtag"
)

// identifyRunes is how many characters of a text Identify looks at: more do not
// change the answer.
const identifyRunes = 4000

// whatlang's codes that have no tag of two letters there.
var otherTags = map[whatlanggo.Lang]string{whatlanggo.Pes: "fa"}

// Identify returns the language that a text seems to be in, BCP 47, by the
// trigrams of its beginning, and whether that is sure. Only languages that stand
// for one of among are considered; nil stands for all that are known, some
// eighty. Short texts are often not sure. The result is "", not sure, where
// nothing fits.
func Identify(text string, among []string) (lang string, sure bool) {
	var options whatlanggo.Options
	if among != nil {
		options.Whitelist = map[whatlanggo.Lang]bool{}
		for known := range whatlanggo.Langs {
			if _, ok := langtag.Match(tag(known), among); ok {
				options.Whitelist[known] = true
			}
		}
	}
	if runes := []rune(text); len(runes) > identifyRunes {
		text = string(runes[:identifyRunes])
	}
	info := whatlanggo.DetectWithOptions(text, options)
	if _, known := whatlanggo.Langs[info.Lang]; !known {
		return "", false
	}
	lang = tag(info.Lang)
	if among != nil && !slices.ContainsFunc(among, func(a string) bool {
		_, ok := langtag.Match(lang, []string{a})
		return ok
	}) {
		return "", false // a script has a single language, or none of among is known
	}
	return lang, info.IsReliable()
}

func tag(l whatlanggo.Lang) string { return cmp.Or(otherTags[l], l.Iso6391(), l.Iso6393()) }
