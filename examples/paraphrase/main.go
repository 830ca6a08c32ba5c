// Paraphrase fine-tunes a MARGE model to tell whether two texts say the same.
//
//	go run ./examples/paraphrase
//
// pre-trains the smallest size for a minute on generated news in several
// languages, fine-tunes it for another on pairs of short reports in some of them,
// of which half differ in one fact, and does the same from random weights. It
// prints the accuracy on held-out pairs in all languages, beside that of the
// commonest answer and of a threshold on shared words, and three samples. So small
// a model does not learn it in a minute: expect what guessing gives. With a model
// and data of your own, in the format of PAWS-X:
//
//	paraphrase -checkpoint DIR -train en=en/train.tsv -dev en=en/dev_2k.tsv -test de=de/test_2k.tsv -freeze
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/marge-go/marge/examples/internal/finetuning"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/task"
)

func main() { finetuning.Main("paraphrase", parse, run) }

type options struct {
	finetuning.Options
	trainLangs string
}

func parse(args []string, output io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("paraphrase", flag.ContinueOnError)
	o.Define(f, "LANG=FILE with pairs of sentences in that language, as PAWS-X has them")
	f.StringVar(&o.trainLangs, "train-langs", "en,de,fr,ru", "`languages` of the generated pairs to train on")
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
	texts := func(p marge.Labeled) (texts, languages []string) { return []string{p.Text, p.Other}, []string{p.Lang} }
	return finetuning.Run(ctx, &o.Options, data, texts, func() (*finetuning.Task, error) {
		return o.task(data)
	})
}

func (o *options) task(data finetuning.Data[marge.Labeled]) (*finetuning.Task, error) {
	t := &finetuning.Task{
		Train: len(data.Train), Dev: len(data.Dev), Columns: []string{"accuracy"},
		Apply: func(ctx context.Context, m *marge.Model, progress func(done, total int)) ([]string, error) {
			return finetuning.InParts(data.Test, progress, func(part []marge.Labeled) (labels []string, err error) {
				classes, err := m.Classify(ctx, part...)
				for _, c := range classes {
					labels = append(labels, c.Label)
				}
				return labels, err
			})
		},
		Score: func(ctx context.Context, records []int, outputs []string) (map[string]finetuning.Figure, error) {
			a, err := task.Accuracy(ctx, finetuning.Chosen(data.Test, records), outputs, o.Bootstrap())
			if err != nil {
				return nil, err
			}
			return map[string]finetuning.Figure{"accuracy": finetuning.Percent(a.Accuracy, a.Interval)}, nil
		},
		Sample: func(i int) []string {
			p := data.Test[i]
			return []string{"first", p.Text, "second", p.Other, "paraphrase (1) or not (0)", p.Label}
		},
	}
	for _, p := range data.Test {
		t.Langs = append(t.Langs, p.Lang)
	}
	if len(data.Train) == 0 {
		return t, nil
	}
	t.FineTune = marge.Classification{
		Train: data.Train, Dev: data.Dev, Labels: []string{task.Different, task.Paraphrase},
	}
	for _, p := range data.Train {
		t.TrainLangs = append(t.TrainLangs, p.Lang)
	}
	overlap, err := task.NewWordOverlap(data.Train)
	if err != nil {
		return nil, err
	}
	t.Baselines = []finetuning.Baseline{
		{Name: "majority", Outputs: slices.Repeat([]string{task.Majority(data.Train)}, len(data.Test))},
		{Name: "word overlap", Outputs: overlap.Labels(data.Test)},
	}
	return t, nil
}

// data reads the pairs, or generates them.
func (o *options) data() (d finetuning.Data[marge.Labeled], err error) {
	if !o.Generated() {
		return finetuning.Read(&o.Options, finetuning.Each(finetuning.WithLanguage(read)))
	}
	train, dev, test := o.News()
	if train.Languages, err = finetuning.NewsLanguages(o.trainLangs); err != nil {
		return d, fmt.Errorf("-train-langs: %w", err)
	}
	train.PerEvent, dev.PerEvent, test.PerEvent, dev.Languages = 1, 1, 1, train.Languages
	train.Events *= 4
	test.Events *= 2
	d.Train, d.Dev, d.Test = task.NewsParaphrases(train), task.NewsParaphrases(dev), task.NewsParaphrases(test)
	return d, nil
}

func read(file, lang string) ([]marge.Labeled, error) {
	pairs, skipped, err := task.ReadParaphrases(file, lang)
	if skipped > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d pairs without a sentence are skipped\n", file, skipped)
	}
	return pairs, err
}
