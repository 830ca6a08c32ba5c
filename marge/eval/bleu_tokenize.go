package eval

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// BLEUTokenizer is a way to cut text into the words that BLEU counts, by the
// name that sacrebleu has for it.
type BLEUTokenizer string

const (
	// Tokenizer13a is that of mteval-v13a, which WMT uses for languages that
	// write spaces.
	Tokenizer13a BLEUTokenizer = "13a"
	// TokenizerIntl is that of mteval-v14: it separates all punctuation and
	// symbols of Unicode.
	TokenizerIntl BLEUTokenizer = "intl"
	// TokenizerZh makes every Chinese character a word and treats the rest as
	// 13a does.
	TokenizerZh BLEUTokenizer = "zh"
	// TokenizerChar makes every character a word.
	TokenizerChar BLEUTokenizer = "char"
	// TokenizerNone splits at white space alone.
	TokenizerNone BLEUTokenizer = "none"
)

// TokenizerFor returns the tokenizer that suits a language, given by its BCP 47
// tag: zh for Chinese, char for other languages that do not write spaces
// between words, 13a for the rest. Where it says char for Japanese, sacrebleu
// takes MeCab, so those figures are not comparable with its default.
func TokenizerFor(lang string) BLEUTokenizer {
	language, _, _ := strings.Cut(canonical(lang), "-")
	switch language {
	case "zh", "cmn", "yue":
		return TokenizerZh
	case "ja", "th", "lo", "km", "my", "bo", "dz":
		return TokenizerChar
	}
	return Tokenizer13a
}

func (t BLEUTokenizer) known() bool {
	return slices.Contains([]BLEUTokenizer{Tokenizer13a, TokenizerIntl, TokenizerZh, TokenizerChar, TokenizerNone}, t)
}

// split returns the words of a line.
func (t BLEUTokenizer) split(line string) []string {
	line = strings.TrimRightFunc(line, isSpace)
	switch t {
	case Tokenizer13a:
		line = strings.ReplaceAll(line, "<skipped>", "")
		line = strings.ReplaceAll(line, "-\n", "")
		line = strings.ReplaceAll(line, "\n", " ")
		// One after the other: &amp;lt; becomes <.
		for _, entity := range [][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} {
			line = strings.ReplaceAll(line, entity[0], entity[1])
		}
		line = separateASCII(" " + line + " ")
	case TokenizerZh:
		line = separate(strings.TrimLeftFunc(line, isSpace), isChinese)
		line = separateASCII(line)
	case TokenizerIntl:
		punctuation, number := unicode.IsPunct, unicode.IsNumber
		line = separatePairs(line, not(number), punctuation, "", " ", " ")
		line = separatePairs(line, punctuation, not(number), " ", " ", "")
		line = separate(line, unicode.IsSymbol)
	case TokenizerChar:
		line = separate(line, func(rune) bool { return true })
	}
	return strings.FieldsFunc(line, isSpace)
}

// separateASCII separates the punctuation and symbols of ASCII from words,
// except apostrophes, hyphens that do not follow a digit, and periods and
// commas within numbers.
func separateASCII(line string) string {
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	point := func(r rune) bool { return r == '.' || r == ',' }
	line = separate(line, func(r rune) bool {
		return r >= ' ' && r <= '/' && r != '\'' && r != ',' && r != '-' && r != '.' ||
			r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	})
	line = separatePairs(line, not(digit), point, "", " ", " ")
	line = separatePairs(line, point, not(digit), " ", " ", "")
	return separatePairs(line, digit, func(r rune) bool { return r == '-' }, "", " ", " ")
}

func not(f func(rune) bool) func(rune) bool {
	return func(r rune) bool { return !f(r) }
}

// separate puts spaces around the characters in a class.
func separate(line string, class func(rune) bool) string {
	var b strings.Builder
	b.Grow(2 * len(line))
	for _, r := range line {
		if class(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// separatePairs finds pairs of a character in class a and one in class b, from
// left to right and without overlap, and writes before, between and after
// around them.
func separatePairs(line string, a, b func(rune) bool, before, between, after string) string {
	var out strings.Builder
	out.Grow(len(line) + len(line)/2)
	for len(line) > 0 {
		first, size := utf8.DecodeRuneInString(line)
		if size < len(line) && a(first) {
			if second, more := utf8.DecodeRuneInString(line[size:]); b(second) {
				out.WriteString(before)
				out.WriteString(line[:size])
				out.WriteString(between)
				out.WriteString(line[size : size+more])
				out.WriteString(after)
				line = line[size+more:]
				continue
			}
		}
		out.WriteString(line[:size])
		line = line[size:]
	}
	return out.String()
}

// chinese has the ranges that the zh tokenizer of sacrebleu takes for Chinese,
// in order. The first, U+2001 to U+2A6D, is what its comparison makes of
// extension B, which lies beyond: general punctuation and symbols are
// separated, extension B is not.
var chinese = [][2]rune{
	{0x2001, 0x2a6d}, {0x2e80, 0x2eff}, {0x2f00, 0x2fdf}, {0x2ff0, 0x2fff}, {0x3000, 0x303f},
	{0x3100, 0x312f}, {0x31a0, 0x31bf}, {0x31c0, 0x31ef}, {0x3200, 0x32ff}, {0x3300, 0x33ff},
	{0x3400, 0x4db5}, {0x4e00, 0x9fbb}, {0xf900, 0xfa2d}, {0xfa30, 0xfa6a}, {0xfa70, 0xfad9},
	{0xfe10, 0xfe1f}, {0xfe30, 0xfe4f}, {0xff00, 0xffef},
}

func isChinese(r rune) bool {
	if r < chinese[0][0] {
		return false
	}
	for _, c := range chinese {
		if r <= c[1] {
			return r >= c[0]
		}
	}
	return false
}
