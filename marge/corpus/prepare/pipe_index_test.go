package prepare

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// The steps, piped, leave what Index takes over, and the result is that of Index alone.
func TestPipeIndex(t *testing.T) {
	docs, model := multilingual(6, 80), checkpoint(t, 7, "en", "de", "pt-BR")
	shards := shardsOf(t, docs, 1, Options{Threads: 1})
	whole, out := t.TempDir(), t.TempDir()
	o := IndexOptions{Checkpoint: model, Backend: tensor.NewCPU(1), Links: index.LinkOptions{Mono: 2, Cross: 1}}
	report := mustIndex(t, whole, shards, o)
	files, err := corpus.Expand([]string{shards})
	if err != nil {
		t.Fatal(err)
	}
	paths := make([][]string, 2)
	for i, file := range files {
		paths[i%2] = append(paths[i%2], file+"\n\n")
	}
	e := &engine{t: t, o: PipeOptions{Index: o, Dir: out}, parts: 2}
	sums := e.pipe(paths, "encode")
	if again := e.pipe(paths, "encode"); !slices.Equal(again[0], sums[0]) || !slices.Equal(again[1], sums[1]) {
		t.Error("a second call of encode writes other sums")
	}
	means := strings.Join(slices.Concat(e.pipe(e.sorted(sums...), "means")...), "")
	if n := strings.Count(means, "\n"); n != 3 {
		t.Errorf("means of %d languages", n)
	}
	var counts LinkCounts
	for _, lines := range paths {
		e.o.Means = strings.NewReader(means)
		for _, line := range e.pipe([][]string{lines}, "link")[0] {
			var c LinkCounts
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			counts.add(c)
		}
	}
	if counts != report.LinkCounts {
		t.Errorf("counts %+v, want %+v", counts, report.LinkCounts)
	}
	mustIndex(t, out, shards, o)
	wantFiles(t, "piped", contents(t, out), contents(t, whole))

	// What link refuses. The means of some shards are not those of all.
	var some, few string
	for line := range strings.Lines(means) {
		lang, _, _ := strings.Cut(line, "\t")
		if lang != hexOf("de") {
			some += line
		}
		few += lang + "\t" + `{"count":1,"sums":"` + strings.Repeat("A", 8*24*4/3) + "\"}\n"
	}
	narrow := strings.Join(slices.Concat(e.pipe(e.sorted([]string{
		hexOf("en") + "\t" + `{"count":9999,"sums":"AAAAAAAAAAA="}` + "\n",
		hexOf("de") + "\t" + `{"count":9999,"sums":"AAAAAAAAAAA="}` + "\n",
		hexOf("pt-BR") + "\t" + `{"count":9999,"sums":"AAAAAAAAAAA="}` + "\n",
	}), "means")...), "")
	mixed := strings.ReplaceAll(narrow, hexOf("de")+"\t"+`{"count":9999,"sums":"AAAAAAAAAAA="}`,
		hexOf("de")+"\t"+`{"count":9999,"sums":"AAAAAAAAAAAAAAAAAAAAAA=="}`)
	fresh := t.TempDir()
	e.o.Dir = fresh
	e.pipe(paths, "encode")
	for _, c := range []struct{ means, want string }{
		{"-", "the means, which the step means writes, are missing"},
		{some, `the means of language "de" are not those of all shards`}, {few, "are not those of all shards"},
		{narrow, "has vectors of dimension 24, the means 1"}, {mixed, "the means have dimensions"},
		{"656e\t7\n", "means: standard input:1: the sum: "}, {"xx\t{}\n", "not hexadecimal"},
		{"31 32\t{}\n", "2 fields, want 1"},
		{"31\t{}\n", `language "1": the sums have 0 bytes`},
	} {
		po := e.o
		if po.Means = strings.NewReader(c.means); c.means == "-" {
			po.Means = nil
		}
		_, err := Pipe(t.Context(), "link", po, strings.NewReader(strings.Join(paths[0], "")), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("means %.80q: error %v, want %q", c.means, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(fresh, LinksName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("links are left: %v", err)
	}
	e.o.Dir = t.TempDir()
	e.o.Means = strings.NewReader(means)
	if _, err := Pipe(t.Context(), "link", e.o, strings.NewReader(paths[0][0]), &bytes.Buffer{}); err == nil ||
		!strings.Contains(err.Error(), "is not encoded") {
		t.Errorf("without vectors: error %v", err)
	}
	if _, err := Pipe(t.Context(), "means", e.o, strings.NewReader("32\t{}\n31\t{}\n"), &bytes.Buffer{}); err == nil {
		t.Error("records that are not sorted are accepted")
	}
	e.o.Index.Checkpoint = ""
	if _, err := Pipe(t.Context(), "encode", e.o, strings.NewReader(paths[0][0]), &bytes.Buffer{}); err == nil ||
		!strings.Contains(err.Error(), "prepare: step encode: the directory") {
		t.Errorf("error %v", err)
	}
}
