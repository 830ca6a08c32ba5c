package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
)

// What an earlier run prepared is used if it is what this one would make. If
// not, it is made anew as long as there is no checkpoint.
func TestPrepared(t *testing.T) {
	dir := t.TempDir()
	train := writeEvents(t, filepath.Join(dir, "train.jsonl"), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	other := writeEvents(t, filepath.Join(dir, "other.jsonl"), 21, 22, 23, 24)
	out := filepath.Join(dir, "run")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	documents := func(args ...string) (n int, tokenizer string, printed string) {
		o := testOptions(t, append(args, "-corpus", train)...)
		if len(args) > 0 && args[0] == "-corpus" {
			o = testOptions(t, args...)
		}
		o.out = out
		printed = output(t, func() {
			d, err := prepare(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			n, tokenizer = d.store.Documents(), d.tokenizer.Fingerprint()
			for i := range d.store.Len() {
				if tokens := len(d.store.Tokens(i)); tokens > o.chunk {
					t.Errorf("%v: a chunk of %d tokens", args, tokens)
				}
			}
			if err := d.store.Close(); err != nil {
				t.Fatal(err)
			}
		})
		return n, tokenizer, printed
	}
	made := func(what string, printed string, tokenizer, corpus bool) {
		t.Helper()
		trained, tokenised := strings.Contains(printed, "training the tokenizer"), strings.Contains(printed, "tokenising")
		if trained != tokenizer || tokenised != corpus {
			t.Errorf("%s: printed %q, want tokenizer made: %v, corpus made: %v", what, printed, tokenizer, corpus)
		}
	}
	n, first, printed := documents()
	made("first", printed, true, true)
	_, same, printed := documents()
	made("again", printed, false, false)
	if n != 18 || same != first {
		t.Errorf("%d documents, tokenizers %.12s and %.12s", n, first, same)
	}
	_, _, printed = documents("-chunk", "8")
	made("-chunk 8", printed, false, true)
	n, _, printed = documents("-chunk", "8", "-max-chunks", "1")
	made("-max-chunks 1", printed, false, true)
	if !strings.Contains(printed, "18 documents, 18 chunks") {
		t.Errorf("-max-chunks 1 makes %q of %d documents", printed, n)
	}
	n, second, printed := documents("-corpus", other)
	made("another corpus", printed, true, true)
	if n != 8 || second == first {
		t.Errorf("%d documents, tokenizers %.12s and %.12s", n, first, second)
	}

	french := filepath.Join(dir, "french.jsonl")
	if err := os.WriteFile(french, []byte(`{"id":"1","lang":"fr","text":"un"}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, _, printed = documents("-corpus", other, "-eval", french)
	made("held-out documents in another language", printed, true, true)

	// A tokenizer that this program did not make is not replaced.
	refused := func(what, want string) {
		t.Helper()
		o := testOptions(t, "-corpus", train)
		o.out = out
		before := listing(t, out)
		if _, err := prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", what, err, want)
		}
		if listing(t, out) != before {
			t.Errorf("%s: the directory has changed", what)
		}
	}
	path := filepath.Join(out, "tokenizer.json")
	vocabulary := tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"de"}}
	own, err := tokenizer.Train(slices.Values([]string{"some text"}), vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Save(path); err != nil {
		t.Fatal(err)
	}
	refused("a tokenizer that was changed", "tokenizer.json was changed")
	if err := os.Remove(path + madeFromSuffix); err != nil {
		t.Fatal(err)
	}
	refused("somebody else's tokenizer", "tokenizer.json.made-from")
}
