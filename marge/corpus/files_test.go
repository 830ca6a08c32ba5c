package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// jsonLines writes a file with documents n, n+1, ... and, if bad, a last line
// that is none.
func jsonLines(t *testing.T, n, count int, bad bool) string {
	t.Helper()
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `{"id": "%d", "lang": "en", "text": "text of %[1]d"}`+"\n", n+i)
	}
	if bad {
		b.WriteString("{\n")
	}
	path := filepath.Join(t.TempDir(), "docs")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	paths := []string{jsonLines(t, 0, 40, true), jsonLines(t, 40, 60, false)}
	skipped := 0
	docs := Files(paths, ReadOptions{SkipBad: true, OnBad: func(*LineError) { skipped++ }})
	for pass := range 2 {
		n := 0
		for doc, err := range docs {
			if err != nil || doc.ID != fmt.Sprint(n) {
				t.Fatalf("pass %d: document %d is %q, %v", pass, n, doc.ID, err)
			}
			n++
		}
		if n != 100 || skipped != pass+1 {
			t.Errorf("pass %d: %d documents, %d lines skipped so far; want 100, %d", pass, n, skipped, pass+1)
		}
	}
	s, err := Build(filepath.Join(t.TempDir(), "store"), docs, runes{}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Documents() != 100 || s.DocumentID(99) != "99" {
		t.Errorf("the store has %d documents, the last is %s", s.Documents(), s.DocumentID(s.Documents()-1))
	}
}

func TestFilesStop(t *testing.T) {
	n := 0
	for _, err := range Files([]string{jsonLines(t, 0, 5, true)}, ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d documents, want 3", n)
	}
}

func TestFilesErrors(t *testing.T) {
	last := func(path string) (n int, failure error) {
		for _, err := range Files([]string{path}, ReadOptions{}) {
			if failure != nil {
				t.Fatalf("an element after the error %v", failure)
			}
			if failure = err; err == nil {
				n++
			}
		}
		return n, failure
	}
	n, err := last(jsonLines(t, 0, 5, true))
	var bad *LineError
	if n != 5 || !errors.As(err, &bad) || bad.Line != 6 {
		t.Errorf("after %d documents error %v, want a *LineError of line 6 after 5", n, err)
	}
	if _, err := last(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := Build(dir, Files([]string{jsonLines(t, 0, 5, true)}, ReadOptions{}), runes{},
		BuildOptions{}); !errors.As(err, &bad) {
		t.Errorf("Build: %v", err)
	}
}
