package source

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// ReadXLIFF calls fn with the documents of a file of translations (XLIFF 1.2,
// 2.0 or 2.1), as [ReadPO] does: two for each element file. Their IDs are the
// name of the file, '#', original (or id) of the element, and #source or
// #target; the element is a part of the Group, too. Messages that need not be
// translated are left out; a translation is fuzzy whose state says that it is
// new or needs work, or that is not approved. The codes of inline markup are
// left out; what is between them stays.
//
// The file is streamed. What is not well-formed, cut short, or nested more than
// 100 deep is an error with file and line, as is a tag or a text of more than
// MaxBytes; if the options say SkipBad it is counted, and there are the
// documents of the elements file before. An error of fn is returned as it is.
func ReadXLIFF(
	ctx context.Context, name string, r io.Reader, o CatalogOptions, fn func(corpus.Document) error,
) (Stats, error) {
	base, err := newRecords(ctx, name, o.Options, fn)
	if err != nil {
		return Stats{}, err
	}
	in := &budget{r: r, each: base.o.MaxBytes}
	x := xliffReader{records: base, name: name, in: in, prefix: o.Group}
	x.d = xml.NewDecoder(transform.NewReader(in, unicode.BOMOverride(encoding.Nop.NewDecoder())))
	x.d.CharsetReader = func(label string, text io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return text, nil // decoded by its byte order mark
		}
		return charset.NewReaderLabel(label, text)
	}
	err = x.read()
	if in.failed != nil {
		return x.stats, fmt.Errorf("source: %s: %w", name, in.failed)
	}
	line, _ := x.d.InputPos()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		line, err = syntax.Line, errors.New(syntax.Msg)
	}
	return base.ended(fmt.Sprintf("%s:%d", name, line), max(1, int(in.n-x.good)), err)
}

// budget limits how much is read until the next refill.
type budget struct {
	r          io.Reader
	each, left int
	n          int64
	failed     error // of r, other than the end
}

func (b *budget) refill() { b.left = b.each }

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

// xliffReader goes through a file.
type xliffReader struct {
	*records
	name   string
	prefix string
	in     *budget
	d      *xml.Decoder
	stack  []string // names of the elements that are open
	langs  [2]string
	good   int64 // bytes of UTF-8 up to the last element file
	catalog
	unit xliffUnit
}

// xliffUnit is a message, or a segment of one in XLIFF 2.
type xliffUnit struct {
	source, target string
	fuzzy, initial bool // of the segment
	untranslatable bool // of the unit around it
}

const maxXMLDepth = 100

// token returns the next token, and keeps account of open elements.
func (x *xliffReader) token() (xml.Token, error) {
	x.in.refill()
	token, err := x.d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case xml.StartElement:
		if x.stack = append(x.stack, token.Name.Local); len(x.stack) > maxXMLDepth {
			return nil, fmt.Errorf("elements are nested more than %d deep", maxXMLDepth)
		}
	case xml.EndElement:
		x.stack = x.stack[:len(x.stack)-1]
	}
	return token, nil
}

func (x *xliffReader) read() error {
	began := false
	for {
		if err := x.ctx.Err(); err != nil {
			return stopError{err}
		}
		token, err := x.token()
		if err == io.EOF {
			if !began {
				return errEmpty
			}
			return nil
		} else if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !began && token.Name.Local != "xliff" {
				return fmt.Errorf("the root is <%s>, want <xliff>", token.Name.Local)
			}
			began = true
			err = x.start(token)
		case xml.EndElement:
			err = x.end(token.Name.Local)
		}
		if err != nil {
			return err
		}
	}
}

func attributes(e xml.StartElement) map[string]string {
	m := map[string]string{}
	for _, a := range e.Attr {
		if a.Name.Space == "" {
			m[a.Name.Local] = a.Value
		}
	}
	return m
}

func (x *xliffReader) start(e xml.StartElement) error {
	parent := ""
	if n := len(x.stack); n > 1 {
		parent = x.stack[n-2]
	}
	inUnit := parent == "trans-unit" || parent == "segment"
	switch name := e.Name.Local; {
	case name == "xliff":
		a := attributes(e)
		x.langs = [2]string{a["srcLang"], a["trgLang"]}
	case name == "file":
		a := attributes(e)
		x.catalog = catalog{}
		for i, attribute := range []string{"source-language", "target-language"} {
			x.lang[i], _ = langtag.Canonical(cmp.Or(a[attribute], x.langs[i]))
		}
		part := cmp.Or(a["original"], a["id"])
		x.lang[1] = cmp.Or(x.lang[1], x.o.Lang)
		x.id = x.name + "#" + part
		x.group = cmp.Or(x.prefix, catalogGroup(x.name, x.lang[1])) + "#" + part
	case name == "trans-unit", name == "unit":
		a := attributes(e)
		x.unit = xliffUnit{fuzzy: a["approved"] == "no", untranslatable: a["translate"] == "no"}
	case name == "segment":
		x.unit = xliffUnit{untranslatable: x.unit.untranslatable, initial: attributes(e)["state"] == "initial"}
	case name == "source" && inUnit:
		text, err := x.text()
		x.unit.source = text
		return err
	case name == "target" && inUnit:
		state := attributes(e)["state"]
		x.unit.fuzzy = x.unit.fuzzy || state == "new" || strings.HasPrefix(state, "needs-")
		text, err := x.text()
		x.unit.target = text
		return err
	}
	return nil
}

func (x *xliffReader) end(name string) error {
	switch name {
	case "trans-unit", "segment":
		if x.unit.untranslatable {
			x.stats.drop(OtherRecord, 1)
			return nil
		}
		if x.unit.initial {
			x.unit.target = ""
		}
		return x.add(&x.catalog, x.unit.source, x.unit.target, x.unit.fuzzy)
	case "file":
		x.good = x.d.InputOffset()
		err := x.passOn(&x.catalog)
		x.catalog = catalog{}
		return err
	}
	return nil
}

// text returns the text up to the end of the element that was begun.
func (x *xliffReader) text() (string, error) {
	var b strings.Builder
	depth, codes := len(x.stack), 0 // the depth at which codes began
	for len(x.stack) >= depth {
		token, err := x.token()
		if err != nil {
			return "", noEOF(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			if b.Len()+len(token) > x.o.MaxBytes {
				return "", fmt.Errorf("a text is longer than %d bytes", x.o.MaxBytes)
			}
			if codes == 0 {
				b.Write(token)
			}
		case xml.StartElement:
			switch token.Name.Local {
			case "bpt", "ept", "ph", "it":
				if codes == 0 {
					codes = len(x.stack)
				}
			}
		case xml.EndElement:
			if len(x.stack) < codes {
				codes = 0
			}
		}
	}
	return b.String(), nil
}
