package source

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/xmltext"
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
	x := xliffReader{records: base, name: name, prefix: o.Group, xml: xmltext.NewReader(r, base.o.MaxBytes)}
	err = x.read()
	return base.endedXML(name, x.xml, x.good, err)
}

// xliffReader goes through a file.
type xliffReader struct {
	*records
	name   string
	prefix string
	xml    *xmltext.Reader
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

func (x *xliffReader) read() error {
	root, err := x.xml.Root("xliff")
	if err == io.EOF {
		return errEmpty
	} else if err != nil {
		return err
	}
	a := attributes(root)
	x.langs = [2]string{a["srcLang"], a["trgLang"]}
	for {
		if err := x.ctx.Err(); err != nil {
			return stopError{err}
		}
		token, err := x.xml.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
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
	parent := x.xml.Parent()
	inUnit := parent == "trans-unit" || parent == "segment"
	switch name := e.Name.Local; {
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
		x.good = x.xml.Offset()
		err := x.passOn(&x.catalog)
		x.catalog = catalog{}
		return err
	}
	return nil
}

// text returns the text up to the end of the element that was begun.
func (x *xliffReader) text() (string, error) {
	var b strings.Builder
	depth, codes := x.xml.Depth(), 0 // the depth at which codes began
	for x.xml.Depth() >= depth {
		token, err := x.xml.Token()
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
					codes = x.xml.Depth()
				}
			}
		case xml.EndElement:
			if x.xml.Depth() < codes {
				codes = 0
			}
		}
	}
	return b.String(), nil
}
