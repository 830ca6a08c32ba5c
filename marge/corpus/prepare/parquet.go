package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// ParquetOptions say how ReadParquet reads. The names are those of columns, with
// dots between those of groups and of what is in them; a name that is given must
// be in the file.
type ParquetOptions struct {
	source.Options
	// Text is the column of texts, or a group with a column for each language;
	// "" stands for text, or else for translation.
	Text string
	// The others stand for id, lang or else language, date, url and title.
	ID, Lang, Date, URL, Title string
}

// ReadParquet calls fn with the documents of a file of Apache Parquet, such as
// those of the Hugging Face hub: a document a row, with the columns that the
// options name. Without a column of IDs, ID is that of url, or the name of the
// file, '#' and the number of the row from 0. Source is the URL; text begins with
// the title, if it does not anyway. Of a group of texts (translation{de,en}) each
// language of a row is a document with the ID of the row, '#' and the language,
// and the row's ID as Group. Dates may be those of Parquet; IDs may be integers.
//
// Pages are read that have up to 64 MiB, are not compressed or with Snappy, gzip,
// Zstandard, LZ4_RAW or Brotli, and are encoded plainly or with a dictionary, as
// most programs do by default, or with differences (DELTA_BINARY_PACKED,
// DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY). The memory needed is that of a page
// of each column, compressed and not, and its dictionary. An error of fn is
// returned as it is, and a file that cannot be read is an error.
//
// Data that are damaged or cut short are an error that names the place; if the
// options say SkipBad, they are counted, and reading goes on at the next row
// group: rows before the place were passed on. What is noticed: a checksum of a
// page that is wrong, or of gzip or Zstandard; a length, a number of rows or a
// reference to a dictionary that does not fit; text that is not UTF-8. What is
// not noticed: another change of a text in a page without a checksum (pyarrow
// writes none by default), and one of the footer that leaves it a footer, as of
// the name of a column. Parquet has no checksum for it.
func ReadParquet(
	ctx context.Context, name string, r io.ReaderAt, size int64, o ParquetOptions, fn func(corpus.Document) error,
) (source.Stats, error) {
	p := parquetReader{ctx: ctx, name: name, r: r, o: o, fn: fn}
	if o.MaxBytes < 0 {
		return p.stats, fmt.Errorf("prepare: MaxBytes is %d", o.MaxBytes)
	}
	p.o.MaxBytes = cmp.Or(o.MaxBytes, source.DefaultMaxBytes)
	if o.Options.Lang != "" {
		lang, err := langtag.Canonical(o.Options.Lang)
		if err != nil {
			return p.stats, fmt.Errorf("prepare: Lang: %w", err)
		}
		p.o.Options.Lang = lang
	}
	err := p.open(size)
	if err == nil {
		err = p.findColumns()
	}
	if err != nil {
		return p.stats, fmt.Errorf("prepare: %s: %w", name, err)
	}
	return p.stats, p.read()
}

// parquetReader goes through a file.
type parquetReader struct {
	ctx   context.Context
	name  string
	r     io.ReaderAt
	end   int64 // of the pages
	o     ParquetOptions
	fn    func(corpus.Document) error
	stats source.Stats

	file      *parquet.File
	row       int64
	texts     []textColumn
	id, lang  *parquet.Column // or nil
	date, url *parquet.Column
	title     *parquet.Column
}

// textColumn is a column of texts, in a language if it is one of a group.
type textColumn struct {
	leaf *parquet.Column
	lang string
}

// findColumns finds the columns of documents.
func (p *parquetReader) findColumns() error {
	root := p.file.Root()
	text := find(root, p.o.Text)
	if p.o.Text == "" {
		if text = find(root, "text"); text == nil {
			text = find(root, "translation")
		}
	}
	switch {
	case text == nil:
		return fmt.Errorf("it has no column %s: columns are %s", cmp.Or(p.o.Text, "text or translation"), names(root))
	case text.Leaf():
		p.texts = []textColumn{{leaf: text}}
	default:
		for _, leaf := range text.Columns() {
			p.texts = append(p.texts, textColumn{leaf, leaf.Name()})
		}
	}
	for _, t := range p.texts {
		if err := checkColumn(t.leaf, parquet.ByteArray); err != nil {
			return err
		}
	}
	integers := []parquet.Kind{parquet.ByteArray, parquet.Int32, parquet.Int64}
	for _, c := range []struct {
		column   **parquet.Column
		name     string
		defaults []string
		kinds    []parquet.Kind
	}{
		{&p.id, p.o.ID, []string{"id"}, integers},
		{&p.lang, p.o.Lang, []string{"lang", "language"}, integers[:1]},
		{&p.date, p.o.Date, []string{"date"}, integers},
		{&p.url, p.o.URL, []string{"url"}, integers[:1]},
		{&p.title, p.o.Title, []string{"title"}, integers[:1]},
	} {
		if *c.column = find(root, c.name); c.name == "" {
			for i := 0; i < len(c.defaults) && *c.column == nil; i++ {
				*c.column = find(root, c.defaults[i])
			}
		} else if *c.column == nil {
			return fmt.Errorf("it has no column %s: columns are %s", c.name, names(root))
		}
		if *c.column == nil {
			continue
		}
		if err := checkColumn(*c.column, c.kinds...); err != nil {
			return err
		}
	}
	if p.date != nil {
		_, err := dateUnit(p.date)
		return err
	}
	return nil
}

// find returns a column, or nil.
func find(c *parquet.Column, name string) *parquet.Column {
	for part := range strings.SplitSeq(name, ".") {
		if c = c.Column(part); c == nil {
			return nil
		}
	}
	return c
}

func names(root *parquet.Column) string {
	var list []string
	for _, c := range root.Columns() {
		list = append(list, c.Name())
	}
	return strings.Join(list, ", ")
}

