package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/internal/flags"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn/dist"
)

// options are the flags.
type options struct {
	corpora     program.Files
	evals       program.Files
	config      string
	objective   string
	steps       int
	tokens      flags.Count
	minutes     float64
	seed        uint64
	out         string
	resume      bool
	json        bool
	skipBad     bool
	chunk       int
	probes      int
	events      int
	batchTokens int
	accumulate  int
	replicas    int
	bfloat16    bool
	dist        string
	deadline    time.Duration
	checkpoint  int
	lr          float64
	indexEvery  int
	maxChunks   int
	pooling     string
	dim         int
	mono, cross float64
	perTarget   bool
	dropout     float64
	tfidf       int
	backend     backends.Choice
	initFrom    string

	flags         *flag.FlagSet
	heldoutEvents int          // generated
	initial       *marge.Model // of -init-from
	onStep        func(marge.Metrics)
}

// defaultRate returns the learning rate of a size unless -lr gives another. That
// of tiny suits minutes on generated news; the library's is more careful.
func defaultRate(size string) float64 {
	if size == "tiny" {
		return 2e-3
	}
	return marge.DefaultLearningRate(marge.Presets()[size])
}

// parse reads and checks the flags. What is wrong with them is an error that
// names the flag. With -h it prints all flags and returns flag.ErrHelp.
func parse(args []string, output io.Writer) (*options, error) {
	o := &options{heldoutEvents: 100, flags: flag.NewFlagSet("pretrain", flag.ContinueOnError)}
	f := o.flags
	f.SetOutput(io.Discard) // errors are returned
	f.Var(&o.corpora, "corpus", "JSON Lines to train on, plain, gzip or zstd: a `file`, a folder, "+
		"a pattern such as 'news/*.jsonl', or - for standard input (repeatable; default: generated news)")
	f.Var(&o.evals, "eval", "JSON Lines of held-out documents with group, `file` as with -corpus "+
		"(repeatable; default: generated held-out news, but none with -corpus)")
	f.StringVar(&o.config, "config", "tiny", "size of the model: tiny, small, base or paper")
	f.StringVar(&o.objective, "objective", string(marge.MARGE), "what to train for: marge, or as systems that it is "+
		"compared with: mlm (BERT, XLM-R), tlm (XLM, with known translations), denoise (mBART), "+
		"translate (known translations)")
	f.StringVar(&o.initFrom, "init-from", "", "`directory` with an mBART or mBART-50 of Hugging Face to go on from, "+
		"which gives sizes, dropout and tokenizer (default: random weights)")
	f.IntVar(&o.steps, "steps", 0, "updates to train for, instead of -minutes")
	f.Var(&o.tokens, "tokens", "target `tokens` to train for, as in 3e6 or 3M, instead of -minutes")
	f.Float64Var(&o.minutes, "minutes", 5, "minutes to train for")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the weights, the data and the training")
	f.StringVar(&o.out, "out", "", "`directory` for checkpoints, metrics, TensorBoard's files and the plot "+
		"(default: a new one below runs)")
	f.BoolVar(&o.resume, "resume", false, "go on from the last checkpoint in -out")
	f.BoolVar(&o.json, "json", false, "print one JSON object with all figures as the last line of standard output")
	f.BoolVar(&o.skipBad, "skip-bad", false, "skip bad lines of the corpus instead of stopping")
	f.IntVar(&o.chunk, "chunk", 0, "tokens of a chunk of a document (default: 126, paper: 512)")
	f.IntVar(&o.probes, "probes", 10, "measurements on held-out documents during the training (0: none)")
	f.IntVar(&o.events, "events", 6000, "events in the generated news")
	f.IntVar(&o.batchTokens, "batch-tokens", 2048, "tokens of the documents of a batch")
	f.IntVar(&o.accumulate, "accumulate", 1, "batches of a replica, one after the other")
	f.IntVar(&o.replicas, "replicas", 1, "gradients of -accumulate batches that an update adds up; the result depends on "+
		"their number, not on how many ranks share them")
	f.BoolVar(&o.bfloat16, "bfloat16-gradients", false, "round the gradients of replicas, and their sums, to bfloat16, "+
		"of which ranks send half as many bytes")
	f.StringVar(&o.dist, "dist", "none", "train on the `ranks` that a launcher has started: none, or mpi in a program "+
		"built with the tag mpi (see package nn/dist/mpi); -replicas must be a multiple of them by a power of two")
	f.DurationVar(&o.deadline, "dist-deadline", dist.DefaultDeadline, "how long a rank may be silent")
	f.IntVar(&o.checkpoint, "checkpoint-every", 1000, "updates between two checkpoints")
	f.Float64Var(&o.lr, "lr", 0, fmt.Sprintf("peak learning rate (default: tiny %v, small %v, base %v, paper %v)",
		defaultRate("tiny"), defaultRate("small"), defaultRate("base"), defaultRate("paper")))
	f.IntVar(&o.maxChunks, "max-chunks", 0, "chunks of a document to train on (default: all)")
	f.StringVar(&o.pooling, "pooling", marge.PoolMax, "how g sums up a document: by its first token (first; the paper), "+
		"by the mean of all (mean), or by the greatest values of learned functions of them (max)")
	f.IntVar(&o.dim, "retrieval-dim", 1024, "width of g with -pooling max (otherwise that of the model)")
	f.Float64Var(&o.dropout, "dropout", 0, "dropout "+
		"(the presets have 0.1; less is better where no document is seen often)")
	f.IntVar(&o.tfidf, "tfidf-steps", 1500, "updates during which documents are linked by TF-IDF "+
		"instead of by g (paper: 0)")
	f.Float64Var(&o.mono, "mono", 0, "links of a target with documents in its language, on average (paper: 4)")
	f.Float64Var(&o.cross, "cross", 5, "links of a target with documents in other languages, on average (paper: 4)")
	f.BoolVar(&o.perTarget, "per-target", true, "keep the best -mono and -cross links of each target that g finds, "+
		"rounded, not those of the shard (as the paper does)")
	f.IntVar(&o.indexEvery, "index-every", 1500, "updates between two indexes (paper: 10000)")
	o.backend.Define(f)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(output)
			f.PrintDefaults()
		}
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	o.complete()
	return o, nil
}

