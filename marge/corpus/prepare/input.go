package prepare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// A reader reads the documents of a file. It counts what is no document.
type reader func(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error

// readOptions say how files are read.
type readOptions struct {
	source.Options
	items *itemTables
}

// readerOf returns what reads a file, nil if its name does not tell. The formats
// that are not told here are those of package source.
func readerOf(path string) reader {
	name := strings.ToLower(filepath.Base(path))
	switch {
	case corpus.IsJSONLines(path):
		return jsonLines
	case strings.HasSuffix(name, itemsSuffix):
		return noDocuments
	case strings.HasSuffix(name, ".parquet"):
		return parquetTable
	case source.IsRecords(path), strings.HasSuffix(name, ".xml"): // of which the first bytes tell more
		return recordsOf
	case source.IsText(path):
		return text
	}
	return nil
}

const kinds = "*.jsonl, *.parquet, *.warc.gz, *.wet.gz, *.xml.bz2, *.po, *.xliff, *.tmx, *.txt, *.md, *.html, " +
	"in another spelling of these, or as a side of a parallel corpus, such as Europarl.de-en.de"

// Expand returns the files that patterns stand for, as [corpus.Expand] does,
// with the files of folders that Run reads:
//
//   - JSON Lines (*.jsonl, *.ndjson, *.json, plain or with .gz or .zst), see
//     [corpus.Read];
//   - Parquet (*.parquet), see [ReadParquet];
//   - files of records by their names ([source.IsRecords]): web archives, dumps of
//     MediaWiki, translations; and *.xml if it is one of these ([source.ReadRecords]);
//   - text, Markdown and HTML ([source.IsText]), see [source.Documents].
//
// Where the table *-page_props.sql.gz of the same wiki and day lies beside a dump, or
// beside its parts, articles have the item of Wikidata as Group, which those in other
// languages have too.
func Expand(patterns []string) ([]string, error) {
	files, err := corpus.ExpandFunc(patterns, func(name string) bool { return readerOf(name) != nil }, kinds)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if readerOf(file) == nil {
			return nil, fmt.Errorf("prepare: %s is not named %s", file, kinds)
		}
	}
	return withItems(files)
}

// An Input is a file to read.
type Input struct {
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"`
	Modified int64  `json:"modified"` // nanoseconds since 1970
}

// statInputs describes files, which are told from others when a run goes on.
func statInputs(paths []string) ([]Input, error) {
	inputs := make([]Input, 0, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", path)
		}
		if err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
		inputs = append(inputs, Input{path, info.Size(), info.ModTime().UnixNano()})
	}
	return inputs, nil
}

// splits groups files, so that each group is worth a task. A file is not cut.
func splits(inputs []Input, bytes int64) (groups [][]Input) {
	const most = 1000 // files
	size := int64(0)
	for i, in := range inputs {
		if i == 0 || size+in.Bytes > bytes || len(groups[len(groups)-1]) == most {
			groups = append(groups, nil)
			size = 0
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], in)
		size += in.Bytes
	}
	return groups
}

func jsonLines(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := corpus.ReadOptions{SkipBad: true, OnBad: func(e *corpus.LineError) {
		if e.Reason == corpus.Damaged {
			c.Damaged++
		} else {
			c.Unread = count(c.Unread, e.Reason.String(), 1)
		}
		o.OnBad(e)
	}}
	_, err = corpus.ReadFrom(path, f, lines, fn)
	return err
}

func text(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	o.SkipBad = false // the error is that of the only file, and readAll's to judge
	for doc, err := range source.Documents(ctx, []string{path}, o.Options) {
		if err == nil {
			err = fn(doc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordsOf reads a file of records of a format that package source knows.
func recordsOf(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	var err error
	if o.WikiGroup, err = o.items.group(ctx, path); err != nil {
		return err
	}
	return records(path, c, func(f *os.File) (source.Stats, error) {
		return source.ReadRecords(ctx, path, f, o.Options, fn)
	})
}

func parquetTable(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	return records(path, c, func(f *os.File) (source.Stats, error) {
		info, err := f.Stat()
		if err != nil {
			return source.Stats{}, err
		}
		return ReadParquet(ctx, path, f, info.Size(), ParquetOptions{Options: o.Options}, fn)
	})
}

// records counts what a reader of records found.
func records(path string, c *Counts, read func(f *os.File) (source.Stats, error)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	stats, err := read(f)
	for reason, n := range stats.Dropped {
		if n > 0 {
			c.Unread = count(c.Unread, source.Reason(reason).String(), n)
		}
	}
	c.Damaged += stats.Damaged
	c.LostBytes += stats.LostBytes
	return err
}

// readAll reads files and calls fn with their documents. What is damaged is
// counted; what no reader can begin with, such as a dump without a head or text
// that is none, is a bad file. What the system cannot open or read ends it.
func readAll(ctx context.Context, inputs []Input, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	o.SkipBad, o.OnBad = true, func(err error) { c.addError(err.Error()) }
	var stopped error // of fn
	for _, in := range inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := readerOf(in.Path)(ctx, in.Path, o, c, func(doc corpus.Document) error {
			if stopped = ctx.Err(); stopped == nil {
				c.Read++
				stopped = fn(doc)
			}
			return stopped
		})
		if stopped != nil {
			return stopped
		}
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			return err // of the system: another run may succeed
		}
		if errors.As(err, new(tableError)) {
			return err
		}
		if err != nil {
			c.Unread = count(c.Unread, "bad files", 1)
			o.OnBad(err)
		}
	}
	return nil
}
