package prepare

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/marge-go/marge/marge/corpus"
)

// Quality are limits of what counts as running text. A field that is 0 stands
// for its default; a share that is negative, as a limit or a least length, turns
// a rule off.
//
// The rules and, where nothing else is said, the limits are those of Gopher
// (arXiv:2112.11446, table A1 and appendix A.1.1), and the boilerplate that of
// C4 (arXiv:1910.10683, section 2.2). They were made for English: where other
// languages need it, limits are wider, and two characters of a script without
// spaces count as a word.
type Quality struct {
	// MinWords and MaxWords bound the length of a text: 50 and 100,000.
	MinWords, MaxWords int
	// MinLetters is the least share of letters and their marks in the characters
	// that are not white space: 0.6.
	MinLetters float64
	// MinWordLength and MaxWordLength bound the mean number of letters of a word,
	// in scripts with spaces: 2 and 12. Gopher has 3 and 10; words of Vietnamese
	// are shorter, and those of Finnish and Malayalam longer.
	MinWordLength, MaxWordLength float64
	// MaxSymbols is how many hash signs, and how many ellipses, there may be for
	// a word: 0.1.
	MaxSymbols float64
	// MaxBullets is the share of lines that may begin with a bullet, 0.9, and
	// MaxCut the share of lines that may end with an ellipsis, 0.3.
	MaxBullets, MaxCut float64
	// MaxRepeatedLines is the share of lines that may repeat an earlier one, 0.3,
	// and MaxRepeatedText the share of characters in such lines, 0.2.
	MaxRepeatedLines, MaxRepeatedText float64
	// MaxPhrase is the share of the characters of words that the most frequent
	// phrase of two, three and four words may have, if it occurs more than once:
	// 0.20, 0.18 and 0.16.
	MaxPhrase [3]float64
	// MaxRepeatedPhrases is the share of the characters of words that may be in
	// phrases of ten words that occur more than once: 0.1.
	MaxRepeatedPhrases float64
	// MaxBoilerplate is the share of lines that may speak of cookies, JavaScript,
	// privacy policies or terms of use: 0.2. Filler (lorem ipsum) is never kept,
	// unless this rule is off.
	MaxBoilerplate float64
}

// resolve fills in the defaults.
func (q Quality) resolve() (Quality, error) {
	ints := []*int{&q.MinWords, &q.MaxWords}
	for i, fallback := range []int{50, 100_000} {
		*ints[i] = cmp.Or(*ints[i], fallback)
	}
	floats := []*float64{
		&q.MinLetters, &q.MinWordLength, &q.MaxWordLength, &q.MaxSymbols, &q.MaxBullets, &q.MaxCut,
		&q.MaxRepeatedLines, &q.MaxRepeatedText, &q.MaxPhrase[0], &q.MaxPhrase[1], &q.MaxPhrase[2],
		&q.MaxRepeatedPhrases, &q.MaxBoilerplate,
	}
	for i, fallback := range []float64{0.6, 2, 12, 0.1, 0.9, 0.3, 0.3, 0.2, 0.20, 0.18, 0.16, 0.1, 0.2} {
		if math.IsNaN(*floats[i]) {
			return q, fmt.Errorf("prepare: a limit of quality is not a number: %+v", q)
		}
		*floats[i] = cmp.Or(*floats[i], fallback)
	}
	return q, nil
}

// Filter drops documents that are not running text. It expects a text that
// [Normalise] returned, and does not change it.
func (q Quality) Filter(doc corpus.Document) (corpus.Document, Reason) {
	q, err := q.resolve()
	if err != nil {
		return doc, "" // Options were checked before
	}
	return doc, q.judge(doc.Text)
}

