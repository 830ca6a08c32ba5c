// Translate fine-tunes a MARGE model for translation.
//
//	go run ./examples/translate
//
// pre-trains the smallest size for a minute on generated news in several
// languages, fine-tunes it for another to translate short reports, and does the
// same from random weights. It prints BLEU and chrF on held-out reports, beside
// what copying the source gives and what the model does before it has seen a
// translation, and three samples. With a model and data of your own:
//
//	translate -checkpoint DIR -from en -to de -train multi30k/train -dev multi30k/val -test multi30k/test_2016_flickr
//
// evaluates and fine-tunes it on line pairs, TSV, TMX or JSON Lines documents;
// without -train it is only evaluated (zero-shot, arXiv:2006.15020, section 4.2).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/marge-go/marge/examples/internal/finetuning"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
)

func main() { finetuning.Main("translate", parse, run) }

type options struct {
	finetuning.Options
	from, to string
	beams    int
}

func parse(args []string, output io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("translate", flag.ContinueOnError)
	o.Define(f, "SOURCE,TARGET; PREFIX of two files PREFIX.LANG; NAME.tsv, NAME.tmx or NAME.jsonl")
	f.StringVar(&o.from, "from", "de", "language of the sources (BCP 47)")
	f.StringVar(&o.to, "to", "en", "language of the translations (BCP 47)")
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
		return o.task(data), nil
	})
}

func (o *options) task(data finetuning.Data[marge.Pair]) *finetuning.Task {
	t := finetuning.Pairs(data, o.beams)
	t.Baselines = []finetuning.Baseline{{Name: "copy of the source", Outputs: task.Sources(data.Test)}}
	t.Columns = []string{"BLEU", "chrF"}
	t.Score = func(ctx context.Context, records []int, outputs []string) (map[string]finetuning.Figure, error) {
		references := task.References(finetuning.Chosen(data.Test, records))
		bleu, err := eval.BLEU(ctx, outputs, references, eval.BLEUOptions{
			Tokenizer: eval.TokenizerFor(o.to), Bootstrap: o.Bootstrap(),
		})
		if err != nil {
			return nil, err
		}
		chrf, err := eval.ChrF(ctx, outputs, references, eval.ChrFOptions{Bootstrap: o.Bootstrap()})
		if err != nil {
			return nil, err
		}
		return map[string]finetuning.Figure{
			"BLEU": {Value: bleu.Score, Interval: bleu.Interval}, "chrF": {Value: chrf.Score, Interval: chrf.Interval},
		}, nil
	}
	return t
}

// data reads the translations, or generates them.
func (o *options) data() (d finetuning.Data[marge.Pair], err error) {
	if !o.Generated() {
		return finetuning.Read(&o.Options, finetuning.Each(func(file string) ([]marge.Pair, error) {
			t, err := task.ReadTranslations(file, o.from, o.to)
			if err != nil {
				return nil, err
			}
			if t.Skipped > 0 {
				fmt.Fprintf(os.Stderr, "%s: %d records without a text in both languages are skipped\n", file, t.Skipped)
			}
			return t.Pairs, nil
		}))
	}
	if err := finetuning.CheckNews(o.from, o.to); err != nil {
		return d, err
	}
	train, dev, test := o.News()
	d.Train, d.Dev = task.NewsTranslations(train, o.from, o.to), task.NewsTranslations(dev, o.from, o.to)
	d.Test = task.NewsTranslations(test, o.from, o.to)
	return d, nil
}
