package prepare

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// readers are found by the end of a file's name, in small letters.
var readers = map[string]reader{
	".warc": warc, ".warc.gz": warc, ".wet": warc, ".wet.gz": warc,
	".xml": wiki, ".xml.bz2": wiki, ".parquet": parquetTable,
	".po": catalog(source.ReadPO), ".xlf": catalog(source.ReadXLIFF), ".xliff": catalog(source.ReadXLIFF),
	".tmx": catalog(source.ReadTMX),
	".txt": text, ".text": text, ".md": text, ".markdown": text, ".html": text, ".htm": text, ".xhtml": text,
}

// readerOf returns what reads a file, nil if its name does not tell.
func readerOf(path string) reader {
	if corpus.IsJSONLines(path) {
		return jsonLines
	}
	name := strings.ToLower(filepath.Base(path))
	if strings.HasSuffix(name, itemsSuffix) {
		return noDocuments
	}
	for i := strings.IndexByte(name, '.'); i >= 0; {
		if r := readers[name[i:]]; r != nil {
			return r
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return nil
}

const kinds = "*.jsonl, *.parquet, *.warc.gz, *.wet.gz, *.xml.bz2, *.po, *.xliff, *.tmx, *.txt, *.md, *.html " +
	"or in another spelling of these"

// Expand returns the files that patterns stand for, as [corpus.Expand] does,
// with the files of folders that Run reads:
//
//   - JSON Lines (*.jsonl, *.ndjson, *.json, plain or with .gz or .zst), see
//     [corpus.Read];
//   - Parquet (*.parquet), see [ReadParquet];
//   - web archives (*.warc, *.wet, plain or with .gz), see [source.ReadWARC];
//   - dumps of MediaWiki (*.xml, *.xml.bz2), see [source.ReadWiki]; where the table
//     *-page_props.sql.gz of the same wiki and day lies beside one, articles have the
//     item of Wikidata as Group, which those in other languages have too;
//   - translations (*.po, *.xlf, *.xliff, *.tmx), see [source.ReadPO],
//     [source.ReadXLIFF] and [source.ReadTMX];
//   - text, Markdown and HTML, see [source.Documents].
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
	report := o.OnBad
	o.OnBad = func(err error) {
		c.Unread = count(c.Unread, "bad files", 1)
		report(err)
	}
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

func warc(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	return records(path, c, func(f *os.File) (source.Stats, error) {
		return source.ReadWARC(ctx, path, f, source.WARCOptions{Options: o.Options}, fn)
	})
}

func wiki(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
	group, err := o.items.group(ctx, path)
	if err != nil {
		return err
	}
	return records(path, c, func(f *os.File) (source.Stats, error) {
		return source.ReadWiki(ctx, path, f, source.WikiOptions{Options: o.Options, Group: group}, fn)
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

// catalog returns the reader of a kind of files of translations.
func catalog(
	read func(
		context.Context, string, io.Reader, source.CatalogOptions, func(corpus.Document) error,
	) (source.Stats, error),
) reader {
	return func(ctx context.Context, path string, o readOptions, c *Counts, fn func(corpus.Document) error) error {
		return records(path, c, func(f *os.File) (source.Stats, error) {
			return read(ctx, path, f, source.CatalogOptions{Options: o.Options}, fn)
		})
	}
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
// counted; what no reader can begin with, such as a dump without a head, too.
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