func (q *Quality) judge(text string) Reason {
	w := measureWords(text)
	over := func(n, of int, limit float64) bool { return limit >= 0 && float64(n) > limit*float64(of) }
	switch {
	case w.words() < q.MinWords:
		return TooShort
	case q.MaxWords >= 0 && w.words() > q.MaxWords:
		return TooLong
	case float64(w.letters) < q.MinLetters*float64(w.visible):
		return FewLetters
	case w.spaced > w.words()/2 && (float64(w.spacedLetters) < q.MinWordLength*float64(w.spaced) ||
		over(w.spacedLetters, w.spaced, q.MaxWordLength)):
		return WordLength
	}
	ellipses := strings.Count(text, "...") + strings.Count(text, "…")
	if over(max(strings.Count(text, "#"), ellipses), w.words(), q.MaxSymbols) {
		return Symbols
	}
	l := measureLines(text)
	switch {
	case over(l.bullets, l.lines, q.MaxBullets) || over(l.cut, l.lines, q.MaxCut):
		return Lists
	case over(l.repeated, l.lines, q.MaxRepeatedLines) || over(l.repeatedText, l.text, q.MaxRepeatedText):
		return RepeatedLines
	case over(l.boilerplate, l.lines, q.MaxBoilerplate) || l.filler && q.MaxBoilerplate >= 0:
		return Boilerplate
	}
	for i, limit := range q.MaxPhrase {
		if p := w.phrases(2 + i); over(p.most, p.all, limit) {
			return RepeatedPhrases
		}
	}
	if p := w.phrases(10); over(p.repeated, p.all, q.MaxRepeatedPhrases) {
		return RepeatedPhrases
	}
	return ""
}

// words is what is known of the words of a text.
type words struct {
	spaced, unspaced int // tokens of scripts with and without spaces
	spacedLetters    int
	letters, visible int      // characters: letters with marks, and all but white space
	tokens           []string // in small letters
}

func measureWords(text string) *words {
	w := &words{}
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsMark(r) {
			w.letters++
		}
		if !unicode.IsSpace(r) {
			w.visible++
		}
	}
	for t := range tokens(text) {
		w.tokens = append(w.tokens, strings.ToLower(t.text))
		if t.unspaced {
			w.unspaced++
			continue
		}
		w.spaced++
		for _, r := range t.text {
			if !unicode.IsMark(r) {
				w.spacedLetters++
			}
		}
	}
	return w
}

// words returns the number of words, about.
func (w *words) words() int { return w.spaced + w.unspaced/tokensPerWord }

// phrases are measured in characters of words.
type phrases struct {
	all      int // of the text
	most     int // in the most frequent phrase, if it occurs more than once
	repeated int // in phrases that occur more than once; each character counts once
}

// phrases looks at phrases of n words.
func (w *words) phrases(n int) (p phrases) {
	if w.unspaced > w.spaced {
		n *= tokensPerWord
	}
	start := make([]int, len(w.tokens)+1) // in characters
	for i, t := range w.tokens {
		start[i+1] = start[i] + characters(t)
	}
	p.all = start[len(w.tokens)]
	counts := map[uint64]int{}
	hashes := shingles(w.tokens, n)
	for _, h := range hashes {
		counts[h]++
	}
	end := 0 // of what is in repeated
	for i, h := range hashes {
		if counts[h] < 2 || i+n > len(w.tokens) {
			continue
		}
		p.most = max(p.most, counts[h]*(start[i+n]-start[i]))
		p.repeated += start[i+n] - start[max(i, end)]
		end = i + n
	}
	return p
}

// lines is what is known of the lines of a text, of those that are not empty.
type lines struct {
	lines, bullets, cut, repeated, boilerplate int
	text, repeatedText                         int // bytes
	filler                                     bool
}

// notices are what lines of boilerplate say.
var notices = []string{
	"javascript", "cookie", "terms of use", "terms of service", "privacy policy", "datenschutzerklärung",
	"nutzungsbedingungen", "politique de confidentialité", "conditions d'utilisation", "política de privacidad",
	"política de privacidade", "informativa sulla privacy", "политика конфиденциальности",
}

func measureLines(text string) (l lines) {
	seen := map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		l.lines++
		l.text += len(line)
		if seen[line] {
			l.repeated++
			l.repeatedText += len(line)
		}
		seen[line] = true
		dash := strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "* ")
		if dash || strings.IndexAny(line, "•‣▪●○◦") == 0 {
			l.bullets++
		}
		if strings.HasSuffix(line, "...") || strings.HasSuffix(line, "…") {
			l.cut++
		}
		small := strings.ToLower(line)
		for _, notice := range notices {
			if strings.Contains(small, notice) {
				l.boilerplate++
				break
			}
		}
		l.filler = l.filler || strings.Contains(small, "lorem ipsum")
	}
	return l
}
