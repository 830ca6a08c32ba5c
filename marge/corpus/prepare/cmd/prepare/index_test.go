package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/prepare"
	"github.com/marge-go/marge/marge/tokenizer"
)

// saveModel saves a random model.
func saveModel(t *testing.T, dir string) {
	t.Helper()
	tok, err := tokenizer.Train(func(yield func(string) bool) { yield(article) },
		tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"en", "de"}})
	if err != nil {
		t.Fatal(err)
	}
	c := marge.Tiny()
	c.VocabSize, c.DModel, c.MaxPositionEmbeddings = tok.VocabSize(), 32, 64
	m, err := marge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
}

// The command index, and its steps, make an index that the program examples/search
// opens.
func TestIndex(t *testing.T) {
	root, err := filepath.Abs("../../../../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	saveModel(t, "model")
	var lines string
	for i, lang := range []string{"en", "de", "en", "de"} {
		text := article[i*20:]
		lines += fmt.Sprintf(`{"id":"%d","lang":%q,"shard":"s","text":%q}`, i, lang, text) + "\n"
	}
	if err := os.WriteFile("s.jsonl", []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	cli := func(in string, args ...string) string {
		t.Helper()
		var out, messages bytes.Buffer
		if err := run(t.Context(), args, strings.NewReader(in), &out, &messages); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return out.String()
	}
	options := []string{"-chunk", "50", "-mono", "2", "-cross", "1", "-threads", "1"}
	with := func(args ...string) []string { return append(args, options...) }
	sums := cli("s.jsonl\n", with("step", "encode", "-out", "index", "-checkpoint", "model")...)
	if n := strings.Count(sums, "\n"); n != 2 {
		t.Errorf("sums of %d languages", n)
	}
	// They are sorted by hexadecimal names of languages already.
	if err := os.WriteFile("means", []byte(cli(sums, "step", "means")), 0o666); err != nil {
		t.Fatal(err)
	}
	counts := cli("s.jsonl\n", with("step", "link", "-out", "index", "-means", "means")...)
	index := with("index", "-out", "index", "-checkpoint", "model", "-vectors", "int8")
	out := cli("", append(index, "s.jsonl")...)
	data, err := os.ReadFile(filepath.Join("index", prepare.IndexReportName))
	if err != nil {
		t.Fatal(err)
	}
	var report prepare.IndexReport
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	var linked prepare.LinkCounts
	if err := json.Unmarshal([]byte(counts), &linked); err != nil || linked != report.LinkCounts {
		t.Errorf("links %+v, want %+v, error %v", linked, report.LinkCounts, err)
	}
	if report.Documents != 4 || report.Chunks <= 4 || report.ChunkTokens != 50 || report.Links != 3*report.Chunks ||
		report.Cross != report.Chunks || report.Vectors != "int8" || report.String() != out {
		t.Errorf("%s", data)
	}

	build := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "search"), "./examples/search")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	query := exec.Command(build.Args[3], "query", "-index", "index", "-k", "3", "-json", article[:60])
	output, err := query.CombinedOutput()
	if err != nil || strings.Count(string(output), `"lang"`) != 3 || !strings.Contains(string(output), "The council") {
		t.Errorf("%v\n%s", err, output)
	}
}
