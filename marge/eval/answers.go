package eval

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/marge-go/marge/internal/langtag"
)

// AnswerOptions are the settings of [Answers].
type AnswerOptions struct {
	// Langs are the languages of the outputs, a BCP 47 tag each, for the rules of
	// MLQA. Nil stands for the rules of SQuAD 1.1, which know English alone.
	Langs []string
	// Bootstrap, if not nil, adds intervals over questions.
	Bootstrap *Bootstrap
}

// AnswerScore is the result of [Answers]. Both figures are percentages.
type AnswerScore struct {
	N int `json:"n"` // questions
	// ExactMatch is the share of answers that equal one of their references.
	ExactMatch float64 `json:"exact_match"`
	// F1 is the mean over questions of the F1 of words against the reference
	// where it is greatest.
	F1 float64 `json:"f1"`
	// The intervals are nil without [AnswerOptions.Bootstrap].
	ExactMatchInterval *Interval `json:"exact_match_interval,omitempty"`
	F1Interval         *Interval `json:"f1_interval,omitempty"`
}

// String returns both figures on one line.
func (s AnswerScore) String() string {
	return fmt.Sprintf("exact match %s, F1 %s", withInterval("%.1f", s.ExactMatch, s.ExactMatchInterval),
		withInterval("%.1f", s.F1, s.F1Interval))
}

// Answers compares answers to questions with their references, at least one for
// each. The figures equal those of the scripts of SQuAD 1.1 (evaluate-v1.1.py,
// Rajpurkar et al. 2016) and, if there are languages, of MLQA
// (mlqa_evaluation_v1.py, Lewis et al. 2020): case, punctuation and articles do
// not count; SQuAD's punctuation is that of ASCII. MLQA has en, es, de, ar, hi,
// vi and zh, of which zh is compared by character where it is Han. Other
// languages have no articles here; ja is cut as zh, the rest at white space.
//
// references[i] has those of outputs[i]. Errors are those of [BLEU], and that
// of a malformed language tag.
func Answers(
	ctx context.Context, outputs []string, references [][]string, opt AnswerOptions,
) (*AnswerScore, error) {
	if err := checkReferences(outputs, references); err != nil {
		return nil, fmt.Errorf("eval: answers: %w", err)
	}
	rules, err := answerRulesOf(len(outputs), opt.Langs)
	if err != nil {
		return nil, fmt.Errorf("eval: answers: %w", err)
	}
	exact, f1 := make([]float64, len(outputs)), make([]float64, len(outputs))
	score := &AnswerScore{N: len(outputs)}
	for i, output := range outputs {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("eval: answers: %w", err)
		}
		rules := rules(i)
		words := rules.words(output)
		for _, reference := range references[i] {
			e, f := compareAnswers(words, rules.words(reference))
			exact[i], f1[i] = max(exact[i], 100*e), max(f1[i], 100*f)
		}
		score.ExactMatch += exact[i]
		score.F1 += f1[i]
	}
	score.ExactMatch /= float64(len(outputs))
	score.F1 /= float64(len(outputs))
	if opt.Bootstrap == nil {
		return score, nil
	}
	for values, to := range map[*[]float64]**Interval{&exact: &score.ExactMatchInterval, &f1: &score.F1Interval} {
		interval, err := opt.Bootstrap.Mean(ctx, *values)
		if err != nil {
			return nil, fmt.Errorf("eval: answers: %w", err)
		}
		*to = &interval
	}
	return score, nil
}

// answerRulesOf returns the rules for each of n outputs.
func answerRulesOf(n int, langs []string) (func(output int) *answerRules, error) {
	if langs == nil {
		return func(int) *answerRules { return &squadRules }, nil
	}
	if len(langs) != n {
		return nil, fmt.Errorf("%d outputs, languages of %d", n, len(langs))
	}
	rules := map[string]*answerRules{}
	for i, lang := range langs {
		if rules[lang] != nil {
			continue
		}
		tag, err := langtag.Canonical(lang)
		if err != nil {
			return nil, fmt.Errorf("output %d: %w", i, err)
		}
		r := mlqaRules(tag)
		rules[lang] = &r
	}
	return func(output int) *answerRules { return rules[langs[output]] }, nil
}

// compareAnswers returns whether two answers are equal, as 0 or 1, and the F1
// of their words. Two answers without a word are equal but have an F1 of 0.
func compareAnswers(output, reference []string) (exact, f1 float64) {
	if strings.Join(output, " ") == strings.Join(reference, " ") {
		exact = 1
	}
	left := map[string]int{}
	for _, w := range reference {
		left[w]++
	}
	hits := 0
	for _, w := range output {
		if left[w] > 0 {
			left[w]--
			hits++
		}
	}
	return exact, measureOf(hits, len(output), len(reference)).F1
}

// answerRules say what of an answer counts.
type answerRules struct {
	punctuation func(rune) bool
	articles    map[string]bool
	prefix      string // is taken for a space wherever it stands
	han         bool   // each Han character is a word
}

var squadRules = answerRules{punctuation: asciiPunctuation, articles: set("a an the")}

func asciiPunctuation(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsPunct(r) || unicode.IsSymbol(r))
}

func anyPunctuation(r rune) bool { return unicode.IsPunct(r) || asciiPunctuation(r) }

// mlqaArticles are those of the languages of MLQA that have articles as words.
var mlqaArticles = map[string]map[string]bool{
	"en": squadRules.articles,
	"es": set("un una unos unas el la los las"),
	"vi": set("của là cái chiếc những"),
	"de": set("ein eine einen einem eines einer der die das den dem des"),
}

func set(words string) map[string]bool {
	s := map[string]bool{}
	for _, w := range strings.Fields(words) {
		s[w] = true
	}
	return s
}

// mlqaRules returns the rules for a language, a canonical tag.
func mlqaRules(tag string) answerRules {
	lang, _, _ := strings.Cut(tag, "-")
	r := answerRules{punctuation: anyPunctuation, articles: mlqaArticles[lang], han: lang == "zh" || lang == "ja"}
	if lang == "ar" {
		r.prefix = "ال"
	}
	return r
}

// words returns what of an answer counts.
func (r *answerRules) words(answer string) []string {
	text := strings.Map(func(c rune) rune {
		if r.punctuation(c) {
			return -1
		}
		return c
	}, lower(answer))
	if r.prefix != "" {
		text = strings.ReplaceAll(text, r.prefix, " ")
	}
	text = r.dropArticles(text)
	if r.han {
		var b strings.Builder
		for _, c := range text {
			if c >= 0x4e00 && c <= 0x9fa5 { // those that MLQA's script names
				b.WriteByte(' ')
				b.WriteRune(c)
				b.WriteByte(' ')
			} else {
				b.WriteRune(c)
			}
		}
		text = b.String()
	}
	return strings.FieldsFunc(text, isSpace)
}

// dropArticles puts a space in the place of every article. An article begins
// and ends where letters and digits do, as \b in Python sees it: marks are
// neither.
func (r *answerRules) dropArticles(text string) string {
	if len(r.articles) == 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		n := strings.IndexFunc(text, func(c rune) bool { return !wordCharacter(c) })
		if n < 0 {
			n = len(text)
		}
		if word := text[:n]; r.articles[word] {
			b.WriteByte(' ')
		} else {
			b.WriteString(word)
		}
		text = text[n:]
		n = strings.IndexFunc(text, wordCharacter)
		if n < 0 {
			n = len(text)
		}
		b.WriteString(text[:n])
		text = text[n:]
	}
	return b.String()
}

func wordCharacter(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' }
