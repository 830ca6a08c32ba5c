package task

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// ReadTMX reads the translation units of a translation memory (TMX 1.1 to 1.4b)
// that have both languages; en also stands for en-US, but not the other way
// round. Of several versions in a language the first counts. The codes of
// inline markup are left out; what is between them stays. The file is streamed,
// in UTF-8 or UTF-16. What is not well-formed is an error with file and line, as
// is a file that is no TMX, and one without a translation.
func ReadTMX(path, from, to string) (*Translations, error) {
	if err := translationLangs(&from, &to); err != nil {
		return nil, err
	}
	f, err := corpus.OpenText(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	decode := unicode.BOMOverride(encoding.UTF8Validator)
	r := tmxReader{
		path: path,
		d:    xml.NewDecoder(transform.NewReader(f, decode)),
		from: from, to: to, seen: map[string]bool{},
	}
	r.d.CharsetReader = func(charset string, text io.Reader) (io.Reader, error) {
		if !strings.HasPrefix(strings.ToLower(charset), "utf-16") {
			return nil, fmt.Errorf("the encoding %q is not UTF-8 or UTF-16", charset)
		}
		return text, nil // decoded by its byte order mark
	}
	if err := r.read(); err != nil {
		line, _ := r.d.InputPos()
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			line, err = syntax.Line, errors.New(syntax.Msg)
		}
		return nil, lineError(path, line, "%w", err)
	}
	return r.checked(path, missingLangs(from, to, r.seen))
}

// tmxReader goes through a TMX file.
type tmxReader struct {
	Translations
	path     string
	d        *xml.Decoder
	from, to string
	seen     map[string]bool // languages
}

// read reads the whole file.
func (r *tmxReader) read() error {
	began := false
	for {
		token, err := r.d.Token()
		if err == io.EOF {
			if !began {
				return errors.New("the file is empty")
			}
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if name := start.Name.Local; !began && name != "tmx" {
			return fmt.Errorf("the root is <%s>, want <tmx>", name)
		} else if name == "tu" {
			if err := r.unit(); err != nil {
				return err
			}
		}
		began = true
	}
}

// unit reads the versions of a translation unit.
func (r *tmxReader) unit() error {
	var texts [2]string
	line, _ := r.d.InputPos()
	for {
		token, err := r.d.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.EndElement:
			r.add(texts[0], texts[1], r.from, r.to, place(r.path, line))
			return nil
		case xml.StartElement:
			if token.Name.Local != "tuv" {
				if err := r.d.Skip(); err != nil {
					return err
				}
				continue
			}
			lang := tmxLang(token)
			if lang == "" {
				return errors.New("<tuv> has no xml:lang")
			}
			text, err := r.version()
			if err != nil {
				return err
			}
			if tag, err := langtag.Canonical(lang); err == nil {
				r.seen[tag] = true
			}
			if i, ok := langtag.Match(lang, []string{r.from, r.to}); ok && texts[i] == "" {
				texts[i] = text
			}
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
func (r *tmxReader) version() (string, error) {
	var text string
	for {
		token, err := r.d.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.EndElement:
			return text, nil
		case xml.StartElement:
			if token.Name.Local == "seg" {
				text, err = r.segment()
			} else {
				err = r.d.Skip()
			}
			if err != nil {
				return "", err
			}
		}
	}
}

// segment returns the text of a segment. Highlighting (hi) is around text; bpt,
// ept, it, ph and ut hold codes.
func (r *tmxReader) segment() (string, error) {
	var b strings.Builder
	for depth := 1; depth > 0; {
		token, err := r.d.Token()
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.CharData:
			b.Write(token)
		case xml.EndElement:
			depth--
		case xml.StartElement:
			if token.Name.Local == "hi" {
				depth++
			} else if err := r.d.Skip(); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}
