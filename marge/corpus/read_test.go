package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressions writes the same text in every format that Read knows.
var compressions = map[string]func(testing.TB, []byte) []byte{
	"plain": func(_ testing.TB, text []byte) []byte { return text },
	"gzip": func(t testing.TB, text []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		write(t, w, text)
		return b.Bytes()
	},
	"zstd": func(t testing.TB, text []byte) []byte {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, text)
		return b.Bytes()
	},
}

func write(t testing.TB, w io.WriteCloser, text []byte) {
	t.Helper()
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func collect(docs *[]Document) func(Document) error {
	return func(doc Document) error {
		*docs = append(*docs, doc)
		return nil
	}
}

func TestRead(t *testing.T) {
	lines := `{"id": "a", "lang": "en", "text": "1\n2", "date": "2020-01-01", "shard": "s", "group": "g", "source": "o"}
{"id": "b", "lang": "el", "text": "άλφα \u03b2 \ud83d\uDE00 \\ud83d", "other": [1, {"id": 2}]}` + "\r\n\n  \t\n" +
		`{"id": "c", "lang": "de", "text": "` + strings.Repeat("lang ", 100_000) + `"}`
	want := []Document{
		{ID: "a", Lang: "en", Text: "1\n2", Date: "2020-01-01", Shard: "s", Group: "g", Source: "o"},
		{ID: "b", Lang: "el", Text: "άλφα β 😀 \\ud83d"},
		{ID: "c", Lang: "de", Text: strings.Repeat("lang ", 100_000)},
	}
	var paths []string
	for name, compress := range compressions {
		data := compress(t, []byte(lines))
		path := filepath.Join(t.TempDir(), "corpus") // a name that tells nothing
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		var got []Document
		stats, err := ReadFrom(name, iotest.OneByteReader(bytes.NewReader(data)), ReadOptions{}, collect(&got))
		if err != nil || !slices.Equal(got, want) || stats != (ReadStats{Documents: 3}) {
			t.Errorf("%s: %d documents, %+v, %v", name, len(got), stats, err)
		}
	}
	var got []Document
	stats, err := Read(paths, ReadOptions{}, collect(&got))
	if err != nil || !slices.Equal(got, slices.Concat(want, want, want)) || stats != (ReadStats{Documents: 9}) {
		t.Errorf("%d documents, %+v, %v", len(got), stats, err)
	}
}

// Names are case-sensitive, and other members are ignored whatever they hold.
func TestOtherMembers(t *testing.T) {
	want := Document{ID: "a", Lang: "en", Text: "x", Source: "s"}
	for _, other := range []string{
		`"Text": "HEADLINE"`, `"ID": "77"`, `"Date": 1593129600`, `"SOURCE": {"name": "Gazette"}`, `"\u017fource": "other"`,
		`"GROUP": null`, `"url": ["x", {"id": 1}]`,
	} {
		for _, line := range []string{
			`{"id": "a", "lang": "en", "text": "x", "source": "s", ` + other + `}`,
			`{` + other + `, "id": "a", "lang": "en", "text": "x", "source": "s"}`,
		} {
			var got []Document
			_, err := ReadFrom("f", strings.NewReader(line), ReadOptions{}, collect(&got))
			if err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%s: %+v, %v, want %+v", line, got, err, want)
			}
		}
	}
}

func TestReadLanguages(t *testing.T) {
	for lang, want := range map[string]string{"de_DE": "de-DE", "DE": "de", "zh-hant-tw": "zh-Hant-TW", "iw": "he"} {
		var got []Document
		line := fmt.Sprintf(`{"id": "a", "lang": %q, "text": "x"}`, lang)
		_, err := ReadFrom("f", strings.NewReader(line), ReadOptions{}, collect(&got))
		if err != nil || len(got) != 1 || got[0].Lang != want {
			t.Errorf("%s: %+v, %v, want %s", lang, got, err, want)
		}
	}
}

