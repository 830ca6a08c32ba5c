package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/marge-go/marge/marge/corpus"
)

// recordReader reads a file of records.
type recordReader func(
	ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
) (Stats, error)

func archive(
	ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
) (Stats, error) {
	return ReadWARC(ctx, name, r, WARCOptions{Options: o}, fn)
}

func wikiDump(
	ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
) (Stats, error) {
	return ReadWiki(ctx, name, r, WikiOptions{Options: o}, fn)
}

// ofCatalog makes one of the readers of translations a recordReader.
func ofCatalog(
	read func(context.Context, string, io.Reader, CatalogOptions, func(corpus.Document) error) (Stats, error),
) recordReader {
	return func(
		ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
	) (Stats, error) {
		return read(ctx, name, r, CatalogOptions{Options: o}, fn)
	}
}

const templateSuffix = ".pot"

// poTemplate is the reader of a POT file: its messages are those of the PO files
// that were made from it.
func poTemplate(_ context.Context, name string, _ io.Reader, _ Options, _ func(corpus.Document) error) (Stats, error) {
	return Stats{}, fmt.Errorf("source: %s: it is a template of PO files, which has no translations", name)
}

// recordFormats are found by the end of a file's name.
var recordFormats = []struct {
	suffix string
	read   recordReader
}{
	{".warc", archive}, {".warc.gz", archive}, {".wet", archive}, {".wet.gz", archive}, {".xml.bz2", wikiDump},
	{".po", ofCatalog(ReadPO)}, {".xlf", ofCatalog(ReadXLIFF)}, {".xliff", ofCatalog(ReadXLIFF)},
	{".tmx", ofCatalog(ReadTMX)}, {templateSuffix, poTemplate},
}

// wikiName is the name of a dump of MediaWiki, or of a part of one, as of
// dewiki-20261101-pages-articles1.xml-p1p297012.bz2.
var wikiName = regexp.MustCompile(`-pages-.*\.xml(-p\d+p\d+)?(\.bz2)?$`)

// IsRecords reports whether a file's name is that of a format that ReadRecords
// reads: a web archive (*.warc, *.wet, plain or with .gz), a dump of MediaWiki or
// a part of one (*.xml.bz2, and names as dewiki-20261101-pages-articles.xml or
// dewiki-20261101-pages-articles1.xml-p1p297012.bz2), a catalog of translations
// (*.po, *.xlf, *.xliff, *.tmx), or a side of a parallel corpus (Europarl.de-en.de).
func IsRecords(name string) bool { return byName(name) != nil && suffix(name) != templateSuffix }

// ReadRecords calls fn with the documents of a file of records, as [ReadWARC],
// [ReadWiki], [ReadPO], [ReadXLIFF], [ReadTMX] or [ReadMoses] does, whose format its name
// tells, see [IsRecords], or else its first bytes.
func ReadRecords(
	ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
) (Stats, error) {
	in := bufio.NewReaderSize(r, sniffBytes)
	read, err := findReader(name, in)
	if err == nil && read == nil {
		err = errors.New("neither its name nor its first bytes tell a format of records")
	}
	if err != nil {
		return Stats{}, fmt.Errorf("source: %s: %w", name, err)
	}
	return read(ctx, name, in, o, fn)
}

// findReader returns the reader that the name of a file tells, or its first
// bytes, or nil.
func findReader(name string, r *bufio.Reader) (recordReader, error) {
	if read := byName(name); read != nil {
		return read, nil
	}
	head, err := r.Peek(sniffBytes)
	return byContent(head), ignoreEOF(err)
}

// byName returns the reader that the name of a file tells, or nil.
func byName(path string) recordReader {
	name := strings.ToLower(filepath.Base(path))
	for _, f := range recordFormats {
		if strings.HasSuffix(name, f.suffix) {
			return f.read
		}
	}
	if wikiName.MatchString(name) {
		return wikiDump
	}
	if _, _, ok := mosesSides(name); ok {
		return ReadMoses
	}
	return nil
}

// sniffBytes is how much of a file byContent looks at.
const sniffBytes = 4 << 10

// xmlRoot finds the root of a file of XML.
var xmlRoot = regexp.MustCompile(`^\s*(?:<\?[^>]*>\s*|<!--(?s:.)*?-->\s*|<![^>]*>\s*)*<(mediawiki|xliff|tmx)[\s>]`)

// byContent returns the reader that the first bytes of a file tell, or nil.
func byContent(head []byte) recordReader {
	if bytes.HasPrefix(head, []byte("BZh")) && startsStream(head) {
		return wikiDump // which alone is read from bzip2
	}
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return nil
		}
		head = make([]byte, 16)
		n, _ := io.ReadFull(z, head)
		if startsRecord(head[:n]) {
			return archive
		}
		return nil
	}
	if startsRecord(head) {
		return archive
	}
	root := xmlRoot.FindSubmatch(bytes.TrimPrefix(head, []byte("\ufeff")))
	if root == nil {
		return nil
	}
	return map[string]recordReader{
		"mediawiki": wikiDump, "xliff": ofCatalog(ReadXLIFF), "tmx": ofCatalog(ReadTMX),
	}[string(root[1])]
}

// readRecords calls fn with the documents of a file of records.
func (o *Options) readRecords(
	ctx context.Context, file string, r io.Reader, read recordReader, fn func(corpus.Document) error,
) error {
	var stop error // that the file is not to blame for
	stats, err := read(ctx, file, r, *o, func(doc corpus.Document) error {
		stop = fn(doc)
		return stop
	})
	if o.OnStats != nil {
		o.OnStats(file, stats)
	}
	if stop = cmp.Or(stop, ctx.Err()); stop != nil || err == nil {
		return stop
	}
	return o.bad(err)
}
