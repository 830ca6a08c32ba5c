package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/corpus"
)

// A WikiSite is what the head of a dump says of its wiki.
type WikiSite struct {
	Name string // of the database, as dewiki
	Lang string
	// Hidden are prefixes of links that show nothing in a text: the names of the
	// namespaces of media, files and categories.
	Hidden []string
}

// wikiPictures are names of namespaces of files and categories that heads of
// dumps do not tell, because they are the English ones or old ones.
var wikiPictures = []string{
	"Media", "File", "Image", "Category", "Afbeelding", "Bild", "Grafika", "Imagem", "Imagen", "Immagine",
	"Изображение", "Зображення", "画像", "图像", "圖像", "그림",
}

// parseSite returns what the head of a dump says, which ends at any place.
func parseSite(head []byte) (site WikiSite, err error) {
	d := xml.NewDecoder(bytes.NewReader(head))
	name, hidden := "", false
	for root := true; ; {
		token, err := d.Token()
		if err != nil { // where the head ends
			if root {
				err = fmt.Errorf("no <mediawiki>: %w", err)
			} else {
				err = nil
			}
			return site, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			name = token.Name.Local
			if root && name != "mediawiki" {
				return site, fmt.Errorf("the root is <%s>, want <mediawiki>", name)
			}
			hidden = false
			for _, a := range token.Attr {
				if root && a.Name.Local == "lang" {
					site.Lang = a.Value
				}
				if name == "namespace" && a.Name.Local == "key" {
					hidden = a.Value == "-2" || a.Value == "6" || a.Value == "14"
				}
			}
			root = false
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); name == "dbname" {
				site.Name = text
			} else if name == "namespace" && hidden && text != "" {
				site.Hidden = append(site.Hidden, text)
			}
		case xml.EndElement:
			name = ""
		}
	}
}

// ReadWikiSite returns what the head of a dump, as ReadWiki reads it, says of
// its wiki. Errors call the file name.
func ReadWikiSite(ctx context.Context, name string, r io.Reader) (WikiSite, error) {
	w, err := newWiki(ctx, name, r, WikiOptions{}, nil)
	if err != nil {
		return WikiSite{}, err
	}
	if err := w.readHead(); err != nil {
		return WikiSite{}, err
	}
	return *w.site, nil
}

// wikiPage is the element page of a dump.
type wikiPage struct {
	Title     string         `xml:"title"`
	NS        int            `xml:"ns"`
	ID        int64          `xml:"id"`
	Redirect  *struct{}      `xml:"redirect"`
	Revisions []wikiRevision `xml:"revision"`
}

type wikiRevision struct {
	Model string `xml:"model"`
	Text  string `xml:"text"`
}

func (p *wikiPage) last() *wikiRevision { return &p.Revisions[len(p.Revisions)-1] }

// parsePage parses what is between <page> and </page>.
func parsePage(page []byte) (wikiPage, error) {
	if p, ok := parseAround(page); ok {
		return p, nil
	}
	return parseWholePage(page)
}

// parseAround parses a page without its text, which is most of it and has neither
// elements nor comments: that is taken out before. It reports whether it was the text
// that encoding/xml would take.
func parseAround(page []byte) (p wikiPage, ok bool) {
	const mark = "\ue000text\ue000" // stands for the text
	begin, end := bytes.Index(page, []byte("<text")), bytes.LastIndex(page, []byte("</text>"))
	if begin < 0 || begin >= end || bytes.Contains(page, []byte(mark)) {
		return p, false
	}
	start := begin + bytes.IndexByte(page[begin:], '>') + 1
	if start > end || page[start-2] == '/' || bytes.ContainsAny(page[start:end], "<>") {
		return p, false
	}
	rest := make([]byte, 0, len(page)-(end-start)+len(mark))
	rest = append(append(append(rest, page[:start]...), mark...), page[end:]...)
	p, err := parseWholePage(rest)
	if err != nil || len(p.Revisions) == 0 || p.last().Text != mark {
		return p, false
	}
	p.last().Text, err = unescape(page[start:end])
	return p, err == nil
}

func parseWholePage(page []byte) (p wikiPage, err error) {
	err = xml.NewDecoder(io.MultiReader(strings.NewReader("<page>"), bytes.NewReader(page),
		strings.NewReader("</page>"))).Decode(&p)
	if err == nil && p.ID <= 0 {
		err = errors.New("the page has no ID")
	}
	return p, err
}

