package prepare

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// readParquet returns the documents of a file, and checks what was counted.
func readParquet(t testing.TB, data []byte, o ParquetOptions) ([]corpus.Document, source.Stats, error) {
	t.Helper()
	var docs []corpus.Document
	stats, err := ReadParquet(t.Context(), "x.parquet", bytes.NewReader(data), int64(len(data)), o,
		func(doc corpus.Document) error {
			if !utf8.ValidString(doc.Text) || doc.ID == "" || doc.Lang == "" {
				t.Errorf("document %+q", doc)
			}
			docs = append(docs, doc)
			return nil
		})
	sum := stats.Documents
	for _, n := range stats.Dropped {
		sum += n
	}
	if sum != stats.Records || len(docs) != stats.Documents {
		t.Errorf("%d documents, counted: %v", len(docs), stats)
	}
	return docs, stats, err
}

func parquetFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".parquet")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantParquet are the documents of testdata/parquet.py.
func wantParquet() (docs []corpus.Document) {
	texts := []string{"One house.", "Zwei Häuser.", "", "", "Пять домов", "One house.",
		strings.Repeat("Seven ", 20), "Acht", "Nine", "Ten"}
	langs := []string{"en", "de", "sv", "ru", "sv"}
	for i := range 30 {
		doc := corpus.Document{
			ID: fmt.Sprint(7 * i), Lang: langs[i%5], Text: texts[i%10], Source: fmt.Sprintf("http://x.test/%d", i),
			Date: fmt.Sprintf("2020-03-%02d", i-1),
		}
		if i < 2 {
			doc.Date = fmt.Sprintf("2020-02-%02d", 28+i)
		}
		if i%5 == 0 {
			doc.ID = doc.Source
		}
		if doc.Text == "" {
			continue
		}
		if i%3 == 0 {
			doc.Text = "Title\n\n" + doc.Text
		}
		docs = append(docs, doc)
	}
	return docs
}

func TestParquet(t *testing.T) {
	o := ParquetOptions{Options: source.Options{Lang: "sv"}}
	for _, name := range []string{
		"none", "snappy", "gzip", "zstd", "lz4", "brotli", "plain", "checksum", "v2", "delta", "delta2",
	} {
		docs, stats, err := readParquet(t, parquetFile(t, name), o)
		if err != nil || !slices.Equal(docs, wantParquet()) || stats.Dropped[source.NoText] != 6 || stats.Damaged != 0 {
			t.Errorf("%s: %v, error %v, documents %+q", name, stats, err, docs)
		}
	}
	docs, _, err := readParquet(t, parquetFile(t, "required"), ParquetOptions{})
	want := []corpus.Document{{ID: "x.parquet#0", Lang: "und", Text: "One"}, {ID: "x.parquet#1", Lang: "und", Text: "Two"}}
	if err != nil || !slices.Equal(docs, want) {
		t.Errorf("required: %+q, error %v", docs, err)
	}
	docs, stats, err := readParquet(t, parquetFile(t, "translation"), ParquetOptions{})
	want = nil
	for _, d := range [][3]string{{"a", "de", "Ein Haus"}, {"a", "en", "A house"}, {"b", "de", "Zwei"},
		{"d", "de", "Drei"},
		{"d", "en", "Three"}} {
		want = append(want, corpus.Document{ID: d[0] + "#" + d[1], Lang: d[1], Text: d[2], Group: d[0]})
	}
	if err != nil || !slices.Equal(docs, want) || stats.Records != 8 {
		t.Errorf("translations: %+q, %v, error %v", docs, stats, err)
	}
	docs, _, err = readParquet(t, parquetFile(t, "empty"), ParquetOptions{})
	if err != nil || len(docs) > 0 {
		t.Errorf("empty: %+q, error %v", docs, err)
	}
}

