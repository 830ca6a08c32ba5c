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
// abbreviations, initials and ordinal numbers up to 99 do not end a sentence, nor
// do those in brackets; nor does what is quoted in Japanese before the sentence
// goes on with と.
func Sentences(text string) []string {
	var sentences []string
	open := "" // what is not yet known to be a sentence
	state := -1
	for len(text) > 0 {
		var part string
		part, text, state = uniseg.FirstSentenceInString(text, state)
		open += part
		// Unicode counts an opening bracket to the sentence that ends before it.
		sentence := strings.TrimRightFunc(open, func(r rune) bool { return unicode.In(r, unicode.Ps, unicode.Pi) })
		next := open[len(sentence):]
		if text != "" && !strings.HasSuffix(open, "\n") && goesOn(sentence, next+text) {
			continue
		}
		if text == "" {
			sentence, next = open, ""
		}
		if s := strings.TrimSpace(sentence); s != "" {
			sentences = append(sentences, s)
		}
		open = next
	}
	return sentences
}

// goesOn reports whether a sentence goes on behind what could be its end.
func goesOn(text, rest string) bool {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	if inBrackets(text, rest) {
		return true
	}
	if quoted := strings.HasSuffix(text, "」") || strings.HasSuffix(text, "』"); quoted {
		return strings.HasPrefix(rest, "と")
	}
	next, _ := utf8.DecodeRuneInString(rest)
	text, stop := strings.CutSuffix(text, ".")
	if !stop {
		return unicode.In(next, unicode.Pe, unicode.Pf) // in French behind a space
	}
	start := strings.LastIndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) + 1
	before, word := text[:start], text[start:]
	first, _ := utf8.DecodeRuneInString(word)
	switch characters := utf8.RuneCountInString(word); {
	case abbreviations[word]:
		return true
	case !unicode.IsLetter(next):
		return false
	case unicode.IsLetter(first):
		return characters == 1 // an initial
	}
	// An ordinal number, and not the end of 7.30.
	return number(word) && len(word) <= 2 && (before == "" || strings.HasSuffix(before, " "))
}

// inBrackets reports whether a text opens a bracket that the rest of the line
// closes.
func inBrackets(text, rest string) bool {
	const openers, closers = "(（「『", ")）」』"
	open := 0
	for _, r := range text {
		if strings.ContainsRune(openers, r) {
			open++
		} else if strings.ContainsRune(closers, r) {
			open = max(open-1, 0)
		}
	}
	line, _, _ := strings.Cut(rest, "\n")
	return open > 0 && strings.ContainsAny(line, closers)
}

func number(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool { return r < '0' || r > '9' })
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
