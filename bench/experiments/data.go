package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/tokenizer"
)

// newsSeed is the seed of generated news, which are the same for all trainings.
const newsSeed = 1

func (e *env) training() iter.Seq2[corpus.Document, error] {
	if len(e.corpora) == 0 {
		return generated(news.Options{Seed: newsSeed, Events: e.events})
	}
	return corpus.Files(e.corpora, corpus.ReadOptions{})
}

func (e *env) evaluation() iter.Seq2[corpus.Document, error] {
	if len(e.evals) == 0 {
		return generated(news.Options{Seed: newsSeed, Events: e.heldoutEvents, First: news.FirstHeldOut})
	}
	return corpus.Files(e.evals, corpus.ReadOptions{})
}

func generated(o news.Options) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		for doc := range news.Documents(o) {
			if !yield(doc, nil) {
				return
			}
		}
	}
}

// dataKey names the documents and the vocabulary.
func (e *env) dataKey() (string, error) {
	if e.key != "" {
		return e.key, nil
	}
	var sums []string
	paths := slices.Concat(e.corpora, e.evals)
	if e.settings.Start != "" {
		dir, err := checkpointIn(e.settings.Start)
		if err != nil {
			return "", fmt.Errorf("-start: %w", err)
		}
		paths = append(paths, filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "tokenizer.json"))
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		sums = append(sums, hex.EncodeToString(h.Sum(nil)))
	}
	generatedEvents := [2]int{e.events, e.heldoutEvents}
	if len(e.corpora) > 0 {
		generatedEvents[0] = 0
	}
	if len(e.evals) > 0 {
		generatedEvents[1] = 0
	}
	var err error
	e.key, err = hashOf(len(e.corpora), sums, generatedEvents, e.settings.Vocabulary)
	return e.key, err
}

// dataDir is the directory of what is made of the documents.
func (e *env) dataDir() (string, error) {
	key, err := e.dataKey()
	return filepath.Join(e.out, "data", key), err
}

// tokenizer learns the vocabulary from the training documents, or reads that
// of an earlier experiment or of -start.
func (e *env) tokenizer() (tokenizer.Tokenizer, error) {
	dir, err := e.dataDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "tokenizer.json")
	if start := e.settings.Start; start != "" {
		if start, err = checkpointIn(start); err != nil {
			return nil, fmt.Errorf("-start: %w", err)
		}
		return tokenizer.Load(filepath.Join(start, "tokenizer.json"))
	}
	t, err := tokenizer.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	fmt.Fprintln(e.log, "training the tokenizer")
	languages := map[string]bool{}
	for _, docs := range []iter.Seq2[corpus.Document, error]{e.training(), e.evaluation()} {
		for doc, err := range docs {
			if err != nil {
				return nil, err
			}
			languages[doc.Lang] = true
		}
	}
	var failure error
	t, err = tokenizer.Train(func(yield func(string) bool) {
		for doc, err := range e.training() {
			if err != nil {
				failure = err
				return
			}
			if !yield(doc.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: e.settings.Vocabulary, Languages: slices.Sorted(maps.Keys(languages))})
	if err = errors.Join(failure, err, os.MkdirAll(dir, 0o777)); err != nil {
		return nil, err
	}
	return t, t.Save(path)
}

// store returns the chunks that a training with the given settings draws from.
func (e *env) store(ctx context.Context, t tokenizer.Tokenizer, s *settings) (*corpus.Store, error) {
	dir, err := e.dataDir()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, fmt.Sprintf("corpus-%d-%d-%s", s.Chunk, s.MaxChunks, s.Shards))
	store, err := corpus.Open(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return store, err
	}
	fmt.Fprintln(e.log, "tokenising the corpus")
	docs := e.training()
	if s.Shards == shardsRandom {
		if docs, err = e.resharded(); err != nil {
			return nil, err
		}
	}
	return corpus.Build(dir, func(yield func(corpus.Document, error) bool) {
		for doc, err := range docs {
			if err == nil {
				err = ctx.Err()
			}
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}, t, corpus.BuildOptions{ChunkTokens: s.Chunk, MaxChunks: s.MaxChunks})
}

// resharded returns the training documents in as many shards as they have, to
// which they belong by the hashes of their ids.
func (e *env) resharded() (iter.Seq2[corpus.Document, error], error) {
	shards := map[string]bool{}
	for doc, err := range e.training() {
		if err != nil {
			return nil, err
		}
		if doc.Shard == "" {
			doc.Shard = doc.Date
		}
		shards[doc.Shard] = true
	}
	return func(yield func(corpus.Document, error) bool) {
		for doc, err := range e.training() {
			h := fnv.New32a()
			io.WriteString(h, doc.ID)
			doc.Shard = strconv.Itoa(int(h.Sum32() % uint32(len(shards))))
			if !yield(doc, err) {
				return
			}
		}
	}, nil
}

// heldout are documents that no model is trained on.
type heldout struct {
	docs   []probe.Document // cut to the length of a chunk
	meta   []eval.Doc
	langs  []string
	tokens [][]int32 // cut to the length of a chunk
	all    [][]int32 // of whole documents
	texts  []string  // whole
	whole  []bool    // whether the document is no longer than a chunk
}

// heldout tokenises the held-out documents. Those in languages that the
// tokenizer has no token for are left out.
func (e *env) heldout(t tokenizer.Tokenizer) (*heldout, error) {
	if e.held != nil {
		return e.held, nil
	}
	h := &heldout{}
	skipped := map[string]int{}
	for doc, err := range e.evaluation() {
		if err != nil {
			return nil, err
		}
		if _, err := t.LanguageToken(doc.Lang); err != nil {
			skipped[doc.Lang]++
			continue
		}
		ids := t.Encode(doc.Text)
		cut := ids[:min(len(ids), e.settings.Chunk)]
		h.docs = append(h.docs, probe.Document{ID: doc.ID, Lang: doc.Lang, Group: doc.Group, Tokens: cut})
		h.meta = append(h.meta, eval.Doc{Lang: doc.Lang, Group: doc.Group})
		h.langs, h.tokens, h.all = append(h.langs, doc.Lang), append(h.tokens, cut), append(h.all, ids)
		h.texts, h.whole = append(h.texts, doc.Text), append(h.whole, len(cut) == len(ids))
	}
	if len(h.docs) == 0 {
		return nil, errors.New("there are no held-out documents in a language of the tokenizer")
	}
	if len(eval.Targets(h.meta, 1, 0)) == 0 {
		return nil, errors.New("no held-out document has a translation: a document of the same group in another language")
	}
	for lang, n := range skipped {
		fmt.Fprintf(e.log, "left out: %d held-out documents in %s, which the tokenizer has no token for\n", n, lang)
	}
	e.held = h
	return h, nil
}
