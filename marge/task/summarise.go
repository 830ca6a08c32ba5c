package task

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
)

// ReadSummaries reads JSON Lines of texts and their summaries: objects with the
// strings text, summary and lang; other members are ignored. lang, which may be
// empty, is the language of lines without one. Both sides of a pair are in the
// same language. Blank lines do not count. A line that is no such object, has a
// blank text or summary, or no language tag is an error, as is a file without a
// line.
func ReadSummaries(path, lang string) ([]marge.Pair, error) {
	var pairs []marge.Pair
	err := corpus.ReadLines(path, func(number int, line string) error {
		if blank(line) {
			return nil
		}
		v := struct {
			Text    string `json:"text"`
			Summary string `json:"summary"`
			Lang    string `json:"lang"`
		}{Lang: lang}
		if err := jsonx.Unmarshal([]byte(line), &v); err != nil {
			return lineError(path, number, "%w", err)
		}
		switch {
		case blank(v.Text):
			return lineError(path, number, "text is missing or empty")
		case blank(v.Summary):
			return lineError(path, number, "summary is missing or empty")
		}
		tag, err := langtag.Canonical(v.Lang)
		if err != nil {
			return lineError(path, number, "lang: %w", err)
		}
		pairs = append(pairs, marge.Pair{
			Source: strings.TrimSpace(v.Text), Target: strings.TrimSpace(v.Summary), SourceLang: tag, TargetLang: tag,
			Where: place(path, number),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("task: %s is empty", path)
	}
	return pairs, nil
}

// OracleSummary returns the sentences of a text, in their order, that together
// are most like a summary: beginning with none, the sentence that raises the sum
// of F1 of ROUGE-1 and ROUGE-2 most is added until none does (Nallapati et al.
// 2017, section 3.1). It knows the summary, and so bounds what extraction can
// reach. Words are those of [eval.Words]. The only error is the context's.
func OracleSummary(ctx context.Context, text, summary string) (string, error) {
	sentences := Sentences(text)
	var chosen []int
	best := 0.0
	for {
		next := -1
		for i := range sentences {
			if slices.Contains(chosen, i) {
				continue
			}
			candidate := pick(sentences, append(slices.Clone(chosen), i))
			score, err := eval.ROUGE(ctx, []string{candidate}, [][]string{{summary}}, eval.ROUGEOptions{Words: eval.Words})
			if err != nil {
				return "", err
			}
			if s := score.ROUGE1.F1 + score.ROUGE2.F1; s > best {
				best, next = s, i
			}
		}
		if next < 0 {
			return pick(sentences, chosen), nil
		}
		chosen = append(chosen, next)
	}
}

// pick joins some sentences in their order.
func pick(sentences []string, chosen []int) string {
	var parts []string
	for _, i := range slices.Sorted(slices.Values(chosen)) {
		parts = append(parts, sentences[i])
	}
	return strings.Join(parts, " ")
}

// OracleSummaries returns [OracleSummary] of each pair.
func OracleSummaries(ctx context.Context, pairs []marge.Pair) ([]string, error) {
	list := make([]string, len(pairs))
	for i, p := range pairs {
		var err error
		if list[i], err = OracleSummary(ctx, p.Source, p.Target); err != nil {
			return nil, err
		}
	}
	return list, nil
}
