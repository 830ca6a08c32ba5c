// Pretrain trains a MARGE model from random weights, or from those of an mBART, and
// shows what it has learnt.
//
//	go run ./examples/pretrain
//
// trains the smallest size for about five minutes on generated news reports in
// several languages, then prints how well it finds the report of the same
// event in another language, how much retrieved evidence helps to reconstruct
// a report, and three reconstructions, and writes a plot. What is measured on
// the way goes to metrics.jsonl in -out, and to files that TensorBoard shows
// (tensorboard --logdir runs). With -corpus it trains on documents of your own,
// in JSON Lines, and with -eval it evaluates on held-out ones. With -init-from it goes
// on from an mBART in the form of Hugging Face's transformers, with its tokenizer. With
// -dist mpi several processes train one model, see package nn/dist/mpi.
//
// A run that is interrupted (Ctrl-C, SIGTERM, SIGHUP) leaves a checkpoint, from
// which the same command with -resume goes on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/marge-go/marge/examples/internal/curves"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/nn"
)

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fail(err)
	}
	ctx, stop := program.Interrupted()
	defer stop()
	if err := run(ctx, o); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, message(err))
	os.Exit(1)
}

// message begins with the name of the program, once: errors of marge.Pretrain
// begin with that of the function, which is the same.
func message(err error) string {
	return "pretrain: " + strings.TrimPrefix(err.Error(), "pretrain: ")
}

func run(ctx context.Context, o *options) (err error) {
	ranks, err := o.join()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ranks.Close()) }()
	backend, err := o.backend.Open()
	if err != nil {
		return err
	}
	defer backend.Close()
	release := func() {}
	defer func() { release() }()
	err = ranks.Lead(ctx, func(context.Context) error {
		held, err := program.OpenOut(o.out, "pretrain", o.resume, o.out)
		if err == nil {
			release = held
		}
		return err
	})
	if err != nil {
		return err
	}
	show := program.NewDisplay(os.Stderr)
	if warning := o.untrained(); warning != "" && ranks.Rank() == 0 {
		show.Message("warning: %s", warning)
	}
	d, err := prepareOn(ctx, ranks, o, backend)
	if err != nil {
		return err
	}
	defer d.store.Close()
	var m *marge.Model
	var training marge.PretrainOptions
	err = ranks.Together(ctx, func(context.Context) (err error) {
		if m, err = o.newModel(d, backend); err != nil {
			return err
		}
		training, err = o.training(d.store)
		return err
	})
	if err != nil {
		return err
	}
	training.Group = ranks
	fmt.Printf("model %s: %d parameters, learning rate %v\n", o.model(), nn.Count(m.Parameters()), o.lr)

	var random *eval.Report
	finish := func() error { return nil }
	err = ranks.Lead(ctx, func(ctx context.Context) (err error) {
		if o.retrieves() {
			if random, err = d.heldout.random(ctx, m); err != nil {
				return err
			}
		}
		log, err := newProgress(ctx, o, show, m, d)
		if err != nil {
			return err
		}
		training.OnStep, training.OnIndex, training.OnWarning = log.step, log.index, log.warn
		finish = log.monitor.Close
		return nil
	})
	if err != nil {
		return err
	}
	stats, err := marge.Pretrain(ctx, m, d.store, training)
	show.End()
	if err := errors.Join(err, finish()); err != nil {
		if stats.Checkpoint != "" {
			show.Message("checkpoint: %s (the same flags with -resume -out %s go on from it)", stats.Checkpoint, o.out)
		}
		return err
	}
	fmt.Printf("trained %v\n", stats)
	return ranks.Lead(ctx, func(ctx context.Context) error { return report(ctx, o, m, d, random, stats, show) })
}

// training returns the options of the library for those of the program, without
// callbacks.
func (o *options) training(store *corpus.Store) (marge.PretrainOptions, error) {
	p := marge.PretrainOptions{
		Objective: marge.Objective(o.objective), Steps: o.steps, TargetTokens: int64(o.tokens), Seed: o.seed,
		Dir: o.out, Resume: o.resume, LearningRate: o.lr, BatchTokens: o.batchTokens, Accumulate: o.accumulate,
		Replicas: o.replicas, BFloat16Gradients: o.bfloat16, CheckpointEvery: o.checkpoint,
	}
	if o.retrieves() {
		p.Links = index.LinkOptions{Mono: o.mono, Cross: o.cross, PerTarget: o.perTarget}
		p.TFIDFSteps, p.IndexEvery = o.tfidf, o.indexEvery
		if o.tfidf == 0 {
			p.TFIDFSteps = -1
		}
	}
	if p.Objective.UsesPairs() {
		if p.Pairs = store.KnownPairs(); len(p.Pairs) == 0 {
			return p, fmt.Errorf("-objective %s learns from known translations, and the corpus has none: "+
				"no group has documents in two languages", o.objective)
		}
	}
	if o.steps == 0 && o.tokens == 0 {
		p.Duration = time.Duration(o.minutes * float64(time.Minute))
	}
	return p, nil
}

// report evaluates the trained model and leaves what is known in result.json
// and curves.png, also if the evaluation is interrupted.
func report(
	ctx context.Context, o *options, m *marge.Model, d *data, random *eval.Report,
	stats marge.PretrainStats, show *program.Display,
) error {
	r := newResult(o, m, stats)
	final := func() (*probe.Measurement, error) { return d.heldout.final(ctx, m, random, r, show) }
	if !o.retrieves() {
		final = func() (*probe.Measurement, error) { return nil, d.heldout.layers(ctx, m, r) }
	}
	measured, failure := final()
	if failure == nil {
		r.print(os.Stdout)
	}
	if measured != nil {
		failure = d.heldout.samples(ctx, os.Stdout, m, measured, 3)
	}
	plot := filepath.Join(o.out, "curves.png")
	if err := curves.Draw(plot, o.out); err != nil {
		failure = errors.Join(failure, err)
	} else {
		fmt.Printf("\nplot: %s\n", plot)
	}
	return errors.Join(failure, r.write(filepath.Join(o.out, "result.json"), o.json, os.Stdout))
}
