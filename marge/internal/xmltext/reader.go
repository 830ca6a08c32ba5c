// Package xmltext reads the texts of XML that others wrote. The memory needed is
// bounded, whatever the file holds.
package xmltext

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// MaxDepth is how deep elements may be nested.
const MaxDepth = 100

// A Reader reads the tokens of a file in UTF-8, UTF-16, or the encoding that its
// first line names.
type Reader struct {
	in   *budget
	d    *xml.Decoder
	open []string
}

// NewReader returns a reader that accepts tags, texts and comments of up to
// maxBytes.
func NewReader(r io.Reader, maxBytes int) *Reader {
	x := &Reader{in: &budget{r: r, each: maxBytes}}
	x.d = xml.NewDecoder(transform.NewReader(x.in, unicode.BOMOverride(encoding.Nop.NewDecoder())))
	x.d.CharsetReader = func(label string, text io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return text, nil // decoded by its byte order mark
		}
		return charset.NewReaderLabel(label, text)
	}
	return x
}

// budget limits how much is read until the next refill.
type budget struct {
	r          io.Reader
	each, left int
	n          int64
	failed     error // of r, other than the end
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a tag or a text is longer than %d bytes", b.each)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.n += int64(n)
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

// Token returns the next token, or io.EOF at the end of a file whose elements
// all have an end.
func (x *Reader) Token() (xml.Token, error) {
	x.in.left = x.in.each
	token, err := x.d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case xml.StartElement:
		if x.open = append(x.open, token.Name.Local); len(x.open) > MaxDepth {
			return nil, fmt.Errorf("elements are nested more than %d deep", MaxDepth)
		}
	case xml.EndElement:
		x.open = x.open[:len(x.open)-1]
	}
	return token, nil
}

// Root goes to the root element, which must have the given name. It returns
// io.EOF if there is none.
func (x *Reader) Root(name string) (root xml.StartElement, err error) {
	for {
		token, err := x.Token()
		if err != nil {
			return root, err
		}
		if root, ok := token.(xml.StartElement); ok {
			if root.Name.Local != name {
				err = fmt.Errorf("the root is <%s>, want <%s>", root.Name.Local, name)
			}
			return root, err
		}
	}
}

// Skip goes to the end of the element that was begun last.
func (x *Reader) Skip() error {
	for depth := len(x.open); len(x.open) >= depth; {
		if _, err := x.Token(); err != nil {
			return err
		}
	}
	return nil
}

// Depth returns how many elements are open.
func (x *Reader) Depth() int { return len(x.open) }

// Parent returns the name of the element around the one that was begun last, or
// "".
func (x *Reader) Parent() string {
	if len(x.open) < 2 {
		return ""
	}
	return x.open[len(x.open)-2]
}

// Line returns the line of the file that was read to.
func (x *Reader) Line() int {
	line, _ := x.d.InputPos()
	return line
}

// Offset returns the length of the UTF-8 that was read, and BytesRead how much
// of the file, which is somewhat more.
func (x *Reader) Offset() int64    { return x.d.InputOffset() }
func (x *Reader) BytesRead() int64 { return x.in.n }

// Failed returns the error that reading the file failed with, if it did.
func (x *Reader) Failed() error { return x.in.failed }

// Where returns the line that an error of the reader is about, and what it says
// without that.
func (x *Reader) Where(err error) (int, error) {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Line, errors.New(syntax.Msg)
	}
	return x.Line(), err
}
