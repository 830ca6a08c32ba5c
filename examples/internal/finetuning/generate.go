package finetuning

import (
	"context"
	"slices"

	"github.com/marge-go/marge/marge"
)

// atOnce is how many records a model is given before progress is shown.
const atOnce = 64

// Generate lets a model make a target of each source by beam search, of at most
// as many tokens as the longest of some targets has; without targets, as many as
// the model can write.
func Generate(
	ctx context.Context, m *marge.Model, pairs, like []marge.Pair, beams int, progress func(done, total int),
) ([]string, error) {
	o := marge.GenerateOptions{Beams: beams}
	for _, p := range like {
		o.MaxTokens = max(o.MaxTokens, len(m.Tokenizer.Encode(p.Target)))
	}
	return InParts(pairs, progress, func(part []marge.Pair) (texts []string, err error) {
		var requests []marge.Request
		for _, p := range part {
			requests = append(requests, marge.Request{Evidence: []string{p.Source}, Lang: p.TargetLang})
		}
		outputs, err := m.GenerateAll(ctx, requests, o)
		for _, output := range outputs {
			texts = append(texts, output[0].Text)
		}
		return texts, err
	})
}

// Pairs is the task to make a target of a source, with its metric and baselines to
// be added.
func Pairs(d Data[marge.Pair], beams int) *Task {
	t := &Task{
		Smoothing: 0.1, ZeroShot: true, Train: len(d.Train), Dev: len(d.Dev),
		Apply: func(ctx context.Context, m *marge.Model, progress func(done, total int)) ([]string, error) {
			return Generate(ctx, m, d.Test, d.Train, beams, progress)
		},
		Sample: func(i int) []string { return []string{"source", d.Test[i].Source, "reference", d.Test[i].Target} },
	}
	if len(d.Train) > 0 {
		t.FineTune = marge.SequenceToSequence{Train: d.Train, Dev: d.Dev}
	}
	for _, p := range d.Test {
		t.Langs = append(t.Langs, p.TargetLang)
	}
	for _, p := range d.Train {
		t.TrainLangs = append(t.TrainLangs, p.TargetLang)
	}
	return t
}

// PairTexts returns the texts of a pair and their languages.
func PairTexts(p marge.Pair) (texts, languages []string) {
	return []string{p.Source, p.Target}, []string{p.SourceLang, p.TargetLang}
}

// Chosen returns some of the records.
func Chosen[T any](all []T, records []int) []T {
	list := make([]T, len(records))
	for i, record := range records {
		list[i] = all[record]
	}
	return list
}

// InParts applies a model to records, some at a time.
func InParts[T any](
	records []T, progress func(done, total int), apply func(part []T) ([]string, error),
) (outputs []string, err error) {
	for part := range slices.Chunk(records, atOnce) {
		progress(len(outputs), len(records))
		found, err := apply(part)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, found...)
	}
	return outputs, nil
}
