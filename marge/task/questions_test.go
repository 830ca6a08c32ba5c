package task

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

// squad makes a file of one context and question.
func squad(context, question, answers string) string {
	return `{"version":"1.1","data":[{"title":"t","paragraphs":[{"context":"` + context +
		`","qas":[{"id":"q1","question":"` + question + `","answers":` + answers + `}]}]}]}`
}

func TestReadQuestions(t *testing.T) {
	text := `{"version": 1.0, "data": [
 {"title": "no paragraphs"},
 {"paragraphs": [{"context": "\ud83d\ude00 Zoë née Müller", "Context": "x", "qas": [
  {"id": "a", "question": " Who? ", "answers": [{"text": "Zoë", "answer_start": 2, "answer_type": "Person"},
    {"text": "née Müller", "answer_start": 6}]},
  {"id": "b", "question": "What?", "answers": [{"text": "😀", "answer_start": 0}]}]},
  {"context": "最後", "qas": [{"id": "c", "question": "?", "answers": [{"text": "後", "answer_start": 1}]}]}]}]}`
	path := file(t, "x.json", zstded(t, text))
	got, err := ReadQuestions(path, QuestionOptions{Lang: "de"})
	where := func(id string) string { return path + ": question \"" + id + "\"" }
	context := "😀 Zoë née Müller"
	want := []marge.Question{
		{ID: "a", Where: where("a"), Lang: "de", Question: "Who?", Context: context,
			Answers: []marge.Answer{{Text: "Zoë", Start: 2}, {Text: "née Müller", Start: 6}}},
		{ID: "b", Where: where("b"), Lang: "de", Question: "What?", Context: context, Answers: []marge.Answer{{Text: "😀"}}},
		{ID: "c", Where: where("c"), Lang: "de", Question: "?", Context: "最後",
			Answers: []marge.Answer{{Text: "後", Start: 1}}},
	}
	if err != nil || !reflect.DeepEqual(got.Questions, want) || got.SkippedAnswers+got.SkippedQuestions != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadQuestionsErrors(t *testing.T) {
	for text, want := range map[string]string{
		squad("abc", "?", `[{"text":"bc","answer_start":0}]`):  `is not at character 0, where the context has "ab"`,
		squad("abc", "?", `[{"text":"bc","answer_start":2}]`):  `is not at character 2, where the context has "c"`,
		squad("abc", "?", `[{"text":"bc","answer_start":3}]`):  `begins at 3 of 3 characters`,
		squad("abc", "?", `[{"text":"bc","answer_start":-1}]`): `begins at -1 of 3 characters`,
		squad("abc", "?", `[{"text":"","answer_start":0}]`):    `the answer is missing or empty`,
		squad("abc", "?", `[{"text":"a"}]`):                    `the answer "a" has no answer_start`,
		squad("abc", "?", `[{"text":"a","answer_start":"0"}]`): `answer_start`,
		squad("abc", "?", `[]`):                                `question "q1": there is no answer`,
		squad("abc", "", `[{"text":"a","answer_start":0}]`):    `the question is missing or empty`,
		squad("abc", "?", `[{"text":"a"`):                      `unexpected EOF`,
		`{"Data":[]}`:                                          "has no questions",
		`[]`:                                                   "x.json",
	} {
		_, err := ReadQuestions(file(t, "x.json", text), QuestionOptions{Lang: "en"})
		failure(t, text, err, want, "x.json")
	}
	_, err := ReadQuestions(file(t, "x.json", good["questions"]), QuestionOptions{})
	failure(t, "no language", err, "not a language tag")
	var bad *AnswerError
	path := file(t, "x.json", squad("abc", "?", `[{"text":"bc","answer_start":0}]`))
	_, err = ReadQuestions(path, QuestionOptions{Lang: "en"})
	if !errors.As(err, &bad) || bad.ID != "q1" || !strings.HasSuffix(bad.File, "x.json") {
		t.Errorf("%v", err)
	}
}

func TestSkipBadAnswers(t *testing.T) {
	text := `{"data":[{"paragraphs":[{"context":"one two","qas":[
{"id":"1","question":"?","answers":[{"text":"two","answer_start":0},{"text":"two","answer_start":4}]},
{"id":"2","question":"?","answers":[{"text":"one","answer_start":1}]},
{"id":"3","question":"?","answers":[{"text":"one","answer_start":0}]}]}]}]}`
	var reported []string
	got, err := ReadQuestions(file(t, "x.json", text), QuestionOptions{
		Lang: "en", SkipBad: true, OnBad: func(e *AnswerError) { reported = append(reported, e.ID) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Questions) != 2 || got.SkippedAnswers != 2 || got.SkippedQuestions != 1 ||
		!slices.Equal(reported, []string{"1", "2"}) {
		t.Errorf("%+v, reported %v", got, reported)
	}
	if a := got.Questions[0].Answers; len(a) != 1 || a[0].Start != 4 {
		t.Errorf("answers %v", a)
	}
}

func TestBestSentence(t *testing.T) {
	q := marge.Question{Context: "A ferry left Oslo on Monday. The ferry sank near Riga. " +
		"It rained in Riga, and the ferry was old."}
	for question, want := range map[string]string{
		"Where did the ferry sank?": "The ferry sank near Riga.",
		"When did it leave Oslo?":   "A ferry left Oslo on Monday.",
		"Ferry? Riga?":              "The ferry sank near Riga.",
		"Nothing of that":           "The ferry sank near Riga.",
	} {
		q.Question = question
		if got := BestSentence(q); got != want {
			t.Errorf("%q: %q, want %q", question, got, want)
		}
	}
	if got := BestSentence(marge.Question{Question: "何？"}); got != "" {
		t.Errorf("%q", got)
	}
}

func TestScoreAnswers(t *testing.T) {
	ask := func(lang string, answers ...string) marge.Question {
		q := marge.Question{Lang: lang}
		for _, a := range answers {
			q.Answers = append(q.Answers, marge.Answer{Text: a})
		}
		return q
	}
	questions := []marge.Question{ask("de", "der Hund", "Katze"), ask("en", "the dog"), ask("de", "ein großer Hund")}
	s, err := ScoreAnswers(t.Context(), questions, []string{"Die Katze!", "der dog", "Hund"}, &eval.Bootstrap{Folds: 10})
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	de, en := s.ByLang["de"], s.ByLang["en"]
	if de.N != 2 || de.ExactMatch != 50 || !near(de.F1, 250.0/3) || en.ExactMatch != 0 || !near(en.F1, 200.0/3) ||
		s.All.N != 3 || !near(s.All.ExactMatch, 100.0/3) || !near(s.All.F1, 700.0/9) ||
		de.F1Interval == nil || s.All.F1Interval == nil {
		t.Errorf("%v, %v, %v", s.All, de, en)
	}
	_, err = ScoreAnswers(t.Context(), questions, nil, nil)
	failure(t, "no answers", err, "3 questions, 0 answers")
	_, err = ScoreAnswers(t.Context(), nil, nil, nil)
	failure(t, "no questions", err, "there are no outputs")
	_, err = ScoreAnswers(t.Context(), []marge.Question{ask("de")}, []string{""}, nil)
	failure(t, "no reference", err, "no reference")
}