// given tells whether a flag was on the command line.
func (o *options) given(name string) bool {
	found := false
	o.flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// maxMinutes is what a time.Duration can hold, some 292 years.
const maxMinutes = float64(math.MaxInt64) / float64(time.Minute)

// check returns an error that names the first flag with a value that cannot be
// meant, alone or together with others.
func (o *options) check() error {
	if o.flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", o.flags.Arg(0))
	}
	config, known := marge.Presets()[o.config]
	poolings := []string{marge.PoolFirst, marge.PoolMean, marge.PoolMax}
	longest := config.MaxPositionEmbeddings - 2 // beside <s> and </s>
	for _, c := range []struct {
		flag  string
		wrong bool
		want  string
	}{
		{"config", !known, "no such size, want tiny, small, base or paper"},
		{"objective", !slices.Contains(marge.Objectives(), marge.Objective(o.objective)),
			fmt.Sprintf("want one of %v", marge.Objectives())},
		{"steps", o.given("steps") && o.steps < 1, "want at least 1"},
		{"tokens", o.given("tokens") && o.tokens < 1, "want at least 1"},
		{"minutes", !(o.minutes > 0 && o.minutes < maxMinutes),
			fmt.Sprintf("want more than 0 and less than %.1e", maxMinutes)},
		{"lr", o.given("lr") && !positive(o.lr), "want a number greater than 0"},
		{"chunk", o.given("chunk") && (o.chunk < 1 || o.chunk > longest && o.initFrom == ""),
			fmt.Sprintf("want 1 to %d, what a model of this size takes", longest)},
		{"init-from", o.given("init-from") && o.initFrom == "", "want a directory"},
		{"max-chunks", o.maxChunks < 0 || o.given("max-chunks") && o.maxChunks == 0, "want at least 1"},
		{"probes", o.probes < 0, "want at least 0"},
		{"events", o.events < 1, "want at least 1"},
		{"batch-tokens", o.batchTokens < 1, "want at least 1"},
		{"accumulate", o.accumulate < 1, "want at least 1"},
		{"replicas", o.replicas < 1, "want at least 1"},
		{"dist", o.dist != "none" && o.dist != "mpi", "want none or mpi"},
		{"dist-deadline", o.deadline <= 0, "want more than 0"},
		{"checkpoint-every", o.checkpoint < 1, "want at least 1"},
		{"index-every", o.indexEvery < 1, "want at least 1"},
		{"tfidf-steps", o.tfidf < 0, "want at least 0"},
		{"pooling", !slices.Contains(poolings, o.pooling), "want first, mean or max"},
		{"retrieval-dim", o.dim < 1 || o.dim > maxDim, fmt.Sprintf("want 1 to %d", maxDim)},
		{"dropout", !(o.dropout >= 0 && o.dropout < 1), "want at least 0 and less than 1"},
		{"mono", !(o.mono >= 0 && o.mono <= maxLinks), fmt.Sprintf("want 0 to %v", maxLinks)},
		{"cross", !(o.cross >= 0 && o.cross <= maxLinks), fmt.Sprintf("want 0 to %v", maxLinks)},
	} {
		if c.wrong {
			return fmt.Errorf("-%s %v: %s", c.flag, o.flags.Lookup(c.flag).Value, c.want)
		}
	}
	return o.checkTogether()
}