func TestParquetColumns(t *testing.T) {
	data := parquetFile(t, "none")
	o := ParquetOptions{Text: "url", ID: "title", Date: "stamp", Lang: "language", Options: source.Options{MaxBytes: 15}}
	docs, stats, err := readParquet(t, data, o)
	if err != nil || stats.Documents != 10 || stats.Dropped[source.TooLong] != 20 || docs[0].ID != "Title" ||
		docs[0].Text != "Title\n\nhttp://x.test/0" || docs[0].Date != "1969-12-31" || docs[2].Date != "1970-01-01" ||
		docs[1].ID != "http://x.test/1" {
		t.Errorf("other columns: %+q, %v, error %v", docs, stats, err)
	}
	docs, _, err = readParquet(t, parquetFile(t, "translation"), ParquetOptions{Text: "translation.en"})
	if err != nil || len(docs) != 2 || docs[1].ID != "d" || docs[1].Group != "" {
		t.Errorf("a column of a group: %+q, error %v", docs, err)
	}
	for want, o := range map[string]ParquetOptions{
		"x.parquet: it has no column texts: columns are text, id, language": {Text: "texts"},
		"it has no column nr: ": {ID: "nr"}, "the column tags has not a single value a row": {Lang: "tags"},
		"column score is of type DOUBLE": {ID: "score"}, "the column id has integers that are no dates": {Date: "id"},
		"column id is of type INT64": {Text: "id"}, "MaxBytes is -1": {Options: source.Options{MaxBytes: -1}},
		"Lang: ": {Options: source.Options{Lang: "?"}},
		"the column tags.list.element has not a single value": {Title: "tags.list.element"},
	} {
		if _, _, err := readParquet(t, data, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	_, _, err = readParquet(t, parquetFile(t, "split"), ParquetOptions{})
	if err == nil || !strings.Contains(err.Error(), "the encoding BYTE_STREAM_SPLIT is not known") {
		t.Errorf("an encoding that is not read: error %v", err)
	}
	stop := errors.New("enough")
	read := func(ctx context.Context) error {
		o := ParquetOptions{Options: source.Options{SkipBad: true}}
		_, err := ReadParquet(ctx, "x", bytes.NewReader(data), int64(len(data)), o,
			func(corpus.Document) error { return stop })
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := read(ctx); err != stop {
		t.Errorf("stopped: error %v", err)
	}
	cancel()
	if err := read(ctx); err != context.Canceled {
		t.Errorf("cancelled: error %v", err)
	}
}

// pagesEnd returns where the footer begins.
func pagesEnd(data []byte) int {
	return len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
}

// TestParquetDamage: a flipped bit of pages with checksums is an error, or
// changes nothing; without checksums the documents are still text.
func TestParquetDamage(t *testing.T) {
	o := ParquetOptions{Options: source.Options{Lang: "sv"}}
	want := wantParquet()
	for _, name := range []string{"checksum", "v2", "gzip", "snappy", "plain", "delta", "delta2"} {
		whole := parquetFile(t, name)
		for cut := range whole {
			if docs, _, err := readParquet(t, whole[:cut], o); err == nil {
				t.Fatalf("%s: %d of %d bytes: %d documents, no error", name, cut, len(whole), len(docs))
			}
		}
		unnoticed := 0
		const step = 13 // so that each bit has its turn
		for i := 4; i < pagesEnd(whole); i += step {
			data := bytes.Clone(whole)
			data[i] ^= 1 << (i % 8)
			docs, _, err := readParquet(t, data, o)
			if err == nil && !slices.Equal(docs, want) {
				unnoticed++
				if name == "checksum" || name == "v2" || name == "delta2" {
					t.Errorf("%s: byte %d is not noticed: %+q", name, i, docs)
				}
			}
			if err == nil {
				continue
			}
			skip := o
			skip.SkipBad = true
			_, stats, skipped := readParquet(t, data, skip)
			if skipped != nil || stats.Damaged != 1 || stats.LostBytes == 0 || stats.Documents == 0 {
				t.Errorf("%s: byte %d: skipping %v, error %v; without that error %v", name, i, stats, skipped, err)
			}
		}
		t.Logf("%s: %d of %d changes of the pages give other documents and no error", name, unnoticed,
			(pagesEnd(whole)-4)/step)
	}
}

// TestParquetSizes: lengths that are not there need no memory.
func TestParquetSizes(t *testing.T) {
	footer := func(data []byte) []byte {
		b := append([]byte("PAR1"), data...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		return append(b, "PAR1"...)
	}
	long := binary.AppendUvarint(nil, 1<<31-1)
	many := footer(append([]byte{0x29, 0xfc, 0x81, 0x80, 0x08}, make([]byte, 1<<18)...))
	for want, data := range map[string][]byte{
		"it is no Parquet file, of 3 bytes":         []byte("PAR"),
		"cut short: it ends with \"xxxx\"":          []byte("PAR1xxxxxxxxxxxx"),
		"it is encrypted":                           []byte("PARExxxxxxxxPARE"),
		"its footer has 2004318071 bytes":           []byte("PAR1wwwwwwwwwwwwPAR1"),
		"its footer: it is cut short":               footer(append([]byte{0x29, 0xfc}, long...)),
		"its footer: it cannot be":                  footer(append([]byte{0x18}, long...)),
		"its footer: its lists have more than 1310": many,
		"its footer: it is nested too deep":         footer(bytes.Repeat([]byte{0x1c}, 100)),
	} {
		_, _, err := readParquet(t, data, ParquetOptions{})
		if strings.Contains(want, "cannot be") {
			want = "its footer: it is cut short"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// Pages that have more than they say, or say more than is accepted.
	zeros := make([]byte, 1<<20)
	for _, name := range []string{"gzip", "snappy", "zstd", "brotli", "lz4"} {
		c := codecs[name]
		packed := c.pack(t, zeros)
		for _, size := range []int{1 << 10, 1<<20 - 1, 1<<20 + 1} {
			if got, err := decompress(nil, packed, c.codec, size); err == nil || len(got) != size || cap(got) > 2*size {
				t.Errorf("%s: %d bytes of room %d, error %v", name, len(got), cap(got), err)
			}
		}
		if got, err := decompress(make([]byte, 1, 1<<21), packed, c.codec, 1<<20); err != nil || !bytes.Equal(got, zeros) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestHybrid(t *testing.T) {
	read := func(data []byte, width, count int) (list []uint32, err error) {
		h := newHybrid(data, width, count)
		for range count {
			v, err := h.next()
			if err != nil {
				return list, err
			}
			list = append(list, v)
		}
		if !h.done() {
			return list, errors.New("not done")
		}
		return list, nil
	}
	for _, c := range []struct {
		data  []byte
		width int
		want  []uint32
		wrong string
	}{
		{[]byte{6, 5}, 3, []uint32{5, 5, 5}, ""},
		{[]byte{3, 0x88, 0xc6, 0xfa}, 3, []uint32{0, 1, 2, 3, 4, 5, 6, 7}, ""},
		{[]byte{3, 0x88, 0xc6, 0xfa}, 3, []uint32{0, 1, 2}, ""},
		{[]byte{2, 1, 3, 0x88, 0xc6, 0xfa, 4, 7}, 3, []uint32{1, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7}, ""},
		{[]byte{4, 0xff, 0xff, 0xff, 0xff}, 32, []uint32{1<<32 - 1, 1<<32 - 1}, ""},
		{[]byte{4}, 0, []uint32{0, 0}, ""},
		{[]byte{6, 5, 0}, 3, []uint32{5, 5, 5}, "not done"},
		{[]byte{8, 5}, 3, []uint32{0, 0, 0}, "a run of 4, where 3 are left"},
		{[]byte{0, 5}, 3, []uint32{0}, "a run of 0"},
		{[]byte{5, 0x88, 0xc6, 0xfa, 0, 0, 0}, 3, []uint32{0, 1, 2}, "2 packed groups"},
		{[]byte{3, 0x88, 0xc6}, 3, []uint32{0}, "cut short"},
		{[]byte{6}, 3, []uint32{0}, "cut short"},
		{nil, 3, []uint32{0}, "cut short"},
	} {
		got, err := read(c.data, c.width, len(c.want))
		if c.wrong == "" && (err != nil || !slices.Equal(got, c.want)) ||
			c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%x: %v, error %v, want %v, %q", c.data, got, err, c.want, c.wrong)
		}
	}
}

func FuzzParquet(f *testing.F) {
	for _, name := range []string{"none", "zstd", "v2", "translation", "required", "empty", "delta", "delta2"} {
		f.Add(parquetFile(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readParquet(t, data, ParquetOptions{Options: source.Options{MaxBytes: 1 << 12, Lang: "de"}})
	})
}
