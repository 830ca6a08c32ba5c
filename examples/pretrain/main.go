// Pretrain trains a MARGE model from random weights and shows what it has
// learnt.
//
//	go run ./examples/pretrain
//
// trains the smallest size for about five minutes on generated news reports in
// several languages, then prints how well it finds the report of the same
// event in another language, how much retrieved evidence helps to reconstruct
// a report, and three reconstructions, and writes a plot. What is measured on
// the way goes to metrics.jsonl in -out, and to files that TensorBoard shows
// (tensorboard --logdir runs). With -corpus it
// trains on documents of your own, in JSON Lines, and with -eval it evaluates
// on held-out ones.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/marge-go/marge/examples/internal/curves"
	"github.com/marge-go/marge/internal/flags"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn"
)

// options are the flags.
type options struct {
	corpora     files
	evals       files
	config      string
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
	lr          float64
	indexEvery  int
	maxChunks   int
	pooling     string
	dim         int
	mono, cross float64
	perTarget   bool
	dropout     float64
	tfidf       int

	heldoutEvents int // generated
	onStep        func(marge.Metrics)
}

// files is a flag that can be repeated.
type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

func main() {
	o := options{heldoutEvents: 100}
	flag.Var(&o.corpora, "corpus", "JSON Lines `file` to train on, plain, gzip or zstd (repeatable; default: generated news)")
	flag.Var(&o.evals, "eval", "JSON Lines `file` of held-out documents with group (repeatable; default: generated held-out news)")
	flag.StringVar(&o.config, "config", "tiny", "size of the model: tiny, small, base or paper")
	flag.IntVar(&o.steps, "steps", 0, "updates to train for, instead of -minutes")
	flag.Var(&o.tokens, "tokens", "target `tokens` to train for, as in 3e6 or 3M, instead of -minutes")
	flag.Float64Var(&o.minutes, "minutes", 5, "minutes to train for")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the weights, the data and the training")
	flag.StringVar(&o.out, "out", "", "`directory` for checkpoints, metrics, TensorBoard's files and the plot (default: a new one below runs)")
	flag.BoolVar(&o.resume, "resume", false, "go on from the last checkpoint in -out")
	flag.BoolVar(&o.json, "json", false, "print one JSON object with all figures as the last line of standard output")
	flag.BoolVar(&o.skipBad, "skip-bad", false, "skip bad lines of the corpus instead of stopping")
	flag.IntVar(&o.chunk, "chunk", 0, "tokens of a chunk of a document (default: 126, paper: 512)")
	flag.IntVar(&o.probes, "probes", 10, "measurements on held-out documents during the training (0: none)")
	flag.IntVar(&o.events, "events", 6000, "events in the generated news")
	flag.IntVar(&o.batchTokens, "batch-tokens", 0, "tokens of the documents of a batch (default: 2048)")
	flag.IntVar(&o.accumulate, "accumulate", 0, "batches of an update (default: 1)")
	flag.Float64Var(&o.lr, "lr", 2e-3, "peak learning rate")
	flag.IntVar(&o.maxChunks, "max-chunks", 0, "chunks of a document to train on (default: all)")
	flag.StringVar(&o.pooling, "pooling", marge.PoolMax, "how g sums up a document: by its first token (first; the paper), by the mean of all (mean), or by the greatest values of learned functions of them (max)")
	flag.IntVar(&o.dim, "retrieval-dim", 1024, "width of g with -pooling max (otherwise that of the model)")
	flag.Float64Var(&o.dropout, "dropout", 0, "dropout (the presets have 0.1; less is better where no document is seen often)")
	flag.IntVar(&o.tfidf, "tfidf-steps", 1500, "updates during which documents are linked by TF-IDF instead of by g (paper: 0)")
	flag.Float64Var(&o.mono, "mono", 0, "links of a target with documents in its language, on average (paper: 4)")
	flag.Float64Var(&o.cross, "cross", 5, "links of a target with documents in other languages, on average (paper: 4)")
	flag.BoolVar(&o.perTarget, "per-target", true, "keep the best -mono and -cross links of each target that g finds, rounded, not those of the shard (as the paper does)")
	flag.IntVar(&o.indexEvery, "index-every", 1500, "updates between two indexes (paper: 10000)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "pretrain:", err)
		os.Exit(1)
	}
}

func (o *options) complete() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if _, ok := marge.Presets()[o.config]; !ok {
		return fmt.Errorf("-config %s: no such size", o.config)
	}
	if o.resume && o.out == "" {
		return errors.New("-resume needs -out")
	}
	if o.out == "" {
		o.out = filepath.Join("runs", o.config+time.Now().Format("-20060102-150405"))
	}
	if o.steps != 0 && o.tokens != 0 {
		return errors.New("-steps and -tokens: give one of them")
	}
	if o.steps < 0 || o.steps == 0 && o.tokens == 0 && !(o.minutes > 0) {
		return errors.New("-steps, -tokens or -minutes must be positive")
	}
	if o.probes < 0 {
		return errors.New("-probes must not be negative")
	}
	if o.mono < 0 || o.cross < 0 || o.mono+o.cross == 0 {
		return errors.New("-mono and -cross must not be negative, and one of them positive")
	}
	if o.chunk == 0 {
		o.chunk = 126
		if o.config == "paper" {
			o.chunk = 512
		}
	}
	return os.MkdirAll(o.out, 0o777)
}

