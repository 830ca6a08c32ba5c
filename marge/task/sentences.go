package task

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/marge-go/marge/marge"
)

// Sentences cuts a text into sentences, without the white space between them.
// They end where Unicode says (UAX #29): behind a full stop, a question or an
// exclamation mark of any script, and at the end of a line. Full stops of
// abbreviations, initials and ordinal numbers up to 99 do not end a sentence;
// nor does what is quoted in Japanese before the sentence goes on with と.
func Sentences(text string) []string {
	var sentences []string
	open := "" // what is not yet known to be a sentence
	state := -1
	for len(text) > 0 {
		var part string
		part, text, state = uniseg.FirstSentenceInString(text, state)
		open += part
		if len(text) > 0 && !strings.HasSuffix(open, "\n") && goesOn(open, text) {
			continue
		}
		if s := strings.TrimSpace(open); s != "" {
			sentences = append(sentences, s)
		}
		open = ""
	}
	return sentences
}

// goesOn reports whether a text that ends as a sentence can goes on behind it.
func goesOn(text, rest string) bool {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	if quoted := strings.HasSuffix(text, "」") || strings.HasSuffix(text, "』"); quoted {
		return strings.HasPrefix(rest, "と")
	}
	before, ok := strings.CutSuffix(text, ".")
	if !ok {
		return false
	}
	word := before[strings.LastIndexFunc(before, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })+1:]
	if abbreviations[word] {
		return true
	}
	characters := utf8.RuneCountInString(word)
	first, _ := utf8.DecodeRuneInString(word)
	return characters == 1 && unicode.IsLetter(first) || characters <= 2 && ordinal(word)
}

// ordinal reports whether a word is a number.
func ordinal(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsDigit(r) })
}

// abbreviations stand before names and numbers, where Unicode sees the end of a
// sentence.
var abbreviations = func() map[string]bool {
	list := map[string]bool{}
	for _, w := range strings.Fields(`Mr Mrs Ms Dr Prof St Sr Jr Gen Col Lt Sgt Rev Hon No Nr Nos vol Vol pp Fig fig
		Mme Mlle Sra Srta Dra Ud Uds Hr Fr Bd Abb bzw ca vgl им г гг ул д стр рис т`) {
		list[w] = true
	}
	return list
}()

// FirstSentences returns the first sentences of texts: the baseline of
// summarisation, where the first sentence of a report often says it all, and
// the weaker one of answering questions.
func FirstSentences(texts []string) []string {
	first := make([]string, len(texts))
	for i, text := range texts {
		if s := Sentences(text); len(s) > 0 {
			first[i] = s[0]
		}
	}
	return first
}

// Sources returns the sources of pairs: the input of a model, and the baseline
// of translation, which copies.
func Sources(pairs []marge.Pair) []string {
	list := make([]string, len(pairs))
	for i := range pairs {
		list[i] = pairs[i].Source
	}
	return list
}

// References returns the target of each pair as its only reference, for the
// metrics of package eval.
func References(pairs []marge.Pair) [][]string {
	list := make([][]string, len(pairs))
	for i := range pairs {
		list[i] = []string{pairs[i].Target}
	}
	return list
}
