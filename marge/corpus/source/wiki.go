package source

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
)

// WikiOptions say how ReadWiki reads.
type WikiOptions struct {
	Options
	// Site is that of the dump; nil has it read from its head, which ranges of a
	// dump do not have.
	Site *WikiSite
}

// ReadWiki calls fn with the articles of a dump of MediaWiki, pages-articles.xml
// of the schemas export-0.3 to 0.11, plain or compressed with bzip2, in one
// stream or many. ID is the name of the wiki, ':' and the ID of the page, as
// dewiki:4711; Lang is that of the wiki; Date is empty: that of the last
// revision says nothing. The text begins with the title, see [corpus.Document]
// for the rest. Of several revisions of a page the last counts. Redirects and
// pages outside of the namespace of articles, or that are not wiki markup, are
// counted. Errors call the file name.
//
// Text is what a reader sees of the markup, without templates, tables,
// references, comments and pictures: a paragraph, heading or item of a list is a
// line, with an empty line between two; headings without text are left out.
//
// Nothing of a block of bzip2 is used before its checksum was found right. Data
// that are damaged or cut short are an error that names the place; if the
// options say SkipBad, they are counted, and reading goes on at the next
// stream of bzip2, or the next page. Bytes are counted as stored, to a block of
// bzip2 (900 kB of text). The memory needed is that of a few pages of MaxBytes
// and some 4 MB; blocks of bzip2 that expand fiftyfold need 150 MB. An error of
// fn is returned as it is.
func ReadWiki(
	ctx context.Context, name string, r io.Reader, o WikiOptions, fn func(corpus.Document) error,
) (Stats, error) {
	w, err := newWiki(ctx, name, r, o, fn)
	if err != nil {
		return Stats{}, err
	}
	if err = w.read(); err == nil && !w.ended && w.stats.Damaged == 0 {
		err = w.lost(errors.New("the dump is cut short: </mediawiki> is missing"))
	}
	return w.stats, err
}

// wiki reads a dump.
type wiki struct {
	*records
	in     *tapeReader
	bz     bool          // in is compressed
	blocks *verified     // of in, if it is compressed
	text   *bufio.Reader // in, decompressed
	site   *WikiSite
	hides  map[string]bool // prefixes of links, in small letters
	group  func(int64, string) string
	base   int64  // the offset of in in the file
	again  int64  // where reading went on after damage
	good   int64  // the offset in in behind the last page
	ended  bool   // </mediawiki> was there
	inside bool   // <page> was read, but not </page>
	page   []byte // what was read since then, or the end of what is between pages
	long   bool   // the page is too long and not kept
}

func newWiki(
	ctx context.Context, name string, r io.Reader, o WikiOptions, fn func(corpus.Document) error,
) (*wiki, error) {
	base, err := newRecords(ctx, name, o.Options, fn)
	if err != nil {
		return nil, err
	}
	w := &wiki{records: base, in: newTapeReader(r), group: o.WikiGroup}
	if o.Site != nil {
		w.setSite(*o.Site)
	}
	head, err := w.in.Peek(3)
	if len(head) == 0 {
		if err == io.EOF {
			err = errEmpty
		}
		return nil, base.failure(0, err)
	}
	w.bz = string(head) == "BZh"
	w.begin()
	return w, nil
}

// begin begins at a stream, or anywhere if the dump is plain.
func (w *wiki) begin() {
	w.text = w.in.Reader
	if w.bz {
		w.blocks = newVerified(w.in)
		w.text = bufio.NewReaderSize(w.blocks, 1<<16)
	}
}

// position returns the offset in in up to which everything is known to be
// intact.
func (w *wiki) position() int64 {
	if w.bz {
		return w.blocks.sure
	}
	return w.in.offset()
}

func (w *wiki) setSite(site WikiSite) {
	w.site, w.hides = &site, map[string]bool{}
	for _, prefix := range append(wikiPictures, site.Hidden...) {
		w.hides[strings.ToLower(prefix)] = true
	}
}

func (w *wiki) read() error {
	if w.site == nil {
		if err := w.readHead(); err != nil {
			return err
		}
	}
	for {
		err := w.next()
		var stop stopError
		switch {
		case err == nil:
		case err == io.EOF:
			return nil
		case errors.As(err, &stop):
			return stop.error
		case w.in.tape.failed != nil:
			return w.failure(w.base+w.in.offset(), w.in.tape.failed)
		default:
			if err := w.resume(err); err != nil {
				return err
			}
		}
	}
}

// lost counts the bytes since the last page as lost. It returns an error if
// reading should not go on.
func (w *wiki) lost(cause error) error {
	end := w.position()
	w.stats.LostBytes += end - w.good
	err := w.damaged(w.base+w.good, cause)
	w.good = end
	return err
}

// resume goes to the next stream after damage, or to the end.
func (w *wiki) resume(cause error) error {
	if errors.Is(cause, io.ErrUnexpectedEOF) {
		cause = fmt.Errorf("the data are cut short: %w", cause)
	} else {
		cause = fmt.Errorf("the data are damaged: %w", cause)
	}
	w.inside, w.page = false, w.page[:0]
	same := w.again > 0 && w.again == w.position() // nothing was read since
	if w.bz {
		if err := w.in.find(w.blocks.sure+1, []byte("BZh"), startsStream); err != nil {
			return w.failure(w.base+w.in.offset(), err)
		}
		_, err := w.in.Peek(1)
		w.bz = err != io.EOF // of nothing, the decompressor would want more
		w.begin()
	}
	w.again = w.position()
	if same {
		w.stats.LostBytes += w.again - w.good
		w.good = w.again
		return nil
	}
	return w.lost(cause)
}

