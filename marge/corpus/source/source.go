// Package source reads documents from the files that people have. It finds out
// the encoding and the language of files that do not tell.
//
// Documents reads folders of JSON Lines, plain text, Markdown, HTML, and the
// files of records below:
//
//	files, err := source.Expand([]string{"manuals", "news.jsonl.gz"})
//	for doc, err := range source.Documents(ctx, files, source.Options{}) {
//		...
//	}
//
// Large collections are files of records, which are streamed: web archives
// (ReadWARC), dumps of MediaWiki (ReadWiki) with the groups of their articles
// (ReadPageProps, ReadLangLinks), catalogs of translations (ReadPO, ReadXLIFF,
// ReadTMX) and parallel corpora (ReadMoses). Each reader passes documents on, and
// counts what it drops, and why, and what is lost where a file is damaged:
//
//	stats, err := source.ReadWARC(ctx, name, file, source.WARCOptions{}, func(doc corpus.Document) error {
//		...
//	})
package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// MaxFileBytes is the length of the longest file of text, Markdown or HTML that
// Documents accepts. Files of JSON Lines may have any length.
const MaxFileBytes = 64 << 20

// Undetermined is the language tag of a document whose language is not known
// (ISO 639-2).
const Undetermined = "und"

// A format turns the bytes of a file into a text. lang is the language that the
// file says it is in, "" if it says none.
type format func(data []byte) (text, lang string, err error)

// formats are found by the extension of a file's name. Any other file that is
// given by its name is taken for plain text.
var formats = map[string]format{
	".txt": plain, ".text": plain,
	".md": markdown, ".markdown": markdown,
	".html": page, ".htm": page, ".xhtml": page,
}

// Options say how Documents reads files.
type Options struct {
	// Lang is the language of text, Markdown and HTML that do not name one
	// themselves, BCP 47; "" has it identified from the text, see [Identify].
	Lang string
	// SkipBad makes Documents go on after a file or a line of JSON Lines that
	// holds no document, and readers of records after data that are damaged.
	// OnBad, if not nil, is called with each of them.
	SkipBad bool
	OnBad   func(error)
	// OnStats, if not nil, is called by Documents with what was counted in a file
	// of records, once it was read, or reading it stopped.
	OnStats func(file string, stats Stats)
	// MaxBytes is the length of the longest record, decompressed, that the
	// readers of records accept, such as [ReadWARC]; 0 stands for
	// DefaultMaxBytes.
	MaxBytes int
	// WikiGroup, if not nil, returns the Group of an article of a dump of
	// MediaWiki, such as the Wikidata item of its page.
	WikiGroup func(page int64, title string) string
}

// Expand returns the files that patterns stand for, as [corpus.Expand] does,
// with the files of a folder and of those below it that have a name of one of
// the formats: .txt, .text, .md, .markdown, .html, .htm, .xhtml, those of JSON
// Lines, and those of files of records, see [IsRecords].
func Expand(patterns []string) ([]string, error) {
	take := func(name string) bool { return corpus.IsJSONLines(name) || IsText(name) || IsRecords(name) }
	return corpus.ExpandFunc(patterns, take, "*.txt, *.md, *.html, *.jsonl, in another spelling of these, "+
		"*.warc, *.po, *.xlf, *.tmx, or as a dump of MediaWiki or a side of a parallel corpus")
}

// IsText reports whether a file's name is that of text, Markdown or HTML, of
// which Documents makes a document.
func IsText(name string) bool { return formats[suffix(name)] != nil }

// suffix returns the extension of a file's name in small letters.
func suffix(name string) string { return strings.ToLower(filepath.Ext(name)) }

