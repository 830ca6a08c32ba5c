package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
)

// MaxLineBytes is the length, in bytes after decompression and without the
// newline, of the longest line that Read accepts.
const MaxLineBytes = 64 << 20

// ReadOptions says what Read does with lines that hold no document. By default
// it stops at the first.
type ReadOptions struct {
	// SkipBad makes Read go on after a bad line. Of a file whose compressed
	// data are damaged, everything after the damage is lost and counts as one
	// line.
	SkipBad bool
	// OnBad, if not nil, is called with every line that is skipped.
	OnBad func(*LineError)
}

// Reason is a kind of bad lines.
type Reason int

// The reasons for which a line holds no document.
const (
	TooLong      Reason = iota // more than MaxLineBytes
	Damaged                    // compressed data that cannot be decompressed
	NotUTF8                    // not UTF-8
	BadJSON                    // not a JSON object with strings
	MissingField               // without id, lang or text
	EmptyField                 // with an id, lang or text that is empty
	BadLanguage                // with a lang that is no language tag
	reasons
)

// String returns the reason in words.
func (r Reason) String() string {
	names := [reasons]string{
		"too long", "damaged data", "not UTF-8", "bad JSON", "a field is missing", "a field is empty", "no language tag",
	}
	if r < 0 || r >= reasons {
		return fmt.Sprintf("reason %d", int(r))
	}
	return names[r]
}

// A LineError tells why a line of a file holds no document.
type LineError struct {
	File   string
	Line   int // from 1
	Reason Reason
	Err    error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the reason, Err.
func (e *LineError) Unwrap() error { return e.Err }

// ReadStats counts the lines that Read went through. Blank lines do not count.
type ReadStats struct {
	Documents int // passed on
	Skipped   int
	Reasons   [reasons]int // of Skipped, by Reason
}

// String returns the counts as a sentence, as in "95 documents, 3 lines
// skipped (2 bad JSON, 1 not UTF-8)".
func (s ReadStats) String() string {
	var parts []string
	for reason, n := range s.Reasons {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %v", n, Reason(reason)))
		}
	}
	text := fmt.Sprintf("%d documents, %d lines skipped", s.Documents, s.Skipped)
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// Read calls fn with the documents of JSON Lines files, in order. The patterns
// are those of Expand. A line is a JSON object with the strings id, lang and
// text, and optionally date, shard, group and source; other members, such as
// Text, are ignored. Lang is passed on in canonical form: de_DE as de-DE.
//
// Files are plain or compressed with gzip or zstd, which their first bytes
// tell, not their names. They may consist of several gzip members, with zeros
// between or behind, or several zstd frames, skippable ones among them, and
// the text may begin with a byte order mark. Files are streamed: the memory
// needed is that of one line, of at most MaxLineBytes, and the decompressor.
//
// A bad line is one that is too long, is not UTF-8, is not such a JSON object
// (one that names a member twice is not, nor is one with an escape for half a
// UTF-16 surrogate pair), has no id, lang or text or only white space for a
// text, or whose lang is not a language tag. Read stops there and returns a
// *LineError, or skips it if the options say so. Errors of opening and reading
// a file are never skipped. An error of fn stops the reading and is returned
// as it is.
func Read(patterns []string, opts ReadOptions, fn func(Document) error) (ReadStats, error) {
	var stats ReadStats
	paths, err := Expand(patterns)
	if err != nil {
		return stats, err
	}
	for _, path := range paths {
		open := func() (io.ReadCloser, error) { return openFile(context.Background(), path) }
		if err := stats.read(path, open, opts, fn); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// read reads one file and adds up what it read.
func (s *ReadStats) read(
	name string, open func() (io.ReadCloser, error), opts ReadOptions, fn func(Document) error,
) error {
	f, err := open()
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	defer f.Close()
	one, err := ReadFrom(name, f, opts, fn)
	s.Documents += one.Documents
	s.Skipped += one.Skipped
	for reason, n := range one.Reasons {
		s.Reasons[reason] += n
	}
	return err
}

// ReadFrom is Read for one input, which errors call name.
func ReadFrom(name string, r io.Reader, opts ReadOptions, fn func(Document) error) (ReadStats, error) {
	var stats ReadStats
	bad := func(line int, reason Reason, err error) error {
		e := &LineError{File: name, Line: line, Reason: reason, Err: err}
		if !opts.SkipBad {
			return e
		}
		stats.Skipped++
		stats.Reasons[reason]++
		if opts.OnBad != nil {
			opts.OnBad(e)
		}
		return nil
	}
	err := eachLine(name, r, bad, func(number int, line []byte) error {
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		doc, reason, err := parseLine(line)
		if err != nil {
			return bad(number, reason, err)
		}
		stats.Documents++
		return fn(doc)
	})
	return stats, err
}

// parseLine returns the document that a line of UTF-8 holds, or why it holds
// none. Its strings are not views of the line.
func parseLine(line []byte) (Document, Reason, error) {
	var v struct {
		ID     *string `json:"id"`
		Lang   *string `json:"lang"`
		Text   *string `json:"text"`
		Date   string  `json:"date"`
		Shard  string  `json:"shard"`
		Group  string  `json:"group"`
		Source string  `json:"source"`
	}
	if err := jsonx.Unmarshal(line, &v); err != nil {
		return Document{}, BadJSON, fmt.Errorf("bad JSON: %w", err)
	}
	doc := Document{Date: v.Date, Shard: v.Shard, Group: v.Group, Source: v.Source}
	for _, field := range [...]struct {
		name     string
		from, to *string
	}{{"id", v.ID, &doc.ID}, {"lang", v.Lang, &doc.Lang}, {"text", v.Text, &doc.Text}} {
		if field.from == nil {
			return Document{}, MissingField, fmt.Errorf("%s is missing", field.name)
		}
		*field.to = *field.from
	}
	// The strings of a valid line are UTF-8.
	err := doc.check()
	if err == nil {
		return doc, 0, nil
	}
	if errors.Is(err, errLanguage) {
		return Document{}, BadLanguage, err
	}
	return Document{}, EmptyField, err
}
