// Package finetuning is what the programs of tasks have in common: a model that is
// loaded or trained, its fine-tuning, the same from random weights beside it, and
// a table of what was measured.
package finetuning

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/eval"
)

// Options are the flags that all programs of tasks have.
type Options struct {
	Checkpoint       string
	Train, Dev, Test program.Files
	Out              string
	Resume, JSON     bool
	Steps            int
	Minutes          float64
	Rate             float64
	Freeze           bool
	Scratch          bool
	Seed             uint64
	Backend          backends.Choice

	// Events of the generated news to pre-train on, to fine-tune on, and to
	// evaluate on.
	PretrainEvents, TrainEvents, TestEvents int
	Output                                  io.Writer // os.Stdout

	flags *flag.FlagSet
}

// Define defines the flags for a program, whose data files are what files says.
func (o *Options) Define(f *flag.FlagSet, files string) {
	o.flags, o.Output = f, os.Stdout
	o.PretrainEvents, o.TrainEvents, o.TestEvents = 3000, 3000, 300
	f.StringVar(&o.Checkpoint, "checkpoint", "", "`directory` of the model to start from "+
		"(default: one that is trained first, on generated news)")
	f.Var(&o.Train, "train", "`file` to train on: "+files+" (repeatable; default: generated news)")
	f.Var(&o.Dev, "dev", "`file` to choose the best model by (repeatable; default: the model after the last update)")
	f.Var(&o.Test, "test", "`file` to evaluate on (repeatable; without -train, the model is only evaluated)")
	f.StringVar(&o.Out, "out", "", "`directory` for models, metrics and outputs (default: a new one below runs)")
	f.BoolVar(&o.Resume, "resume", false, "go on from the last checkpoint in -out")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object with all figures as the last line of standard output")
	f.IntVar(&o.Steps, "steps", 0, "updates of each training, instead of -minutes")
	f.Float64Var(&o.Minutes, "minutes", 1, "minutes of each training")
	f.Float64Var(&o.Rate, "lr", 0, "peak learning rate of the fine-tuning "+
		"(default: 3e-3 for small models, less for wider ones)")
	f.BoolVar(&o.Freeze, "freeze", false, "keep embeddings and the decoder's base layers as they are, "+
		"as the paper does for languages without training data")
	f.BoolVar(&o.Scratch, "scratch", true, "fine-tune the same model from random weights too, for as many updates")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the weights, the data and the training")
	o.Backend.Define(f)
}

// Shared returns the options themselves, of what has more.
func (o *Options) Shared() *Options { return o }

// Generated reports whether data are generated, as no file is given.
func (o *Options) Generated() bool { return len(o.Train)+len(o.Dev)+len(o.Test) == 0 }

// News returns which generated news to train on, to choose the model by and to
// evaluate on.
func (o *Options) News() (train, dev, test news.Options) {
	train = news.Options{Seed: o.Seed, Events: o.TrainEvents}
	test = news.Options{Seed: o.Seed, Events: o.TestEvents, First: news.FirstHeldOut}
	dev = test
	dev.First, dev.Events = test.First+test.Events, max(test.Events/4, 1)
	return train, dev, test
}

// CheckNews returns an error for a language in which no news are generated.
func CheckNews(langs ...string) error {
	for _, lang := range langs {
		if !slices.Contains(news.Languages(), lang) {
			return fmt.Errorf("no news are generated in %q, but in %s", lang, strings.Join(news.Languages(), ", "))
		}
	}
	return nil
}

// NewsLanguages splits a list of different languages in which news are generated,
// separated by commas.
func NewsLanguages(list string) ([]string, error) {
	langs := strings.Split(list, ",")
	if len(slices.Compact(slices.Sorted(slices.Values(langs)))) < len(langs) {
		return nil, fmt.Errorf("%s has a language twice", list)
	}
	return langs, CheckNews(langs...)
}

