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
	want := []string{"a.jsonl.zst", "b.WARC.gz", "c.wet.gz", "d-20200601.xml.bz2", "e.txt"}
	for _, name := range append(slices.Clone(want), "f.gif", "g.gz", "h") {
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
		err = readAll(t.Context(), []Input{{Path: path + ".missing.jsonl"}}, readOptions{}, &Counts{}, nil)
		if !errors.As(err, &missing) {
			t.Errorf("a file that has gone: %v", err)
		}
	}
}
