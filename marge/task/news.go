package task

import (
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/news"
)

// NewsTranslations returns generated translations from a language into another,
// of those of [news.Languages].
func NewsTranslations(o news.Options, from, to string) []marge.Pair {
	o.Languages = []string{from, to}
	var pairs []marge.Pair
	for t := range news.Translations(o) {
		if t.SourceLang == from {
			pairs = append(pairs, marge.Pair{Source: t.Source, Target: t.Target, SourceLang: from, TargetLang: to})
		}
	}
	return pairs
}

// NewsSummaries returns generated reports with their headlines.
func NewsSummaries(o news.Options) []marge.Pair {
	var pairs []marge.Pair
	for h := range news.Headlines(o) {
		pairs = append(pairs, marge.Pair{Source: h.Text, Target: h.Headline, SourceLang: h.Lang, TargetLang: h.Lang})
	}
	return pairs
}

// NewsQuestions returns questions about generated reports.
func NewsQuestions(o news.Options) []marge.Question {
	var list []marge.Question
	for q := range news.Questions(o) {
		list = append(list, marge.Question{
			ID: q.ID, Lang: q.Lang, Question: q.Question, Context: q.Text,
			Answers: []marge.Answer{{Text: q.Answer, Start: q.Start}},
		})
	}
	return list
}

// NewsParaphrases returns pairs of generated reports that are paraphrases or
// differ in one fact.
func NewsParaphrases(o news.Options) []marge.Labeled {
	var pairs []marge.Labeled
	for p := range news.Paraphrases(o) {
		label := Different
		if p.Same {
			label = Paraphrase
		}
		pairs = append(pairs, marge.Labeled{Text: p.A, Other: p.B, Lang: p.Lang, Label: label})
	}
	return pairs
}
