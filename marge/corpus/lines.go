package corpus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

var byteOrderMark = []byte("\ufeff")

// ReadLines calls fn with the lines of a text file, numbered from 1, without
// the newline or the carriage return and newline that end them. The file is
// decompressed as in Read, and a byte order mark is left out; "-" is standard
// input. A line that is too long or not UTF-8 and data that cannot be
// decompressed are a *LineError. An error of fn stops the reading and is
// returned as it is.
func ReadLines(path string, fn func(number int, line string) error) error {
	f, err := openFile(context.Background(), path)
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	defer f.Close()
	bad := func(line int, reason Reason, err error) error {
		return &LineError{File: path, Line: line, Reason: reason, Err: err}
	}
	return eachLine(path, f, bad, func(number int, line []byte) error {
		return fn(number, string(bytes.TrimSuffix(line, []byte{'\r'})))
	})
}

// OpenText opens a file and returns its text, decompressed as in Read, without
// a byte order mark; "-" is standard input. Errors of reading name the file.
// That the text is UTF-8 is left to the reader.
func OpenText(path string) (io.ReadCloser, error) {
	f, err := openFile(context.Background(), path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	t := &textFile{path: path, file: f, input: &input{r: f}}
	if t.text, err = decompress(t.input); err != nil {
		err = t.failure(err)
		f.Close()
		return nil, err
	}
	t.buffer = bufio.NewReader(t.text)
	if head, _ := t.buffer.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		t.buffer.Discard(len(head)) // what was peeked at is there
	}
	return t, nil
}

// textFile is a file of OpenText.
type textFile struct {
	path   string
	file   io.Closer
	input  *input
	text   io.ReadCloser
	buffer *bufio.Reader
}

func (t *textFile) Read(p []byte) (int, error) {
	n, err := t.buffer.Read(p)
	if err != nil && err != io.EOF {
		err = t.failure(err)
	}
	return n, err
}

func (t *textFile) Close() error { return errors.Join(t.text.Close(), t.file.Close()) }

func (t *textFile) failure(err error) error {
	if t.input.err != nil {
		return fmt.Errorf("corpus: %s: %w", t.path, t.input.err)
	}
	return fmt.Errorf("corpus: %s: %w", t.path, t.input.damage(err))
}

// eachLine calls fn with the lines of a text, plain or compressed, which are
// valid until fn returns. What bad returns for a line that cannot be passed on
// ends the reading, as does an error of fn; if it is nil, the reading goes on.
func eachLine(
	name string, r io.Reader, bad func(line int, reason Reason, err error) error, fn func(number int, line []byte) error,
) error {
	input := &input{r: r}
	// damaged returns the error of a read that failed, or that of data that
	// cannot be decompressed.
	damaged := func(line int, err error) error {
		if input.err != nil {
			return fmt.Errorf("corpus: %s:%d: %w", name, line, input.err)
		}
		return bad(line, Damaged, input.damage(err))
	}
	text, err := decompress(input)
	if err != nil {
		return damaged(1, err)
	}
	defer text.Close()
	lines := &lineReader{r: bufio.NewReaderSize(text, 1<<16)}
	for {
		line, err := lines.next()
		if lines.number == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errLineTooLong):
			err = bad(lines.number, TooLong, err)
		case err != nil:
			return damaged(lines.number, err)
		case !utf8.Valid(line):
			err = bad(lines.number, NotUTF8, errors.New("the line is not valid UTF-8"))
		default:
			err = fn(lines.number, line)
		}
		if err != nil {
			return err
		}
	}
}

var errLineTooLong = fmt.Errorf("the line is longer than %d bytes", MaxLineBytes)

// lineReader splits a text into lines.
type lineReader struct {
	r      *bufio.Reader
	number int // of the line that next returned, or failed at
	long   []byte
}

// next returns the next line, which is valid until the next call. After
// errLineTooLong the reading can go on.
func (l *lineReader) next() ([]byte, error) {
	l.number++
	l.long = l.long[:0]
	tooLong, started := false, false
	for {
		part, err := l.r.ReadSlice('\n')
		started = started || len(part) > 0
		if err == io.EOF && !started || err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, err
		}
		more := err == bufio.ErrBufferFull
		part = bytes.TrimSuffix(part, []byte{'\n'})
		if tooLong = tooLong || len(l.long)+len(part) > MaxLineBytes; tooLong {
			l.long = nil
			if !more {
				return nil, errLineTooLong
			}
			continue
		}
		if len(l.long) == 0 && !more {
			return part, nil
		}
		l.long = append(l.long, part...)
		if !more {
			return l.long, nil
		}
	}
}
