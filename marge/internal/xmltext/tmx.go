package xmltext

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Version is the text of a translation unit in one language.
type Version struct {
	Lang string // as it is written there
	Text string // without the codes of inline markup
}

// versionBytes is what a version needs beside its text.
const versionBytes = 64

// ReadTMX calls fn with the translation units of a translation memory (TMX 1.1
// to 1.4b), and the line that each begins in. The versions are valid until fn
// returns. A file without an element is io.EOF.
func (x *Reader) ReadTMX(fn func(line int, versions []Version) error) error {
	if _, err := x.Root("tmx"); err != nil {
		return err
	}
	var versions []Version
	for {
		token, err := x.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); !ok || start.Name.Local != "tu" {
			continue
		}
		line := x.Line()
		if versions, err = x.unit(versions[:0]); err == nil {
			err = fn(line, versions)
		}
		if err != nil {
			return err
		}
	}
}

// unit appends the versions of a translation unit.
func (x *Reader) unit(versions []Version) ([]Version, error) {
	left := x.in.each
	for {
		token, err := x.Token()
		if err != nil {
			return versions, err
		}
		switch token := token.(type) {
		case xml.EndElement:
			return versions, nil
		case xml.StartElement:
			if token.Name.Local != "tuv" {
				if err := x.Skip(); err != nil {
					return versions, err
				}
				continue
			}
			v := Version{Lang: tmxLang(token)}
			if v.Lang == "" {
				return versions, errors.New("<tuv> has no xml:lang")
			}
			if v.Text, err = x.version(); err != nil {
				return versions, err
			}
			if left -= len(v.Lang) + len(v.Text) + versionBytes; left < 0 {
				return versions, fmt.Errorf("a translation unit is longer than %d bytes", x.in.each)
			}
			versions = append(versions, v)
		}
	}
}

// tmxLang returns the language of a version, which TMX 1.1 has in an attribute
// without a prefix.
func tmxLang(tuv xml.StartElement) string {
	for _, a := range tuv.Attr {
		if a.Name.Local == "lang" {
			return a.Value
		}
	}
	return ""
}

// version returns the text of the segment of a version.
func (x *Reader) version() (text string, err error) {
	for {
		token, err := x.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.EndElement:
			return text, nil
		case xml.StartElement:
			if token.Name.Local == "seg" {
				text, err = x.segment()
			} else {
				err = x.Skip()
			}
			if err != nil {
				return "", err
			}
		}
	}
}

// segment returns the text of a segment. Highlighting (hi) is around text; bpt,
// ept, it, ph and ut hold codes.
func (x *Reader) segment() (string, error) {
	var b strings.Builder
	for depth := x.Depth(); x.Depth() >= depth; {
		token, err := x.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.CharData:
			if b.Len()+len(token) > x.in.each {
				return "", fmt.Errorf("a text is longer than %d bytes", x.in.each)
			}
			b.Write(token)
		case xml.StartElement:
			if token.Name.Local != "hi" {
				if err := x.Skip(); err != nil {
					return "", err
				}
			}
		}
	}
	return b.String(), nil
}
