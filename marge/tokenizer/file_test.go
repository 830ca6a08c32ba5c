package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func fixtureBytes(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile(fixtureFile)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func loadBPE(path string) (*BPE, error) {
	t, err := Load(path)
	if err != nil {
		return nil, err
	}
	return t.(*BPE), nil
}

func readBPE(r io.Reader) (*BPE, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return parseBPE(data)
}

func TestSaveAndLoad(t *testing.T) {
	want := fixtureBytes(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	tok := fixture(t)
	for range 2 { // the second time over the first file
		if err := tok.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("loading and saving changes the file")
		}
		if tok, err = loadBPE(path); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("Save leaves %v, %v", entries, err)
	}
	if err := tok.Save(filepath.Join(dir, "none", "tokenizer.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Save into a folder that does not exist: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of a file that does not exist: %v", err)
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	n, err := fixture(t).WriteTo(&failingWriter{100})
	if n != 100 || !errors.Is(err, errFull) {
		t.Errorf("WriteTo = %d, %v; want 100 and the error of the writer", n, err)
	}
}

// Variants that `tokenizers` reads the same way give the same tokenizer.
func TestReadVariants(t *testing.T) {
	compact := new(bytes.Buffer)
	if err := json.Compact(compact, fixtureBytes(t)); err != nil {
		t.Fatal(err)
	}
	var generic map[string]any
	if err := json.Unmarshal(fixtureBytes(t), &generic); err != nil {
		t.Fatal(err)
	}
	model := generic["model"].(map[string]any)
	var joined []string
	for _, m := range model["merges"].([]any) {
		pair := m.([]any)
		joined = append(joined, pair[0].(string)+" "+pair[1].(string))
	}
	model["merges"] = joined
	model["unk_token"] = nil
	model["continuing_subword_prefix"] = ""
	vocab := model["vocab"].(map[string]any)
	delete(vocab, "zh_CN") // in added_tokens only
	generic["post_processor"] = nil
	delete(generic, "truncation")
	older, err := json.Marshal(generic)
	if err != nil {
		t.Fatal(err)
	}
	want := fixture(t)
	for name, data := range map[string][]byte{"compact": compact.Bytes(), "older": older} {
		tok, err := readBPE(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(tok.tokens, want.tokens) || !slices.Equal(tok.special, want.special) ||
			!slices.Equal(tok.bpe.merges, want.bpe.merges) {
			t.Errorf("%s: a different tokenizer", name)
		}
	}
}

func TestReadErrors(t *testing.T) {
	data := string(fixtureBytes(t))
	var order struct {
		Model struct{ Merges [][2]string }
	}
	if err := json.Unmarshal([]byte(data), &order); err != nil {
		t.Fatal(err)
	}
	first := order.Model.Merges[0]
	cases := []struct{ old, new, want string }{
		{`"truncation": null`, `"truncation": {"max_length": 3}`, "truncation"},
		{`"padding": null`, `"padding": {}`, "padding"},
		{`"normalizer": null`, `"normalizer": {"type": "NFC"}`, "normalizer"},
		{`"version": "1.0"`, `"version": "1.0", "surprise": 1`, "surprise"},
		{`"type": "Sequence"`, `"type": "Whitespace"`, "Whitespace"},
		{`"type": "Split"`, `"type": "Digits"`, "Digits"},
		{`\\p{N}{1,3}`, `\\p{N}`, "Split pattern"},
		{`"Regex":`, `"String":`, "Split pattern"},
		{`"behavior": "Isolated"`, `"behavior": "Removed"`, "Removed"},
		{`"invert": false`, `"invert": true`, "invert"},
		{`"invert": false`, `"invert": "no"`, "Split"},
		{`"add_prefix_space": false`, `"add_prefix_space": true`, "add_prefix_space"},
		{`"use_regex": false`, `"use_regex": true`, "use_regex"},
		{"\"decoder\": {\n    \"type\": \"ByteLevel\"", `"decoder": {"type": "WordPiece"`, "WordPiece"},
		{"\"decoder\": {\n    \"type\": \"ByteLevel\"", `"decoder": {"type": 5`, "decoder"},
		{`"type": "TemplateProcessing"`, `"type": []`, "post_processor"},
		{`"type": "BPE"`, `"type": "Unigram"`, "Unigram"},
		{`"dropout": null`, `"dropout": 0.1`, "dropout"},
		{`"continuing_subword_prefix": null`, `"continuing_subword_prefix": "##"`, "##"},
		{`"end_of_word_suffix": null`, `"end_of_word_suffix": "</w>"`, "</w>"},
		{`"byte_fallback": false`, `"byte_fallback": true`, "byte_fallback"},
		{`"ignore_merges": false`, `"ignore_merges": true`, "ignore_merges"},
		{`"special": true`, `"special": false`, "not special"},
		{`"lstrip": false`, `"lstrip": true`, "lstrip"},
		{"\"id\": 0,\n      \"content\"", "\"id\": 3,\n      \"content\"", "in model.vocab 0"},
		{"\"id\": 0,\n      \"content\"", "\"id\": 0.5,\n      \"content\"", "0.5"},
		{`"<s>": 0`, `"<s>": 1`, `"<s>"`},
		{`"!": 10`, `"!": 11`, "same id 11"},
		{`"!": 10`, `"!": 800`, "0 to 799"},
		{`"!": 10`, `"!": -1`, "id -1"},
		{`"!": 10`, `"!": 99999999999999999999`, "99999999999999999999"},
		{`"!": 10`, `"!": "10"`, `"!"`},
		{`"!": 10`, `"!": null`, "null"},
		{`"!": 10`, `"!": 10, "!": 10`, `name "!" within "/model/vocab"`},
		{`"!": 10`, `"": 10`, "empty"},
		{`"!": 10`, `"中": 10`, "no byte"},
		{`"!": 10`, `"!!!!!!!": 10`, "byte 0x21"},
		{`"vocab": {`, `"vocab": null, "vocabulary": {`, `within "/model/vocab": is null`},
		{`"vocab": {`, `"vocab": [], "vocabulary": {`, `within "/model/vocab": is [`},
		{`"model": {`, `"Model": {`, `"Model"`},
		{`"type": "BPE"`, `"Type": "BPE"`, `"Type" within "/model"`},
		{`"Regex": `, `"regex": `, "Split pattern is"},
		{`"behavior": "Isolated"`, `"Behavior": "Isolated"`, `behavior ""`},
		{fmt.Sprintf("%q,\n        %q", first[0], first[1]), `"no such", "token"`, "merge 0"},
		{fmt.Sprintf("%q,\n        %q", first[0], first[1]), fmt.Sprintf("%q", first[0]), "two tokens"},
		{fmt.Sprintf("[\n        %q,\n        %q\n      ]", first[0], first[1]), `"a b c"`, "a b c"},
		{fmt.Sprintf("[\n        %q,\n        %q\n      ]", first[0], first[1]), `7`, "number"},
		{fmt.Sprintf("[\n        %q,\n        %q\n      ]", first[0], first[1]),
			fmt.Sprintf(`[%q, %q], [%[1]q, %[2]q]`, first[0], first[1]), "twice"},
		{`"content": "<pad>"`, `"content": "[PAD]"`, "[PAD]"},
	}
	for _, c := range cases {
		if !strings.Contains(data, c.old) {
			t.Errorf("the fixture does not contain %s", c.old)
			continue
		}
		_, err := readBPE(strings.NewReader(strings.Replace(data, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s instead of %s: error %v, want one with %q", c.new, c.old, err, c.want)
		}
	}
	for _, n := range []int{0, 1, 50, len(data) / 2, len(data) - 2} {
		if _, err := readBPE(strings.NewReader(data[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: error %v, want %v", n, err, io.ErrUnexpectedEOF)
		}
	}
	for _, s := range []string{"null", "[]", "{}", "7", data + "x", data + data, strings.Repeat("[", 1<<20)} {
		if _, err := readBPE(strings.NewReader(s)); err == nil {
			t.Errorf("no error for %.20s...", s)
		}
	}
}

// A file that asks for more than any tokenizer has is refused early.
func TestReadLimits(t *testing.T) {
	data := fixtureBytes(t)
	if _, err := readAll(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Error(err)
	}
	if _, err := readAll(bytes.NewReader(data), int64(len(data)-1)); err == nil ||
		!strings.Contains(err.Error(), "has more than") {
		t.Errorf("a file above the limit: error %v", err)
	}
	if testing.Short() {
		t.Skip("files of millions of tokens take seconds")
	}
	vocab := []byte("{")
	for i := range maxTokens + 1 {
		vocab = fmt.Appendf(vocab, `"%x":0,`, i)
	}
	merges := "[" + strings.Repeat(`"a b",`, maxMerges)
	for want, model := range map[string]string{
		`within "/model/vocab": has more than 2097152 tokens`:  `"vocab":` + string(vocab),
		`within "/model/merges": has more than 4194304 merges`: `"merges":` + merges + `"a b"`,
		`within "/model/merges": merge 1: `:                    `"merges":["a b","ab"`,
	} {
		_, err := readBPE(strings.NewReader(`{"model":{` + model))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	// A small file, which the fuzzer gets on with faster.
	small, err := Train(slices.Values([]string{"the theme then"}),
		TrainOptions{VocabSize: 264, Languages: []string{"en"}})
	if err != nil {
		f.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := small.WriteTo(&data); err != nil {
		f.Fatal(err)
	}
	f.Add(data.Bytes())
	f.Add(data.Bytes()[:data.Len()/2])
	f.Add([]byte(`{"added_tokens":[{"id":0,"content":"<s>","special":true}],` +
		`"model":{"type":"BPE","vocab":{"a":1},"merges":["a b"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := readBPE(bytes.NewReader(data))
		if err != nil {
			return
		}
		const text = "The meaning, 12345 中文 \xff"
		if got := string(tok.DecodeBytes(tok.Encode(text))); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
		var out bytes.Buffer
		if _, err := tok.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		again, err := readBPE(&out)
		if err != nil {
			t.Fatalf("what was written does not load: %v", err)
		}
		if !slices.Equal(again.tokens, tok.tokens) || !slices.Equal(again.bpe.merges, tok.bpe.merges) {
			t.Error("writing and reading changes the tokenizer")
		}
	})
}