func checkColumn(c *parquet.Column, kinds ...parquet.Kind) error {
	path := strings.Join(c.Path(), ".")
	if !c.Leaf() || c.MaxRepetitionLevel() > 0 {
		return fmt.Errorf("the column %s has not a single value a row", path)
	}
	for _, kind := range kinds {
		if c.Type().Kind() == kind {
			return nil
		}
	}
	return fmt.Errorf("the column %s is of type %v, want %v", path, c.Type().Kind(), kinds)
}

// dateUnit returns how many of the units of a column of dates are a day, or 0 if
// they are strings.
func dateUnit(c *parquet.Column) (int64, error) {
	t := c.Type()
	if t.Kind() == parquet.ByteArray {
		return 0, nil
	}
	logical := t.LogicalType()
	var value any
	if logical != nil {
		value = logical.Value
	}
	converted := t.ConvertedType()
	is := func(d deprecated.ConvertedType) bool { return converted != nil && *converted == d }
	stamp, _ := value.(*format.TimestampType)
	_, date := value.(*format.DateType)
	unit := time.Duration(0)
	switch {
	case date || is(deprecated.Date):
		return 1, nil
	case stamp != nil && stamp.Unit.Value != nil:
		unit = stamp.Unit.Value.Duration()
	case is(deprecated.TimestampMillis):
		unit = time.Millisecond
	case is(deprecated.TimestampMicros):
		unit = time.Microsecond
	}
	if unit <= 0 {
		return 0, fmt.Errorf("the column %s has integers that are no dates", strings.Join(c.Path(), "."))
	}
	return int64(24 * time.Hour / unit), nil
}

// read reads the row groups.
func (p *parquetReader) read() error {
	for i := range p.file.Metadata().RowGroups {
		group := &p.file.Metadata().RowGroups[i]
		if group.NumRows == 0 {
			continue // it need not have pages
		}
		begin := p.row
		chunks, err := p.chunks(group)
		if err == nil {
			err = p.rows(group, chunks)
		}
		var stop stopError
		if errors.As(err, &stop) {
			return stop.error
		}
		p.row = begin + group.NumRows
		if err == nil {
			continue
		}
		err = fmt.Errorf("prepare: %s: row group %d: %w", p.name, i, err)
		if errors.As(err, new(readError)) {
			return err
		}
		p.stats.Damaged++
		for _, c := range chunks {
			p.stats.LostBytes += c.end - c.pageStart
		}
		if !p.o.SkipBad {
			return err
		}
		if p.o.OnBad != nil {
			p.o.OnBad(err)
		}
	}
	return nil
}

// stopError ends the reading.
type stopError struct{ error }

// columns are the columns that are read: first those of texts.
func (p *parquetReader) columns() (list []*parquet.Column) {
	for _, t := range p.texts {
		list = append(list, t.leaf)
	}
	return append(list, p.id, p.lang, p.date, p.url, p.title)
}

// chunks returns the columns of a row group; those that are not in the file have
// only nulls.
func (p *parquetReader) chunks(group *format.RowGroup) ([]*chunk, error) {
	var list []*chunk
	for _, column := range p.columns() {
		c := &chunk{r: p.r}
		list = append(list, c)
		if column == nil {
			continue
		}
		if err := c.open(column, &group.Columns[column.Index()], p.end); err != nil {
			return list, c.failure(err)
		}
	}
	return list, nil
}

// rows passes on the rows of a row group.
func (p *parquetReader) rows(group *format.RowGroup, chunks []*chunk) error {
	for range group.NumRows {
		if err := p.ctx.Err(); err != nil {
			return stopError{err}
		}
		for _, c := range chunks {
			if err := c.next(); err != nil {
				return c.failure(err)
			}
		}
		n := len(p.texts)
		row := parquetRow{date: chunks[n+2].day()}
		for i, s := range []*string{&row.id, &row.lang, nil, &row.url, &row.title} {
			if s != nil {
				*s = chunks[n+i].text()
			}
		}
		for i, t := range p.texts {
			if err := p.emit(&row, t.lang, chunks[i].value); err != nil {
				return stopError{err}
			}
		}
		p.row++
	}
	for _, c := range chunks {
		if err := c.finish(); err != nil {
			return c.failure(err)
		}
	}
	return nil
}

// parquetRow is a row without texts.
type parquetRow struct{ id, lang, date, url, title string }

// emit passes a text of a row on. lang is that of its column.
func (p *parquetReader) emit(row *parquetRow, lang string, text []byte) error {
	p.stats.Records++
	switch {
	case len(text) > p.o.MaxBytes:
		p.stats.Dropped[source.TooLong]++
		return nil
	case len(strings.TrimSpace(string(text))) == 0:
		p.stats.Dropped[source.NoText]++
		return nil
	}
	doc := corpus.Document{
		ID: cmp.Or(row.id, row.url), Lang: cmp.Or(lang, row.lang), Date: row.date, Source: row.url, Text: string(text),
	}
	if doc.ID == "" {
		doc.ID = p.name + "#" + strconv.FormatInt(p.row, 10)
	}
	if lang != "" {
		doc.Group = doc.ID
		doc.ID += "#" + lang
		doc.Source = "" // the languages of a page are no editions of each other
	}
	if !strings.HasPrefix(doc.Text, row.title) {
		doc.Text = row.title + "\n\n" + doc.Text
	}
	found, err := langtag.Canonical(doc.Lang)
	if err != nil {
		found = p.o.Options.Lang
	}
	if doc.Lang = cmp.Or(found, source.Undetermined); found == "" {
		if lang, sure := source.Identify(doc.Text, nil); sure {
			doc.Lang = lang
		}
	}
	p.stats.Documents++
	return p.fn(doc)
}
