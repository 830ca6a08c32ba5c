package task

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/marge/corpus"
)

// file writes a file into a new folder.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// gzipped compresses a text, zstded likewise.
func gzipped(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := write(w, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t *testing.T, text string) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err := errors.Join(err, write(w, text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(w io.WriteCloser, text string) error {
	_, err := io.WriteString(w, text)
	return errors.Join(err, w.Close())
}

// loaders read one file each and report how many records it has.
var loaders = map[string]func(path string) (int, error){
	"Moses": func(path string) (int, error) { return pairs(ReadMoses(path, path, "de", "en")) },
	"TSV":   func(path string) (int, error) { return pairs(ReadTSV(path, "de", "en")) },
	"TMX":   func(path string) (int, error) { return pairs(ReadTMX(path, "de", "en")) },
	"documents": func(path string) (int, error) {
		return pairs(ReadParallel([]string{path}, "de", "en"))
	},
	"summaries": func(path string) (int, error) {
		list, err := ReadSummaries(path, "de")
		return len(list), err
	},
	"questions": func(path string) (int, error) {
		list, err := ReadQuestions(path, QuestionOptions{Lang: "de"})
		if err != nil {
			return 0, err
		}
		return len(list.Questions), nil
	},
	"paraphrases": func(path string) (int, error) {
		list, _, err := ReadParaphrases(path, "de")
		return len(list), err
	},
}

func pairs(t *Translations, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return len(t.Pairs), nil
}

// good has a file of two records for each loader, in some of several lines.
var good = map[string]string{
	"Moses": "eins\nzwei\n",
	"TSV":   "eins\tone\nzwei\ttwo\n",
	"TMX": `<?xml version="1.0" encoding="utf-8"?>
<tmx version="1.4"><header srclang="de"/><body>
<tu><tuv xml:lang="de"><seg>eins</seg></tuv><tuv xml:lang="en"><seg>one</seg></tuv></tu>
<tu><tuv xml:lang="de"><seg>zwei</seg></tuv><tuv xml:lang="en"><seg>two</seg></tuv></tu>
</body></tmx>
`,
	"documents": `{"id":"1","lang":"de","group":"a","text":"eins"}
{"id":"2","lang":"en","group":"a","text":"one"}
{"id":"3","lang":"en","group":"b","text":"two"}
{"id":"4","lang":"de","group":"b","text":"zwei"}
`,
	"summaries": `{"text":"eins","summary":"1"}
{"text":"zwei","summary":"2"}
`,
	"questions": `{"data":[{"paragraphs":[{"context":"eins zwei",
"qas":[{"id":"1","question":"Was?","answers":[{"text":"eins","answer_start":0}]},
{"id":"2","question":"Was?","answers":[{"text":"zwei","answer_start":5}]}]}]}]}
`,
	"paraphrases": "id\tsentence1\tsentence2\tlabel\n1\teins\tein\t1\n2\tzwei\tdrei\t0\n",
}

// TestEveryLoader reads the same file plain and compressed, with a byte order
// mark and with other ends of lines.
func TestEveryLoader(t *testing.T) {
	for name, load := range loaders {
		text := good[name]
		for how, content := range map[string]string{
			"plain": text, "gzip": gzipped(t, text), "zstd": zstded(t, text), "with a byte order mark": "\ufeff" + text,
			"CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "without a last newline": strings.TrimSuffix(text, "\n"),
		} {
			if n, err := load(file(t, "data", content)); n != 2 || err != nil {
				t.Errorf("%s, %s: %d records, %v", name, how, n, err)
			}
		}
	}
}

// TestBadFiles gives every loader what no file should be. All errors name the
// file.
func TestBadFiles(t *testing.T) {
	for name, load := range loaders {
		text := good[name]
		packed := gzipped(t, strings.Repeat(text, 50))
		for how, content := range map[string]string{
			"empty": "", "blank": "\n\n  \n", "truncated gzip": packed[:len(packed)/2], "gzip header": packed[:7],
			"not UTF-8":    strings.Replace(text, "zwei", "zw\xffi", 1),
			"NUL bytes":    strings.Repeat("\x00", 100),
			"another kind": "<html><body>no such page</body></html>\t\t\t\t\n",
		} {
			path := file(t, "data", content)
			if how == "NUL bytes" && name == "Moses" {
				continue // one line of text as good as another
			}
			if how == "another kind" && name == "Moses" {
				continue
			}
			n, err := load(path)
			if err == nil || !strings.Contains(err.Error(), "data") {
				t.Errorf("%s, %s: %d records, %v", name, how, n, err)
			}
		}
		if _, err := load(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a missing file: %v", name, err)
		}
		if n, err := load(t.TempDir()); err == nil {
			t.Errorf("%s: a folder has %d records", name, n)
		}
	}
	var bad *corpus.LineError
	_, err := ReadTSV(file(t, "data", "eins\tone\nzw\xffi\ttwo\n"), "de", "en")
	if !errors.As(err, &bad) || bad.Line != 2 || bad.Reason != corpus.NotUTF8 {
		t.Errorf("not UTF-8: %v", err)
	}
}

// failure checks that an error has some words in it.
func failure(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %v, want %q", what, err, w)
		}
	}
}

// FuzzLoaders gives what may be in a file to all loaders. None panics, and what is
// read is whole.
func FuzzLoaders(f *testing.F) {
	for _, text := range good {
		f.Add([]byte(text))
	}
	f.Add([]byte(memory))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := file(t, "data", string(data))
		for name, load := range loaders {
			if n, err := load(path); err == nil && n == 0 {
				t.Errorf("%s: neither records nor an error", name)
			}
		}
	})
}
