package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// leastChunk is the least number of tokens of a passage, those of a few words.
const leastChunk = 8

// An indexer is the command index.
type indexer struct {
	out        string
	checkpoint string
	minutes    float64
	chunk      int
	vectors    string
	source     source.Options
	files      []string
	backend    backends.Choice

	show *program.Display
	// batchBytes is about how long the documents are that are encoded at once, and
	// saveEvery how often what was encoded is saved. onSave, if not nil, is called
	// then.
	batchBytes int
	saveEvery  time.Duration
	onSave     func() error
}

func runIndex(ctx context.Context, args []string, _ io.Reader, out, messages io.Writer) error {
	x, err := newIndexer(args, out, messages)
	if err != nil {
		return err
	}
	return x.run(ctx)
}

func newIndexer(args []string, out, messages io.Writer) (*indexer, error) {
	x := &indexer{show: program.NewDisplay(messages), saveEvery: 30 * time.Second, batchBytes: 1 << 16}
	f := flag.NewFlagSet("index", flag.ContinueOnError)
	f.StringVar(&x.out, "out", "", "`directory` of the index, which is made or updated")
	f.StringVar(&x.checkpoint, "checkpoint", "", "`directory` of a model or of a training "+
		"(default: that of the index, or one that is trained on the files)")
	f.Float64Var(&x.minutes, "minutes", 5, "minutes to train for, without -checkpoint")
	f.IntVar(&x.chunk, "chunk", 0, "tokens of a passage at the most "+
		"(default: those of the index, or of the documents that the model was trained on)")
	f.StringVar(&x.vectors, "vectors", "", "float32, bfloat16 or int8: how vectors are kept; the latter two take half "+
		"the memory and a quarter (default: as in the index, or float32)")
	f.StringVar(&x.source.Lang, "lang", "", "language of documents that do not name theirs, "+
		"as in de or pt-BR (default: identified from the text)")
	f.BoolVar(&x.source.SkipBad, "skip-bad", false, "leave out files and lines that cannot be read instead of stopping")
	x.backend.Define(f)
	if err := parse(f, args, out); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case x.out == "":
		return nil, errors.New("-out is missing: the directory of the index")
	case f.NArg() == 0:
		return nil, errors.New("no files are given")
	case given["chunk"] && x.chunk < leastChunk:
		return nil, fmt.Errorf("-chunk %d: want at least %d", x.chunk, leastChunk)
	case !(x.minutes > 0 && x.minutes < 1e6):
		return nil, fmt.Errorf("-minutes %v: want more than 0 and less than a million", x.minutes)
	case given["minutes"] && x.checkpoint != "":
		return nil, errors.New("-minutes is for training, which -checkpoint replaces: leave out one of them")
	}
	if x.vectors != "" {
		if _, err := index.ParsePrecision(x.vectors); err != nil {
			return nil, fmt.Errorf("-vectors: %w", err)
		}
	}
	x.source.OnBad = func(err error) { x.show.Message("skipped: %v", err) }
	x.source.OnStats = func(file string, s source.Stats) { x.show.Message("%s: %v", file, s) }
	files, err := source.Expand(f.Args())
	if err != nil {
		return nil, err
	}
	if x.files, err = outside(x.out, files); err != nil {
		return nil, err
	}
	if len(x.files) == 0 {
		return nil, fmt.Errorf("all files are in -out %s", x.out)
	}
	return x, nil
}

// outside returns the files that are not in a directory.
func outside(dir string, files []string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(files, func(file string) bool {
		path, absErr := filepath.Abs(file)
		err = errors.Join(err, absErr)
		return strings.HasPrefix(path, dir+string(filepath.Separator))
	}), err
}

func (x *indexer) run(ctx context.Context) error {
	backend, err := x.backend.Open()
	if err != nil {
		return err
	}
	defer backend.Close()
	if err := os.MkdirAll(x.out, 0o777); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	release, err := osfile.Hold(filepath.Join(x.out, lockName))
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	defer release()
	docs, err := x.read(ctx)
	if err != nil {
		return err
	}
	s, m, err := x.model(ctx, docs, backend)
	if err != nil {
		return err
	}
	precision, err := index.ParsePrecision(cmp.Or(s.Vectors, index.Float32.String()))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(x.out, settingsName), err)
	}
	known, err := x.known(m, precision)
	if err != nil {
		return err
	}
	defer func() {
		for _, k := range known {
			k.Close()
		}
	}()
	if x.checkpoint != "" {
		if err := m.Save(filepath.Join(x.out, modelName)); err != nil {
			return err
		}
	}
	if err := s.write(x.out); err != nil {
		return err
	}
	return x.encode(ctx, m, s.ChunkTokens, precision, docs, known)
}

// read reads all documents.
func (x *indexer) read(ctx context.Context) (docs []corpus.Document, err error) {
	for doc, err := range source.Documents(ctx, x.files, x.source) {
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
		x.show.Progress(fmt.Sprintf("reading: %d documents", len(docs)))
	}
	if len(docs) == 0 {
		return nil, errors.New("the files have no document")
	}
	languages := map[string]int{}
	for _, doc := range docs {
		languages[doc.Lang]++
	}
	x.show.Message("%d documents of %d files in %d languages", len(docs), len(x.files), len(languages))
	return docs, nil
}

// model returns the model of the index and the settings that go with it.
func (x *indexer) model(
	ctx context.Context, docs []corpus.Document, b tensor.Backend,
) (s settings, m *marge.Model, err error) {
	s, err = readSettings(x.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, nil, fmt.Errorf("-out: %w", err)
	}
	path := filepath.Join(x.out, modelName)
	if x.checkpoint != "" {
		path = x.checkpoint
	} else if err := x.train(ctx, docs, b); err != nil {
		return s, nil, err
	}
	if m, err = pretrained.Load(path, b); err != nil {
		return s, nil, err
	}
	if x.chunk > 0 {
		s.ChunkTokens = x.chunk
	}
	s.Vectors = cmp.Or(x.vectors, s.Vectors)
	return s, m, checkChunk(s.ChunkTokens, m.Config)
}

