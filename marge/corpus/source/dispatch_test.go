package source

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/marge-go/marge/marge/corpus"
)

// fixture returns a file of testdata.
func fixture(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDocumentsOfRecords reads a folder with a file of each format, and each
// file under a name that does not tell its format.
func TestDocumentsOfRecords(t *testing.T) {
	warc, wiki, bz2 := fixture(t, "pages.warc"), fixture(t, "wiki.xml"), fixture(t, "wiki.xml.bz2")
	index := fixture(t, "wiki-index.txt.bz2")
	files := map[string]string{
		"in/a.warc": warc, "in/b.WARC.gz": fixture(t, "pages.warc.gz"), "in/w.wet": warc, "in/w.wet.gz": string(zip(warc)),
		"in/dewiki-1-pages-articles.xml": wiki, "in/c.xml.bz2": bz2,
		"in/dewiki-1-pages-articles-multistream2.xml-p7p9.bz2": bz2,
		"in/po/de.po": po, "in/x.xlf": xliff1, "in/x.xliff": xliff2, "in/x.tmx": tmx,
		"in/pom.xml": "<project/>", "in/x.pot": po, "in/dewiki-1-pages-articles-multistream-index.txt.bz2": index,
		"1": warc, "2": fixture(t, "pages.warc.gz"), "3.xml": wiki, "4": bz2, "5.xml": xliff1, "6": "\ufeff" + xliff2,
		"7":     strings.Replace(tmx, "<tmx", "<!DOCTYPE tmx SYSTEM \"tmx14.dtd\">\n<!-- <a\n> --> <tmx", 1),
		"8.xml": "<pom>not a <tmx> file</pom>",
	}
	folder(t, files)
	inside, err := Expand([]string{"in"})
	if err != nil {
		t.Fatal(err)
	}
	taken := []string{
		"in/a.warc", "in/b.WARC.gz", "in/c.xml.bz2", "in/dewiki-1-pages-articles-multistream2.xml-p7p9.bz2",
		"in/dewiki-1-pages-articles.xml", "in/po/de.po", "in/w.wet",
		"in/w.wet.gz", "in/x.tmx", "in/x.xlf", "in/x.xliff",
	}
	if !slices.Equal(inside, taken) {
		t.Fatalf("a folder has %q, want %q", inside, taken)
	}
	read := func(files ...string) (ids []string, stats map[string]Stats) {
		t.Helper()
		stats = map[string]Stats{}
		o := Options{OnStats: func(file string, s Stats) { stats[file] = s }}
		docs, err := collect(Documents(t.Context(), files, o))
		if err != nil {
			t.Fatalf("%q: %v", files, err)
		}
		for _, doc := range docs {
			ids = append(ids, doc.ID)
		}
		return ids, stats
	}
	ids, all := read(inside...)
	if len(all) != len(taken) || all["in/a.warc"].Dropped[HTTPStatus] != 1 || all["in/x.tmx"].Documents != 4 {
		t.Errorf("counted: %v", all)
	}
	for other, name := range map[string]string{
		"1": "in/a.warc", "2": "in/b.WARC.gz", "3.xml": "in/dewiki-1-pages-articles.xml", "4": "in/c.xml.bz2",
		"5.xml": "in/x.xlf", "6": "in/x.xliff", "7": "in/x.tmx",
	} {
		want, _ := read(name)
		got, stats := read(other)
		for i := range want {
			want[i] = strings.Replace(want[i], name, other, 1)
		}
		if len(want) < 2 || !slices.Equal(got, want) || stats[other] != all[name] || stats[other].Documents != len(want) {
			t.Errorf("%s has the documents %q, want those of %s: %q; counted: %v", other, got, name, want, stats)
		}
	}
	if !slices.Contains(ids, "dewiki:4") || !slices.Contains(ids, "in/po/de.po#target") {
		t.Errorf("documents %q", ids)
	}
	// Other XML is text, and other compressed files are not.
	if ids, _ := read("8.xml"); !slices.Equal(ids, []string{"8.xml"}) {
		t.Errorf("other XML: documents %q", ids)
	}
}

// TestReadRecords: a format is told by the name, or by the first bytes, or it is
// an error, as is that the file cannot be read.
func TestReadRecords(t *testing.T) {
	for name, data := range map[string]string{
		"x.warc": fixture(t, "pages.warc"), "x.xml": fixture(t, "wiki.xml"), "x": fixture(t, "wiki.xml.bz2"), "x.po": po,
		"y.xml": tmx,
	} {
		documents := 0
		stats, err := ReadRecords(t.Context(), name, strings.NewReader(data), Options{}, func(corpus.Document) error {
			documents++
			return nil
		})
		if documents < 2 || stats.Documents != documents || err != nil {
			t.Errorf("%s: %d documents, %v, error %v", name, documents, stats, err)
		}
	}
	for name, data := range map[string]string{"x.xml": "<html>", "x.txt": english, "x": ""} {
		_, err := ReadRecords(t.Context(), name, strings.NewReader(data), Options{}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "source: "+name+": neither its name nor its first bytes") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, name := range []string{"x.warc", "x"} {
		_, err := ReadRecords(t.Context(), name, iotest.ErrReader(io.ErrClosedPipe), Options{}, nil)
		if !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v of a file that cannot be read", name, err)
		}
	}
	if IsRecords("x.pot") || IsRecords("x.xml") || IsText("x.xml") || !IsText("x.HTML") {
		t.Error("names")
	}
}

func TestBadRecordFiles(t *testing.T) {
	warc := fixture(t, "pages.warc")
	folder(t, map[string]string{
		"good.txt": english, "x.pot": po, "empty.warc": "", "cut.warc": warc[:len(warc)-100], "x.tmx": "<tmx><a></tmx>",
		"other.gz": compressed(t, english), "cut.gz": "\x1f\x8b\x08", "index.bz2": fixture(t, "wiki-index.txt.bz2"),
	})
	bad := map[string]string{
		"x.pot": "source: x.pot: it is a template", "empty.warc": "source: empty.warc: at byte 0: it has no text",
		"cut.warc": "the record is cut short", "x.tmx": "source: x.tmx:1: element <a> closed by",
		"other.gz": "seems to be application/x-gzip", "cut.gz": "seems to be application/x-gzip",
		"index.bz2": "it has no head of a dump of MediaWiki", "none.warc": "source: open none.warc: no such file",
	}
	var all []string
	for file, want := range bad {
		_, err := collect(Documents(t.Context(), []string{file, "good.txt"}, Options{}))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), file) != 1 {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
		all = append(all, file)
	}
	slices.Sort(all)
	var skipped []string
	stats := map[string]Stats{}
	o := Options{
		SkipBad: true, OnBad: func(err error) { skipped = append(skipped, err.Error()) },
		OnStats: func(file string, s Stats) { stats[file] = s },
	}
	docs, err := collect(Documents(t.Context(), append(all, "good.txt"), o))
	if err != nil || len(docs) == 0 || docs[len(docs)-1].ID != "good.txt" || len(skipped) != len(bad) {
		t.Errorf("%d documents, skipped %q, error %v", len(docs), skipped, err)
	}
	for i, file := range all {
		if i < len(skipped) && !strings.Contains(skipped[i], bad[file]) {
			t.Errorf("skipped %q, want %q", skipped[i], bad[file])
		}
	}
	if stats["cut.warc"].Damaged != 1 || stats["cut.warc"].LostBytes == 0 || len(docs) != stats["cut.warc"].Documents+1 {
		t.Errorf("%d documents, counted: %v", len(docs), stats["cut.warc"])
	}
}

// TestStopInRecords: neither a loop that ends early nor a context that does is
// an error of the file.
func TestStopInRecords(t *testing.T) {
	folder(t, map[string]string{"a.tmx": tmx, "b.tmx": tmx})
	o := Options{SkipBad: true, OnBad: func(err error) { t.Errorf("skipped: %v", err) }}
	for doc, err := range Documents(t.Context(), []string{"a.tmx", "b.tmx"}, o) {
		if err != nil || doc.ID != "a.tmx#de" {
			t.Fatalf("%+v, error %v", doc, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var docs []corpus.Document
	var last error
	for doc, err := range Documents(ctx, []string{"a.tmx", "b.tmx"}, o) {
		cancel()
		docs, last = append(docs, doc), err
	}
	if len(docs) != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d documents, error %v", len(docs), last)
	}
}

func FuzzByContent(f *testing.F) {
	f.Add([]byte("<?xml version='1.0'?><!DOCTYPE tmx SYSTEM 'a'><!-- b --><tmx>"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("WARC/1.0\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := byContent(data)
		if startsRecord(data) != (read != nil && strings.HasPrefix(string(data), warcMagic)) {
			t.Errorf("%q", data)
		}
	})
}
