package eval

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestAnswersParity compares with the official scripts of SQuAD 1.1 (no
// language) and MLQA, by question and as a whole. The fixture was written by
// bench/peers/answers_parity.py.
func TestAnswersParity(t *testing.T) {
	data, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	type scores struct {
		ExactMatch float64 `json:"exact_match"`
		F1         float64
	}
	var corpora []struct {
		scores
		Lang      string
		Questions []struct {
			scores
			Output     string
			References []string
		}
	}
	if err := json.Unmarshal(data, &corpora); err != nil {
		t.Fatal(err)
	}
	if len(corpora) != 8 {
		t.Fatalf("%d corpora", len(corpora))
	}
	score := func(lang string, outputs []string, references [][]string) scores {
		t.Helper()
		var o AnswerOptions
		if lang != "" {
			o.Langs = slices.Repeat([]string{lang}, len(outputs))
		}
		s, err := Answers(t.Context(), outputs, references, o)
		if err != nil {
			t.Fatal(err)
		}
		return scores{s.ExactMatch, s.F1}
	}
	same := func(a, b scores) bool { return a.ExactMatch == b.ExactMatch && math.Abs(a.F1-b.F1) < 1e-9 }
	for _, c := range corpora {
		var outputs []string
		var references [][]string
		for _, q := range c.Questions {
			if got := score(c.Lang, []string{q.Output}, [][]string{q.References}); !same(got, q.scores) {
				t.Errorf("%q: %q against %q: %+v, script %+v", c.Lang, q.Output, q.References, got, q.scores)
			}
			outputs, references = append(outputs, q.Output), append(references, q.References)
		}
		got := score(c.Lang, outputs, references)
		if len(outputs) < 50 || math.Abs(got.ExactMatch-c.ExactMatch) > 1e-9 || math.Abs(got.F1-c.F1) > 1e-9 {
			t.Errorf("%q: %d questions, %+v, script %+v", c.Lang, len(outputs), got, c.scores)
		}
	}
}

// Languages that MLQA does not have, and tags with more than a language.
func TestAnswerWords(t *testing.T) {
	for _, c := range []struct{ lang, answer, want string }{
		{"", "The «old» house, 5 €", "«old» house 5 €"},
		{"en-GB", "The «old» house, 5 €", "old house 5 €"},
		{"fr", "La vieille maison, l’an 5", "la vieille maison lan 5"},
		{"ja", "手塚治虫、東京 のテレビ1963年", "手 塚 治 虫 東 京 のテレビ1963 年"},
		{"zh-TW", "歐洲ω-force", "歐 洲 ωforce"},
		{"zh", "㐀㐁一龥龦龧", "㐀㐁 一 龥 龦龧"}, // as many as the script of MLQA names
		{"ko", "광개토대왕 The", "광개토대왕 the"},
		{"es", "a-las las LAS", "alas"},
		{"de", "ΟΔΟΣ der DER_X", "οδος derx"},
	} {
		rules := squadRules
		if c.lang != "" {
			rules = mlqaRules(c.lang)
		}
		if got := rules.words(c.answer); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: %q is %q, want %q", c.lang, c.answer, got, c.want)
		}
	}
}

func TestAnswerErrors(t *testing.T) {
	var none *NotEvaluatedError
	if _, err := Answers(t.Context(), nil, nil, AnswerOptions{}); !errors.As(err, &none) {
		t.Errorf("no answers: %v", err)
	}
	outputs, references := []string{"x b", "b"}, [][]string{{"b c"}, {"b"}}
	for want, call := range map[string]func() error{
		"output 1 has no reference": func() error {
			_, err := Answers(t.Context(), outputs, [][]string{{"b"}, nil}, AnswerOptions{})
			return err
		},
		"2 outputs, references of 1": func() error {
			_, err := Answers(t.Context(), outputs, references[:1], AnswerOptions{})
			return err
		},
		"not a language tag": func() error {
			_, err := Answers(t.Context(), outputs, references, AnswerOptions{Langs: []string{"de", "?"}})
			return err
		},
		"2 outputs, languages of 1": func() error {
			_, err := Answers(t.Context(), outputs, references, AnswerOptions{Langs: []string{"de"}})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	o := AnswerOptions{Langs: []string{"en", "de"}, Bootstrap: &Bootstrap{Folds: 100}}
	s, err := Answers(t.Context(), outputs, references, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.N != 2 || s.ExactMatch != 50 || s.F1 != 75 || s.F1Interval == nil || s.F1Interval.Low != 50 ||
		s.ExactMatchInterval.High != 100 {
		t.Errorf("%v", s)
	}
	if want := "exact match 50.0 [0.0, 100.0], F1 75.0 [50.0, 100.0]"; s.String() != want {
		t.Errorf("prints %q, want %q", s, want)
	}
}
