package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/tokenizer"
)

// data is what a run trains and evaluates on.
type data struct {
	tokenizer tokenizer.Tokenizer
	store     *corpus.Store
	heldout   evaluation
}

// documents are those of files, or generated ones.
type documents struct {
	sources []corpus.Source
	all     func() iter.Seq2[corpus.Document, error]
	close   func() error
}

// openFiles opens files to be read several times. Bad lines that are skipped
// are reported the first time.
func (o *options) openFiles(ctx context.Context, patterns []string) (*documents, error) {
	input, err := corpus.OpenInput(ctx, patterns, o.out)
	if err != nil {
		return nil, err
	}
	sources, err := input.Sources(ctx)
	if err != nil {
		return nil, errors.Join(err, input.Close())
	}
	passes := 0
	all := func() iter.Seq2[corpus.Document, error] {
		passes++
		if passes == 1 {
			return o.reporting(ctx, input)
		}
		return input.Documents(ctx, corpus.ReadOptions{SkipBad: o.skipBad})
	}
	return &documents{sources, all, input.Close}, nil
}

// reporting returns the documents of an input and reports what is skipped.
func (o *options) reporting(ctx context.Context, input *corpus.Input) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		var stats corpus.ReadStats
		onBad := func(e *corpus.LineError) {
			stats.Skipped++
			stats.Reasons[e.Reason]++
			fmt.Fprintln(os.Stderr, "skipped:", e)
		}
		for doc, err := range input.Documents(ctx, corpus.ReadOptions{SkipBad: o.skipBad, OnBad: onBad}) {
			if !yield(doc, err) {
				break
			}
			stats.Documents++
		}
		if stats.Skipped > 0 {
			fmt.Fprintln(os.Stderr, stats)
		}
	}
}

// generate returns generated news.
func generate(ctx context.Context, n news.Options) *documents {
	name := fmt.Sprintf("generated news, seed %d, events %d to %d", n.Seed, n.First, n.First+n.Events-1)
	all := func() iter.Seq2[corpus.Document, error] {
		return func(yield func(corpus.Document, error) bool) {
			for doc := range news.Documents(n) {
				if !yield(doc, ctx.Err()) || ctx.Err() != nil {
					return
				}
			}
		}
	}
	return &documents{[]corpus.Source{{Name: name}}, all, func() error { return nil }}
}

// openTraining opens the documents to train on.
func (o *options) openTraining(ctx context.Context) (*documents, error) {
	if len(o.corpora) == 0 {
		return generate(ctx, news.Options{Seed: o.seed, Events: o.events}), nil
	}
	return o.openFiles(ctx, o.corpora)
}

// openHeldout opens the documents to evaluate on, or returns nil.
func (o *options) openHeldout(ctx context.Context) (*documents, error) {
	switch {
	case len(o.evals) > 0:
		return o.openFiles(ctx, o.evals)
	case len(o.corpora) > 0:
		return nil, nil
	}
	return generate(ctx, news.Options{Seed: o.seed, Events: o.heldoutEvents, First: news.FirstHeldOut}), nil
}

// prepare makes the tokenizer and the tokenised corpus in the output
// directory, or opens those that an earlier run made of the same.
func prepare(ctx context.Context, o *options) (d *data, err error) {
	train, err := o.openTraining(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, train.close()) }()
	heldout, err := readHeldout(ctx, o)
	if err != nil {
		return nil, err
	}
	d = &data{}
	if d.tokenizer, err = o.tokenizer(train, heldout); err != nil {
		return nil, err
	}
	if d.heldout, err = o.evaluation(heldout, d.tokenizer); err != nil {
		return nil, err
	}
	if d.store, err = o.store(train, d.tokenizer); err != nil {
		return nil, err
	}
	fmt.Printf("corpus: %d documents, %d chunks, %d tokens, %d shards, %d languages\n",
		d.store.Documents(), d.store.Len(), d.store.TotalTokens(), len(d.store.Shards()), len(d.store.Langs()))
	return d, nil
}