// Files that were compressed one by one and then joined are one text.
func TestReadMembers(t *testing.T) {
	for name, compress := range compressions {
		data := slices.Concat(compress(t, []byte(`{"id": "a", "lang": "en", "te`)), compress(t, []byte(`xt": "x"}`)))
		var got []Document
		if _, err := ReadFrom(name, bytes.NewReader(data), ReadOptions{}, collect(&got)); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A byte order mark, with which some editors begin a file, is no part of the
// first line; anywhere else it is bad.
func TestByteOrderMark(t *testing.T) {
	line := `{"id": "a", "lang": "en", "text": "x"}` + "\n"
	for name, compress := range compressions {
		var got []Document
		stats, err := ReadFrom(name, bytes.NewReader(compress(t, []byte("\ufeff"+line+"\ufeff"+line))),
			ReadOptions{SkipBad: true}, collect(&got))
		if err != nil || len(got) != 1 || stats.Reasons[BadJSON] != 1 ||
			stats.String() != "1 documents, 1 lines skipped (1 bad JSON)" {
			t.Errorf("%s: %v, %v, %v", name, got, stats, err)
		}
		if stats, err := ReadFrom(name, bytes.NewReader(compress(t, []byte("\ufeff"))), ReadOptions{}, nil); err != nil ||
			stats != (ReadStats{}) {
			t.Errorf("%s: of a mark alone: %v, %v", name, stats, err)
		}
	}
}

func TestReadEmpty(t *testing.T) {
	for name, compress := range compressions {
		for _, text := range []string{"", "\n", "\n\n"} {
			if stats, err := ReadFrom(name, bytes.NewReader(compress(t, []byte(text))), ReadOptions{}, nil); err != nil ||
				stats != (ReadStats{}) {
				t.Errorf("%s of %q: %+v, %v", name, text, stats, err)
			}
		}
	}
}

func TestBadLines(t *testing.T) {
	good := `{"id": "x", "lang": "en", "text": "x"}`
	for _, test := range []struct {
		line, want string
		reason     Reason
	}{
		{`{"id": "x", "lang": "en", "text": "x"`, "bad JSON: jsontext: unexpected EOF", BadJSON},
		{`{"id": "x", "lang": "en", "text": "x"} {}`, "bad JSON: jsontext: invalid character", BadJSON},
		{`text`, "bad JSON: jsontext: invalid character", BadJSON},
		{`{"id": 7, "lang": "en", "text": "x"}`, `number into Go string within "/id"`, BadJSON},
		{`["x", "en", "x"]`, "JSON array into Go struct", BadJSON},
		{`{"lang": "en", "text": "x"}`, "id is missing", MissingField},
		{`{"id": "x", "text": "x"}`, "lang is missing", MissingField},
		{`{"id": "x", "lang": "en"}`, "text is missing", MissingField},
		{`{"id": "x", "lang": "en", "text": null}`, "text is missing", MissingField},
		{`null`, "id is missing", MissingField},
		{`{"Id": "x", "lang": "en", "text": "x"}`, "id is missing", MissingField},
		{`{"id": "x", "LANG": "en", "text": "x"}`, "lang is missing", MissingField},
		{`{"id": "x", "lang": "en", "Text": "x"}`, "text is missing", MissingField},
		{`{"id": "x", "lang": "en", "text": "x", "text": "y"}`, `duplicate object member name "text"`, BadJSON},
		{`{"id": "x", "lang": "en", "text": "x", "date": 7}`, `number into Go string within "/date"`, BadJSON},
		{`{"id": "x", "lang": "english", "text": "x"}`, `lang: "english" is not a language tag`, BadLanguage},
		{`{"id": "", "lang": "en", "text": "x"}`, "id is empty", EmptyField},
		{`{"id": "x", "lang": "", "text": "x"}`, "lang is empty", EmptyField},
		{`{"id": "x", "lang": "en", "text": ""}`, "text is empty", EmptyField},
		{`{"id": "x", "lang": "en", "text": "\n \u00a0"}`, "text is empty", EmptyField},
		{"{\"id\": \"x\", \"lang\": \"en\", \"text\": \"\xc3\"}", "not valid UTF-8", NotUTF8},
		{`{"id": "x", "lang": "en", "text": "\ud83d"}`, `invalid surrogate pair`, BadJSON},
		{`{"id": "x", "lang": "en", "text": "\\\uDE00 x"}`, `invalid surrogate pair`, BadJSON},
		{`{"id": "x", "lang": "en", "text": "\ud83d\n\ude00"}`, `invalid surrogate pair`, BadJSON},
		{`{"id": "x", "lang": "en", "text": "\ud83d\u0041"}`, `invalid surrogate pair`, BadJSON},
	} {
		text := good + "\n\n" + test.line + "\n" + good
		var docs []Document
		stats, err := ReadFrom("news.jsonl", strings.NewReader(text), ReadOptions{}, collect(&docs))
		var lineError *LineError
		if !errors.As(err, &lineError) || lineError.File != "news.jsonl" || lineError.Line != 3 ||
			!strings.HasPrefix(err.Error(), "news.jsonl:3: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.line, err, test.want)
		}
		if len(docs) != 1 || stats != (ReadStats{Documents: 1}) {
			t.Errorf("%s: stopped after %d documents, %+v", test.line, len(docs), stats)
		}

		docs = nil
		var bad []*LineError
		stats, err = ReadFrom("news.jsonl", strings.NewReader(text), ReadOptions{
			SkipBad: true, OnBad: func(e *LineError) { bad = append(bad, e) },
		}, collect(&docs))
		if err != nil || len(docs) != 2 || stats.Documents != 2 || stats.Skipped != 1 || len(bad) != 1 || bad[0].Line != 3 ||
			bad[0].Reason != test.reason {
			t.Errorf("%s: skipping: %d documents, %+v, %v, %v", test.line, len(docs), stats, bad, err)
		}
		for reason, n := range stats.Reasons {
			if (n == 1) != (Reason(reason) == test.reason) {
				t.Errorf("%s: %d lines skipped for: %v", test.line, n, Reason(reason))
			}
		}
		if stats, err := ReadFrom("", strings.NewReader(text), ReadOptions{SkipBad: true}, collect(&docs)); err != nil ||
			stats.Skipped != 1 {
			t.Errorf("%s: skipping without OnBad: %+v, %v", test.line, stats, err)
		}
	}
}

func TestLongLine(t *testing.T) {
	good := `{"id": "x", "lang": "en", "text": "x"}` + "\n"
	longest := strings.Repeat("x", MaxLineBytes)
	text := io.MultiReader(strings.NewReader(good), strings.NewReader(longest+"\n"),
		strings.NewReader(longest), strings.NewReader("x\n"), strings.NewReader(good))
	var docs []Document
	var bad []string
	stats, err := ReadFrom("f", text, ReadOptions{SkipBad: true,
		OnBad: func(e *LineError) { bad = append(bad, e.Error()) }}, collect(&docs))
	want := []string{"f:2: bad JSON: jsontext: invalid character 'x' at start of value",
		"f:3: the line is longer than 67108864 bytes"}
	if err != nil || len(docs) != 2 || !slices.Equal(bad, want) || stats.Reasons[TooLong] != 1 ||
		stats.Reasons[BadJSON] != 1 {
		t.Errorf("%d documents, skipped %q, %v; want 2 and %q", len(docs), bad, err, want)
	}
}

// Whatever a compressed file lost, Read says so after the documents before it.
func TestDamagedCompression(t *testing.T) {
	var text bytes.Buffer
	for i := range 3000 {
		fmt.Fprintf(&text, `{"id": "%d", "lang": "en", "text": "%x"}`+"\n", i, i*i*i)
	}
	for name, compress := range compressions {
		if name == "plain" {
			continue
		}
		data := compress(t, text.Bytes())
		check := func(what string, data []byte, want string) {
			t.Helper()
			documents := 0
			count := func(doc Document) error {
				if doc.ID != fmt.Sprint(documents) {
					t.Fatalf("%s %s: document %d is %s", name, what, documents, doc.ID)
				}
				documents++
				return nil
			}
			_, err := ReadFrom("f", bytes.NewReader(data), ReadOptions{}, count)
			var bad *LineError
			if !errors.As(err, &bad) || bad.Line != documents+1 || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: after %d documents error %v, want one with %q", name, what, documents, err, want)
			}
			documents = 0
			stats, err := ReadFrom("f", bytes.NewReader(data), ReadOptions{SkipBad: true}, count)
			if err != nil || stats.Documents != documents || stats.Skipped != 1 || stats.Reasons[Damaged] != 1 {
				t.Errorf("%s %s: skipping: %+v, %v", name, what, stats, err)
			}
		}
		for _, n := range []int{5, 11, len(data) / 3, len(data) - 9, len(data) - 5, len(data) - 1} {
			check(fmt.Sprintf("cut to %d of %d bytes", n, len(data)), data[:n], "the compressed data are cut short")
		}
		// What comes between the damage and the checksum may be wrong, but the
		// file never passes for whole.
		for _, n := range []int{len(data) / 3, len(data) / 2, len(data) - 1} {
			flipped := slices.Clone(data)
			flipped[n] ^= 0x40
			_, err := ReadFrom("f", bytes.NewReader(flipped), ReadOptions{}, func(Document) error { return nil })
			var bad *LineError
			if !errors.As(err, &bad) || bad.Line < 1 {
				t.Errorf("%s with byte %d flipped: error %v", name, n, err)
			}
			stats, err := ReadFrom("f", bytes.NewReader(flipped), ReadOptions{SkipBad: true},
				func(Document) error { return nil })
			if err != nil || stats.Skipped == 0 {
				t.Errorf("%s with byte %d flipped: skipping: %+v, %v", name, n, stats, err)
			}
		}
	}
}

func TestReadFails(t *testing.T) {
	failure := errors.New("the disk is gone")
	head := `{"id": "x", "lang": "en", "text": "x"}` + "\n"
	for name, compress := range compressions {
		data := compress(t, []byte(head))
		_, err := ReadFrom("f", io.MultiReader(bytes.NewReader(data[:len(data)-1]), iotest.ErrReader(failure)),
			ReadOptions{SkipBad: true}, func(Document) error { return nil })
		var bad *LineError
		if !errors.Is(err, failure) || errors.As(err, &bad) {
			t.Errorf("%s: error %v, want one that wraps %v and is not skipped", name, err, failure)
		}
	}
	if _, err := Read([]string{filepath.Join(t.TempDir(), "none")}, ReadOptions{SkipBad: true}, nil); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read([]string{t.TempDir()}, ReadOptions{SkipBad: true}, nil); err == nil {
		t.Error("a directory: no error")
	}
	stats, err := ReadFrom("f", strings.NewReader(head+head), ReadOptions{SkipBad: true},
		func(Document) error { return failure })
	if err != failure || stats.Documents != 1 {
		t.Errorf("error %v after %d documents, want that of fn as it is after 1", err, stats.Documents)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		`{"id": "a", "lang": "en", "text": "one\ntwo", "date": "2020", "shard": "s", "group": "g", "source": "o"}`,
		`{"ID": "a", "Lang": "en", "text": "\u0000\ud83d\ude00"}`, `{"text": "\ud800"}`, `{}`, `null`, `[[[[`,
		"\xff", `{"id": "a", "id": "", "lang": "\\ud800", "text": "\\\ud800"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		doc, _, err := parseLine(line)
		if err != nil {
			return
		}
		if doc.ID == "" || doc.Lang == "" || strings.TrimSpace(doc.Text) == "" ||
			!utf8.ValidString(doc.ID+doc.Lang+doc.Text+doc.Source) {
			t.Fatalf("%q makes %+v", line, doc)
		}
		encoded, err := json.Marshal(map[string]string{
			"id": doc.ID, "lang": doc.Lang, "text": doc.Text, "date": doc.Date,
			"shard": doc.Shard, "group": doc.Group, "source": doc.Source,
		})
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := parseLine(encoded); err != nil || again != doc {
			t.Fatalf("%+v is encoded as %s, which makes %+v, %v", doc, encoded, again, err)
		}
	})
}
