package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
)

// MaxQuestionBytes is the size, after decompression, of the greatest file of
// questions that is read.
const MaxQuestionBytes = 1 << 30

// QuestionOptions says how [ReadQuestions] reads.
type QuestionOptions struct {
	// Lang is the language of the file, a BCP 47 tag, which the format does
	// not tell.
	Lang string
	// SkipBad leaves out answers that are not at their place in the context,
	// and questions that have no other, instead of stopping at the first.
	SkipBad bool
	// OnBad, if not nil, is called with every answer that is left out.
	OnBad func(*AnswerError)
}

// An AnswerError tells why an answer cannot be used.
type AnswerError struct {
	File string
	ID   string // of the question
	Err  error
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("task: %s: question %q: %v", e.File, e.ID, e.Err)
}

// Unwrap returns the reason, Err.
func (e *AnswerError) Unwrap() error { return e.Err }

// Questions are what a loader has read.
type Questions struct {
	Questions []marge.Question
	// SkippedAnswers and SkippedQuestions count what SkipBad has left out.
	SkippedAnswers, SkippedQuestions int
}

// ReadQuestions reads questions in the format of SQuAD 1.1 (Rajpurkar et al.
// 2016), which MLQA, TyDi GoldP, JaQuAD, DRCD, CMRC and ARCD have too: JSON with
// data[].paragraphs[].{context, qas[].{id, question, answers[].{text,
// answer_start}}}, where answer_start counts characters (Unicode code points).
// Ids are strings; other members are ignored. A file that is not of this
// form or has no question is an error, as are a question that is blank or has
// no answer, and, unless they are skipped, an answer whose text is not where it
// says, which is an *AnswerError.
func ReadQuestions(path string, opt QuestionOptions) (*Questions, error) {
	if err := canonical(&opt.Lang); err != nil {
		return nil, err
	}
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	var file squadFile
	if err := jsonx.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("task: %s: %w", path, err)
	}
	var all Questions
	for _, article := range file.Data {
		for _, p := range article.Paragraphs {
			at := newOffsets(p.Context)
			for _, qa := range p.QAs {
				if err := all.add(path, &at, &qa, &opt); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(all.Questions) == 0 {
		return nil, fmt.Errorf("task: %s has no questions in data[].paragraphs[].qas[]", path)
	}
	return &all, nil
}

// squadFile is what counts of a file.
type squadFile struct {
	Data []struct {
		Paragraphs []struct {
			Context string          `json:"context"`
			QAs     []squadQuestion `json:"qas"`
		} `json:"paragraphs"`
	} `json:"data"`
}

type squadQuestion struct {
	ID       string `json:"id"`
	Question string `json:"question"`
	Answers  []struct {
		Text  string `json:"text"`
		Start *int   `json:"answer_start"`
	} `json:"answers"`
}

// add adds a question about a context.
func (all *Questions) add(path string, context *offsets, qa *squadQuestion, opt *QuestionOptions) error {
	q := marge.Question{
		ID: qa.ID, Lang: opt.Lang, Question: strings.TrimSpace(qa.Question), Context: context.text,
		Where: fmt.Sprintf("%s: question %q", path, qa.ID),
	}
	switch {
	case q.Question == "":
		return &AnswerError{path, qa.ID, errors.New("the question is missing or empty")}
	case len(qa.Answers) == 0:
		return &AnswerError{path, qa.ID, errors.New("there is no answer")}
	}
	for _, a := range qa.Answers {
		err := context.check(a.Text, a.Start)
		if err == nil {
			q.Answers = append(q.Answers, marge.Answer{Text: a.Text, Start: *a.Start})
			continue
		}
		bad := &AnswerError{path, qa.ID, err}
		if !opt.SkipBad {
			return bad
		}
		if opt.OnBad != nil {
			opt.OnBad(bad)
		}
		all.SkippedAnswers++
	}
	if len(q.Answers) == 0 {
		all.SkippedQuestions++
		return nil
	}
	all.Questions = append(all.Questions, q)
	return nil
}

// readText returns the text of a file of at most MaxQuestionBytes.
func readText(path string) (text []byte, err error) {
	f, err := corpus.OpenText(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if text, err = io.ReadAll(io.LimitReader(f, MaxQuestionBytes+1)); err != nil {
		return nil, err
	}
	if len(text) > MaxQuestionBytes {
		return nil, fmt.Errorf("task: %s has more than %d bytes", path, MaxQuestionBytes)
	}
	return text, nil
}

// offsets are the places of the characters of a text.
type offsets struct {
	text  string
	bytes []int // of each character, and the length of the text
}

func newOffsets(text string) offsets {
	at := offsets{text: text}
	for i := range text {
		at.bytes = append(at.bytes, i)
	}
	at.bytes = append(at.bytes, len(text))
	return at
}

// check returns an error unless an answer begins at a character of the text.
func (o *offsets) check(answer string, start *int) error {
	characters := len(o.bytes) - 1
	switch {
	case answer == "":
		return errors.New("the answer is missing or empty")
	case start == nil:
		return fmt.Errorf("the answer %q has no answer_start", answer)
	case *start < 0 || *start >= characters:
		return fmt.Errorf("the answer %q begins at %d of %d characters", answer, *start, characters)
	}
	if !strings.HasPrefix(o.text[o.bytes[*start]:], answer) {
		end := min(*start+utf8.RuneCountInString(answer), characters)
		return fmt.Errorf("the answer %q is not at character %d, where the context has %q",
			answer, *start, o.text[o.bytes[*start]:o.bytes[end]])
	}
	return nil
}

// BestSentence returns the sentence of the context that has the most words of
// the question, each counted once; of several, the shortest and then the first.
func BestSentence(q marge.Question) string {
	asked := wordSet(q.Question)
	best, most, length := "", -1, 0
	for _, s := range Sentences(q.Context) {
		words := wordSet(s)
		common := shared(asked, words)
		if common > most || common == most && len(words) < length {
			best, most, length = s, common, len(words)
		}
	}
	return best
}

// AnswerScores are exact match and F1 by language and over all questions.
type AnswerScores struct {
	All    *eval.AnswerScore            `json:"all"`
	ByLang map[string]*eval.AnswerScore `json:"by_language"`
}

// ScoreAnswers scores answers, one for each question, by the rules of their
// languages, see [eval.Answers]. Intervals are given if boot is not nil. Errors are
// those of eval.Answers.
func ScoreAnswers(
	ctx context.Context, questions []marge.Question, answers []string, boot *eval.Bootstrap,
) (*AnswerScores, error) {
	if len(questions) != len(answers) {
		return nil, fmt.Errorf("task: %d questions, %d answers", len(questions), len(answers))
	}
	score := func(which func(q *marge.Question) bool) (*eval.AnswerScore, error) {
		o := eval.AnswerOptions{Langs: []string{}, Bootstrap: boot}
		var outputs []string
		var references [][]string
		for i := range questions {
			q := &questions[i]
			if !which(q) {
				continue
			}
			var texts []string
			for _, a := range q.Answers {
				texts = append(texts, a.Text)
			}
			outputs, references, o.Langs = append(outputs, answers[i]), append(references, texts), append(o.Langs, q.Lang)
		}
		return eval.Answers(ctx, outputs, references, o)
	}
	scores := &AnswerScores{ByLang: map[string]*eval.AnswerScore{}}
	var err error
	if scores.All, err = score(func(*marge.Question) bool { return true }); err != nil {
		return nil, err
	}
	for _, q := range questions {
		if scores.ByLang[q.Lang] != nil {
			continue
		}
		if scores.ByLang[q.Lang], err = score(func(p *marge.Question) bool { return p.Lang == q.Lang }); err != nil {
			return nil, err
		}
	}
	return scores, nil
}
