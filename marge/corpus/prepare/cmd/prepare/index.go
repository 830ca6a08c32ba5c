package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/prepare"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// indexFlags are the flags of the command index, and of steps of an index.
type indexFlags struct {
	checkpoint, vectors       string
	chunk, maxChunks, threads int
	links                     index.LinkOptions
}

func (x *indexFlags) define(f *flag.FlagSet) {
	f.StringVar(&x.checkpoint, "checkpoint", "", "`directory` of a model or of its training, which encodes")
	f.IntVar(&x.chunk, "chunk", 0, "tokens of a chunk (default: those that the model was trained on)")
	f.IntVar(&x.maxChunks, "max-chunks", 0, "chunks of a document (default: all)")
	f.Float64Var(&x.links.Mono, "mono", 0, "links of a target with documents in its language")
	f.Float64Var(&x.links.Cross, "cross", 5, "links of a target with documents in other languages")
	f.BoolVar(&x.links.PerTarget, "per-target", true, "keep the best links of each target, not those of the shard")
	f.StringVar(&x.vectors, "vectors", index.Float32.String(), "how the index keeps vectors: float32, bfloat16 or int8")
	f.IntVar(&x.threads, "threads", 0, "threads that encode and link (default: the number of cores)")
}

func (x *indexFlags) options() (o prepare.IndexOptions, err error) {
	if x.links.Mono == 0 && x.links.Cross == 0 {
		return o, errors.New("prepare: -mono and -cross are both 0: there would be no links")
	}
	o = prepare.IndexOptions{
		Checkpoint: x.checkpoint, Chunks: corpus.BuildOptions{ChunkTokens: x.chunk, MaxChunks: x.maxChunks},
		Links: x.links, Backend: tensor.NewCPU(x.threads),
	}
	o.Vectors, err = index.ParsePrecision(x.vectors)
	return o, err
}

// makeIndex is the command index.
func makeIndex(ctx context.Context, args []string, out, messages io.Writer) error {
	f := flag.NewFlagSet("prepare index", flag.ContinueOnError)
	f.SetOutput(messages)
	f.Usage = func() {
		fmt.Fprintln(messages, "usage: prepare index -out DIRECTORY -checkpoint DIRECTORY [flags] SHARDS...")
		f.PrintDefaults()
	}
	var x indexFlags
	x.define(f)
	dir := f.String("out", "", "directory of the index")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" || x.checkpoint == "" || f.NArg() == 0 {
		f.Usage()
		return errors.New("prepare: -out, -checkpoint and files of shards are needed")
	}
	o, err := x.options()
	if err != nil {
		return err
	}
	o.Progress = (&display{out: messages, what: "documents"}).progress
	report, err := prepare.Index(ctx, *dir, f.Args(), o)
	if ctx.Err() != nil {
		return fmt.Errorf("prepare: stopped; the same command goes on: %w", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, report)
	return err
}
