// Ranks measures how well ranks share a training: the time of an update on several
// against that on one, which makes the same update from all replicas, one after the
// other. The efficiency is the share of the time in which ranks compute.
//
//	go run ./bench/ranks                    two ranks in this process, which divide its processors
//	go run ./bench/ranks -size small -json
//	go build -tags mpi ./bench/ranks && mpirun --bind-to none -np 2 ./ranks -dist mpi
//
// Run it on a machine that does nothing else. One rank computes with as many threads as
// each of several has; on one machine their memory is shared, which is counted as loss.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/mpi"
	"github.com/marge-go/marge/tensor"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "ranks: %v\n", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	ranks, threads, replicas, steps, rounds, tokens int
	size, transport                                 string
	short, json                                     bool
}

// result is what the program prints.
type result struct {
	ISA        string    `json:"isa"`
	Size       string    `json:"size"`
	Ranks      int       `json:"ranks"`
	Threads    int       `json:"threads_of_a_rank"`
	Replicas   int       `json:"replicas"`
	Transport  string    `json:"transport"`
	BFloat16   bool      `json:"bfloat16_gradients"`
	Alone      []float64 `json:"alone_seconds"` // of an update, of each round
	Together   []float64 `json:"together_seconds"`
	Efficiency float64   `json:"efficiency"` // of the medians
}

func run(args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("ranks", flag.ContinueOnError)
	f.IntVar(&o.ranks, "ranks", 2, "ranks in this process; with -dist mpi the launcher says how many")
	f.IntVar(&o.threads, "threads", 0, "threads of a rank (default: the processors, divided by the ranks)")
	f.IntVar(&o.replicas, "replicas", 0, "batches of an update (default: one for each rank)")
	f.IntVar(&o.steps, "steps", 5, "updates that are measured in a round, after two that are not")
	f.IntVar(&o.rounds, "rounds", 3, "rounds: one rank, then all")
	f.IntVar(&o.tokens, "batch-tokens", 2048, "tokens of a batch")
	f.StringVar(&o.size, "size", "base", "size of the model: tiny, small, base or paper")
	f.StringVar(&o.transport, "dist", "local", "how ranks exchange: local, or mpi in a program with that tag")
	f.BoolVar(&o.short, "bfloat16-gradients", false, "exchange gradients in bfloat16")
	f.BoolVar(&o.json, "json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	if _, ok := marge.Presets()[o.size]; !ok || f.NArg() > 0 {
		return fmt.Errorf("-size %q, arguments %q: want a size of the model, and no argument", o.size, f.Args())
	}
	if min(o.ranks, o.steps, o.rounds, o.tokens) < 1 || min(o.threads, o.replicas) < 0 {
		return errors.New("-ranks, -steps, -rounds and -batch-tokens want at least 1, and no flag is negative")
	}
	var transports []dist.Transport // of the ranks in this process
	switch o.transport {
	case "local":
		transports = dist.Local(o.ranks)
	case "mpi":
		t, err := mpi.Open()
		if err != nil {
			return err
		}
		o.ranks, transports = t.Size(), []dist.Transport{t}
	default:
		return fmt.Errorf("-dist %q, want local or mpi", o.transport)
	}
	if o.threads == 0 {
		o.threads = max(1, runtime.NumCPU()/len(transports))
	}
	if o.replicas == 0 {
		o.replicas = o.ranks
	}
	results, errs := make([]*result, len(transports)), make([]error, len(transports))
	var running sync.WaitGroup
	for i, t := range transports {
		running.Go(func() {
			g, err := dist.New(t, dist.Options{})
			if err == nil {
				results[i], err = o.measure(g)
				err = errors.Join(err, g.Close())
			}
			errs[i] = err
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if transports[0].Rank() > 0 {
		return nil
	}
	return results[0].print(out, o.json)
}

func (r *result) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%s, %s, %d ranks of %d threads, %s: an update of %d batches takes %.3f s on one rank, "+
		"%.3f s on all: efficiency %.1f%%\n", r.Size, r.ISA, r.Ranks, r.Threads, r.Transport, r.Replicas, median(r.Alone),
		median(r.Together), 100*r.Efficiency)
	return err
}

// measure trains in turns on rank 0 alone and on all.
func (o *options) measure(g *dist.Group) (*result, error) {
	if _, _, err := g.Share(o.replicas); err != nil {
		return nil, fmt.Errorf("-replicas: %w", err)
	}
	tok, store, err := data(marge.Presets()[o.size])
	if err != nil {
		return nil, err
	}
	r := &result{
		ISA: asm.Current().String(), Size: o.size, Ranks: g.Size(), Threads: o.threads, Replicas: o.replicas,
		Transport: o.transport, BFloat16: o.short,
	}
	ctx := context.Background()
	for range o.rounds {
		err := g.Lead(ctx, func(ctx context.Context) error {
			seconds, err := o.train(ctx, nil, tok, store)
			r.Alone = append(r.Alone, seconds)
			return err
		})
		if err != nil {
			return nil, err
		}
		seconds, err := o.train(ctx, g, tok, store)
		if err != nil {
			return nil, err
		}
		r.Together = append(r.Together, seconds)
	}
	if g.Rank() == 0 {
		r.Efficiency = median(r.Alone) / median(r.Together) / float64(r.Ranks)
	}
	return r, nil
}

const warmUp = 2 // updates

// train returns the seconds of an update, on rank 0.
func (o *options) train(
	ctx context.Context, g *dist.Group, tok tokenizer.Tokenizer, store *corpus.Store,
) (float64, error) {
	cpu := tensor.NewCPU(o.threads)
	defer cpu.Close()
	c := marge.Presets()[o.size]
	c.Backend = cpu
	m, err := marge.New(c)
	if err != nil {
		return 0, err
	}
	m.Tokenizer = tok
	var began time.Time
	var seconds float64
	_, err = marge.Pretrain(ctx, m, store, marge.PretrainOptions{
		Objective: marge.Denoise, Steps: warmUp + o.steps, Replicas: o.replicas, BatchTokens: o.tokens, Seed: 1, Group: g,
		BFloat16Gradients: o.short,
		OnStep: func(s marge.Metrics) error {
			if s.Step == warmUp {
				began = time.Now()
			}
			seconds = time.Since(began).Seconds() / float64(o.steps)
			return nil
		},
	})
	return seconds, err
}

// data returns generated news, in long chunks.
func data(c marge.Config) (tokenizer.Tokenizer, *corpus.Store, error) {
	docs := slices.Collect(news.Documents(news.Options{Events: 1000, Seed: 1}))
	tok, err := tokenizer.Train(func(yield func(string) bool) {
		for _, d := range docs[:min(len(docs), 500)] {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: min(2000, c.VocabSize), Languages: news.Languages()})
	if err != nil {
		return nil, nil, err
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 120})
	return tok, store, err
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