// longest returns how many tokens a passage may have.
func longest(c marge.Config) int { return c.MaxPositionEmbeddings - 2 }

func checkChunk(chunk int, c marge.Config) error {
	if chunk > longest(c) {
		return fmt.Errorf("-chunk %d: the model takes %d tokens", chunk, longest(c))
	}
	return nil
}

// known opens what an earlier run of the same model has left, whole or not, but for
// vectors that have lost more than the precision asks for.
func (x *indexer) known(m *marge.Model, precision index.Precision) (known []*marge.Index, err error) {
	parts, err := x.parts()
	if err != nil {
		return nil, err
	}
	for _, path := range append(parts, filepath.Join(x.out, passagesName)) {
		k, err := marge.OpenIndex(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = k.Verify()
		}
		if err == nil && k.Precision() != index.Float32 && k.Precision() != precision {
			err = errors.Join(fmt.Errorf("%s has vectors as %v", path, k.Precision()), k.Close())
		}
		if err != nil {
			x.show.Message("%v: its passages are encoded anew", err)
			continue
		}
		known = append(known, k)
		if err := k.CheckModel(m); err != nil {
			return known, fmt.Errorf("%s: %w: give the -checkpoint that it was made with, or another -out", path, err)
		}
	}
	return known, nil
}

// parts returns the files of passages that were encoded and are not in the index
// yet.
func (x *indexer) parts() ([]string, error) {
	entries, err := os.ReadDir(x.out)
	var paths []string
	for _, e := range entries {
		if ok, _ := filepath.Match(partPattern, e.Name()); ok {
			paths = append(paths, filepath.Join(x.out, e.Name()))
		}
	}
	return paths, err
}

// encode writes the index of the documents. Vectors that are known are not
// computed again.
func (x *indexer) encode(
	ctx context.Context, m *marge.Model, chunk int, precision index.Precision, docs []corpus.Document,
	known []*marge.Index,
) error {
	all, err := m.NewIndex(ctx, nil, nil)
	if err == nil {
		all, err = all.As(precision)
	}
	if err != nil {
		return err
	}
	p := newPart(x, all, len(known))
	total, done, start := characters(docs), 0, time.Now()
	encoded := 0
	for batch := range x.batches(docs) {
		stats, err := all.Add(ctx, m, batch, marge.AddOptions{ChunkTokens: chunk, Reuse: known})
		if err == nil {
			err = p.add(stats)
		}
		if err != nil {
			return errors.Join(err, p.interrupted())
		}
		done, encoded = done+characters(batch), encoded+stats.Encoded
		left := time.Duration(float64(time.Since(start)) * float64(total-done) / float64(done))
		x.show.Progress(fmt.Sprintf("encoding: %3.0f%%  %d passages, %d of them new  ETA %v",
			100*float64(done)/float64(total), all.Len(), encoded, left.Round(time.Second)))
	}
	if err := all.Save(filepath.Join(x.out, passagesName)); err != nil {
		return err
	}
	x.show.Message("%s: %d passages, %d of them new", x.out, all.Len(), encoded)
	parts, err := x.parts()
	for _, path := range parts {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// batches cuts documents into groups of about batchBytes.
func (x *indexer) batches(docs []corpus.Document) iter.Seq[[]corpus.Document] {
	return func(yield func([]corpus.Document) bool) {
		for len(docs) > 0 {
			n, size := 0, 0
			for n < len(docs) && (n == 0 || size < x.batchBytes) {
				size += len(docs[n].Text)
				n++
			}
			if !yield(docs[:n]) {
				return
			}
			docs = docs[n:]
		}
	}
}

func characters(docs []corpus.Document) (n int) {
	for _, doc := range docs {
		n += utf8.RuneCountInString(doc.Text)
	}
	return n
}

// part is what of an index is not on disk yet: the passages from saved on, if
// some of them were computed.
type part struct {
	x      *indexer
	all    *marge.Index
	number int
	saved  int
	fresh  int
	since  time.Time
}

func newPart(x *indexer, all *marge.Index, number int) *part {
	return &part{x: x, all: all, number: number, since: time.Now()}
}

// add counts passages that were added to the index, and saves them from time to
// time.
func (p *part) add(stats marge.AddStats) error {
	if p.fresh += stats.Encoded; p.fresh == 0 {
		p.saved = p.all.Len()
	}
	if time.Since(p.since) < p.x.saveEvery {
		return nil
	}
	return p.save()
}

func (p *part) save() error {
	if p.fresh > 0 {
		path, err := p.next()
		if err == nil {
			err = p.all.Part(p.saved, p.all.Len()).Save(path)
		}
		if err != nil {
			return err
		}
	}
	p.saved, p.fresh, p.since = p.all.Len(), 0, time.Now()
	if p.x.onSave != nil {
		return p.x.onSave()
	}
	return nil
}

// next returns the name of the next part, which no file has.
func (p *part) next() (string, error) {
	for {
		p.number++
		path := filepath.Join(p.x.out, fmt.Sprintf(partFormat, p.number))
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
	}
}

// interrupted saves what there is and says how to go on.
func (p *part) interrupted() error {
	p.x.onSave = nil
	err := p.save()
	if err == nil {
		p.x.show.Message("what is encoded stays in %s: the same command goes on", p.x.out)
	}
	return err
}
