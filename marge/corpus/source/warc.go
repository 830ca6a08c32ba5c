package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/marge-go/marge/marge/corpus"
)

// WARCOptions say how ReadWARC reads.
type WARCOptions struct {
	Options
	// PageDate makes the date of a document that on which the page says it was
	// published, if it says so and that is not after the crawl.
	PageDate bool
}

// maxHeaderBytes is the length of the longest header of a record.
const maxHeaderBytes = 64 << 10

// ReadWARC calls fn with the documents of a web archive (WARC 1.0 or 1.1, ISO
// 28500), such as those of Common Crawl: of a response with status 200 the
// main content of the HTML page, or the plain text; of the records named
// resource and conversion, as in WET files, too. ID is the WARC-Record-ID, or
// the URI of the page if there is none, Source the URI, Date the day of
// WARC-Date, and Lang what the page says, else a single language of
// WARC-Identified-Content-Language, else what is identified. Other records are
// counted. Errors call the file name.
//
// Transfer-Encoding and Content-Encoding (gzip, deflate, zstd) are undone where
// the bytes begin as they claim: some archives hold bodies that are decoded
// already. A body is decoded by the charset of the HTTP header, of the page, or
// as text of a file is.
//
// The file is plain, or compressed with gzip, a member a record, which the
// first bytes tell. Nothing of a record is passed on before the checksum of
// its member was found right, unless the member holds several records. A
// record that is damaged or cut short is an error that names the place; if
// the options say SkipBad, it is counted, and reading goes on at the next one.
// A file that is cut between two records cannot be told from a whole one.
//
// The memory needed is 10 MB and, at worst, some 200 times MaxBytes, for a page
// that consists of tags. An error of fn is returned as it is.
func ReadWARC(
	ctx context.Context, name string, r io.Reader, o WARCOptions, fn func(corpus.Document) error,
) (Stats, error) {
	base, err := newRecords(ctx, name, o.Options, fn)
	if err != nil {
		return Stats{}, err
	}
	w := &warc{records: base, in: newTapeReader(r), head: bufio.NewReader(nil), pageDate: o.PageDate}
	err = w.read()
	return w.stats, err
}

type warc struct {
	*records
	in       *tapeReader
	z        *gzip.Reader  // of one member; nil if the file is plain
	text     *bufio.Reader // in, decompressed
	good     int64         // the offset behind the last intact record
	head     *bufio.Reader // of the header of a record
	block    []byte
	pageDate bool
}

// A warcRecord is one record without its block.
type warcRecord struct {
	header textproto.MIMEHeader
	long   bool // the block is longer than MaxBytes and was not kept
}

func (w *warc) read() error {
	head, err := w.in.Peek(2)
	if len(head) == 0 {
		if err == io.EOF {
			err = errEmpty
		}
		return w.failure(0, err)
	}
	w.text, err = w.in.Reader, nil
	if string(head) == "\x1f\x8b" {
		w.z = new(gzip.Reader)
		w.text = bufio.NewReaderSize(w.z, 1<<15)
		err = w.nextMember()
	}
	for {
		if err == nil {
			err = w.next()
		}
		var stop stopError
		switch {
		case err == nil:
		case err == io.EOF:
			return nil
		case errors.As(err, &stop):
			return stop.error
		case w.in.tape.failed != nil:
			return w.failure(w.in.offset(), w.in.tape.failed)
		default:
			if err := w.resume(err); err != nil {
				return err
			}
			err = nil
			if w.z != nil {
				err = w.nextMember()
			}
		}
	}
}

// stopError ends the reading.
type stopError struct{ error }

