package prepare

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
)

func zipped(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, part := range parts {
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func warcRecord(id, kind, text string) string {
	block := "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
		"<html lang=en><body><article><h1>News</h1><p>" + text + "</p></article></body></html>"
	return fmt.Sprintf("WARC/1.0\r\nWARC-Type: %s\r\nWARC-Record-ID: <urn:uuid:%s>\r\n"+
		"WARC-Target-URI: http://x.test/%s\r\n"+
		"WARC-Date: 2020-06-26T01:02:03Z\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
		kind, id, id, len(block), block)
}

// formats returns files of all kinds, some of them damaged, and what is counted
// of them.
func formats(t testing.TB) (files map[string][]byte, want Counts) {
	r := rand.New(rand.NewPCG(9, 9))
	line := func(id string) string {
		b, err := encodeDocument(&corpus.Document{ID: id, Lang: "en", Text: prose(r, 80)})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	archive := zipped(t, warcRecord("1", "response", prose(r, 80)), warcRecord("2", "request", "x"),
		warcRecord("3", "response", prose(r, 90)), warcRecord("4", "response", prose(r, 90)))
	damaged := slices.Clone(archive)
	damaged[100] ^= 0x55 // of the first record
	cut := zipped(t, line("lost 1")+strings.Repeat(line("lost 2"), 50))
	dump := `<mediawiki xml:lang="en"><siteinfo><dbname>enwiki</dbname></siteinfo>` +
		`<page><title>Ferry</title><ns>0</ns><id>7</id><revision><text>` + prose(r, 80) + `</text></revision></page>` +
		`<page><title>Boat</title><ns>0</ns><id>8</id><redirect title="Ferry"/></page>`
	const po = "msgid \"\"\nmsgstr \"Language: de\\n\"\n\nmsgid \""
	files = map[string][]byte{
		"lines.jsonl":         []byte(line("a") + "not JSON\n" + line("b") + `{"id":"c","lang":"en"}` + "\n\xff\n"),
		"cut.jsonl.gz":        cut[:len(cut)/2],
		"bomb.jsonl.gz":       zipped(t, line("c"), strings.Repeat(" ", 65<<20)+"x\n", line("d")),
		"news.warc.gz":        damaged,
		"enwiki-pages.xml":    []byte(dump),
		"page.html":           []byte("<html lang=en><body><article><p>" + prose(r, 80) + "</article></body>"),
		"empty.txt":           nil,
		"notes.md":            []byte("# Title\n\n" + prose(r, 80)),
		"program.de.po":       []byte(po + strings.ReplaceAll(prose(r, 80), "\n", " ") + "\"\nmsgstr \"\"\n"),
		"picture.png.bin.gif": []byte("not taken"),
		"not a dump.xml":      []byte("<html></html>"),
		"table.parquet":       parquetFile(t, "translation"),
		"damaged.parquet":     []byte("PAR1"),
		"memory.tmx": []byte(`<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>` + prose(r, 80) +
			`</seg></tuv></tu></body></tmx>`),
	}
	rows, _, err := readParquet(t, files["table.parquet"], ParquetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return files, Counts{
		// a, b, c, d, two of the archive, Ferry, page, notes, the messages, the memory,
		// the rows; of the file that is cut, what is before the cut is counted by the test.
		Read: 11 + len(rows),
		Unread: map[string]int{
			"bad JSON": 1, "a field is missing": 1, "not UTF-8": 1, "too long": 1, "other records": 1, "redirects": 1,
			"untranslated": 1, "bad files": 3, "no text": 3,
		},
		Damaged: 3, // the archive, the lines and the dump that are cut
	}
}

func TestInputs(t *testing.T) {
	files, want := formats(t)
	in, out := t.TempDir(), t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(in, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Run(t.Context(), out, []string{in}, small(2))
	if err != nil {
		t.Fatal(err)
	}
	// Of the lines that are cut, some are whole.
	var before int
	_, err = corpus.ReadFrom("cut", bytes.NewReader(files["cut.jsonl.gz"]), corpus.ReadOptions{},
		func(corpus.Document) error { before++; return nil })
	if err == nil || before == 0 {
		t.Fatalf("%d lines before the cut, error %v", before, err)
	}
	if report.Read != want.Read+before || report.Damaged != want.Damaged || !maps.Equal(report.Unread, want.Unread) {
		t.Errorf("%d read, %d damaged, unread %v; want %d, %d, %v\n%v", report.Read, report.Damaged, report.Unread,
			want.Read+before, want.Damaged, want.Unread, report)
	}
	if report.LostBytes == 0 || report.Read != report.Kept+total(report.Dropped) {
		t.Errorf("%d bytes lost; %d read, %d kept, %v dropped", report.LostBytes, report.Read, report.Kept, report.Dropped)
	}
	// Messages name the files.
	for _, name := range []string{
		"lines.jsonl:2", "lines.jsonl:4", "lines.jsonl:5", "cut.jsonl.gz:", "bomb.jsonl.gz:2", "news.warc.gz: at byte 0",
		"enwiki-pages.xml", "empty.txt", "not a dump.xml", "damaged.parquet",
	} {
		if !strings.Contains(strings.Join(report.Errors, "\n"), name) {
			t.Errorf("no message about %s: %q", name, report.Errors)
		}
	}
	var ids []string
	for _, doc := range readShards(t, out) {
		ids = append(ids, filepath.Base(doc.ID))
	}
	for _, id := range []string{"a", "b", "c", "d", "urn:uuid:3", "urn:uuid:4", "enwiki:7", "page.html"} {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is not there: %q", id, ids)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Chdir(t.TempDir())
	want := []string{
		"a.jsonl.zst", "b.WARC.gz", "c.wet.gz", "d-20200601.xml.bz2",
		"dewiki-20261101-pages-articles-multistream1.xml-p1p3.bz2", "e.txt", "e.xml",
	}
	for _, name := range append(slices.Clone(want), "f.gif", "g.gz", "h", "i.pot", "dewiki-pages-index.txt.bz2") {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Expand([]string{"."})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := Expand([]string{"f.gif"}); err == nil || !strings.Contains(err.Error(), "f.gif is not named") {
		t.Errorf("a picture: %v", err)
	}
	if _, err := statInputs([]string{"missing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := statInputs([]string{"."}); err == nil {
		t.Error("a directory is taken for a file")
	}
}

func TestSplits(t *testing.T) {
	var inputs []Input
	for i := range 2500 {
		inputs = append(inputs, Input{Path: fmt.Sprint(i), Bytes: int64(i % 3)})
	}
	inputs = append(inputs, Input{Path: "large", Bytes: 5000}, Input{Path: "next", Bytes: 1})
	var all []Input
	for _, group := range splits(inputs, 600) {
		size := int64(0)
		for _, in := range group {
			size += in.Bytes
		}
		if size > 600 && len(group) > 1 || len(group) > 1000 || len(group) == 0 {
			t.Errorf("%d files of %d bytes", len(group), size)
		}
		all = append(all, group...)
	}
	if !slices.Equal(all, inputs) {
		t.Error("files are lost, or in another order")
	}
	if splits(nil, 1) != nil {
		t.Error("groups of nothing")
	}
}

// TestReadAllBad: what is wrong in a file is counted as damage or as a bad file,
// and reading goes on; what the system cannot open or read ends it.
func TestReadAllBad(t *testing.T) {
	dir := t.TempDir()
	archive := warcRecord("1", "response", prose(rand.New(rand.NewPCG(1, 2)), 80))
	good := filepath.Join(dir, "good.txt")
	write(t, good, []byte("The ferry leaves at seven.\n"))
	read := func(path string) (*Counts, error) {
		var c Counts
		inputs := []Input{{Path: path}, {Path: good}}
		o := readOptions{items: &itemTables{}}
		err := readAll(t.Context(), inputs, o, &c, func(corpus.Document) error { return nil })
		return &c, err
	}
	for name, c := range map[string]struct {
		data         string
		documents    int
		damaged, bad int
	}{
		"cut.warc":          {archive[:len(archive)-50], 0, 1, 0},
		"damaged.warc":      {"WARC/1.0\r\n\r\n" + archive, 1, 1, 0},
		"empty.warc":        {"", 0, 0, 1},
		"no head.xml.bz2":   {"BZh9", 0, 0, 1},
		"cut.xml":           {"<mediawiki><siteinfo></siteinfo><page>", 0, 1, 0},
		"of no format.xml":  {"<html></html>", 0, 0, 1},
		"damaged.tmx":       {"<tmx><a></tmx>", 0, 1, 0},
		"no translation.po": {"no message", 0, 1, 0},
		"empty.txt":         {"", 0, 0, 1},
		"binary.md":         {"\x00\x01", 0, 0, 1},
		"picture.html":      {"\x89PNG\x0d\x0a\x1a\x0a", 0, 0, 1},
		"damaged.jsonl.gz":  {"\x1f\x8b", 0, 1, 0},
		"cut.parquet":       {"PAR1", 0, 0, 1},
	} {
		path := filepath.Join(dir, name)
		write(t, path, []byte(c.data))
		got, err := read(path)
		if err != nil || got.Read != c.documents+1 || got.Damaged != c.damaged || got.Unread["bad files"] != c.bad ||
			len(got.Errors) != 1 || !strings.Contains(got.Errors[0], name) {
			t.Errorf("%s: %d read, %d damaged, unread %v, errors %q, error %v; want %+v", name, got.Read, got.Damaged,
				got.Unread, got.Errors, err, c)
		}
	}
	for _, name := range []string{"x.warc", "x.xml.bz2", "x.xml", "x.po", "x.txt", "x.html", "x.jsonl", "x.parquet"} {
		path := filepath.Join(dir, name)
		for _, state := range []string{"missing", "a directory"} {
			if state == "a directory" { // which can be opened, but not read
				if err := os.Mkdir(path, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			c, err := read(path)
			if !errors.As(err, new(*fs.PathError)) || !strings.Contains(err.Error(), name) || c.Read != 0 {
				t.Errorf("%s, %s: %d read, error %v", name, state, c.Read, err)
			}
		}
	}
}

// TestDumpInParts reads a dump as Wikimedia names its parts, with its items.
func TestDumpInParts(t *testing.T) {
	data, err := os.ReadFile("../source/testdata/wiki.xml.bz2")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	part := filepath.Join(dir, "dewiki-20261101-pages-articles-multistream1.xml-p1p297012.bz2")
	write(t, part, data)
	write(t, filepath.Join(dir, "dewiki-20261101-page_props.sql.gz"), itemsTable(t, item(4, "Q42")))
	groups := map[string]string{}
	files, err := Expand([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := statInputs(files)
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	err = readAll(t.Context(), inputs, readOptions{items: &itemTables{}}, &c, func(doc corpus.Document) error {
		groups[doc.ID] = doc.Group
		return nil
	})
	if err != nil || len(groups) < 2 || len(groups) != c.Read || groups["dewiki:4"] != "Q42" || len(c.Errors) > 0 {
		t.Errorf("%v, %+v, error %v", groups, c, err)
	}
}

// What stops the reading is passed on as it is.
func TestReadAllStops(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"a.jsonl": `{"id":"1","lang":"en","text":"x"}` + "\n" + `{"id":"2","lang":"en","text":"x"}`, "b.txt": "x",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		inputs := []Input{{Path: path}, {Path: path}}
		mine, calls := errors.New("mine"), 0
		err := readAll(t.Context(), inputs, readOptions{}, &Counts{}, func(corpus.Document) error {
			calls++
			return mine
		})
		if err != mine || calls != 1 {
			t.Errorf("%s: %d calls, error %v", name, calls, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = readAll(ctx, inputs, readOptions{}, &Counts{}, func(corpus.Document) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", name, err)
		}
		var missing *fs.PathError
		err = readAll(t.Context(), []Input{{Path: path + ".missing" + filepath.Ext(path)}}, readOptions{}, &Counts{}, nil)
		if !errors.As(err, &missing) {
			t.Errorf("a file that has gone: %v", err)
		}
	}
}
