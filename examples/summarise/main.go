// Summarise fine-tunes a MARGE model to summarise documents.
//
//	go run ./examples/summarise
//
// pre-trains the smallest size for a minute on generated news in several
// languages, fine-tunes it for another to write their headlines, and does the same
// from random weights. It prints ROUGE on held-out reports, beside that of their
// first sentences and of the sentences that are most like the headline, and three
// samples. -checkpoint, -train and -test take a model and data of your own.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/marge-go/marge/examples/internal/finetuning"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
)

func main() { finetuning.Main("summarise", parse, run) }

type options struct {
	finetuning.Options
	lang  string
	beams int
}

func parse(args []string, output io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("summarise", flag.ContinueOnError)
	o.Define(f, "JSON Lines with text, summary and lang")
	f.StringVar(&o.lang, "lang", "", "language of lines without lang (BCP 47)")
	f.IntVar(&o.beams, "beams", 4, "width of the beam search")
	if err := finetuning.Parse(f, args, output); err != nil {
		return nil, err
	}
	if o.beams < 1 {
		return nil, fmt.Errorf("-beams %d: want at least 1", o.beams)
	}
	return o, o.Check()
}

func run(ctx context.Context, o *options) error {
	data, err := o.data()
	if err != nil {
		return err
	}
	return finetuning.Run(ctx, &o.Options, data, finetuning.PairTexts, func() (*finetuning.Task, error) {
		return o.task(ctx, data)
	})
}

func (o *options) task(ctx context.Context, data finetuning.Data[marge.Pair]) (*finetuning.Task, error) {
	oracle, err := task.OracleSummaries(ctx, data.Test)
	if err != nil {
		return nil, err
	}
	t := finetuning.Pairs(data, o.beams)
	t.Baselines = []finetuning.Baseline{
		{Name: "first sentence", Outputs: task.FirstSentences(task.Sources(data.Test))},
		{Name: "best sentences (oracle)", Outputs: oracle},
	}
	t.Columns = []string{"ROUGE-L", "ROUGE-1", "ROUGE-2"}
	t.Score = func(ctx context.Context, records []int, outputs []string) (map[string]finetuning.Figure, error) {
		references := task.References(finetuning.Chosen(data.Test, records))
		rouge, err := eval.ROUGE(ctx, outputs, references, eval.ROUGEOptions{Words: eval.Words, Bootstrap: o.Bootstrap()})
		if err != nil {
			return nil, err
		}
		figures := map[string]finetuning.Figure{}
		for name, m := range map[string]eval.ROUGEMeasure{
			"ROUGE-1": rouge.ROUGE1, "ROUGE-2": rouge.ROUGE2, "ROUGE-L": rouge.ROUGEL,
		} {
			figures[name] = finetuning.Percent(m.F1, m.Interval)
		}
		return figures, nil
	}
	return t, nil
}

// data reads the summaries, or generates them.
func (o *options) data() (d finetuning.Data[marge.Pair], err error) {
	if !o.Generated() {
		return finetuning.Read(&o.Options, finetuning.Each(func(file string) ([]marge.Pair, error) {
			return task.ReadSummaries(file, o.lang)
		}))
	}
	train, dev, test := o.News()
	train.PerEvent, dev.PerEvent, test.PerEvent = 2, 1, 1
	d.Train, d.Dev, d.Test = task.NewsSummaries(train), task.NewsSummaries(dev), task.NewsSummaries(test)
	return d, nil
}