// startsStream reports whether a stream of bzip2 begins there, with a block.
func startsStream(head []byte) bool {
	return len(head) >= 10 && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "1AY&SY"
}

// maxWikiHead is the length of the longest head of a dump.
const maxWikiHead = 1 << 20

// readHead reads what is before the first page.
func (w *wiki) readHead() error {
	for {
		mark, err := w.readMark()
		if err != nil {
			return w.failure(w.base, fmt.Errorf("it has no head of a dump of MediaWiki: %w", noEOF(err)))
		}
		if len(w.page) > maxWikiHead {
			return w.failure(w.base, fmt.Errorf("the head of the dump is longer than %d bytes", maxWikiHead))
		}
		if mark == pageMark || mark == endMark {
			break
		}
	}
	site, err := parseSite(w.page)
	if err != nil {
		return w.failure(w.base, fmt.Errorf("the head of the dump: %w", err))
	}
	w.setSite(site)
	w.page = w.page[:0]
	return nil
}

// Tags that readMark finds.
const (
	noMark = iota
	pageMark
	endPageMark
	endMark
)

// readMark reads on to the end of a tag, or a part of the text, which it adds
// to page.
func (w *wiki) readMark() (mark int, err error) {
	part, err := w.text.ReadSlice('>')
	w.page = append(w.page, part...)
	if err == bufio.ErrBufferFull {
		return noMark, nil
	} else if err != nil {
		return noMark, err
	}
	switch {
	case bytes.HasSuffix(w.page, []byte("</page>")):
		return endPageMark, nil
	case bytes.HasSuffix(w.page, []byte("<page>")):
		w.inside, w.long = true, false
		return pageMark, nil
	case !w.inside && bytes.HasSuffix(w.page, []byte("</mediawiki>")):
		w.ended = true
		return endMark, nil
	}
	return noMark, nil
}

// next reads a page and passes it on. It returns io.EOF at the end of the file.
func (w *wiki) next() error {
	if err := w.ctx.Err(); err != nil {
		return stopError{err}
	}
	for {
		before := w.inside
		mark, err := w.readMark()
		if err == io.EOF && w.inside {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
		switch {
		case mark == pageMark:
			w.page = w.page[:0]
			if before { // there is no end of the last one
				if err := w.lost(errors.New("a page begins in a page")); err != nil {
					return stopError{err}
				}
			}
		case mark == endPageMark && w.inside:
			w.inside = false
			err := w.article()
			w.page, w.good = w.page[:0], w.position()
			if err != nil {
				return stopError{err}
			}
			return nil
		case len(w.page) > w.o.MaxBytes || !w.inside:
			w.long = w.inside
			const keep = len("</mediawiki>") // to find marks by
			w.page = w.page[:copy(w.page, w.page[max(0, len(w.page)-keep):])]
		}
	}
}

// article passes a page on.
func (w *wiki) article() error {
	if w.long {
		w.stats.drop(TooLong, 1)
		return nil
	}
	p, err := parsePage(w.page[:len(w.page)-len("</page>")])
	switch {
	case err != nil:
		w.stats.drop(BadRecord, 1)
		return nil
	case p.Redirect != nil:
		w.stats.drop(Redirect, 1)
		return nil
	case p.NS != 0 || len(p.Revisions) == 0 || cmp.Or(p.last().Model, "wikitext") != "wikitext":
		w.stats.drop(OtherRecord, 1)
		return nil
	}
	text, err := wikiText(p.last().Text, func(prefix string) bool { return w.hides[prefix] })
	if err != nil {
		w.stats.drop(TooDeep, 1)
		return nil
	}
	if text != "" && !strings.HasPrefix(text, p.Title) {
		text = p.Title + "\n\n" + text
	}
	doc := corpus.Document{ID: fmt.Sprintf("%s:%d", cmp.Or(w.site.Name, "wiki"), p.ID), Lang: w.site.Lang, Text: text}
	if w.group != nil {
		doc.Group = w.group(p.ID, p.Title)
	}
	return w.emit(doc)
}

// verified reads what bzip2 compressed. It gives nothing of a block before its
// checksum was found right: then the decompressor reads on, or ends.
type verified struct {
	in      *tapeReader // of z
	z       io.Reader
	sure    int64 // the offset behind the last block that was found right
	buffer  []byte
	read    int // of buffer
	checked int // of buffer
	err     error
}

func newVerified(in *tapeReader) *verified {
	return &verified{in: in, z: bzip2.NewReader(in.Reader), sure: in.offset()}
}

func (v *verified) Read(p []byte) (int, error) {
	for v.read == v.checked && v.err == nil {
		if v.read > 0 {
			v.buffer = v.buffer[:copy(v.buffer, v.buffer[v.read:])]
			v.read, v.checked = 0, 0
		}
		const part = 1 << 16
		v.buffer = slices.Grow(v.buffer, part)
		old, offset := len(v.buffer), v.in.offset()
		n, err := v.z.Read(v.buffer[old : old+part]) // of one block
		v.buffer, v.err = v.buffer[:old+n], err
		if v.in.offset() != offset {
			v.checked, v.sure = old, offset
		}
		if err == io.EOF {
			v.checked, v.sure = old+n, v.in.offset()
		}
	}
	n := copy(p, v.buffer[v.read:v.checked])
	v.read += n
	if n > 0 {
		return n, nil
	}
	return 0, v.err
}