func run(ctx context.Context, o *options) error {
	if err := o.complete(); err != nil {
		return err
	}
	d, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer d.store.Close()
	config := marge.Presets()[o.config]
	config.Seed, config.RetrievalPooling = o.seed, o.pooling
	if o.pooling == marge.PoolMax {
		config.RetrievalDim = o.dim
	}
	config.Dropout = float32(o.dropout)
	config.VocabSize = d.tokenizer.VocabSize()
	m, err := marge.New(config)
	if err != nil {
		return err
	}
	m.Tokenizer = d.tokenizer
	fmt.Printf("model %s: %d parameters\n", o.config, nn.Count(m.Parameters()))

	random, _, err := d.heldout.heldout(probeTargets).Retrieval(ctx, m)
	if err != nil {
		return err
	}
	log, err := newProgress(ctx, o, m, d)
	if err != nil {
		return err
	}
	stats, err := marge.Pretrain(ctx, m, d.store, trainingOptions(o, log))
	log.finish()
	err = errors.Join(err, log.monitor.Close())
	if err != nil {
		if stats.Checkpoint != "" {
			fmt.Fprintf(os.Stderr, "checkpoint: %s (go on with -resume -out %s)\n", stats.Checkpoint, o.out)
		}
		return err
	}
	fmt.Printf("trained %d steps, %d target tokens in %v, checkpoint %s\n", stats.Steps, stats.TargetTokens, stats.Elapsed.Round(time.Second), stats.Checkpoint)

	r, measured, err := d.heldout.final(ctx, m, random)
	if err != nil {
		return err
	}
	r.Steps, r.TargetTokens, r.TrainLoss = stats.Steps, stats.TargetTokens, stats.Loss
	r.TokensPerS = float64(stats.TargetTokens) / stats.Elapsed.Seconds()
	r.Beta, r.Params, r.PeakRSSMB = float64(m.Beta()), nn.Count(m.Parameters()), peakRSS()
	r.print(os.Stdout)
	if err := d.heldout.samples(ctx, os.Stdout, m, measured, 3); err != nil {
		return err
	}
	plot := filepath.Join(o.out, "curves.png")
	if err := curves.Draw(plot, o.out); err != nil {
		return err
	}
	fmt.Printf("\nplot: %s\n", plot)
	return r.writeJSON(filepath.Join(o.out, "result.json"), o.json, os.Stdout)
}

func trainingOptions(o *options, log *progress) marge.PretrainOptions {
	p := marge.PretrainOptions{
		Steps: o.steps, TargetTokens: int64(o.tokens), Seed: o.seed, Dir: o.out, Resume: o.resume,
		Links: index.LinkOptions{Mono: o.mono, Cross: o.cross, PerTarget: o.perTarget}, LearningRate: o.lr, BatchTokens: o.batchTokens, Accumulate: o.accumulate, TFIDFSteps: o.tfidf, IndexEvery: o.indexEvery,
		OnStep: log.step, OnIndex: log.index,
	}
	if o.tfidf == 0 {
		p.TFIDFSteps = -1
	}
	if o.steps == 0 && o.tokens == 0 {
		p.Duration = time.Duration(o.minutes * float64(time.Minute))
	}
	return p
}

// result holds every figure of a run.
type result struct {
	Steps                int            `json:"steps"`
	TargetTokens         int64          `json:"target_tokens"`
	TokensPerS           float64        `json:"tokens_per_s"`
	TrainLoss            float64        `json:"train_loss"`
	HeldoutRetrieved     float64        `json:"heldout_loss_retrieved"`
	HeldoutRandom        float64        `json:"heldout_loss_random"`
	HeldoutNone          float64        `json:"heldout_loss_none"`
	HeldoutOracle        float64        `json:"heldout_loss_oracle"`
	Beta                 float64        `json:"beta"`
	P1                   float64        `json:"p_at_1"`
	MRR                  float64        `json:"mrr"`
	P1Centered           float64        `json:"p_at_1_centered"`
	P1RandomInit         float64        `json:"p_at_1_random_init"`
	P1TFIDF              float64        `json:"p_at_1_tfidf"`
	RelevanceAUC         float64        `json:"relevance_auc"`
	AttentionEntropy     float64        `json:"attention_entropy"`
	AttentionTranslation float64        `json:"attention_translation"`
	AttentionUniform     float64        `json:"attention_uniform"`
	PeakRSSMB            float64        `json:"peak_rss_mb"`
	Params               int            `json:"params"`
	P1ByPair             map[string]any `json:"p_at_1_by_pair"`
	HeldoutDocuments     int            `json:"heldout_documents"`
	RetrievalQueries     int            `json:"retrieval_queries"`
	GoVersion            string         `json:"go_version"`
	InstructionSet       string         `json:"instruction_set"`
	ThreadsForTensors    int            `json:"threads"`
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\nheld-out cross-lingual retrieval (%d queries)    P@1    MRR\n", r.RetrievalQueries)
	fmt.Fprintf(w, "  g, trained                                    %5.3f  %5.3f\n", r.P1, r.MRR)
	fmt.Fprintf(w, "  g, trained, centred by language               %5.3f\n", r.P1Centered)
	fmt.Fprintf(w, "  g, random weights                             %5.3f\n", r.P1RandomInit)
	fmt.Fprintf(w, "  TF-IDF of characters                          %5.3f\n", r.P1TFIDF)
	fmt.Fprintf(w, "held-out loss, nats per token: evidence retrieved %.3f, translations %.3f, random %.3f, none %.3f\n",
		r.HeldoutRetrieved, r.HeldoutOracle, r.HeldoutRandom, r.HeldoutNone)
}

func (r *result) writeJSON(path string, show bool, w io.Writer) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if err := os.WriteFile(path, line, 0o666); err != nil {
		return err
	}
	if show {
		_, err = w.Write(line)
	}
	return err
}

// peakRSS returns the most memory that the process has had, in MiB, or what
// the Go runtime has now where the system does not tell.
func peakRSS() float64 {
	if data, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(data)) {
			var kb float64
			if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
				return kb / 1024
			}
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.Sys) / (1 << 20)
}