// nextMember begins a member, or returns io.EOF if there is none.
func (w *warc) nextMember() error {
	for {
		c, err := w.in.ReadByte()
		if err != nil {
			return err // io.EOF
		}
		if c != 0 { // as tapes are padded
			break
		}
	}
	if err := w.in.UnreadByte(); err != nil {
		return err
	}
	if err := w.z.Reset(w.in.Reader); err != nil {
		return noEOF(err)
	}
	w.z.Multistream(false)
	w.text.Reset(w.z)
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads a record and passes it on. It returns io.EOF at the end of the
// file.
func (w *warc) next() error {
	if err := w.ctx.Err(); err != nil {
		return stopError{err}
	}
	var rec warcRecord
	if err := w.skipBlank(); err == io.EOF && w.z != nil {
		return w.nextMember()
	} else if err != nil {
		return err
	}
	size, err := w.header(&rec)
	if err != nil {
		return noEOF(err)
	}
	wanted := wantedType(rec.header.Get("WARC-Type"))
	if rec.long = size > int64(w.o.MaxBytes); rec.long || !wanted {
		_, err = io.CopyN(io.Discard, w.text, size)
	} else {
		w.block = slices.Grow(w.block[:0], int(size))[:size]
		_, err = io.ReadFull(w.text, w.block)
	}
	if err != nil {
		return noEOF(err)
	}
	// What follows must be the next record or the end, or the length is wrong
	// or the checksum of the member.
	if err := w.skipBlank(); err == nil {
		if head, _ := w.text.Peek(len(warcMagic)); !strings.HasPrefix(warcMagic, string(head)) {
			return errors.New("no record follows where its length says that it ends")
		}
	} else if err != io.EOF {
		return err
	}
	w.good = w.in.offset()
	w.in.tape.keep = w.good
	if !wanted {
		w.stats.drop(OtherRecord, 1)
		return nil
	}
	if err := w.response(&rec); err != nil {
		return stopError{err}
	}
	return nil
}

func wantedType(kind string) bool {
	switch strings.ToLower(kind) {
	case "response", "resource", "conversion":
		return true
	}
	return false
}

const warcMagic = "WARC/"

// skipBlank goes to the next byte that does not end a line.
func (w *warc) skipBlank() error {
	for {
		c, err := w.text.ReadByte()
		if err != nil {
			return err
		}
		if c != '\r' && c != '\n' {
			return w.text.UnreadByte()
		}
	}
}

// header reads the header of a record and returns the length of its block.
func (w *warc) header(rec *warcRecord) (size int64, err error) {
	var head []byte
	for {
		line, err := w.text.ReadSlice('\n')
		if err == bufio.ErrBufferFull || len(head)+len(line) > maxHeaderBytes {
			return 0, fmt.Errorf("the header is longer than %d bytes", maxHeaderBytes)
		}
		begin := line[:min(len(line), len(warcMagic))]
		if len(head) == 0 && !strings.HasPrefix(warcMagic, string(begin)) {
			return 0, fmt.Errorf("it begins with %q, not with %q", line[:min(len(line), 20)], warcMagic)
		}
		if err != nil {
			return 0, err
		}
		head = append(head, line...)
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	_, head, _ = bytes.Cut(head, []byte{'\n'})
	w.head.Reset(bytes.NewReader(head))
	rec.header, err = textproto.NewReader(w.head).ReadMIMEHeader()
	if err != nil {
		return 0, fmt.Errorf("the header is no header: %w", err)
	}
	size, err = strconv.ParseInt(rec.header.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("Content-Length is %q", rec.header.Get("Content-Length"))
	}
	return size, nil
}

// resume goes to the next record, or member, after damage.
func (w *warc) resume(cause error) error {
	if errors.Is(cause, io.ErrUnexpectedEOF) {
		cause = fmt.Errorf("the record is cut short: %w", cause)
	} else {
		cause = fmt.Errorf("the record is damaged: %w", cause)
	}
	begin := w.good
	if err := w.damaged(begin, cause); err != nil {
		return err
	}
	mark, starts := []byte(warcMagic), startsRecord
	if w.z != nil {
		mark, starts = []byte{0x1f, 0x8b, 8}, w.startsMember
	}
	if err := w.in.find(begin+1, mark, starts); err != nil {
		return w.failure(w.in.offset(), err)
	}
	w.good = w.in.offset()
	w.stats.LostBytes += w.good - begin
	return nil
}

// startsRecord reports whether a record seems to begin there.
func startsRecord(head []byte) bool {
	line, _, ended := bytes.Cut(head[:min(len(head), 16)], []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	return ended && (string(line) == "WARC/1.0" || string(line) == "WARC/1.1")
}

// startsMember reports whether a member with a record begins there.
func (w *warc) startsMember(head []byte) bool {
	var magic [len(warcMagic)]byte
	if err := w.z.Reset(bytes.NewReader(head)); err != nil {
		return false
	}
	_, err := io.ReadFull(w.z, magic[:])
	return err == nil && string(magic[:]) == warcMagic
}