// Bootstrap is how intervals are estimated.
func (o *Options) Bootstrap() *eval.Bootstrap { return &eval.Bootstrap{Seed: o.Seed} }

// Given tells whether a flag was on the command line.
func (o *Options) Given(name string) bool {
	found := false
	o.flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// Check returns an error that names the first flag that cannot be meant, alone or
// together with others, and completes what depends on them.
func (o *Options) Check() error {
	switch {
	case o.flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", o.flags.Arg(0))
	case o.Given("steps") && o.Steps < 1:
		return fmt.Errorf("-steps %d: want at least 1", o.Steps)
	case !(o.Minutes > 0 && o.Minutes < float64(math.MaxInt64)/float64(time.Minute)):
		return fmt.Errorf("-minutes %v: want more than 0", o.Minutes)
	case o.Given("steps") && o.Given("minutes"):
		return errors.New("-steps and -minutes: give one of them")
	case o.Given("lr") && !(o.Rate > 0 && !math.IsInf(o.Rate, 0)):
		return fmt.Errorf("-lr %v: want a number greater than 0", o.Rate)
	case o.Resume && o.Out == "":
		return errors.New("-resume needs -out")
	case len(o.Train) > 0 && len(o.Dev)+len(o.Test) == 0:
		return errors.New("-train without -test: give a file to evaluate on")
	case len(o.Train) == 0 && len(o.Dev) > 0:
		return errors.New("-dev without -train: nothing is trained; files to evaluate on are given by -test")
	case len(o.Train) == 0 && len(o.Test) > 0 && o.Checkpoint == "":
		return errors.New("-test without -train: give the model to evaluate by -checkpoint")
	case o.Freeze && o.Checkpoint == "" && !o.Generated():
		return errors.New("-freeze without -checkpoint: what is kept would be random weights")
	}
	if o.Out == "" {
		o.Out = filepath.Join("runs", o.flags.Name()+time.Now().Format("-20060102-150405"))
	}
	return nil
}

// Main runs a program. parse returns its options, run does its work.
func Main[T any](
	name string, parse func(args []string, output io.Writer) (T, error), run func(context.Context, T) error,
) {
	o, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := program.Interrupted()
		defer stop()
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.TrimPrefix(err.Error(), name+": "))
		os.Exit(1)
	}
}

// Parse parses arguments. With -h it prints all flags and returns flag.ErrHelp;
// other errors are only returned.
func Parse(f *flag.FlagSet, args []string, output io.Writer) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(output)
		f.PrintDefaults()
	}
	return err
}

// Data are the records of a run.
type Data[T any] struct{ Train, Dev, Test []T }

// Read reads the files of all three kinds with read. Where there are none to
// evaluate on, those to choose the model by serve for it.
func Read[T any](o *Options, read func(files []string) ([]T, error)) (d Data[T], err error) {
	for _, part := range []struct {
		flag  string
		files []string
		to    *[]T
	}{{"-train", o.Train, &d.Train}, {"-dev", o.Dev, &d.Dev}, {"-test", o.Test, &d.Test}} {
		if *part.to, err = read(part.files); err != nil {
			return d, fmt.Errorf("%s: %w", part.flag, err)
		}
	}
	if len(d.Test) == 0 {
		d.Test = d.Dev
	}
	return d, nil
}

// Each reads files one after the other.
func Each[T any](read func(file string) ([]T, error)) func(files []string) ([]T, error) {
	return func(files []string) ([]T, error) {
		var all []T
		for _, file := range files {
			records, err := read(file)
			if err != nil {
				return nil, err
			}
			all = append(all, records...)
		}
		return all, nil
	}
}

// WithLanguage reads an argument LANG=FILE, the language being a BCP 47 tag.
func WithLanguage[T any](read func(file, lang string) ([]T, error)) func(arg string) ([]T, error) {
	return func(arg string) ([]T, error) {
		lang, file, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%s: want LANG=FILE, as in de=%s: the file does not tell its language", arg, arg)
		}
		return read(file, lang)
	}
}
