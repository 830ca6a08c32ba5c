package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/tokenizer"
)

// testCheckpoint saves a model with random weights, which finds texts that are
// equal.
func testCheckpoint(t testing.TB, seed uint64) string {
	t.Helper()
	texts := func(yield func(string) bool) {
		for doc := range news.Documents(news.Options{Seed: 1, Events: 20}) {
			if !yield(doc.Text) {
				return
			}
		}
	}
	tok, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: 500, Languages: []string{"de", "en", "fr"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := marge.New(marge.Config{
		VocabSize: tok.VocabSize(), DModel: 32, EncoderLayers: 2, EncoderFFNDim: 64, EncoderAttentionHeads: 2,
		RetrievalLayers: 1, DecoderLayers: 1, DecoderFFNDim: 64, DecoderAttentionHeads: 2, MaxPositionEmbeddings: 64,
		Seed: seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// testDocuments writes generated news in files of each kind, below docs in a new
// current directory, and returns the text of one of them.
func testDocuments(t testing.TB) (text string) {
	t.Helper()
	dir := t.TempDir()
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chdir(before) })
	var lines bytes.Buffer
	n := 0
	for doc := range news.Documents(news.Options{Seed: 1, Events: 12}) {
		name := fmt.Sprintf("docs/%s/%03d", doc.Lang, n)
		switch n % 4 {
		case 0:
			writeFile(t, name+".txt", doc.Text)
			text = doc.Text
		case 1:
			writeFile(t, name+".md", "# "+doc.Text)
		case 2:
			writeFile(t, name+".html", fmt.Sprintf("<html lang=%s><body><p>%s</p></body></html>", doc.Lang, doc.Text))
		default:
			line, err := json.Marshal(map[string]string{"id": doc.ID, "lang": doc.Lang, "text": doc.Text})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&lines, "%s\n", line)
		}
		n++
	}
	writeFile(t, "docs/lines.jsonl", lines.String())
	return text
}

// search runs a command and returns what it prints and its messages.
func search(ctx context.Context, args ...string) (out, messages string, err error) {
	var o, m bytes.Buffer
	err = run(ctx, args, strings.NewReader("from standard input"), &o, &m)
	return o.String(), m.String(), err
}

func mustSearch(t testing.TB, args ...string) (out, messages string) {
	t.Helper()
	out, messages, err := search(t.Context(), args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, messages)
	}
	return out, messages
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestIndexAndQuery(t *testing.T) {
	text := testDocuments(t)
	checkpoint := testCheckpoint(t, 1)
	_, messages := mustSearch(t, "index", "-checkpoint", checkpoint, "-out", "x", "-chunk", "40", "docs")
	if err := os.RemoveAll(checkpoint); err != nil { // the index has a copy
		t.Fatal(err)
	}
	if !strings.Contains(messages, "documents of ") || !strings.Contains(messages, "x: ") {
		t.Errorf("messages %q", messages)
	}
	start := strings.TrimSpace(text[:60])
	out, _ := mustSearch(t, "query", "-index", "x", "-k", "2", "-json", text)
	var answer searchAnswer
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Query != strings.TrimSpace(text) || len(answer.Hits) != 2 {
		t.Fatalf("answer %+v", answer)
	}
	// The passage itself is what is nearest to it.
	x, m, err := open("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	want := x.Passage(x.Len() / 2)
	hits, err := find(t.Context(), m, x, request{Query: want.Text, K: 1})
	if err != nil || hits[0].ID != want.ID || hits[0].Start != want.Start || hits[0].Text != want.Text ||
		hits[0].Lang != want.Lang || hits[0].End-hits[0].Start != len([]rune(want.Text)) || hits[0].Score < 0.999 {
		t.Fatalf("hits %+v, error %v, want %+v", hits, err, want)
	}
	if !strings.HasPrefix(want.ID, "docs/") {
		t.Errorf("the passage is of %s", want.ID)
	}

	writeFile(t, "query.txt", want.Text+"\n")
	for _, args := range [][]string{
		{want.Text}, {"-file", "query.txt"}, {"-rerank", want.Text}, {"-lang", want.Lang, want.Text},
	} {
		out, _ := mustSearch(t, append([]string{"query", "-index", "x", "-k", "3"}, args...)...)
		line := fmt.Sprintf("%s  %s, characters %d to %d\n   %s", want.Lang, want.ID, want.Start,
			want.Start+len([]rune(want.Text)), strings.Join(strings.Fields(want.Text), " "))
		if args[0] == "-rerank" {
			if strings.Count(out, "(loss ") != 3 {
				t.Errorf("reranked:\n%s", out)
			}
			continue
		}
		if !strings.Contains(out, "1. 1.000  "+line) || strings.Count(out, "\n") != 6 {
			t.Errorf("%q prints\n%s\nwant %q", args, out, line)
		}
	}
	out, _ = mustSearch(t, "query", "-index", "x", "-json", "-k", "1")
	if !strings.Contains(out, `"query":"from standard input"`) {
		t.Errorf("standard input: %s", out)
	}
	out, _ = mustSearch(t, "query", "-index", "x", "-lang", "ja", start)
	if out != "" {
		t.Errorf("passages in Japanese:\n%s", out)
	}
	out, _ = mustSearch(t, "query", "-index", "x", "-lang", "ja", "-json", start)
	if !strings.Contains(out, `"hits":[]`) {
		t.Errorf("passages in Japanese: %s", out)
	}
}

// TestResume: an index that is stopped, again and again, and one of files that
// have changed, are what is made at once; what is known is not encoded again.
func TestResume(t *testing.T) {
	testDocuments(t)
	checkpoint := testCheckpoint(t, 1)
	index := func(dir string, onSave func() error) (messages string, err error) {
		var b bytes.Buffer
		x, err := newIndexer([]string{"-checkpoint", checkpoint, "-out", dir, "-chunk", "20", "docs"}, io.Discard, &b)
		if err != nil {
			t.Fatal(err)
		}
		x.saveEvery, x.batchBytes, x.onSave = 0, 1000, onSave
		err = x.run(t.Context())
		return b.String(), err
	}
	whole, err := index("whole", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := mustRead(t, "whole/passages.index")

	killed, stops, last := errors.New("killed"), 0, ""
	for {
		saves := 0
		if last, err = index("parts", func() error {
			if saves++; saves == 3+stops {
				return killed
			}
			return nil
		}); err == nil {
			break
		}
		if !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if _, err := os.Stat("parts/passages.index"); err == nil {
			t.Fatal("an index that was stopped is there")
		}
		_, _, err = search(t.Context(), "query", "-index", "parts", "text")
		if err == nil || !strings.Contains(err.Error(), "is not finished") {
			t.Fatalf("an index that was stopped can be searched: error %v", err)
		}
		stops++
	}
	// What is encoded stays: the last run has less to do than the first.
	var passages, fresh, all, allFresh int
	scan := func(messages string, passages, fresh *int) {
		_, line, _ := strings.Cut(messages[strings.LastIndex(strings.TrimSpace(messages), "\n")+1:], ": ")
		if _, err := fmt.Sscanf(line, "%d passages, %d of them new", passages, fresh); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	scan(whole, &all, &allFresh)
	scan(last, &passages, &fresh)
	if passages != all || fresh > allFresh/2 {
		t.Errorf("the last of %d runs encoded %d of %d passages, one alone %d", stops+1, fresh, all, allFresh)
	}
	if stops < 3 || !bytes.Equal(mustRead(t, "parts/passages.index"), want) {
		t.Errorf("after %d stops the index is another", stops)
	}
	entries, err := filepath.Glob("parts/part-*")
	if err != nil || len(entries) != 0 {
		t.Errorf("%v are left, error %v", entries, err)
	}
	if !strings.Contains(whole, " passages, ") || strings.Contains(whole, " 0 of them new") {
		t.Errorf("messages of the first index: %q", whole)
	}

	again, err := index("whole", nil)
	if err != nil || !strings.Contains(again, " 0 of them new") ||
		!bytes.Equal(mustRead(t, "whole/passages.index"), want) {
		t.Errorf("once more: %q, error %v", again, err)
	}

	// One file changes, one goes, one comes.
	files, err := filepath.Glob("docs/*/*.txt")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	writeFile(t, files[0], "This text is new.")
	writeFile(t, "docs/new.md", "*Another* text.")
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	changed, err := index("whole", nil)
	if err != nil || !strings.Contains(changed, " 2 of them new") {
		t.Errorf("after changes: %q, error %v", changed, err)
	}
	if _, err = index("anew", nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, "whole/passages.index"), mustRead(t, "anew/passages.index")) {
		t.Error("after changes the index is not that of the files as they are")
	}

	// A damaged index is no help, and no harm.
	data := mustRead(t, "whole/passages.index")
	data[len(data)/2]++
	writeFile(t, "whole/passages.index", string(data))
	if messages, err := index("whole", nil); err != nil || !strings.Contains(messages, "encoded anew") ||
		!bytes.Equal(mustRead(t, "whole/passages.index"), mustRead(t, "anew/passages.index")) {
		t.Errorf("with a damaged index: %q, error %v", messages, err)
	}
}

func TestInterrupt(t *testing.T) {
	testDocuments(t)
	ctx, cancel := context.WithCancel(t.Context())
	var b bytes.Buffer
	x, err := newIndexer([]string{"-checkpoint", testCheckpoint(t, 1), "-out", "x", "docs"}, io.Discard, &b)
	if err != nil {
		t.Fatal(err)
	}
	x.saveEvery, x.batchBytes = time.Nanosecond, 1000
	x.onSave = func() error { cancel(); return nil }
	if err := x.run(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(b.String(), "the same command goes on") {
		t.Errorf("error %v, messages %q", err, b.String())
	}
	// Without -checkpoint, the model of the index is used.
	if _, messages, err := search(t.Context(), "index", "-out", "x", "docs"); err != nil ||
		strings.Contains(messages, "training") {
		t.Errorf("going on without -checkpoint: %q, error %v", messages, err)
	}
}

// TestTrain makes a model of the documents; the next run uses it.
func TestTrain(t *testing.T) {
	testDocuments(t)
	_, messages := mustSearch(t, "index", "-out", "x", "-minutes", "0.01", "docs", "docs/lines.jsonl")
	if !strings.Contains(messages, "training a model on the documents") {
		t.Errorf("messages %q", messages)
	}
	if _, err := os.Stat("x/training"); err == nil {
		t.Error("the training is left")
	}
	writeFile(t, "docs/new.txt", "A new text.")
	_, messages = mustSearch(t, "index", "-out", "x", "docs")
	if strings.Contains(messages, "training") || !strings.Contains(messages, " 1 of them new") {
		t.Errorf("messages of the second run %q", messages)
	}
	out, _ := mustSearch(t, "query", "-index", "x", "-k", "1", "A new text.")
	if !strings.Contains(out, "docs/new.txt") {
		t.Errorf("found %s", out)
	}
}

// writerFunc is called with what is written.
type writerFunc func(text string)

func (f writerFunc) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// TestTrainGoesOn: a training of the same documents goes on, of others it starts
// anew.
func TestTrainGoesOn(t *testing.T) {
	testDocuments(t)
	interrupted := func(files string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		messages := writerFunc(func(text string) {
			if strings.HasPrefix(text, "pre-training") {
				cancel()
			}
		})
		err := run(ctx, []string{"index", "-out", "x", "-minutes", "1000", files}, nil, io.Discard, messages)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if left, err := filepath.Glob("x/training/checkpoint-*"); err != nil || len(left) == 0 {
			t.Fatalf("%v are left of the training, error %v", left, err)
		}
	}
	kept := func() bool {
		_, err := os.Stat("x/training/mark")
		return err == nil
	}
	interrupted("docs")
	writeFile(t, "x/training/mark", "")
	if interrupted("docs"); !kept() {
		t.Error("the training of the same documents began anew")
	}
	if interrupted("docs/lines.jsonl"); kept() {
		t.Error("the training of other documents went on")
	}
}

func TestErrors(t *testing.T) {
	testDocuments(t)
	checkpoint, other := testCheckpoint(t, 1), testCheckpoint(t, 2)
	mustSearch(t, "index", "-checkpoint", checkpoint, "-out", "x", "docs")
	mustSearch(t, "index", "-checkpoint", checkpoint, "-out", "torn", "docs")
	mustSearch(t, "index", "-checkpoint", checkpoint, "-out", "mixed", "docs")
	if err := os.RemoveAll("mixed/model"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS("mixed/model", os.DirFS(other)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate("torn/passages.index", 1000); err != nil {
		t.Fatal(err)
	}
	writeFile(t, "bad/broken.jsonl", "{")
	writeFile(t, "bad/empty.txt", "")
	writeFile(t, "pictures/a.png", "\x89PNG\r\n\x1a\n")
	writeFile(t, "latin1.txt", "\xff\xfe\xfd")
	for want, args := range map[string]string{
		"no command is given":               "",
		`no command "find"`:                 "find",
		"-out is missing":                   "index docs",
		"no files are given":                "index -out y",
		"nofile: no such file":              "index -out y nofile",
		"folder pictures has no file named": "index -out y pictures",
		"a.png: it is not text":             "index -out y -checkpoint " + checkpoint + " pictures/a.png",
		"bad/broken.jsonl:1: bad JSON":      "index -out y -minutes 1 bad",
		"bad/empty.txt: it has no text":     "index -out y bad/empty.txt",
		"have no document":                  "index -out y -skip-bad bad",
		"all files are in -out docs":        "index -out docs docs",
		"-chunk 63: the model takes 62":     "index -out y -chunk 63 -checkpoint " + checkpoint + " docs",
		"-minutes 0":                        "index -out y -minutes 0 docs",
		"-minutes is for training":          "index -out y -minutes 1 -checkpoint " + checkpoint + " docs",
		"nomodel: no such file":             "index -out y -checkpoint nomodel docs",
		"-chunk 7: want at least 8":         "index -out y -chunk 7 docs",
		"Lang":                              "index -out y -lang ? docs",
		"or another -out":                   "index -out x -checkpoint " + other + " docs",
		"-index is missing":                 "query text",
		"-index y: no index":                "query -index y text",
		"-index: index: open torn/passages.index: it has 1000 bytes": "query -index torn text",
		"made by model":                    "query -index mixed text",
		"-chunk 255: the model takes 254":  "index -out y -chunk 255 docs",
		"-k 0":                             "query -index x -k 0 text",
		"leave out one of them":            "query -index x -file latin1.txt text",
		"not UTF-8":                        "query -index x -file latin1.txt",
		"no text to look for":              "query -index x -file bad/empty.txt",
		"-file: open nofile":               "query -index x -file nofile",
		"search: ":                         "query -index x -lang ? text",
		"no language that the model knows": "query -index x -rerank Привет",
		`unexpected argument "text"`:       "serve -index x text",
		"-max-body":                        "serve -index x -max-body 0",
		"-address":                         "serve -index x -address nowhere:port",
		"not defined":                      "serve -nothing",
	} {
		_, _, err := search(t.Context(), strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("search %s: error %v, want one with %q", args, err, want)
		}
	}
	for _, made := range []string{"y/passages.index", "y/model", "y/training"} {
		if _, err := os.Stat(made); err == nil {
			t.Errorf("%s was made in spite of errors", made)
		}
	}
	if out, _ := mustSearch(t, "-h"); !strings.Contains(out, "search index -out") {
		t.Errorf("help %q", out)
	}
	if out, _ := mustSearch(t, "index", "-h"); !strings.Contains(out, "-skip-bad") {
		t.Errorf("help of index %q", out)
	}
}

// TestSharded: translations come into one shard, and shards stay as they are.
func TestSharded(t *testing.T) {
	text := strings.Repeat("x", 1000)
	var docs []corpus.Document
	for i := range 40000 {
		lang := []string{"de", "en"}[i%2]
		docs = append(docs, corpus.Document{ID: fmt.Sprintf("manual.jsonl#%s/%d.html", lang, i/2), Lang: lang, Text: text})
	}
	got := sharded(docs)
	shards := map[string]int{}
	for i, doc := range got {
		shards[doc.Shard]++
		if i%2 == 0 && doc.Shard != got[i+1].Shard {
			t.Fatalf("%s and %s come into shards %s and %s", doc.ID, got[i+1].ID, doc.Shard, got[i+1].Shard)
		}
	}
	if len(shards) != 5 || slices.Max([]int{shards["0"], shards["1"], shards["2"], shards["3"], shards["4"]}) > 9000 {
		t.Errorf("shards %v", shards)
	}
	if docs[0].Shard != "" || sharded(docs[:100])[0].Shard != "" {
		t.Error("documents of others, or few ones, get shards")
	}
	docs[0].Date, docs[1].Shard = "2020-01-01", "mine"
	if got := sharded(docs); got[0].Shard != "" || got[1].Shard != "mine" {
		t.Errorf("shards %q and %q of documents with a date and a shard", got[0].Shard, got[1].Shard)
	}
	if o := links(docs); o.Mono == 0 || o.Cross == 0 {
		t.Errorf("links %+v of two languages", o)
	}
	if o := links(docs[:1]); o.Mono == 0 || o.Cross != 0 {
		t.Errorf("links %+v of one language", o)
	}
}
