// Retrieve finds translations by the vectors of a MARGE model and measures how
// well: by g, by which the model retrieves documents, and by the mean of each
// layer of its encoder, by which the paper retrieves sentences
// (arXiv:2006.15020, section 4.1), beside TF-IDF and BM25.
//
//	go run ./examples/retrieve
//
// pre-trains the smallest size for three and a half minutes on generated news
// in six languages, then searches held-out reports of the same event in other
// languages, and among English and German reports those that tell of the same
// event where most have no counterpart. With -checkpoint the model is one that
// was trained before:
//
//	go run ./examples/retrieve -checkpoint DIR -test tatoeba/v1
//	go run ./examples/retrieve -checkpoint DIR -dev de-en.training.gold -test de-en.test.gold
//	go run ./examples/retrieve -checkpoint DIR -test docs.jsonl.gz
//
// Which method is best, and the threshold where pairs are to be mined, is
// chosen on -dev alone. -vectors sets vectors of other programs beside those of
// the model.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/examples/internal/retrieval"
	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
)

func main() {
	ctx, stop := program.Interrupted()
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "retrieve:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	checkpoint              string
	train, dev, test        program.Files
	vectors                 program.Files
	out                     string
	resume, json            bool
	minutes                 float64
	steps, chunk, maxChunks int
	chars, layers           int
	langs                   string
	seed                    uint64
	backend                 backends.Choice

	events, heldoutEvents int // generated
	config                marge.Config
}

func (o *options) flags(output io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("retrieve", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&o.checkpoint, "checkpoint", "", "`directory` of the model, or of its training "+
		"(default: pre-train one on -train)")
	f.Var(&o.train, "train", "JSON Lines `file` to pre-train on (repeatable; default: generated news)")
	const formats = "NAME.deu-eng.deu, or a folder of such files, as Tatoeba's; de-en.NAME.gold, as BUCC's; " +
		"or JSON Lines with group (repeatable; default: generated news)"
	f.Var(&o.dev, "dev", "`file` to choose the method and thresholds on: "+formats)
	f.Var(&o.test, "test", "`file` to measure on: "+formats)
	f.Var(&o.vectors, "vectors", "JSON Lines `file` with id and vector of the texts, made by another program "+
		"(repeatable)")
	f.StringVar(&o.out, "out", "", "`directory` for result.json, languages.txt and checkpoints (default: a new one "+
		"below runs)")
	f.BoolVar(&o.resume, "resume", false, "go on with the pre-training in -out")
	f.BoolVar(&o.json, "json", false, "print one JSON object with all figures as the last line of standard output")
	f.Float64Var(&o.minutes, "minutes", 3.5, "minutes of pre-training")
	f.IntVar(&o.steps, "steps", 0, "updates of pre-training, instead of -minutes")
	f.IntVar(&o.chunk, "chunk", 0, "tokens of a chunk of a text (default: those that the model was trained on)")
	f.IntVar(&o.maxChunks, "max-chunks", 0, "chunks of a text that count, from its beginning (default: all)")
	f.IntVar(&o.layers, "layers", -1, "layers of the encoder to measure beside g, from the first on (-1: all)")
	f.IntVar(&o.chars, "chars", 0, "characters of a text that count, for all methods (default: all)")
	f.StringVar(&o.langs, "langs", "", "languages to search, as in de,en,pt-BR (default: all)")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the generated news and of the pre-training")
	o.backend.Define(f)
	return f
}

// check returns an error for flags that contradict each other or that cannot
// be meant.
func (o *options) check(f *flag.FlagSet) error {
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.checkpoint != "" && (len(o.train) > 0 || o.resume):
		return errors.New("-checkpoint is a model that was trained: leave out -train and -resume")
	case o.resume && o.out == "":
		return errors.New("-resume needs -out")
	case !(o.minutes > 0) || o.minutes > 1e6:
		return fmt.Errorf("-minutes %v: want more than 0, up to 1e6", o.minutes)
	case o.layers < -1:
		return fmt.Errorf("-layers %d: want at least -1", o.layers)
	case o.steps < 0 || o.chunk < 0 || o.maxChunks < 0 || o.chars < 0:
		return errors.New("-steps, -chunk, -max-chunks and -chars must not be negative")
	case len(o.test) == 0 && (len(o.dev) > 0 || len(o.vectors) > 0 || o.langs != ""):
		return errors.New("-dev, -vectors and -langs need -test")
	}
	if o.out == "" {
		o.out = filepath.Join("runs", "retrieve"+time.Now().Format("-20060102-150405"))
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := &options{events: 6000, heldoutEvents: 100, config: pretrained.Tiny()}
	f := o.flags(stderr)
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := o.check(f); err != nil {
		return err
	}
	return o.run(ctx, stdout, stderr)
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	backend, err := o.backend.Open()
	if err != nil {
		return err
	}
	defer backend.Close()
	o.config.Backend = backend
	dev, test, err := o.sets()
	if err != nil {
		return err
	}
	if err := retrieval.CheckDev(test, dev); err != nil {
		return err
	}
	var others []retrieval.Encoder
	for _, path := range o.vectors {
		e, err := retrieval.ReadVectors(path)
		if err != nil {
			return err
		}
		others = append(others, e)
	}
	var trainings []string
	if o.checkpoint == "" {
		trainings = append(trainings, o.pretraining())
	}
	release, err := program.OpenOut(o.out, "retrieve", o.resume, trainings...)
	if err != nil {
		return err
	}
	defer release()
	show := program.NewDisplay(stderr)
	m, err := o.model(ctx, show)
	if err != nil {
		return err
	}
	cut := marge.DocumentOptions{ChunkTokens: o.chunk, MaxChunks: o.maxChunks}
	layers := m.Config.EncoderLayers
	if o.layers >= 0 {
		layers = min(layers, o.layers)
	}
	encoders := append(retrieval.ModelEncoders(m, layers, cut, show), others...)
	chosen := retrieval.Method{Name: "g", Centred: true}
	developed, err := retrieval.Evaluate(ctx, m.Runner(), encoders, dev)
	if err != nil {
		return err
	}
	if err := retrieval.SetThresholds(developed, developed); err != nil {
		return err
	}
	if len(dev) > 0 {
		chosen = retrieval.Best(retrieval.Results(developed, encoders), encoders)
	}
	tested, err := retrieval.Evaluate(ctx, m.Runner(), encoders, test)
	if err != nil {
		return err
	}
	if err := retrieval.SetThresholds(tested, developed); err != nil {
		return err
	}
	return o.report(ctx, stdout, tested, encoders, chosen)
}

