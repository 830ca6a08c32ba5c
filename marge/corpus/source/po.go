package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// ReadPO calls fn with the documents of a catalog of gettext (PO or POT): one
// of the messages, in order, and one of their translations. Their IDs are the
// name of the file with #source and #target, their Group is that of the
// options, their Source group and language. The language of the translations is
// that of the header, of the options, or identified; the charset that of the
// header. A message is a paragraph. Of plural forms the last counts, which is
// that for many. Without a translation, or with a fuzzy one, a message is in the
// first document only, which is therefore the same beside each language;
// obsolete messages are left out. All are counted.
//
// The file is read as a whole, of at most MaxFileBytes. What is no PO file or
// is cut within a message is an error with file and line; if the options say
// SkipBad it is counted, and there is no document. An error of fn is returned
// as it is.
func ReadPO(
	ctx context.Context, name string, r io.Reader, o CatalogOptions, fn func(corpus.Document) error,
) (Stats, error) {
	base, err := newRecords(ctx, name, o.Options, fn)
	if err != nil {
		return Stats{}, err
	}
	if err := ctx.Err(); err != nil {
		return Stats{}, err
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxFileBytes+1))
	if err != nil {
		return Stats{}, fmt.Errorf("source: %s: %w", name, err)
	}
	p := poReader{records: base, line: 1}
	p.lang[0] = cmp.Or(o.SourceLang, "en")
	if err = p.read(data); err == nil {
		p.id = name
		p.lang[1] = cmp.Or(p.lang[1], p.o.Lang)
		p.group = cmp.Or(o.Group, catalogGroup(name, p.lang[1]))
		err = p.passOn(&p.catalog)
	}
	return base.ended(fmt.Sprintf("%s:%d", name, p.line), len(data), err)
}

// poReader parses a PO file.
type poReader struct {
	*records
	catalog
	line    int
	entry   poEntry
	current *strings.Builder // what a line of a string alone continues
}

// poEntry is a message. What is not there is nil.
type poEntry struct {
	fuzzy, obsolete     bool
	context, id, plural *strings.Builder
	texts               []*strings.Builder
}

// poCharset finds the charset in the header, which is ASCII up to there.
var poCharset = regexp.MustCompile(`(?i)"Content-Type:[^"\n]*charset=([-\w:.]+)`)

func (p *poReader) read(data []byte) error {
	if len(data) > MaxFileBytes {
		return fmt.Errorf("it is longer than %d bytes", MaxFileBytes)
	}
	kind := ""
	if m := poCharset.FindSubmatch(data[:min(len(data), 1<<14)]); m != nil {
		kind = "text/plain; charset=" + string(m[1])
	}
	text, err := decodeText(data, kind)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return errEmpty
	}
	for line := range strings.Lines(text) {
		if err := p.readLine(strings.TrimSpace(line)); err != nil {
			return err
		}
		p.line++
	}
	return p.finish()
}

func (p *poReader) readLine(line string) error {
	if rest, ok := strings.CutPrefix(line, "#~"); ok {
		if strings.HasPrefix(rest, "|") { // what the message was before
			return nil
		}
		line = strings.TrimSpace(rest)
		if err := p.keyword(line); err != nil {
			return err
		}
		p.entry.obsolete = true
		return nil
	}
	if strings.HasPrefix(line, "#") || line == "" {
		if p.entry.texts != nil {
			if err := p.finish(); err != nil {
				return err
			}
		}
		if flags, ok := strings.CutPrefix(line, "#,"); ok {
			for flag := range strings.SplitSeq(flags, ",") {
				p.entry.fuzzy = p.entry.fuzzy || strings.TrimSpace(flag) == "fuzzy"
			}
		}
		return nil
	}
	return p.keyword(line)
}

// keyword reads a line like msgid "text".
func (p *poReader) keyword(line string) error {
	at := strings.IndexByte(line, '"')
	if at < 0 {
		return fmt.Errorf("%.40q is no line of a PO file", line)
	}
	text, err := poString(line[at:])
	if err != nil {
		return err
	}
	word := strings.TrimSpace(line[:at])
	if word == "" {
		if p.current == nil {
			return errors.New("a string without msgid or msgstr")
		}
		p.current.WriteString(text)
		return nil
	}
	if p.entry.texts != nil && (word == "msgid" || word == "msgctxt") {
		if err := p.finish(); err != nil {
			return err
		}
	}
	p.current = new(strings.Builder)
	p.current.WriteString(text)
	e := &p.entry
	switch {
	case word == "msgctxt" && e.context == nil && e.id == nil:
		e.context = p.current
	case word == "msgid" && e.id == nil:
		e.id = p.current
	case word == "msgid_plural" && e.id != nil && e.plural == nil && e.texts == nil:
		e.plural = p.current
	case word == "msgstr" && e.id != nil && e.plural == nil && e.texts == nil,
		e.plural != nil && word == fmt.Sprintf("msgstr[%d]", len(e.texts)) && len(e.texts) < 10:
		e.texts = append(e.texts, p.current)
	case word == "domain":
	default:
		return fmt.Errorf("%.40q is not expected here", word)
	}
	return nil
}

// finish adds a message.
func (p *poReader) finish() error {
	e := p.entry
	p.entry, p.current = poEntry{}, nil
	if e.id == nil && e.context == nil {
		return nil
	}
	if e.texts == nil {
		return errors.New("a message has no msgstr")
	}
	target := e.texts[len(e.texts)-1].String()
	if e.id.Len() == 0 && e.context == nil {
		for line := range strings.Lines(target) {
			if lang, ok := strings.CutPrefix(line, "Language:"); ok {
				p.lang[1], _ = langtag.Canonical(strings.TrimSpace(lang)) // "" in templates
			}
		}
		return nil
	}
	if e.obsolete {
		p.stats.drop(Obsolete, 1)
		return nil
	}
	source := e.id.String()
	if e.plural != nil {
		source = e.plural.String()
		p.stats.drop(PluralForm, len(e.texts)-1)
	}
	return p.add(&p.catalog, source, target, e.fuzzy)
}

// poString returns what a string in quotes stands for, with the escapes of C.
func poString(quoted string) (string, error) {
	if len(quoted) < 2 || !strings.HasSuffix(quoted, `"`) {
		return "", fmt.Errorf("%.40q has no end", quoted)
	}
	text := quoted[1 : len(quoted)-1]
	if !strings.ContainsAny(text, `"\`) {
		return text, nil
	}
	var b strings.Builder
	for text != "" {
		r, wide, rest, err := strconv.UnquoteChar(text, '"')
		if err != nil {
			return "", fmt.Errorf("%.40q is no string", quoted)
		}
		if text = rest; wide {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r))
		}
	}
	return b.String(), nil
}
