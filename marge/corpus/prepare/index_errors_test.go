package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
)

func TestIndexErrors(t *testing.T) {
	if _, err := Index(t.Context(), t.TempDir(), nil, IndexOptions{}); err == nil ||
		!strings.Contains(err.Error(), "prepare: index: there are no files of shards") {
		t.Errorf("no files: error %v", err)
	}
	model := checkpoint(t, 7, "en", "de")
	doc := func(id, lang, shard string) corpus.Document {
		return corpus.Document{ID: id, Lang: lang, Text: "one two three", Shard: shard}
	}
	bare := filepath.Join(t.TempDir(), "bare")
	if err := os.CopyFS(bare, os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "checksums.json"} {
		if err := os.Remove(filepath.Join(bare, name)); err != nil {
			t.Fatal(err)
		}
	}
	a, b := doc("a", "en", "s"), doc("b", "de", "s")
	for _, c := range []struct {
		want   string
		o      IndexOptions
		shards [][]corpus.Document
	}{
		{"the directory of the model, Checkpoint, is missing", IndexOptions{}, nil},
		{"checkpoint: load model: ", IndexOptions{Checkpoint: t.TempDir()}, nil},
		{"has no tokenizer", IndexOptions{Checkpoint: bare}, nil},
		{"chunks of 47 tokens: the model takes at most 46", IndexOptions{Checkpoint: model,
			Chunks: corpus.BuildOptions{ChunkTokens: 47}}, nil},
		{"MinTokens", IndexOptions{Checkpoint: model, Chunks: corpus.BuildOptions{MinTokens: -1}}, nil},
		{"links: Mono is -1", IndexOptions{Links: index.LinkOptions{Mono: -1}}, nil},
		{"round to no link", IndexOptions{Links: index.LinkOptions{Mono: 0.2, PerTarget: true}}, nil},
		{`0.jsonl: corpus: document 1 ("c"): tokenizer: no token for language "fr"; there are`,
			IndexOptions{Checkpoint: model}, [][]corpus.Document{{a, doc("c", "fr", "s")}}},
		{`"a" and "c" are in the shards "s" and "r"`, IndexOptions{Checkpoint: model},
			[][]corpus.Document{{a, doc("c", "en", "r")}}},
		{`two documents have the ID "a"`, IndexOptions{Checkpoint: model}, [][]corpus.Document{{a, b, a}}},
		{`shard "s" is in `, IndexOptions{Checkpoint: model}, [][]corpus.Document{{a}, {b}}},
		{"there is no document", IndexOptions{Checkpoint: model}, [][]corpus.Document{{}}},
	} {
		in, out := t.TempDir(), t.TempDir()
		if c.shards == nil {
			c.shards = [][]corpus.Document{{a, b}}
		}
		for i, docs := range c.shards {
			writeLines(t, filepath.Join(in, fmt.Sprintf("%d.jsonl", i)), docs)
		}
		_, err := Index(t.Context(), out, []string{in}, c.o)
		if err == nil || !strings.HasPrefix(err.Error(), "prepare: index: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	o := IndexOptions{Checkpoint: model}
	one, two := t.TempDir(), t.TempDir()
	writeLines(t, filepath.Join(one, "a.jsonl"), []corpus.Document{a})
	writeLines(t, filepath.Join(two, "a.jsonl.zst"), []corpus.Document{b})
	if _, err := Index(t.Context(), t.TempDir(), []string{one, two}, o); err == nil ||
		!strings.Contains(err.Error(), "have the same name") {
		t.Errorf("error %v", err)
	}
	none := []string{filepath.Join(one, "none.jsonl")}
	if _, err := Index(t.Context(), t.TempDir(), none, o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Damage to files of the work is an error that names the file.
func TestIndexDamaged(t *testing.T) {
	docs, model := multilingual(5, 40), checkpoint(t, 7, "en", "de", "pt-BR")
	shards := shardsOf(t, docs, 1, Options{Threads: 1})
	o := IndexOptions{Checkpoint: model}
	for _, c := range []struct {
		file, want string
		damage     func(data []byte) []byte
	}{
		{"2020-06-26.index", "do not match their checksum: remove it and", func(b []byte) []byte { b[300] ^= 1; return b }},
		{"2020-06-26.index", "too few for the header", func(b []byte) []byte { return b[:50] }},
		{"2020-06-26.json", "2020-06-26.json: unexpected end", func(b []byte) []byte { return b[:50] }},
		{"2020-06-26.json", "vectors, want 3", func(b []byte) []byte {
			var p map[string]any
			if err := json.Unmarshal(b, &p); err != nil {
				panic(err)
			}
			p["chunks"] = 3
			b, _ = json.Marshal(p)
			return b
		}},
		{"2020-06-26.json", "shard \"2020-06-26\": language \"en\": the sums have 7 bytes", func(b []byte) []byte {
			return replaceSums(b, make([]byte, 7))
		}},
		{"2020-06-26.json", "sums of vectors of dimension 23 and of 24", func(b []byte) []byte {
			return replaceSums(b, make([]byte, 8*23))
		}},
	} {
		out := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(p Progress) {
			if p.Step == "link" {
				cancel()
			}
		}
		if _, err := Index(ctx, out, []string{shards}, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		path := filepath.Join(out, workName, c.file)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, c.damage(data), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		o.Progress = nil
		if _, err := Index(t.Context(), out, []string{shards}, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.file, err, c.want)
		}
	}
}

// replaceSums gives the language en of a part other sums.
func replaceSums(data, sums []byte) []byte {
	var p part
	if err := json.Unmarshal(data, &p); err != nil {
		panic(err)
	}
	p.Languages["en"] = languageSum{p.Languages["en"].Count, sums}
	data, err := json.Marshal(&p)
	if err != nil {
		panic(err)
	}
	return data
}

// A chunk's text has whole characters and no white space around it, and no text is in
// two chunks.
func TestCutText(t *testing.T) {
	tok, err := tokenizer.Train(func(yield func(string) bool) { yield("aaaa bbbb") },
		tokenizer.TrainOptions{VocabSize: 270, Languages: []string{"en"}})
	if err != nil {
		t.Fatal(err)
	}
	text := " \u00a0ü語😀 x  y\n\n語語語é  "
	for chunk := 1; chunk < 30; chunk++ {
		n := len(tok.Encode(text))
		chunks := make([]marge.Passage, (n+chunk-1)/chunk)
		cutText(tok, text, chunk, chunks)
		runes, end := []rune(text), 0
		for i, p := range chunks {
			if strings.TrimSpace(p.Text) != p.Text || p.Start < end || !strings.HasPrefix(string(runes[p.Start:]), p.Text) {
				t.Fatalf("%d tokens: chunk %d is %+v", chunk, i, p)
			}
			if between := string(runes[end:p.Start]); strings.TrimSpace(between) != "" {
				t.Fatalf("%d tokens: %q before chunk %d is missing", chunk, between, i)
			}
			end = p.Start + len([]rune(p.Text))
		}
		if rest := string(runes[end:]); strings.TrimSpace(rest) != "" {
			t.Fatalf("%d tokens: %q is missing at the end", chunk, rest)
		}
	}
}