func readHeldout(ctx context.Context, o *options) (docs []corpus.Document, err error) {
	from, err := o.openHeldout(ctx)
	if from == nil || err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	for doc, err := range from.all() {
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// tokenizer trains a tokenizer, or loads the one that was trained on the same. With
// -init-from it is that of the model.
func (o *options) tokenizer(train *documents, heldout []corpus.Document) (tokenizer.Tokenizer, error) {
	if o.initial != nil {
		return o.initial.Tokenizer, nil
	}
	languages := map[string]bool{}
	for _, doc := range heldout {
		languages[doc.Lang] = true
	}
	made := madeFrom{
		Sources: train.sources, SkipBad: o.skipBad,
		HeldoutLanguages: slices.Sorted(maps.Keys(languages)), VocabSize: marge.Presets()[o.config].VocabSize,
		// A training may go on with other documents to evaluate on.
		anyHeldout: len(o.checkpoints()) > 0,
	}
	path := filepath.Join(o.out, "tokenizer.json")
	t, difference, err := loadTokenizer(path, made)
	if err != nil {
		return nil, err
	}
	if difference != nil {
		if err := o.mayReplace(path, difference); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	} else if t != nil {
		return t, nil
	} else if len(o.checkpoints()) > 0 {
		return nil, fmt.Errorf("%s is missing: the training in %s began with -init-from, which must be given again, "+
			"or the file was removed", path, o.out)
	}
	fmt.Println("training the tokenizer")
	trained, err := corpus.Languages(train.all())
	if err != nil {
		return nil, err
	}
	for _, lang := range trained {
		languages[lang] = true
	}
	var failure error
	t, err = tokenizer.Train(corpus.Texts(train.all(), &failure), tokenizer.TrainOptions{
		VocabSize: made.VocabSize, Languages: slices.Sorted(maps.Keys(languages)),
	})
	if err := errors.Join(failure, err); err != nil {
		return nil, err
	}
	return t, saveTokenizer(path, t, made)
}

// store tokenises the corpus, or opens the store of the same.
func (o *options) store(train *documents, t tokenizer.Tokenizer) (*corpus.Store, error) {
	dir := filepath.Join(o.out, "corpus")
	build := corpus.BuildOptions{ChunkTokens: o.chunk, MaxChunks: o.maxChunks, Sources: train.sources}
	wanted, err := corpus.ProvenanceOf(t, build)
	if err != nil {
		return nil, err
	}
	store, err := corpus.Open(dir)
	if err == nil {
		difference := store.Provenance().Check(wanted)
		if difference == nil {
			return store, nil
		}
		if err := errors.Join(o.mayReplace(dir, difference), store.Close()); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	fmt.Println("tokenising the corpus")
	return corpus.Build(dir, train.all(), t, build)
}

// mayReplace tells that what an earlier run left at path differs from what is
// wanted now, or returns an error if a checkpoint depends on it.
func (o *options) mayReplace(path string, difference error) error {
	if len(o.checkpoints()) > 0 {
		return fmt.Errorf("the training in %s cannot go on with other data: %s: %w; "+
			"give the flags and files that it was started with, or another -out", o.out, path, difference)
	}
	fmt.Fprintf(os.Stderr, "%s is made anew: %v\n", path, difference)
	return nil
}

// checkpoints returns the paths of the checkpoints in the output directory.
func (o *options) checkpoints() []string { return program.Checkpoints(o.out) }

// evaluation returns the documents to evaluate on, the first chunk of each.
func (o *options) evaluation(docs []corpus.Document, t tokenizer.Tokenizer) (evaluation, error) {
	e := evaluation{seed: o.seed}
	for _, doc := range docs {
		if _, err := t.LanguageToken(doc.Lang); err != nil {
			return e, fmt.Errorf("-eval: %s: %w", doc.ID, err)
		}
		ids := t.Encode(doc.Text)
		seen := doc.Text
		if len(ids) > o.chunk {
			ids = ids[:o.chunk]
			seen = strings.ToValidUTF8(t.Decode(ids), "") + " [...]"
		}
		e.docs = append(e.docs, probe.Document{ID: doc.ID, Lang: doc.Lang, Group: doc.Group, Tokens: ids})
		e.seen = append(e.seen, seen)
	}
	err := e.heldout(probeTargets, nil).Check()
	if missing := (*eval.NotEvaluatedError)(nil); errors.As(err, &missing) {
		e.missing, err = missing.Reason, nil
	}
	if len(o.corpora) > 0 && len(o.evals) == 0 {
		e.missing = "there is no -eval, and with -corpus no generated documents are held out"
	}
	return e, err
}
