package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/marge-go/marge/marge/corpus"
)

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readWiki(t testing.TB, data []byte, o WikiOptions) ([]corpus.Document, Stats, error) {
	t.Helper()
	return gather(func(fn func(corpus.Document) error) (Stats, error) {
		return ReadWiki(t.Context(), "x.xml", bytes.NewReader(data), o, fn)
	})
}

func ids(docs []corpus.Document) string {
	var list []string
	for _, doc := range docs {
		list = append(list, strings.TrimPrefix(doc.ID, "dewiki:"))
	}
	return strings.Join(list, " ")
}

// wikiWant is what the fixture holds.
func wikiWant() (want Stats) {
	want.Records, want.Documents = 9, 4
	want.Dropped[Redirect], want.Dropped[OtherRecord], want.Dropped[NoText], want.Dropped[TooDeep] = 1, 2, 1, 1
	return want
}

func TestWiki(t *testing.T) {
	for _, name := range []string{"wiki.xml", "wiki.xml.bz2"} {
		o := WikiOptions{Options: Options{WikiGroup: func(page int64, title string) string {
			return strconv.FormatInt(page, 10) + title
		}}}
		docs, stats, err := readWiki(t, readFixture(t, name), o)
		if err != nil || stats != wikiWant() || ids(docs) != "1 4 7 9" {
			t.Fatalf("%s: %q, %v, error %v", name, ids(docs), stats, err)
		}
		want := corpus.Document{ID: "dewiki:1", Lang: "de", Group: "1Brücke",
			Text: "Brücke\n\nEine Brücke führt über einen Fluß.\n\nBau\n\nStein\n\nHolz"}
		if docs[0] != want {
			t.Errorf("%s: %+q, want %+q", name, docs[0], want)
		}
		if begin := "A & B\n\nEin A & ein B und < Der Rat"; !strings.HasPrefix(docs[2].Text, begin) ||
			docs[2].Group != "7A & B" {
			t.Errorf("%s: %+q, want %q", name, docs[2], begin)
		}
	}
	site, err := ReadWikiSite(t.Context(), "x", bytes.NewReader(readFixture(t, "wiki.xml.bz2")))
	if err != nil || site.Name != "dewiki" || site.Lang != "de" || strings.Join(site.Hidden,
		" ") != "Medium Datei Kategorie" {
		t.Errorf("site %+v, error %v", site, err)
	}
	// A history has several revisions, old dumps have CDATA sections and no site.
	old := "<mediawiki><page><title>A</title><id>7</id><revision><text>old</text></revision>" +
		"<revision><text><![CDATA[a '''new''' <nowiki>A</nowiki>]]></text></revision></page></mediawiki>"
	docs, _, err := readWiki(t, []byte(old), WikiOptions{Options: Options{Lang: "en"}})
	if err != nil || docs[0] != (corpus.Document{ID: "wiki:7", Lang: "en", Text: "A\n\na new A"}) {
		t.Errorf("a history: %+q, error %v", docs, err)
	}
}