// sets reads what is measured on.
func (o *options) sets() (dev, test []*task.RetrievalSet, err error) {
	if len(o.test) == 0 {
		return o.generated()
	}
	keep := map[string]bool{}
	if o.langs != "" {
		for _, lang := range strings.Split(o.langs, ",") {
			keep[lang] = true
		}
	}
	read := func(names []string) (sets []*task.RetrievalSet, err error) {
		for _, name := range names {
			more, err := task.ReadRetrieval(name)
			if err != nil {
				return nil, err
			}
			for _, s := range more {
				if len(keep) > 0 {
					s = s.Only(keep)
				}
				if s != nil {
					s.Cut(o.chars)
					sets = append(sets, s)
				}
			}
		}
		if len(names) > 0 && len(sets) == 0 {
			return nil, fmt.Errorf("%s: no translations in two of -langs %s", strings.Join(names, ", "), o.langs)
		}
		return sets, nil
	}
	if dev, err = read(o.dev); err != nil {
		return nil, nil, fmt.Errorf("-dev: %w", err)
	}
	if test, err = read(o.test); err != nil {
		return nil, nil, fmt.Errorf("-test: %w", err)
	}
	return dev, test, nil
}

// generated returns held-out news: for either purpose, reports in all
// languages, and English and German ones to mine.
func (o *options) generated() (dev, test []*task.RetrievalSet, err error) {
	var sets [2][]*task.RetrievalSet
	for i, name := range []string{"news to choose on", "news"} {
		first := news.FirstHeldOut + i*o.heldoutEvents
		docs := slices.Collect(news.Documents(news.Options{Seed: o.seed, Events: o.heldoutEvents, First: first}))
		all := task.NewRetrievalSet(name, docs)
		mining := all.Only(map[string]bool{"de": true, "en": true})
		mining.Name += ", to mine"
		halves := eval.MiningHalves(mining.Docs, "de", "en", o.seed)
		if halves == nil {
			return nil, nil, fmt.Errorf("%d events are too few to mine", o.heldoutEvents)
		}
		mining.Mining = halves[i]
		sets[i] = append(sets[i], all, mining)
	}
	return sets[0], sets[1], nil
}

// model loads the model, or trains it.
func (o *options) model(ctx context.Context, show *program.Display) (*marge.Model, error) {
	if o.checkpoint != "" {
		return pretrained.Load(o.checkpoint, o.config.Backend)
	}
	var docs []corpus.Document
	if len(o.train) == 0 {
		docs = slices.Collect(news.Documents(news.Options{Seed: o.seed, Events: o.events}))
	} else if _, err := corpus.Read(o.train, corpus.ReadOptions{}, func(d corpus.Document) error {
		docs = append(docs, d)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("-train: %w", err)
	}
	return pretrained.Train(ctx, docs, pretrained.Options{
		Config: o.config, Steps: o.steps, Minutes: o.minutes, Seed: o.seed, Dir: o.pretraining(),
		Resume: o.resume, Show: show,
	})
}

// pretraining is the directory of the pre-training.
func (o *options) pretraining() string { return filepath.Join(o.out, "pretrained") }

// report prints the figures and writes them to -out.
func (o *options) report(
	ctx context.Context, w io.Writer, outcomes map[retrieval.Method][]*retrieval.Outcome,
	encoders []retrieval.Encoder, chosen retrieval.Method,
) error {
	results := retrieval.Results(outcomes, encoders)
	if err := retrieval.WriteTable(w, results); err != nil {
		return err
	}
	var all []retrieval.Method
	columns := []retrieval.Method{{Name: "g"}, chosen, {Name: "TF-IDF"}, {Name: "BM25"}}
	for _, r := range results {
		all = append(all, r.Method)
	}
	fmt.Fprintf(w, "\nP@1 by language, chosen: %v\n", chosen)
	if err := retrieval.WriteLanguages(w, results, columns); err != nil {
		return err
	}
	for _, outcome := range outcomes[chosen][:1] {
		fmt.Fprintf(w, "\nsamples of %s by %v\n", outcome.Set.Name, chosen)
		if err := retrieval.WriteSamples(ctx, w, outcome, 3); err != nil {
			return err
		}
	}
	var table strings.Builder
	if err := retrieval.WriteLanguages(&table, results, all); err != nil {
		return err
	}
	figures := retrieval.Figures{Methods: results, Chosen: chosen}
	return errors.Join(osfile.WriteFile(filepath.Join(o.out, "languages.txt"), []byte(table.String())),
		program.WriteJSON(filepath.Join(o.out, "result.json"), &figures, o.json, w))
}
