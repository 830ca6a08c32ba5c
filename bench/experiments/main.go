// Experiments tests the claims of MARGE (arXiv:2006.15020) at the scale of one
// machine.
//
//	go run ./bench/experiments NAME [flags]
//
// Each experiment trains models from random weights, on -corpus, measures them
// on -eval, and writes NAME.json, NAME.png and NAME.md to -out. Trainings are
// kept below -out: what is finished is not repeated, what was interrupted goes
// on, and experiments share the trainings that they have in common.
// Experiments that only evaluate do so on a trained model with -checkpoint.
// README.md has a command for each claim.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/marge-go/marge/tensor"
)

// An experiment tests one claim.
type experiment struct {
	name, about string
	// evaluates tells that it can do without training, given -checkpoint.
	evaluates bool
	// setup defines flags of its own and returns what runs it.
	setup func(fs *flag.FlagSet) func(ctx context.Context, e *env) (*report, error)
}

var experiments = []experiment{
	{"from-random", "training from random weights teaches g to find translations", true, fromRandom},
	{"evidence", "relevant evidence lowers the loss, and more of it does so more", true, evidence},
	{"bias", "the bias of the attention by the relevance teaches g", false, ablation(biasVariants)},
	{"batching", "shards, links, weights and intervals of the index matter", false, ablation(batchingVariants)},
	{"options", "what later work adds, one at a time", false, ablation(optionVariants)},
	{"translate", "translation from one document, without having seen pairs", true, translate},
	{"mining", "retrieval of sentences by the encoder, as in BUCC", true, mining},
	{"scaling", "larger models are better", false, scaling},
	{"objectives", "the systems of the paper's comparison, as objectives of one model", false, objectives},
}

// env is what all experiments share.
type env struct {
	corpora, evals files
	out            string
	seeds          seeds
	checkpoint     string
	events         int
	heldoutEvents  int
	targets        int // of each language, that losses are measured on
	settings       settings
	backend        tensor.Backend
	log            io.Writer

	key  string // of the data
	held *heldout
}

// files is a flag that can be repeated.
type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

type seeds []uint64

func (s *seeds) String() string { return strings.Trim(fmt.Sprint([]uint64(*s)), "[]") }

func (s *seeds) Set(list string) error {
	*s = nil
	for _, field := range strings.Split(list, ",") {
		seed, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return err
		}
		*s = append(*s, seed)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "experiments:", err)
		os.Exit(1)
	}
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "usage: experiments NAME [flags]; flags of an experiment: experiments NAME -h\n\n")
	for _, x := range experiments {
		fmt.Fprintf(w, "  %-12s %s\n", x.name, x.about)
	}
}

// run runs the experiment that the first argument names, and prints its table.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		usage(stderr)
		return flag.ErrHelp
	}
	for _, x := range experiments {
		if x.name != args[0] {
			continue
		}
		e := &env{seeds: seeds{1, 2, 3}, settings: defaults(), log: stderr}
		fs := flag.NewFlagSet(x.name, flag.ContinueOnError)
		fs.SetOutput(stderr)
		e.flags(fs)
		if x.evaluates {
			fs.StringVar(&e.checkpoint, "checkpoint", "",
				"evaluate the model in this `directory`, a checkpoint or that of a training, and train none")
		}
		do := x.setup(fs)
		if err := fs.Parse(args[1:]); err != nil {
			return flag.ErrHelp // Parse has told what is wrong
		}
		if fs.NArg() > 0 {
			return fmt.Errorf("%s: unexpected argument %q", x.name, fs.Arg(0))
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		if err := e.open(); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		r, err := do(ctx, e)
		if err == nil {
			r.Experiment, r.About = x.name, x.about
			err = e.write(r, stdout)
		}
		if err = errors.Join(err, e.backend.Close()); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		return nil
	}
	usage(stderr)
	return fmt.Errorf("no experiment %q", args[0])
}

func (e *env) flags(fs *flag.FlagSet) {
	fs.Var(&e.corpora, "corpus", "JSON Lines `file` to train on, plain, gzip or zstd (repeatable; default: "+
		"generated news)")
	fs.Var(&e.evals, "eval", "JSON Lines `file` of held-out documents with group (repeatable; default: generated "+
		"held-out news)")
	fs.StringVar(&e.out, "out", "runs/experiments", "`directory` for results, trainings and data")
	fs.Var(&e.seeds, "seeds", "seeds of weights and training, one training each")
	fs.IntVar(&e.events, "events", 6000, "events in the generated news")
	fs.IntVar(&e.heldoutEvents, "heldout-events", 100, "events in the generated held-out news")
	fs.IntVar(&e.targets, "targets", 20, "held-out documents of each language that losses are measured on")
	e.settings.flags(fs)
}

func (e *env) check() error {
	if len(e.corpora) > 0 && len(e.evals) == 0 {
		return errors.New("-corpus needs -eval")
	}
	if e.targets < 1 || e.events < 1 || e.heldoutEvents < 1 {
		return errors.New("-targets, -events and -heldout-events must be positive")
	}
	if err := e.settings.check(); err != nil {
		return err
	}
	return os.MkdirAll(e.out, 0o777)
}

// open opens the backend. Trainings are named by their settings, so that the precision is
// that of the settings even where the environment has another.
func (e *env) open() (err error) {
	choice := e.settings.Choice
	choice.Precision = cmp.Or(choice.Precision, "fp32")
	e.backend, err = choice.Open()
	return err
}
