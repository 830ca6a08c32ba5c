package source

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/xmltext"
)

// languageBytes is what a language of a translation memory needs beside its text.
const languageBytes = 256

// ReadTMX calls fn with the documents of a translation memory (TMX 1.1 to 1.4b),
// one for each language, with the texts of its translation units in order, as
// [ReadPO] does. Their IDs are the name of the file, '#' and the language.
// A unit without text is dropped; of several versions in a language the first
// counts. The codes of inline markup are left out; what is between them stays.
//
// The file is streamed, and its texts are kept, of at most MaxFileBytes. What is
// not well-formed, cut short, or nested more than 100 deep is an error with file
// and line, as is a tag or a unit of more than MaxBytes; if the options say
// SkipBad it is counted, and there is no document. An error of fn is returned as
// it is.
func ReadTMX(
	ctx context.Context, name string, r io.Reader, o CatalogOptions, fn func(corpus.Document) error,
) (Stats, error) {
	base, err := newRecords(ctx, name, o.Options, fn)
	if err != nil {
		return Stats{}, err
	}
	m := memory{records: base, index: map[string]int{}}
	x := xmltext.NewReader(r, base.o.MaxBytes)
	err = x.ReadTMX(func(_ int, versions []xmltext.Version) error {
		if err := ctx.Err(); err != nil {
			return stopError{err}
		}
		return m.unit(versions)
	})
	if err == io.EOF {
		err = errEmpty
	}
	if err == nil {
		err = m.passAllOn(name, cmp.Or(o.Group, catalogGroup(name, "")))
	}
	return base.endedXML(name, x, 0, err)
}

// memory is what is known of a translation memory.
type memory struct {
	*records
	langs []string
	texts []*strings.Builder // by language
	last  []int              // the last unit with a text in the language
	index map[string]int     // of languages
	units int
	bytes int
}

// unit adds the versions of a unit.
func (m *memory) unit(versions []xmltext.Version) error {
	m.units++
	found := false
	for _, v := range versions {
		text := strings.TrimSpace(v.Text)
		if text == "" {
			continue
		}
		found = true
		i := m.language(v.Lang)
		if m.last[i] == m.units {
			continue // another version
		}
		m.last[i] = m.units
		if m.texts[i].Len() > 0 {
			text = "\n\n" + text
		}
		m.texts[i].WriteString(text)
		if m.bytes += len(text); m.bytes > MaxFileBytes {
			return fmt.Errorf("its texts are longer than %d bytes", MaxFileBytes)
		}
	}
	if found {
		m.stats.Records++
	} else {
		m.stats.drop(NoText, 1)
	}
	return nil
}

// language returns the place of a language, which need not be one.
func (m *memory) language(name string) int {
	if tag, err := langtag.Canonical(name); err == nil {
		name = tag
	}
	i, known := m.index[name]
	if !known {
		i = len(m.langs)
		m.index[name] = i
		m.langs = append(m.langs, name)
		m.texts = append(m.texts, new(strings.Builder))
		m.last = append(m.last, 0)
		m.bytes += languageBytes + len(name)
	}
	return i
}

// passAllOn passes on the documents, in the order of their first texts.
func (m *memory) passAllOn(name, group string) error {
	for i, lang := range m.langs {
		doc := corpus.Document{
			ID: name + "#" + lang, Lang: lang, Text: m.texts[i].String(), Group: group, Source: group + "#" + lang,
		}
		if err := m.pass(doc); err != nil {
			return stopError{err}
		}
	}
	return nil
}
