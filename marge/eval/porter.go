package eval

import (
	"slices"
	"strings"
)

// porterStem strips English suffixes from a word of lower-case ASCII letters
// and digits, as the default mode of NLTK's PorterStemmer does, which the
// rouge-score package stems with: the algorithm of Porter (1980) with the
// departures that its author published later and some of NLTK's own.
func porterStem(word string) string {
	if stem, ok := irregularStems[word]; ok {
		return stem
	}
	if len(word) <= 2 {
		return word
	}
	word = porterPlural(word)
	word = porterPast(word)
	if stem, ok := strings.CutSuffix(word, "y"); ok && len(stem) > 1 && !vowels(stem)[len(stem)-1] {
		word = stem + "i"
	}
	word = porterDouble(word)
	word = porterRules(word, porterStep3, 0)
	if stem, ok := strings.CutSuffix(word, "ion"); !ok {
		word = porterRules(word, porterStep4, 1)
	} else if measure(stem) > 1 && (strings.HasSuffix(stem, "s") || strings.HasSuffix(stem, "t")) {
		word = stem
	}
	if stem, ok := strings.CutSuffix(word, "e"); ok {
		if m := measure(stem); m > 1 || m == 1 && !endsCVC(stem) {
			word = stem
		}
	}
	if strings.HasSuffix(word, "ll") && measure(word[:len(word)-1]) > 1 {
		word = word[:len(word)-1]
	}
	return word
}

var irregularStems = map[string]string{
	"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
	"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing",
	"cannings": "canning", "canning": "canning", "howe": "howe",
	"proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// A porterRule replaces a suffix. The first rule of a list whose suffix a word
// has decides, whether or not what is left of the word is long enough.
type porterRule struct{ suffix, replacement string }

var porterStep2 = []porterRule{
	{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"},
	{"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"},
	{"ator", "ate"}, {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},
	{"iviti", "ive"}, {"biliti", "ble"}, {"fulli", "ful"},
}

var porterStep3 = []porterRule{
	{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
}

var porterStep4 = []porterRule{
	{"al", ""}, {"ance", ""}, {"ence", ""}, {"er", ""}, {"ic", ""}, {"able", ""}, {"ible", ""}, {"ant", ""},
	{"ement", ""}, {"ment", ""}, {"ent", ""}, {"ou", ""}, {"ism", ""},
	{"ate", ""}, {"iti", ""}, {"ous", ""}, {"ive", ""}, {"ize", ""},
}

// porterRules applies a list of rules to a word if the measure of what is left
// exceeds a number.
func porterRules(word string, rules []porterRule, exceed int) string {
	for _, r := range rules {
		if stem, ok := strings.CutSuffix(word, r.suffix); ok {
			if measure(stem) > exceed {
				return stem + r.replacement
			}
			return word
		}
	}
	return word
}

// porterPlural is step 1a.
func porterPlural(word string) string {
	switch {
	case strings.HasSuffix(word, "ies") && len(word) == 4:
		return word[:3]
	case strings.HasSuffix(word, "sses"), strings.HasSuffix(word, "ies"):
		return word[:len(word)-2]
	case strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss"):
		return word[:len(word)-1]
	}
	return word
}

// porterPast is step 1b.
func porterPast(word string) string {
	if stem, ok := strings.CutSuffix(word, "ied"); ok {
		if len(stem) == 1 {
			return stem + "ie"
		}
		return stem + "i"
	}
	if stem, ok := strings.CutSuffix(word, "eed"); ok {
		if measure(stem) > 0 {
			return stem + "ee"
		}
		return word
	}
	stem, ok := strings.CutSuffix(word, "ed")
	if !ok {
		stem, ok = strings.CutSuffix(word, "ing")
	}
	if !ok || !slices.Contains(vowels(stem), true) {
		return word
	}
	last := stem[len(stem)-1]
	switch {
	case strings.HasSuffix(stem, "at"), strings.HasSuffix(stem, "bl"), strings.HasSuffix(stem, "iz"):
		return stem + "e"
	case len(stem) >= 2 && stem[len(stem)-2] == last && !vowels(stem)[len(stem)-1]:
		if last == 'l' || last == 's' || last == 'z' {
			return stem
		}
		return stem[:len(stem)-1]
	case measure(stem) == 1 && endsCVC(stem):
		return stem + "e"
	}
	return stem
}

// porterDouble is step 2.
func porterDouble(word string) string {
	if strings.HasSuffix(word, "alli") && measure(word[:len(word)-4]) > 0 {
		word = word[:len(word)-2]
	}
	if strings.HasSuffix(word, "logi") {
		if measure(word[:len(word)-3]) > 0 { // the l belongs to the stem
			return word[:len(word)-1]
		}
		return word
	}
	return porterRules(word, porterStep2, 0)
}

// vowels tells which letters of a word are vowels: a, e, i, o, u, and y after
// a consonant.
func vowels(word string) []bool {
	v := make([]bool, len(word))
	for i := range v {
		switch word[i] {
		case 'a', 'e', 'i', 'o', 'u':
			v[i] = true
		case 'y':
			v[i] = i > 0 && !v[i-1]
		}
	}
	return v
}

// measure counts the places where a vowel is followed by a consonant.
func measure(stem string) int {
	m := 0
	v := vowels(stem)
	for i := 1; i < len(v); i++ {
		if v[i-1] && !v[i] {
			m++
		}
	}
	return m
}

// endsCVC reports whether a stem ends in consonant, vowel and a consonant
// other than w, x and y, or is a vowel and a consonant.
func endsCVC(stem string) bool {
	n, v := len(stem), vowels(stem)
	if n == 2 {
		return v[0] && !v[1]
	}
	return n > 2 && !v[n-3] && v[n-2] && !v[n-1] && !strings.Contains("wxy", stem[n-1:])
}
