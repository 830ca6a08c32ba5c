// Answer fine-tunes a MARGE model to find answers to questions in a text.
//
//	go run ./examples/answer
//
// pre-trains the smallest size for a minute on generated news in several
// languages, fine-tunes it for another on questions in some of them, and does the
// same from random weights. It prints F1 and exact match, as the scripts of MLQA
// count them, on questions about held-out reports in all languages, beside those
// of simple baselines, and three samples. With a model and data of your own, in
// the format of SQuAD:
//
//	answer -checkpoint DIR -train en=tydiqa.goldp.en.train.json -test de=dev-context-de-question-de.json
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/marge-go/marge/examples/internal/finetuning"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/task"
)

func main() { finetuning.Main("answer", parse, run) }

type options struct {
	finetuning.Options
	trainLangs string
	skipBad    bool
}

func parse(args []string, output io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("answer", flag.ContinueOnError)
	o.Define(f, "LANG=FILE with questions in that language, as SQuAD, MLQA and TyDi GoldP have them")
	f.StringVar(&o.trainLangs, "train-langs", "en,de,fr,ru", "`languages` of the generated questions to train on")
	f.BoolVar(&o.skipBad, "skip-bad", false, "skip answers that are not at their place in the text instead of stopping")
	if err := finetuning.Parse(f, args, output); err != nil {
		return nil, err
	}
	return o, o.Check()
}

func run(ctx context.Context, o *options) error {
	data, err := o.data()
	if err != nil {
		return err
	}
	texts := func(q marge.Question) (texts, languages []string) {
		return []string{q.Question, q.Context}, []string{q.Lang}
	}
	return finetuning.Run(ctx, &o.Options, data, texts, func() (*finetuning.Task, error) {
		return o.task(data), nil
	})
}

func (o *options) task(data finetuning.Data[marge.Question]) *finetuning.Task {
	t := &finetuning.Task{
		Train: len(data.Train), Dev: len(data.Dev), Columns: []string{"F1", "exact match"},
		Apply: func(ctx context.Context, m *marge.Model, progress func(done, total int)) ([]string, error) {
			return finetuning.InParts(data.Test, progress, func(part []marge.Question) (texts []string, err error) {
				answers, err := m.Answer(ctx, part...)
				for _, a := range answers {
					texts = append(texts, a.Text)
				}
				return texts, err
			})
		},
		Score: func(ctx context.Context, records []int, outputs []string) (map[string]finetuning.Figure, error) {
			s, err := task.ScoreAnswers(ctx, finetuning.Chosen(data.Test, records), outputs, o.Bootstrap())
			if err != nil {
				return nil, err
			}
			return map[string]finetuning.Figure{
				"F1":          {Value: s.All.F1, Interval: s.All.F1Interval},
				"exact match": {Value: s.All.ExactMatch, Interval: s.All.ExactMatchInterval},
			}, nil
		},
		Sample: func(i int) []string {
			q := data.Test[i]
			return []string{"context", q.Context, "question", q.Question, "reference", q.Answers[0].Text}
		},
	}
	if len(data.Train) > 0 {
		t.FineTune = marge.SpanExtraction{Train: data.Train, Dev: data.Dev}
	}
	for _, q := range data.Train {
		t.TrainLangs = append(t.TrainLangs, q.Lang)
	}
	var contexts, best []string
	for _, q := range data.Test {
		t.Langs = append(t.Langs, q.Lang)
		contexts, best = append(contexts, q.Context), append(best, task.BestSentence(q))
	}
	t.Baselines = []finetuning.Baseline{
		{Name: "first sentence", Outputs: task.FirstSentences(contexts)}, {Name: "best-matching sentence", Outputs: best},
	}
	return t
}

// data reads the questions, or generates them.
func (o *options) data() (d finetuning.Data[marge.Question], err error) {
	if !o.Generated() {
		return finetuning.Read(&o.Options, finetuning.Each(finetuning.WithLanguage(o.read)))
	}
	train, dev, test := o.News()
	if train.Languages, err = finetuning.NewsLanguages(o.trainLangs); err != nil {
		return d, fmt.Errorf("-train-langs: %w", err)
	}
	train.PerEvent, dev.PerEvent, test.PerEvent, dev.Languages = 1, 1, 1, train.Languages
	d.Train, d.Dev, d.Test = task.NewsQuestions(train), task.NewsQuestions(dev), task.NewsQuestions(test)
	return d, nil
}

func (o *options) read(file, lang string) ([]marge.Question, error) {
	q, err := task.ReadQuestions(file, task.QuestionOptions{Lang: lang, SkipBad: o.skipBad})
	if err != nil {
		return nil, err
	}
	if q.SkippedAnswers > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d answers that are not at their place are skipped, and %d questions without another\n",
			file, q.SkippedAnswers, q.SkippedQuestions)
	}
	return q.Questions, nil
}
