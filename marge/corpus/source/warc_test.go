package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/japanese"

	"github.com/marge-go/marge/marge/corpus"
)

// gather returns what a reader of records passes on.
func gather(read func(fn func(corpus.Document) error) (Stats, error)) ([]corpus.Document, Stats, error) {
	var docs []corpus.Document
	stats, err := read(func(doc corpus.Document) error {
		docs = append(docs, doc)
		return nil
	})
	sum := stats.Documents
	for _, n := range stats.Dropped {
		sum += n
	}
	if err == nil && (len(docs) != stats.Documents || sum != stats.Records) {
		err = fmt.Errorf("%d documents passed on, counted: %v", len(docs), stats)
	}
	return docs, stats, err
}

func readWARC(t *testing.T, data []byte, o WARCOptions) ([]corpus.Document, Stats, error) {
	t.Helper()
	return gather(func(fn func(corpus.Document) error) (Stats, error) {
		return ReadWARC(t.Context(), "x.warc", bytes.NewReader(data), o, fn)
	})
}

func zip(parts ...string) []byte {
	var b bytes.Buffer
	for _, part := range parts {
		z := gzip.NewWriter(&b)
		z.Write([]byte(part))
		z.Close()
	}
	return b.Bytes()
}

// record returns a record of an archive, with a given type and block.
func record(kind, media, block string) string {
	return fmt.Sprintf("WARC/1.1\r\nWARC-Type: %s\r\nWARC-Record-ID: <urn:%d>\r\nWARC-Target-URI: http://x.test/\r\n"+
		"WARC-Date: 2020-02-03T04:05:06Z\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
		kind, len(block), media, len(block), block)
}

func answer(header, body string) string {
	return record("response", "application/http; msgtype=response", "HTTP/1.1 200 OK\r\n"+header+"\r\n"+body)
}

func texts(parts ...string) (list []string) {
	for _, part := range parts {
		list = append(list, record("conversion", "text/plain", part))
	}
	return list
}

func TestWARC(t *testing.T) {
	for _, name := range []string{"testdata/pages.warc.gz", "testdata/pages.warc"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs, stats, err := readWARC(t, data, WARCOptions{PageDate: true})
		if err != nil {
			t.Fatal(err)
		}
		var want Stats
		want.Records, want.Documents = 17, 8
		want.Dropped[OtherRecord], want.Dropped[HTTPStatus], want.Dropped[NotText] = 4, 1, 2
		want.Dropped[UnknownEncoding], want.Dropped[NoText] = 1, 1
		if stats != want {
			t.Errorf("%s: %v, want %v", name, stats, want)
		}
		for i, want := range []struct{ id, lang, date, begin string }{
			{"1", "en", "2019-03-01", "Bridge\n\nThe council has"}, {"3", "de", "2019-03-01", "Brücke\n\nDer Rat hat"},
			{"4", "de", "2019-03-01", "Brücke\n\nDer Rat hat"}, {"5", "de", "2019-03-01", "Brücke\n\nDer Rat hat"},
			{"6", "ru", "2019-03-01", "Мост\n\nСовет решил"}, {"7", "ru", "2019-03-01", "Мост\n\nСовет решил"},
			{"c", "en", "2019-03-13", "The council has"}, {"d", "ru", "2019-03-14", "Совет решил"},
		} {
			id := "urn:uuid:00000000-0000-0000-0000-00000000000" + want.id
			if d := docs[i]; d.ID != id || d.Lang != want.lang || d.Date != want.date ||
				!strings.HasPrefix(d.Text, want.begin) || strings.Contains(d.Text, "Section") ||
				!strings.HasPrefix(d.Source, "https://example.org/") {
				t.Errorf("%s: document %d is %+q, want %+q", name, i, d, want)
			}
		}
		docs, _, err = readWARC(t, data, WARCOptions{})
		if err != nil || docs[0].Date != "2019-03-02" {
			t.Errorf("%s: the date of the crawl: %+q, error %v", name, docs[0], err)
		}
	}
}