// unescape returns the text of XML without elements (XML 1.0, sections 2.2,
// 2.11 and 4.6).
func unescape(text []byte) (string, error) {
	if !utf8.Valid(text) || bytes.Contains(text, []byte("\ufffe")) || bytes.Contains(text, []byte("\uffff")) {
		return "", errors.New("it has bytes that are no characters")
	}
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return "", fmt.Errorf("the character %#x is not allowed", c)
		}
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			b.Write(text)
			s := b.String()
			if strings.Contains(s, "\r") {
				s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
			}
			return s, nil
		}
		b.Write(text[:i])
		text = text[i+1:]
		end := bytes.IndexByte(text[:min(len(text), 12)], ';')
		if end < 0 {
			return "", errors.New("& without an entity")
		}
		r, err := entityRune(string(text[:end]))
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
		text = text[end+1:]
	}
}

func entityRune(name string) (rune, error) {
	switch name {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	digits, base := strings.TrimPrefix(name, "#"), 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || name[0] != '#' || !utf8.ValidRune(rune(n)) || n|1 == 0xffff || n < ' ' && n != '\n' && n != '\t' &&
		n != '\r' {
		return 0, fmt.Errorf("the entity &%s; is not known", name)
	}
	return rune(n), nil
}

// A WikiRange is a part of a dump in multistream format, of whole streams. Two
// that follow each other may be joined: the End of one is the Offset of the
// next.
type WikiRange struct {
	Offset, End int64 // bytes in the dump
	Pages       int
}

// ReadWikiIndex returns the streams that the index of a dump lists, plain or
// compressed with bzip2: lines with the offset of a stream, the ID and the
// title of a page in it. size is that of the dump, in bytes. Errors call the
// file name.
func ReadWikiIndex(ctx context.Context, name string, r io.Reader, size int64) ([]WikiRange, error) {
	in := newTapeReader(r)
	text := in.Reader
	if head, _ := in.Peek(3); string(head) == "BZh" {
		text = bufio.NewReaderSize(newVerified(in), 1<<16)
	}
	var list []WikiRange
	for number := 1; ; number++ {
		failure := func(err error) error { return fmt.Errorf("source: %s:%d: %w", name, number, err) }
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := text.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, failure(err)
		}
		field, _, ok := bytes.Cut(line, []byte(":"))
		offset, err := strconv.ParseInt(string(field), 10, 64)
		last := len(list) - 1
		switch {
		case !ok || err != nil || offset < 0:
			return nil, failure(errors.New("the line does not begin with an offset"))
		case offset >= size:
			return nil, failure(fmt.Errorf("offset %d is not in a dump of %d bytes", offset, size))
		case last >= 0 && offset < list[last].Offset:
			return nil, failure(fmt.Errorf("offset %d follows %d", offset, list[last].Offset))
		case last >= 0 && offset == list[last].Offset:
			list[last].Pages++
			continue
		case last >= 0:
			list[last].End = offset
		}
		list = append(list, WikiRange{Offset: offset, End: size, Pages: 1})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("source: %s: %w", name, errEmpty)
	}
	return list, nil
}

// ReadWikiRange is ReadWiki for a part of a dump, so that parts can be read at
// the same time. The options must have the Site. It is an error, or counted,
// if there are more or fewer pages than the index lists.
func ReadWikiRange(
	ctx context.Context, name string, r io.ReaderAt, part WikiRange, o WikiOptions, fn func(corpus.Document) error,
) (Stats, error) {
	if o.Site == nil {
		return Stats{}, errors.New("source: a range of a dump has no Site")
	}
	w, err := newWiki(ctx, name, io.NewSectionReader(r, part.Offset, part.End-part.Offset), o, fn)
	if err != nil {
		return Stats{}, err
	}
	w.base = part.Offset
	if err := w.read(); err != nil {
		return w.stats, err
	}
	if w.stats.Damaged == 0 && w.stats.Records != part.Pages {
		err = w.lost(fmt.Errorf("there are %d pages, and %d in the index", w.stats.Records, part.Pages))
	}
	return w.stats, err
}
