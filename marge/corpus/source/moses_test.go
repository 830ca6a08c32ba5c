package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/marge-go/marge/marge/corpus"
)

func TestReadMoses(t *testing.T) {
	folder(t, map[string]string{
		"in/a.b.de-pt_BR.de":    "\ufeffeins \r\nzwei\n\ndrei\xff",
		"in/a.b.de-pt_BR.pt_BR": "um\ndois\ntrês\nquatro\n",
		"in/train.de":           "no side", "in/x.de-de.de": "x", "in/x.de-en.fr": "x",
	})
	files, err := Expand([]string{"in"})
	if want := []string{"in/a.b.de-pt_BR.de", "in/a.b.de-pt_BR.pt_BR"}; err != nil || !slices.Equal(files, want) {
		t.Fatalf("Expand: %q, %v, want %q", files, err, want)
	}
	var all Stats
	docs, err := collect(Documents(t.Context(), files, Options{OnStats: func(_ string, s Stats) { all.Add(s) }}))
	if err != nil {
		t.Fatal(err)
	}
	doc := func(lang, name, text string, line int) corpus.Document {
		return corpus.Document{
			ID: fmt.Sprintf("in/a.b.de-pt_BR.%s#%d", name, line), Lang: lang, Text: text,
			Group: fmt.Sprintf("in/a.b.de-pt_BR.*#%d", line),
		}
	}
	want := []corpus.Document{
		doc("de", "de", "eins", 1), doc("de", "de", "zwei", 2), doc("de", "de", "drei\ufffd", 4),
		doc("pt-BR", "pt_BR", "um", 1), doc("pt-BR", "pt_BR", "dois", 2), doc("pt-BR", "pt_BR", "três", 3),
		doc("pt-BR", "pt_BR", "quatro", 4),
	}
	if !slices.Equal(docs, want) {
		t.Errorf("documents\n%v, want\n%v", docs, want)
	}
	if text := all.String(); text != "8 records, 7 documents, 1 dropped (1 no text), 0 damaged places, 0 bytes lost" {
		t.Errorf("stats: %s", text)
	}
}

func TestReadMosesErrors(t *testing.T) {
	folder(t, map[string]string{"a.de-en.de": "1\n2\n3", "a.de-en.en": "1\n2\n", "empty.de-en.en": "\n \n"})
	for file, want := range map[string]string{
		"a.de-en.de":     "source: a.de-en.de: it has 3 lines, a.de-en.en has 2",
		"a.de-en.en":     "source: a.de-en.en: it has 2 lines, a.de-en.de has 3",
		"empty.de-en.en": "source: empty.de-en.en: it has no text",
	} {
		docs, err := collect(Documents(t.Context(), []string{file}, Options{}))
		if err == nil || err.Error() != want || len(docs) > 0 {
			t.Errorf("%s: %d documents, error %v, want %s", file, len(docs), err, want)
		}
		var stats Stats
		var bad []error
		o := Options{SkipBad: true, OnBad: func(err error) { bad = append(bad, err) },
			OnStats: func(_ string, s Stats) { stats = s }}
		docs, err = collect(Documents(t.Context(), []string{file}, o))
		if err != nil || len(docs) > 0 || len(bad) != 1 || stats.Damaged != 1 {
			t.Errorf("%s, skipped: %d documents, %v, reported %v, %v", file, len(docs), err, bad, stats)
		}
	}
	none := func(corpus.Document) error { return nil }
	if _, err := ReadMoses(t.Context(), "train.de", strings.NewReader("x"), Options{}, none); err == nil ||
		!strings.Contains(err.Error(), "its name does not tell the languages") {
		t.Errorf("name: error %v", err)
	}
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("x\ny"), iotest.ErrReader(broken))
	if _, err := ReadMoses(t.Context(), "b.de-en.de", r, Options{SkipBad: true}, none); !errors.Is(err, broken) {
		t.Errorf("reader: error %v", err)
	}
	stop := func(corpus.Document) error { return broken }
	if _, err := ReadMoses(t.Context(), "b.de-en.de", strings.NewReader("x"), Options{}, stop); err != broken {
		t.Errorf("fn: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadMoses(ctx, "b.de-en.de", strings.NewReader("x"), Options{}, none); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// Lines of more than MaxBytes are dropped, in memory that does not grow with them.
func TestReadMosesLongLines(t *testing.T) {
	for _, n := range []int{9, 10, 11, 1 << 20} {
		text := "short\n" + strings.Repeat("x", n) + "\nend"
		var docs []string
		stats, err := ReadMoses(t.Context(), "b.de-en.de", iotest.HalfReader(strings.NewReader(text)), Options{MaxBytes: 10},
			func(doc corpus.Document) error { docs = append(docs, doc.Text); return nil })
		long := 0
		if n > 10 {
			long = 1
		}
		if err != nil || stats.Dropped[TooLong] != long || len(docs) != 3-long || docs[len(docs)-1] != "end" {
			t.Errorf("%d bytes: %v, %v, %q", n, err, stats, docs)
		}
	}
	allocated := testing.AllocsPerRun(1, func() {
		_, _ = ReadMoses(t.Context(), "b.de-en.de", io.LimitReader(zeros{}, 1<<28), Options{MaxBytes: 1 << 10, SkipBad: true},
			func(corpus.Document) error { return nil })
	})
	if allocated > 100 {
		t.Errorf("%v allocations for a line without end", allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
