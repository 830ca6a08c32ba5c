package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/tokenizer"
)

// data is what a run trains and evaluates on.
type data struct {
	tokenizer *tokenizer.Tokenizer
	store     *corpus.Store
	heldout   evaluation
}

// prepare makes the tokenizer and the tokenised corpus in the output
// directory, or opens those that an interrupted run left there.
func prepare(ctx context.Context, o *options) (*data, error) {
	d := &data{}
	vocabulary, dir := filepath.Join(o.out, "tokenizer.json"), filepath.Join(o.out, "corpus")
	var err error
	if d.tokenizer, err = tokenizer.Load(vocabulary); errors.Is(err, fs.ErrNotExist) {
		d.tokenizer, err = trainTokenizer(ctx, o)
		if err == nil {
			err = d.tokenizer.Save(vocabulary)
		}
	}
	if err != nil {
		return nil, err
	}
	if d.store, err = corpus.Open(dir); errors.Is(err, fs.ErrNotExist) {
		fmt.Println("tokenising the corpus")
		d.store, err = corpus.Build(dir, training(ctx, o), d.tokenizer, corpus.BuildOptions{ChunkTokens: o.chunk, MaxChunks: o.maxChunks})
	}
	if err != nil {
		return nil, err
	}
	fmt.Printf("corpus: %d documents, %d chunks, %d tokens, %d shards, %d languages\n",
		d.store.Documents(), d.store.Len(), d.store.TotalTokens(), len(d.store.Shards()), len(d.store.Langs()))
	if d.heldout, err = heldout(ctx, o, d.tokenizer); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

// training returns the documents to train on.
func training(ctx context.Context, o *options) iter.Seq2[corpus.Document, error] {
	if len(o.corpora) == 0 {
		return generated(ctx, news.Options{Seed: o.seed, Events: o.events})
	}
	return read(ctx, o, o.corpora)
}

func generated(ctx context.Context, n news.Options) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for doc := range news.Documents(n) {
			if !yield(doc, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// read streams documents from files; it reports what it skips.
func read(ctx context.Context, o *options, paths []string) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		var stats corpus.ReadStats
		for doc, err := range corpus.Files(paths, corpus.ReadOptions{
			SkipBad: o.skipBad,
			OnBad: func(e *corpus.LineError) {
				stats.Skipped++
				stats.Reasons[e.Reason]++
				fmt.Fprintln(os.Stderr, "skipped:", e)
			},
		}) {
			if err == nil {
				err = ctx.Err()
			}
			if !yield(doc, err) || err != nil {
				break
			}
			stats.Documents++
		}
		if stats.Skipped > 0 {
			fmt.Fprintln(os.Stderr, stats)
		}
	}
}

func trainTokenizer(ctx context.Context, o *options) (*tokenizer.Tokenizer, error) {
	fmt.Println("training the tokenizer")
	languages := map[string]bool{}
	var failure error
	for doc, err := range training(ctx, o) {
		if err != nil {
			return nil, err
		}
		languages[doc.Lang] = true
	}
	for doc, err := range evaluationDocuments(ctx, o) {
		if err != nil {
			return nil, err
		}
		languages[doc.Lang] = true
	}
	var names []string
	for lang := range languages {
		names = append(names, lang)
	}
	slices.Sort(names)
	t, err := tokenizer.Train(func(yield func(string) bool) {
		for doc, err := range training(ctx, o) {
			if err != nil {
				failure = err
				return
			}
			if !yield(doc.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: marge.Presets()[o.config].VocabSize, Languages: names})
	return t, errors.Join(failure, err)
}

func evaluationDocuments(ctx context.Context, o *options) iter.Seq2[corpus.Document, error] {
	if len(o.evals) > 0 {
		return read(ctx, o, o.evals)
	}
	if len(o.corpora) > 0 {
		return func(func(corpus.Document, error) bool) {}
	}
	return generated(ctx, news.Options{Seed: o.seed, Events: o.heldoutEvents, First: news.FirstHeldOut})
}

// heldout returns the documents to evaluate on, the first chunk of each.
func heldout(ctx context.Context, o *options, t *tokenizer.Tokenizer) (evaluation, error) {
	e := evaluation{seed: o.seed}
	for doc, err := range evaluationDocuments(ctx, o) {
		if err != nil {
			return e, err
		}
		if _, err := t.LanguageToken(doc.Lang); err != nil {
			return e, fmt.Errorf("%s: %w", doc.ID, err)
		}
		ids := t.Encode(doc.Text)
		e.docs = append(e.docs, probe.Document{ID: doc.ID, Lang: doc.Lang, Group: doc.Group, Tokens: ids[:min(len(ids), o.chunk)]})
		e.texts = append(e.texts, doc.Text)
	}
	return e, nil
}