// TestWARCBodies has bodies that are not what their headers say.
func TestWARCBodies(t *testing.T) {
	text := "Text " + english
	deflate := func(s string) string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		z.Write([]byte(s))
		z.Close()
		return b.String()
	}
	zs, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	squeeze := string(zs.EncodeAll([]byte(text), nil))
	const plainText = "Content-Type: text/plain\r\n"
	for name, c := range map[string]struct {
		rec    string
		reason Reason // -1 for a document
	}{
		"plain":       {answer(plainText, text), -1},
		"gzip":        {answer(plainText+"Content-Encoding: x-gzip\r\n", string(zip(text))), -1},
		"still gzip":  {answer(plainText+"X-Crawl-Content-Encoding: gzip\r\n", string(zip(text))), -1},
		"not gzip":    {answer(plainText+"Content-Encoding: gzip\r\n", text), -1},
		"twice":       {answer(plainText+"Content-Encoding: deflate, gzip\r\n", string(zip(deflate(text)))), -1},
		"deflate":     {answer(plainText+"Content-Encoding: deflate\r\n", deflate(text)), -1},
		"not deflate": {answer(plainText+"Content-Encoding: deflate\r\n", text), -1},
		"zstd":        {answer(plainText+"Content-Encoding: zstd\r\n", squeeze), -1},
		"not zstd":    {answer(plainText+"Content-Encoding: zstd\r\n", text), -1},
		"cut zstd":    {answer(plainText+"Content-Encoding: zstd\r\n", squeeze[:20]), BadRecord},
		"not br":      {answer(plainText+"Content-Encoding: br\r\n", text), -1},
		"br":          {answer(plainText+"Content-Encoding: br\r\n", "\x0b\x02\x80"), UnknownEncoding},
		"identity":    {answer(plainText+"Content-Encoding: identity\r\n", text), -1},
		"chunked": {answer(plainText+"Transfer-Encoding: chunked\r\n", "3 ;x=y\r\nTex\r\n70\r\n"+text[3:]),
			BadRecord},
		"not chunked":          {answer(plainText+"Transfer-Encoding: chunked\r\n", text), -1},
		"cut gzip":             {answer(plainText+"Content-Encoding: gzip\r\n", string(zip(text)[:30])), BadRecord},
		"bad gzip":             {answer(plainText+"Content-Encoding: gzip\r\n", "\x1f\x8b\x08\xff"), BadRecord},
		"bad lines":            {answer("no header\r\n"+plainText, text), -1},
		"no header":            {answer("", "<p>"+text), -1},
		"line feeds":           {record("response", "application/http", "HTTP/1.0 200\n"+plainText[:24]+"\n\n"+text), -1},
		"no end of the header": {record("response", "application/http", "HTTP/1.1 200 OK\r\nA: b\r\n"), BadRecord},
		"not HTTP":             {record("response", "text/dns", "20200203 x.test"), OtherRecord},
		"status 500":           {record("response", "application/http", "HTTP/1.1 500 No\r\n\r\n"+text), HTTPStatus},
		"no status":            {record("response", "application/http", "HTTP/1.1\r\n\r\n"+text), HTTPStatus},
		"too long":             {answer(plainText, strings.Repeat("x", 5000)), TooLong},
		"bomb": {answer(plainText+"Content-Encoding: gzip\r\n", string(zip(strings.Repeat("x", 5000)))),
			TooLong},
		"deep":    {answer("", strings.Repeat("<div>", 700)+text), BadRecord},
		"no date": {strings.Replace(answer("", text), "WARC-Date: 2020", "WARC-Date: x", 1), BadRecord},
	} {
		for _, data := range [][]byte{[]byte(c.rec), zip(c.rec)} {
			docs, stats, err := readWARC(t, data, WARCOptions{Options: Options{MaxBytes: 4096}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if c.reason >= 0 && (stats.Records != 1 || stats.Dropped[c.reason] != 1) {
				t.Errorf("%s: %v, want %v", name, stats, c.reason)
			} else if c.reason < 0 && (len(docs) != 1 || docs[0].Text != text || docs[0].Lang != "en") {
				t.Errorf("%s: %q, %v", name, docs, stats)
			}
		}
	}
	const japaneseText = "これは日本語の文章です。"
	encoded := mustEncode(t, japanese.ISO2022JP.NewEncoder().String, japaneseText) // is ASCII
	data := []byte(answer("Content-Type: text/plain; charset=ISO-2022-JP\r\n", encoded))
	docs, _, err := readWARC(t, data, WARCOptions{})
	if err != nil || docs[0].Text != japaneseText || docs[0].Lang != "ja" {
		t.Errorf("ISO-2022-JP: %q, error %v", docs, err)
	}
	noID := strings.Replace(answer(plainText, text), "WARC-Record-ID: <urn:", "Other: <", 1)
	if docs, _, err := readWARC(t, []byte(noID), WARCOptions{}); err != nil || docs[0].ID != "http://x.test/" {
		t.Errorf("without WARC-Record-ID: %q, error %v", docs, err)
	}
}

// TestWARCCut cuts archives at every byte: a document is there, or its loss is
// an error, or counted.
// TestWARCLanguage: a WET file tells what the crawler has found.
func TestWARCLanguage(t *testing.T) {
	for header, want := range map[string]string{"fra": "fr", "pt-br": "pt-BR", "eng,fra": "de", "": "de"} {
		data := strings.Replace(record("conversion", "text/plain", english), "\r\n",
			"\r\nWARC-Identified-Content-Language: "+header+"\r\n", 1)
		docs, _, err := readWARC(t, []byte(data), WARCOptions{Options: Options{Lang: "de"}})
		if err != nil || len(docs) != 1 || docs[0].Lang != want {
			t.Errorf("%q: %+v, error %v, want %s", header, docs, err, want)
		}
	}
}

func TestWARCCut(t *testing.T) {
	parts := texts("one", "three", "seven..")
	for _, compress := range []bool{false, true} {
		var data []byte
		ends := map[int]bool{}
		for _, part := range parts {
			if compress {
				data = append(data, zip(part)...)
			} else {
				data = append(data, part...)
			}
			ends[len(data)] = true
		}
		for cut := 1; cut < len(data); cut++ {
			docs, _, err := readWARC(t, data[:cut], WARCOptions{Options: Options{Lang: "en"}})
			whole := 0
			for end := range ends {
				// Of the empty lines at the end, none is missed.
				if cut >= end || !compress && cut >= end-4 {
					whole++
				}
			}
			blank := ends[cut] || !compress && (ends[cut+1] || ends[cut+2] || ends[cut+3] || ends[cut+4])
			if (err == nil) != blank || len(docs) != whole {
				t.Fatalf("compressed %v, %d of %d bytes: %d documents, want %d, error %v", compress, cut, len(data), len(docs),
					whole, err)
			}
			docs, stats, err := readWARC(t, data[:cut], WARCOptions{Options: Options{Lang: "en", SkipBad: true}})
			if err != nil || len(docs) != whole || (stats.Damaged == 0) != blank || (stats.LostBytes == 0) != blank {
				t.Fatalf("compressed %v, %d of %d bytes: %d documents, want %d, %v, error %v", compress, cut, len(data),
					len(docs), whole, stats, err)
			}
		}
	}
}

// TestWARCDamage damages the middle one of three records.
func TestWARCDamage(t *testing.T) {
	parts := texts(strings.Repeat("one ", 300), strings.Repeat(english, 50), strings.Repeat("three ", 300))
	a, b, c := zip(parts[0]), zip(parts[1]), zip(parts[2])
	flipped := bytes.Clone(b)
	flipped[len(b)/2] ^= 4
	crc := bytes.Clone(b)
	crc[len(b)-8] ^= 1
	pa, pb, pc := []byte(parts[0]), parts[1], []byte(parts[2])
	long := strings.Replace(pb, "Content-Length: ", "Content-Length: 9", 1)
	huge := strings.Replace(pb, "Content-Length: ", "Content-Length: 9000000000", 1)
	for name, data := range map[string][3][]byte{
		"flipped": {a, flipped, c}, "checksum": {a, crc, c}, "cut": {a, b[:len(b)/2], c}, "cut early": {a, b[:5], c},
		"missing": {a, append(bytes.Clone(b[:40]), b[60:]...), c}, "zeros": {a, append(b[:30:30], make([]byte, 300)...), c},
		"junk":                     {a, []byte("this is no member\x1f\x8b\x08 \x1f\x8b"), c},
		"member of something else": {a, zip("no record"), c},
		"plain, long":              {pa, []byte(long), pc}, "plain, huge": {pa, []byte(huge), pc},
		"plain, short":      {pa, []byte(strings.Replace(pb, "Content-Length: 5", "Content-Length: 1", 1)), pc},
		"plain, cut":        {pa, []byte(pb[:900]), pc},
		"plain, no length":  {pa, []byte(strings.Replace(pb, "Content-Length", "Content-Size", 1)), pc},
		"plain, bad header": {pa, []byte(strings.Replace(pb, "WARC-Type:", "WARC-Type", 1)), pc},
		"compressed, huge":  {a, zip(huge), c}, "compressed, negative": {a, zip(strings.Replace(pb, "h: ", "h: -", 1)), c},
		"long header": {a, zip(strings.Replace(pb, "WARC-Type", strings.Repeat("x: y\r\n", 20000)+"WARC-Type", 1)), c},
		"long line":   {a, zip("WARC/1.0\r\nx: " + strings.Repeat("y", 1<<17)), c},
	} {
		all := bytes.Join(data[:], nil)
		_, _, err := readWARC(t, all, WARCOptions{})
		place := fmt.Sprintf("source: x.warc: at byte %d: the record is ", len(data[0]))
		if err == nil || !strings.HasPrefix(err.Error(), place) {
			t.Errorf("%s: error %v, want %q", name, err, place)
		}
		var bad []error
		o := WARCOptions{Options: Options{SkipBad: true, OnBad: func(err error) { bad = append(bad, err) }}}
		docs, stats, err := readWARC(t, all, o)
		if err != nil || len(docs) != 2 || !strings.HasPrefix(docs[1].Text, "three") || stats.Damaged != len(bad) ||
			stats.LostBytes != int64(len(data[1])) {
			t.Errorf("%s: %d documents, %d bad, %v, error %v, want %d lost", name, len(docs), len(bad), stats, err, len(data[1]))
		}
	}
	// A member may hold several records; what follows damage is lost.
	all := zip(parts[0]+parts[1], parts[2])
	if docs, _, err := readWARC(t, all, WARCOptions{}); err != nil || len(docs) != 3 {
		t.Errorf("two records in a member: %d documents, error %v", len(docs), err)
	}
	// Zeros may follow a member.
	if docs, _, err := readWARC(t, append(append(a, 0, 0), c...), WARCOptions{}); err != nil || len(docs) != 2 {
		t.Errorf("zeros after a member: %d documents, error %v", len(docs), err)
	}
}

func TestWARCErrors(t *testing.T) {
	data := zip(texts("one", "three")...)
	for _, c := range []struct {
		data []byte
		want string
	}{{nil, "it has no text"}, {[]byte("W"), "cut short"}, {[]byte("<html>"), `begins with "<html>"`}, {zip("a"),
		"damaged"}} {
		if _, _, err := readWARC(t, c.data, WARCOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.data, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := errors.New("enough")
	for _, skip := range []bool{false, true} {
		o := WARCOptions{Options: Options{SkipBad: skip}}
		failing := io.MultiReader(bytes.NewReader(data[:len(data)-9]), iotest.ErrReader(io.ErrClosedPipe))
		nothing := func(corpus.Document) error { return nil }
		if _, err := ReadWARC(t.Context(), "x", failing, o, nothing); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a file that cannot be read: error %v", err)
		}
		_, err := ReadWARC(t.Context(), "x", bytes.NewReader(data), o, func(corpus.Document) error { return stop })
		if err != stop {
			t.Errorf("stopped: error %v", err)
		}
		calls := 0
		_, err = ReadWARC(ctx, "x", bytes.NewReader(data), o, func(corpus.Document) error {
			calls++
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) || calls > 1 {
			t.Errorf("cancelled: error %v after %d calls", err, calls)
		}
		if _, err := ReadWARC(t.Context(), "x", nil, WARCOptions{Options: Options{Lang: "?"}}, nil); err == nil {
			t.Error("no error of Lang")
		}
		if _, err := ReadWARC(t.Context(), "x", nil, WARCOptions{Options: Options{MaxBytes: -1}}, nil); err == nil {
			t.Error("no error of MaxBytes")
		}
	}
}

// peak returns how much more memory is in use while f runs, at most.
func peak(f func()) int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, m.HeapInuse
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-done:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	f()
	close(done)
	<-ended
	return int64(most - before)
}

func TestWARCBombs(t *testing.T) {
	const size = 200 << 20
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(z, "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n", size)
	block := make([]byte, 1<<20)
	for range size / len(block) {
		z.Write(block)
	}
	z.Close()
	bomb := append(b.Bytes(), zip(texts("last")...)...)
	used := peak(func() {
		docs, stats, err := readWARC(t, bomb, WARCOptions{})
		if err != nil || len(docs) != 1 || stats.Dropped[TooLong] != 1 {
			t.Errorf("a record of %d bytes: %q, %v, error %v", size, docs, stats, err)
		}
	})
	if used > 24<<20 {
		t.Errorf("a record of %d bytes: %d bytes in use", size, used)
	}
	const maxBytes = 256 << 10
	for name, page := range map[string]string{
		"tags": "<br>", "attributes": "<p a b c d e f g h i j k>", "unclosed": "<b><i>", "text": "<p>word word ",
		"cells": "<td>",
		"links": "<a href=x>y", "entities": "&amp;", "comments": "<!---->", "one attribute": "<p a=",
	} {
		page = answer("Content-Type: text/html\r\n", strings.Repeat(page, (maxBytes-1000)/len(page)))
		used := peak(func() {
			if _, _, err := readWARC(t, []byte(page), WARCOptions{Options: Options{MaxBytes: maxBytes}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if used > 200*maxBytes+10<<20 {
			t.Errorf("%s: %d bytes in use for %d", name, used, len(page))
		}
	}
}

func FuzzWARC(f *testing.F) {
	parts := texts("one", english)
	f.Add([]byte(parts[0] + parts[1]))
	f.Add(zip(parts...))
	f.Add(zip(answer("Content-Encoding: gzip\r\n", string(zip("<p>x"))))[:100])
	f.Add([]byte(answer("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := WARCOptions{Options: Options{SkipBad: true, MaxBytes: 1 << 12}}
		docs, stats, err := readWARC(t, data, o)
		if err != nil && !errors.Is(err, errEmpty) {
			t.Fatal(err)
		}
		if stats.LostBytes < 0 || stats.LostBytes > int64(len(data)) || stats.Damaged == 0 && stats.LostBytes > 0 {
			t.Errorf("%v of %d bytes", stats, len(data))
		}
		for _, doc := range docs {
			if strings.ToValidUTF8(doc.Text, "") != doc.Text || doc.ID == "" || doc.Lang == "" {
				t.Errorf("document %+q", doc)
			}
		}
	})
}
