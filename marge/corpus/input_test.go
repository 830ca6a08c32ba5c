package corpus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeFiles makes files of one document each, whose ID is the file's name.
func makeFiles(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		line := `{"id": "` + name + `", "lang": "en", "text": "x"}` + "\n"
		if err := os.WriteFile(path, []byte(line), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExpand(t *testing.T) {
	dir := makeFiles(t, "b.jsonl", "a.jsonl.gz", "sub/c.JSON", "sub/d.ndjson.zst", "sub.json", "README.md", "e.txt",
		".f.jsonl", "sub-2/c.JSON",
		".hidden/g.jsonl", "other/x.jsonl", "[1].txt")
	t.Chdir(dir)
	if err := os.Symlink("sub", "link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("empty", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ patterns, want []string }{
		{[]string{"."}, []string{"a.jsonl.gz", "b.jsonl", "other/x.jsonl", "sub-2/c.JSON", "sub.json", "sub/c.JSON",
			"sub/d.ndjson.zst"}},
		{[]string{"sub/"}, []string{"sub/c.JSON", "sub/d.ndjson.zst"}},
		{[]string{"link"}, []string{"link/c.JSON", "link/d.ndjson.zst"}},
		{[]string{".hidden"}, []string{".hidden/g.jsonl"}},
		{[]string{"e.txt", "b.jsonl"}, []string{"e.txt", "b.jsonl"}},
		{[]string{"*.jsonl*"}, []string{"a.jsonl.gz", "b.jsonl"}},
		{[]string{"[so]*"}, []string{"other/x.jsonl", "sub/c.JSON", "sub/d.ndjson.zst", "sub-2/c.JSON", "sub.json"}},
		{[]string{"sub*/c.*"}, []string{"sub-2/c.JSON", "sub/c.JSON"}},
		{[]string{"[1].txt"}, []string{"[1].txt"}},
		{[]string{"b.jsonl", "*.jsonl", "-", "b.jsonl", "-"}, []string{"b.jsonl", "-"}},
		{nil, nil},
	} {
		got, err := Expand(c.patterns)
		for i := range got {
			got[i] = filepath.ToSlash(got[i])
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v, want %q", c.patterns, got, err, c.want)
		}
	}
	for pattern, want := range map[string]string{
		"none": "none: no such file", "*.none": `no file matches "*.none"`, "empty": "folder empty has no file named",
		"[a": `"[a"`,
	} {
		if _, err := Expand([]string{"b.jsonl", pattern}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", pattern, err, want)
		}
	}
	if _, err := Expand([]string{"none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap %v", err, fs.ErrNotExist)
	}

	var ids []string
	for doc, err := range Files([]string{"other", "b.jsonl"}, ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, doc.ID)
	}
	if want := []string{"other/x.jsonl", "b.jsonl"}; !slices.Equal(ids, want) {
		t.Errorf("documents %q, want %q", ids, want)
	}
}

func TestInputErrors(t *testing.T) {
	if _, err := OpenInput(context.Background(), nil, ""); err == nil ||
		!strings.Contains(err.Error(), "no files are given") {
		t.Errorf("no patterns: error %v", err)
	}
	path := jsonLines(t, 0, 3, false)
	in, err := OpenInput(context.Background(), []string{path}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range in.Documents(ctx, ReadOptions{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
			break
		}
		n++
		cancel()
	}
	if n != 1 {
		t.Errorf("%d documents after the context was cancelled, want 1", n)
	}
	if _, err := in.Sources(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
		t.Errorf("Sources: error %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Sources(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Sources of a file that is gone: error %v", err)
	}
}