// maxLinks bounds the links of a target, maxDim the width of g.
const (
	maxLinks = 1e6
	maxDim   = 1 << 20
)

func positive(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

// checkTogether returns an error that names flags that contradict each other.
func (o *options) checkTogether() error {
	var lengths []string
	for _, name := range []string{"steps", "tokens", "minutes"} {
		if o.given(name) {
			lengths = append(lengths, "-"+name)
		}
	}
	if len(lengths) > 1 {
		return fmt.Errorf("%s: give one of them", strings.Join(lengths, " and "))
	}
	for _, name := range retrievalFlags {
		if o.given(name) && !o.retrieves() {
			return fmt.Errorf("-%s is for what marge retrieves: -objective %s retrieves nothing", name, o.objective)
		}
	}
	if o.mono+o.cross == 0 {
		return errors.New("-mono and -cross are both 0: a target needs links")
	}
	if o.perTarget && math.Round(o.mono)+math.Round(o.cross) == 0 {
		return fmt.Errorf("-mono %v and -cross %v round to no link of a target: "+
			"give whole numbers, or -per-target=false", o.mono, o.cross)
	}
	if o.given("retrieval-dim") && o.pooling != marge.PoolMax {
		return fmt.Errorf("-retrieval-dim is for -pooling max, not for -pooling %s", o.pooling)
	}
	if o.given("events") && len(o.corpora) > 0 {
		return errors.New("-events is for generated news: leave out one of -events and -corpus")
	}
	if slices.Contains(o.corpora, "-") && slices.Contains(o.evals, "-") {
		return errors.New("-corpus - and -eval -: standard input is one of them")
	}
	for _, name := range []string{"config", "dropout"} {
		if o.initFrom != "" && o.given(name) {
			return fmt.Errorf("-%s is for random weights, and that of -init-from is in its config.json: "+
				"leave out one of the two", name)
		}
	}
	if o.resume && o.out == "" {
		return errors.New("-resume needs -out")
	}
	if o.dist != "none" && o.out == "" {
		return fmt.Errorf("-dist %s needs -out, a directory that all ranks share", o.dist)
	}
	if o.dist != "none" && (slices.Contains(o.corpora, "-") || slices.Contains(o.evals, "-")) {
		return fmt.Errorf("-corpus - and -eval -: with -dist %s all ranks read the documents, from files", o.dist)
	}
	return nil
}

// retrievalFlags are those that say how documents are linked, and how g is made.
var retrievalFlags = []string{"pooling", "retrieval-dim", "tfidf-steps", "mono", "cross", "per-target", "index-every"}

// retrieves tells whether the objective is MARGE's.
func (o *options) retrieves() bool { return marge.Objective(o.objective) == marge.MARGE }

// complete fills in what depends on other flags.
func (o *options) complete() {
	if o.out == "" {
		o.out = filepath.Join("runs", o.model()+time.Now().Format("-20060102-150405"))
	}
	if !o.given("chunk") {
		o.chunk = defaultChunk
		if o.config == "paper" {
			o.chunk = 512
		}
	}
	if !o.given("lr") {
		o.lr = defaultRate(o.config)
	}
}

// untrained returns a warning about the sizes that this program was never run
// to the end with, or "".
func (o *options) untrained() string {
	if o.config != "base" && o.config != "paper" {
		return ""
	}
	return fmt.Sprintf("-config %s has not been trained with this program: "+
		"its defaults, such as the learning rate of %v, follow from those of smaller models", o.config, o.lr)
}

// modelConfig is the configuration of the model but for its vocabulary.
func (o *options) modelConfig() marge.Config {
	config := marge.Presets()[o.config]
	config.Seed, config.RetrievalPooling, config.Dropout = o.seed, o.pooling, float32(o.dropout)
	if o.pooling == marge.PoolMax {
		config.RetrievalDim = o.dim
	}
	return config
}