// Documents returns the documents of files as a sequence, which may be ranged
// over any number of times. Files of JSON Lines are read as [corpus.Read] does;
// the ID of a document is the path of the file, '#' and the id of the line.
// Files of records, which their names tell, see [IsRecords], or their first
// bytes, are read as [ReadRecords] does, and have the documents and IDs that the
// readers of their formats say. Any other file is one document, whose ID is the
// path.
//
// Text is decoded by its byte order mark, as UTF-8, or by what HTML says of
// itself; other bytes are taken for Windows-1252. Of an HTML page the article
// counts, without navigation and advertisements, or the whole page if it has
// none. Markdown and HTML become plain text: a paragraph a line, with an empty
// line between two.
//
// A file is an error if it cannot be read, is empty, is longer than
// MaxFileBytes or is not text, or if a file of records is damaged; the error
// names it. It is the last element
// unless the options say otherwise; that of the context always is.
func Documents(ctx context.Context, files []string, o Options) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		stopped := errors.New("stopped")
		err := o.check()
		for i := 0; err == nil && i < len(files); i++ {
			err = o.read(ctx, files[i], func(doc corpus.Document) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !yield(doc, nil) {
					return stopped
				}
				return nil
			})
		}
		if err != nil && err != stopped {
			yield(corpus.Document{}, err)
		}
	}
}

func (o *Options) check() error {
	if o.Lang == "" {
		return nil
	}
	lang, err := langtag.Canonical(o.Lang)
	if err != nil {
		return fmt.Errorf("source: Lang: %w", err)
	}
	o.Lang = lang
	return nil
}

// bad reports something that holds no document, and returns its error unless it
// is to be skipped.
func (o *Options) bad(err error) error {
	if !o.SkipBad {
		return err
	}
	if o.OnBad != nil {
		o.OnBad(err)
	}
	return nil
}

// read calls fn with the documents of a file.
func (o *Options) read(ctx context.Context, file string, fn func(corpus.Document) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return o.bad(fmt.Errorf("source: %w", err)) // it has the name
	}
	defer f.Close()
	if corpus.IsJSONLines(file) {
		return o.readLines(file, f, fn)
	}
	r := bufio.NewReaderSize(f, sniffBytes)
	decode := formats[suffix(file)]
	if decode == nil {
		// An error of the file comes again.
		if records, _ := findReader(file, r); records != nil {
			return o.readRecords(ctx, file, r, records, fn)
		}
		decode = plain
	}
	doc, err := o.readFile(file, r, decode)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return o.bad(fmt.Errorf("source: %w", err)) // it has the name
	} else if err != nil {
		return o.bad(fmt.Errorf("source: %s: %w", file, err))
	}
	return fn(doc)
}

func (o *Options) readLines(file string, f *os.File, fn func(corpus.Document) error) error {
	lines := corpus.ReadOptions{SkipBad: o.SkipBad, OnBad: func(e *corpus.LineError) { _ = o.bad(e) }}
	stats, err := corpus.ReadFrom(file, f, lines, func(doc corpus.Document) error {
		doc.ID = file + "#" + doc.ID
		return fn(doc)
	})
	if err == nil && stats.Documents+stats.Skipped == 0 {
		return o.bad(fmt.Errorf("source: %s: %w", file, errEmpty))
	}
	return err
}

var errEmpty = errors.New("it has no text")

// readFile returns the document that a file is.
func (o *Options) readFile(path string, r io.Reader, decode format) (doc corpus.Document, err error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFileBytes+1))
	if err == nil && len(data) > MaxFileBytes {
		err = fmt.Errorf("it is longer than %d bytes", MaxFileBytes)
	}
	if err != nil {
		return doc, err
	}
	text, lang, err := guarded(decode, data)
	if err != nil {
		return doc, err
	}
	if strings.TrimSpace(text) == "" {
		return doc, errEmpty
	}
	doc = corpus.Document{ID: path, Lang: o.Lang, Text: text}
	if lang, err := langtag.Canonical(lang); err == nil {
		doc.Lang = lang
	}
	if doc.Lang == "" {
		doc.Lang = Undetermined
		if lang, sure := Identify(text, nil); sure {
			doc.Lang = lang
		}
	}
	return doc, nil
}

// guarded makes an error of a panic: parsers of other people's formats should
// not be able to end a program with a thousand files.
func guarded(decode format, data []byte) (text, lang string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it cannot be parsed: %v", v)
		}
	}()
	return decode(data)
}

// Sources returns what identifies the files, for a corpus that is built from
// them; see [corpus.Input.Sources].
func Sources(ctx context.Context, files []string) ([]corpus.Source, error) {
	in, err := corpus.OpenInput(ctx, files, "")
	if err != nil {
		return nil, err
	}
	sources, err := in.Sources(ctx)
	return sources, errors.Join(err, in.Close())
}
