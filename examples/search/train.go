package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// trainedOn names the documents of a training that is not done yet.
const trainedOn = "documents.sha256"

// train makes the model of the index from its documents, unless it is there
// already. A training that was interrupted goes on if the documents are the
// same.
func (x *indexer) train(ctx context.Context, docs []corpus.Document, b tensor.Backend) error {
	model, dir := filepath.Join(x.out, modelName), filepath.Join(x.out, trainingName)
	if _, err := os.Stat(model); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	config := pretrained.Tiny()
	config.Backend = b
	if err := checkChunk(x.chunk, config); err != nil {
		return err
	}
	sum := sha256.New()
	for _, doc := range docs {
		fmt.Fprintf(sum, "%q\n", []string{doc.ID, doc.Lang, doc.Text, doc.Date, doc.Shard, doc.Source})
	}
	name, of := filepath.Join(dir, trainedOn), fmt.Sprintf("%x\n", sum.Sum(nil))
	was, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(was) != of {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		if err := osfile.WriteFile(name, []byte(of)); err != nil {
			return err
		}
	}
	x.show.Message("training a model on the documents for %v minutes; -checkpoint would use another", x.minutes)
	m, err := pretrained.Train(ctx, sharded(docs), pretrained.Options{
		Config: config, Minutes: x.minutes, Seed: 1, Links: links(docs), Dir: dir, Resume: true, Show: x.show,
	})
	if err != nil {
		return fmt.Errorf("train a model on the documents: %w", err)
	}
	if err := m.Save(model); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// shardCharacters is about how long the documents of a shard are together: some
// 20,000 chunks, which are compared with each other.
const shardCharacters = 8 << 20

// sharded gives shards to documents without one, and without a date, if they are
// too many for one shard. Documents whose last parts of path or id are equal, as
// those of translations often are, come into the same.
func sharded(docs []corpus.Document) []corpus.Document {
	n := ceil.Div(characters(docs), shardCharacters)
	if n <= 1 {
		return docs
	}
	docs = slices.Clone(docs)
	for i, doc := range docs {
		if doc.Shard == "" && doc.Date == "" {
			h := fnv.New32a()
			h.Write([]byte(doc.ID[strings.LastIndexAny(doc.ID, "/#")+1:]))
			docs[i].Shard = fmt.Sprint(h.Sum32() % uint32(n))
		}
	}
	return docs
}

// links says which documents a document is reconstructed from: the most similar
// ones in other languages and in its own, or in the only one that there is.
func links(docs []corpus.Document) index.LinkOptions {
	for _, doc := range docs {
		if doc.Lang != docs[0].Lang {
			return index.LinkOptions{Mono: 2, Cross: 4, PerTarget: true}
		}
	}
	return index.LinkOptions{Mono: 5, PerTarget: true}
}
