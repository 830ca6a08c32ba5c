package source

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/xmltext"
)

// CatalogOptions say how catalogs of translations are read.
type CatalogOptions struct {
	Options // Lang is that of translations, if the file does not tell it
	// SourceLang is the language of messages in PO files, "" for en. XLIFF tells
	// it.
	SourceLang string
	// Group is the start of the Group of the documents; "" stands for the name
	// of the file, with * for the language in it: po/*.po for po/de.po, so that
	// the catalogs of one program are a group.
	Group string
}

// catalog is what is known of a file of translations.
type catalog struct {
	id, group      string
	source, target strings.Builder
	lang           [2]string // of source and target
}

func (c *catalog) bytes() int { return c.source.Len() + c.target.Len() }

// add adds a message that the program still has.
func (r *records) add(c *catalog, source, target string, fuzzy bool) error {
	write := func(b *strings.Builder, text string) {
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(strings.ToValidUTF8(text, "\ufffd"))
	}
	source, target = strings.TrimSpace(source), strings.TrimSpace(target)
	if source == "" {
		r.stats.drop(NoText, 1)
		return nil
	}
	write(&c.source, source)
	switch {
	case target == "":
		r.stats.drop(Untranslated, 1)
	case fuzzy:
		r.stats.drop(Fuzzy, 1)
	default:
		write(&c.target, target)
		r.stats.Records++
	}
	if c.bytes() > MaxFileBytes {
		return fmt.Errorf("its texts are longer than %d bytes", MaxFileBytes)
	}
	return nil
}

// passOn passes on a document for each language.
func (r *records) passOn(c *catalog) error {
	for i, text := range []string{c.source.String(), c.target.String()} {
		if text == "" {
			continue
		}
		doc := corpus.Document{ID: c.id + [...]string{"#source", "#target"}[i], Lang: c.lang[i], Text: text, Group: c.group}
		if doc.Lang != "" {
			doc.Source = c.group + "#" + doc.Lang
		}
		if err := r.pass(doc); err != nil {
			return stopError{err}
		}
	}
	return nil
}

// catalogGroup returns the name of a file with * instead of a language.
func catalogGroup(name, lang string) string {
	parts := strings.Split(filepath.ToSlash(name), "/")
	for i, part := range parts {
		fields := strings.Split(part, ".")
		for j, field := range fields {
			if tag, err := langtag.Canonical(field); err == nil && lang != "" && tag == lang {
				fields[j] = "*"
			}
		}
		parts[i] = strings.Join(fields, ".")
	}
	return strings.Join(parts, "/")
}

// ended returns the result of reading a file that is read as a whole.
func (r *records) ended(place string, size int, err error) (Stats, error) {
	var stop stopError
	if errors.As(err, &stop) {
		return r.stats, stop.error
	}
	if err != nil {
		r.stats.Damaged++
		r.stats.LostBytes += int64(size)
		err = r.o.bad(fmt.Errorf("source: %s: %w", place, err))
	}
	return r.stats, err
}

// endedXML returns the result of reading XML that was right up to good.
func (r *records) endedXML(name string, x *xmltext.Reader, good int64, err error) (Stats, error) {
	if failed := x.Failed(); failed != nil {
		return r.stats, fmt.Errorf("source: %s: %w", name, failed)
	}
	line, err := x.Where(err)
	return r.ended(fmt.Sprintf("%s:%d", name, line), max(1, int(x.BytesRead()-good)), err)
}