func TestWikiRanges(t *testing.T) {
	data := readFixture(t, "wiki.xml.bz2")
	site := &WikiSite{Name: "dewiki", Lang: "de", Hidden: []string{"Datei", "Kategorie"}}
	for _, name := range []string{"wiki-index.txt", "wiki-index.txt.bz2"} {
		parts, err := ReadWikiIndex(t.Context(), name, bytes.NewReader(readFixture(t, name)), int64(len(data)))
		if err != nil || len(parts) != 3 {
			t.Fatalf("%s: %v, error %v", name, parts, err)
		}
		joined := WikiRange{Offset: parts[0].Offset, End: parts[1].End, Pages: parts[0].Pages + parts[1].Pages}
		var all Stats
		var list []corpus.Document
		for _, part := range []WikiRange{joined, parts[2]} {
			docs, stats, err := gather(func(fn func(corpus.Document) error) (Stats, error) {
				return ReadWikiRange(t.Context(), "x", bytes.NewReader(data), part, WikiOptions{Site: site}, fn)
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Add(stats)
			list = append(list, docs...)
		}
		if all != wikiWant() || ids(list) != "1 4 7 9" {
			t.Errorf("%s: %v, %v", name, ids(list), all)
		}
	}
	nothing := func(corpus.Document) error { return nil }
	part := WikiRange{Offset: 0, End: int64(len(data)), Pages: 10}
	o := WikiOptions{Site: site}
	if _, err := ReadWikiRange(t.Context(), "x", bytes.NewReader(data), part, o, nothing); err == nil ||
		!strings.Contains(err.Error(), "there are 9 pages, and 10 in the index") {
		t.Errorf("a page too few: error %v", err)
	}
	o.SkipBad = true
	if stats, err := ReadWikiRange(t.Context(), "x", bytes.NewReader(data), part, o, nothing); err != nil ||
		stats.Damaged != 1 {
		t.Errorf("a page too few, counted: %v, error %v", stats, err)
	}
	if _, err := ReadWikiRange(t.Context(), "x", bytes.NewReader(data), part, WikiOptions{}, nothing); err == nil {
		t.Error("no error without a site")
	}
	for index, want := range map[string]string{
		"": "it has no text", "x:1:a\n": "x:1: the line does not begin", "5:1:a\n4:2:b\n": "x:2: offset 4 follows 5",
		"5:1:a": "x:1: unexpected EOF", "99:1:a\n": "x:1: offset 99 is not in a dump of 99 bytes",
		"-1:1:a\n":                 "x:1: the line does",
		strings.Repeat("5", 1<<17): "x:1: bufio: buffer full", "BZh9": "x:1: unexpected EOF", "7\n": "x:1: the line does",
	} {
		if _, err := ReadWikiIndex(t.Context(), "x", strings.NewReader(index), 99); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("index %.20q: error %v, want %q", index, err, want)
		}
	}
}

// TestWikiCut cuts dumps at every byte: nothing is missing silently.
func TestWikiCut(t *testing.T) {
	small := "<mediawiki><page><title>A</title><id>1</id><revision><text>x</text></revision></page>\n" +
		"<page><title>B</title><id>4</id><revision><text>y</text></revision></page></mediawiki>"
	bz := readFixture(t, "wiki.xml.bz2")
	bz = append(bz[:bytes.Index(bz[1000:], []byte("BZh"))+1000:len(bz)], bz[bytes.LastIndex(bz, []byte("BZh")):]...)
	for name, data := range map[string][]byte{"plain": []byte(small), "bz2": bz} {
		end := len(bytes.TrimRight(data, "\n"))
		for cut := range end {
			if cut%10 == 0 { // it takes a while
				if _, stats, err := readWiki(t, data[:cut], WikiOptions{}); err == nil {
					t.Fatalf("%s: %d of %d bytes: no error, %v", name, cut, len(data), stats)
				}
			}
			docs, stats, err := readWiki(t, data[:cut], WikiOptions{Options: Options{SkipBad: true}})
			if err == nil && (stats.Damaged != 1 || stats.LostBytes > int64(cut)) || !strings.HasPrefix("1 4 7 9",
				strings.ReplaceAll(ids(docs), "wiki:", "")) {
				t.Fatalf("%s: %d of %d bytes: %q, %v, error %v", name, cut, len(data), ids(docs), stats, err)
			}
		}
	}
}

// TestWikiFlips flips a bit of every byte of the middle stream: what is passed
// on is right, and what is not is counted.
func TestWikiFlips(t *testing.T) {
	data := readFixture(t, "wiki.xml.bz2")
	parts, err := ReadWikiIndex(t.Context(), "x", bytes.NewReader(readFixture(t, "wiki-index.txt")), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	right, _, err := readWiki(t, data, WikiOptions{})
	if err != nil {
		t.Fatal(err)
	}
	size := parts[1].End - parts[1].Offset
	for i := parts[1].Offset; i < parts[1].End; i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		docs, stats, err := readWiki(t, bad, WikiOptions{Options: Options{SkipBad: true}})
		if stats == wikiWant() && err == nil {
			continue // a bit that means nothing, or the size of blocks
		}
		if err != nil || stats.Damaged != 1 || stats.LostBytes > size+16 || (ids(docs) != "1 7 9" && ids(docs) != "1 4 7 9") {
			t.Fatalf("byte %d of the stream: %q, %v, error %v", i-parts[1].Offset, ids(docs), stats, err)
		}
		for _, doc := range docs {
			for _, want := range right {
				if doc.ID == want.ID && doc != want {
					t.Fatalf("byte %d: %+q", i, doc)
				}
			}
		}
	}
	cut := append(bytes.Clone(data[:parts[1].Offset+size/2]), data[parts[1].End:]...)
	docs, stats, err := readWiki(t, cut, WikiOptions{Options: Options{SkipBad: true}})
	if err != nil || ids(docs) != "1 7 9" || stats.Damaged != 1 {
		t.Errorf("half a stream: %q, %v, error %v", ids(docs), stats, err)
	}
}

func TestWikiErrors(t *testing.T) {
	head, page := "<mediawiki>", "<page><title>A</title><ns>0</ns><id>1</id><revision><text>b</text></revision></page>"
	for data, want := range map[string]string{
		"": "at byte 0: it has no text", "<html></html>": "no head", "<page>": "the root is <page>",
		"x</mediawiki>":      "no <mediawiki>",
		"<html></mediawiki>": "the root is <html>", head + strings.Repeat("<x>", maxWikiHead/3) + page: "longer than",
		head + page: "</mediawiki> is missing", head + page + page[:20]: "at byte 95: the data are cut short",
		"BZh":                                    "no head",
		head + page[:20] + page + "</mediawiki>": "at byte 0: a page begins in a page",
	} {
		if _, _, err := readWiki(t, []byte(data), WikiOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", data, err, want)
		}
	}
	for bad, reason := range map[string]Reason{
		"<id>1</id>": BadRecord, "<title>": BadRecord, "<ns>0</ns>": -1, "<revision>": BadRecord, "<text>b</text>": NoText,
	} {
		data := head + strings.Replace(page, bad, "", 1) + page + "</mediawiki>"
		docs, stats, err := readWiki(t, []byte(data), WikiOptions{})
		if err != nil || reason >= 0 && (len(docs) != 1 || stats.Dropped[reason] != 1) {
			t.Errorf("without %s: %v, error %v, want %v", bad, stats, err, reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := errors.New("enough")
	data := readFixture(t, "wiki.xml")
	for _, skip := range []bool{false, true} {
		o := WikiOptions{Options: Options{SkipBad: skip}}
		failing := io.MultiReader(bytes.NewReader(data[:2000]), iotest.ErrReader(io.ErrClosedPipe))
		nothing := func(corpus.Document) error { return nil }
		if _, err := ReadWiki(t.Context(), "x", failing, o, nothing); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a file that cannot be read: error %v", err)
		}
		_, err := ReadWiki(t.Context(), "x", bytes.NewReader(data), o, func(corpus.Document) error { return stop })
		if err != stop {
			t.Errorf("stopped: error %v", err)
		}
		_, err = ReadWiki(ctx, "x", bytes.NewReader(data), o, func(corpus.Document) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: error %v", err)
		}
	}
}

func TestWikiBombs(t *testing.T) {
	data := readFixture(t, "wiki-bomb.xml.bz2")
	used := peak(func() {
		docs, stats, err := readWiki(t, data, WikiOptions{})
		if err != nil || ids(docs) != "1 4" || stats.Dropped[TooLong] != 2 {
			t.Errorf("pages of 100 MB: %q, %v, error %v", ids(docs), stats, err)
		}
	})
	if used > 200<<20 {
		t.Errorf("pages of 100 MB: %d bytes in use", used)
	}
	const maxBytes = 256 << 10
	for name, part := range map[string]string{
		"depth": "<a>", "attributes": `<a b="" c="" d="" e=""/>`, "entities": "&amp;", "no entity": "&x;",
		"names": "<a:b/>", "text": "x",
	} {
		data := "<mediawiki><page><title>A</title><id>1</id>" + strings.Repeat(part, (maxBytes-100)/len(part)) +
			"</page></mediawiki>"
		used := peak(func() {
			if _, _, err := readWiki(t, []byte(data), WikiOptions{Options: Options{MaxBytes: maxBytes}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if used > 200*maxBytes+10<<20 {
			t.Errorf("%s: %d bytes in use for %d", name, used, len(data))
		}
	}
}

func FuzzWiki(f *testing.F) {
	for _, name := range []string{"wiki.xml", "wiki.xml.bz2"} {
		f.Add(readFixture(f, name))
	}
	f.Add([]byte("<mediawiki><page><title>A</title><id>1</id><revision><text>&#x41;</text></revision></page></mediawiki>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, site := range []*WikiSite{nil, {}} {
			docs, stats, err := readWiki(t, data, WikiOptions{Site: site, Options: Options{SkipBad: true, MaxBytes: 1 << 13}})
			if err == nil && (stats.LostBytes < 0 || stats.LostBytes > int64(len(data))) {
				t.Errorf("%v of %d bytes", stats, len(data))
			}
			for _, doc := range docs {
				if strings.ToValidUTF8(doc.Text, "") != doc.Text || doc.ID == "" || doc.Lang == "" {
					t.Errorf("document %+q", doc)
				}
			}
		}
	})
}

// The short way of parsing a page and encoding/xml agree.
func FuzzWikiPage(f *testing.F) {
	f.Add("<title>A</title><id>1</id><revision><text>a &lt;b&gt; &#65;&#x42; &amp;\r\n</text></revision>")
	f.Add("<id>1</id><revision><text></text><text>&amp;</text></revision><text>a</text>")
	f.Add("<id>1</id><revision></revision><text>a</text>")
	f.Add("<id>1</id><revision><text a='b'>a</text><x></x></revision><revision></revision>")
	f.Add("<id>1</id><revision><!--<text>&x;</text>--></revision>")
	f.Add("<id>1</id><revision><texts>a</text></revision>")
	f.Add("<id>1</id><revision><text>\ue000text\ue000</text></revision>")
	f.Fuzz(func(t *testing.T, page string) {
		p, err := parsePage([]byte(page))
		q, want := parseWholePage([]byte(page))
		if (err == nil) != (want == nil) {
			t.Fatalf("%q: error %v, by encoding/xml %v", page, err, want)
		}
		if err == nil && (p.Title != q.Title || p.ID != q.ID || len(p.Revisions) != len(q.Revisions) ||
			len(p.Revisions) > 0 && *p.last() != *q.last()) {
			t.Errorf("%q: %+v, by encoding/xml %+v", page, p, q)
		}
	})
}
