package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestHFErrors(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"added", "first", "gpt2", "nmtnfc"} {
		files[name] = string(modelFile(t, name+".json"))
	}
	const replace = `{"type":"Replace","pattern":{"String":"''"},"content":"\""}`
	pattern := func(p string) string { return strings.Replace(replace, `"String":"''"`, p, 1) }
	for _, c := range []struct{ file, old, new, want string }{
		{"added", `"version"`, `"surprise":1,"version"`, "surprise"},
		{"added", `"type":"Precompiled"`, `"type":"Lowercase"`, "normalizer: Lowercase: is not supported"},
		{"added", `"precompiled_charsmap":"A`, `"precompiled_charsmap":"*`, "normalizer: Precompiled: illegal base64"},
		{"added", `"precompiled_charsmap":"AAQ`, `"precompiled_charsmap":"AAU`, "bytes follow"},
		{"added", `"normalizer":{"type":`, `"normalizer":{"normalizers":7,"type":`, `normalizer: json`},
		{"added", `"type":"Metaspace"`, `"type":"Whitespace"`, `pre_tokenizer is ["Whitespace"]; only`},
		{"added", `"prepend_scheme":"always"`, `"prepend_scheme":"sometimes"`, `prepend_scheme is "sometimes"`},
		{"added", `"replacement":"▁"`, `"replacement":"▁▁"`, "want one character"},
		{"added", `"decoder":{"type":"Metaspace"`, `"decoder":{"type":"CTC"`, "decoder: CTC is not supported"},
		{"added", `"decoder":{"type":"Metaspace"`, `"decoder":{"type":"ByteLevel"`, "only one is ByteLevel"},
		{"added", `"type":"Unigram"`, `"type":"WordPiece"`, `model is of type "WordPiece"`},
		{"added", `"type":"Unigram"`, `"type":"Unigram","alpha":1`, "alpha"},
		{"added", `"unk_id":3`, `"unk_id":null`, "model.unk_id"},
		{"added", `"unk_id":3`, `"unk_id":9999`, "model.unk_id"},
		{"added", `["<s>",0.0]`, `["<s>"]`, "token 0 is not a pair"},
		{"added", `["<s>",0.0]`, `["<s>",0.0,0.0,0.0]`, "token 0 is not a pair"},
		{"added", `["<s>",0.0]`, `["<s>","0.0"]`, "token 0 is not a pair"},
		{"added", `["<s>",0.0]`, `["<s>",-1e999]`, `"<s>" has the score -1e999`},
		{"added", `["<s>",0.0]`, `["",0.0]`, `tokens ""`},
		{"added", `["<s>",0.0]`, `["<pad>",0.0]`, `"<pad>"`},
		{"added", `"vocab":[`, `"vocab":{},"x":[`, "vocab"},
		{"added", `"id":0,"content"`, `"id":1,"content"`, "in model.vocab 0"},
		{"added", `"content":"n't"`, `"content":""`, "empty"},
		{"added", `"content":"n't"`, `"content":"able"`, "is there twice"},
		{"added", `"content":"n't","single_word":false`, `"content":"n't","single_word":true`, "single_word"},
		{"added", `"byte_fallback":false`, `"byte_fallback":true`, "<0x00> is not in the vocabulary"},
		{"first", replace, pattern(`"Regex":"(?=a)"`), "normalizer: Replace: error parsing"},
		{"first", replace, pattern(`"Regex":"\\s+"`), `is not supported`},
		{"first", replace, pattern(`"Regex":"[a-z]"`), `pattern "[a-z]" is not supported`},
		{"first", replace, pattern(`"Regex":"a*"`), `matches the empty text`},
		{"first", replace, pattern(`"String":""`), `matches the empty text`},
		{"first", replace, `{"type":"Replace"}`, `matches the empty text`},
		{"first", replace, strings.Repeat(strings.Replace(replace, `\"`, "aaaa", 1)+",", 8) + replace, "times longer"},
		{"first", `"\""`, `"` + strings.Repeat("a", maxGrowth+1) + `"`, "times longer"},
		{"gpt2", `"use_regex":true`, `"use_regex":false`, `pre_tokenizer is ["ByteLevel"]`},
		{"gpt2", `"type":"BPE"`, `"type":"Unigram"`, `model is of type "Unigram"`},
		{"gpt2", `"ignore_merges":false`, `"ignore_merges":true`, "ignore_merges"},
		{"gpt2", `"!":1,`, `"!!!":1,`, "byte 0x21"},
		{"gpt2", `"content":"<|endoftext|>"`, `"content":"<|x|>"`, "same id 0"},
		{"nmtnfc", `{"type":"Prepend","prepend":"▁x"}`, strings.Repeat(`{"type":"NFKD"},`, 5) + `{"type":"NFD"}`,
			"times longer"},
	} {
		data := files[c.file]
		if !strings.Contains(data, c.old) {
			t.Errorf("%s.json does not contain %s", c.file, c.old)
			continue
		}
		_, err := Read(strings.NewReader(strings.Replace(data, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s.json: %.80s instead of %s: error %v, want one with %q", c.file, c.new, c.old, err, c.want)
		}
	}
	for name, data := range files {
		for _, n := range []int{1, 50, len(data) / 2, len(data) - 2} {
			if _, err := Read(strings.NewReader(data[:n])); err == nil || !strings.Contains(err.Error(), "EOF") {
				t.Errorf("%s.json cut after %d bytes: error %v", name, n, err)
			}
		}
	}
}

// Files of earlier versions of `tokenizers` mean the same.
func TestHFVariants(t *testing.T) {
	c := cases(t)
	for name, change := range map[string][2]string{
		"gpt2":    {`"type":"BPE",`, ``},
		"roberta": {`,"use_regex":true}`, `}`},
		"added":   {`"type":"Unigram",`, ``},
		"mbart":   {`"prepend_scheme":"always","split":true`, `"str_rep":"▁","add_prefix_space":true`},
	} {
		data := string(modelFile(t, name+".json"))
		changed := strings.Replace(data, change[0], change[1], 1)
		if changed == data {
			t.Errorf("%s.json does not contain %s", name, change[0])
		}
		tok, err := Read(strings.NewReader(changed))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, text := range c.Texts {
			if got, want := tok.Encode(text), c.Models[name+".json"].IDs[i]; !slices.Equal(got, want) {
				t.Errorf("%s: Encode(%q) = %v, want %v", name, text, got, want)
			}
		}
	}
	// A Metaspace without add_prefix_space puts no space in front.
	data := string(modelFile(t, "added.json"))
	data = strings.Replace(data, `"prepend_scheme":"always"`, `"add_prefix_space":false`, 1)
	tok, err := Read(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Token(tok.Encode("and")[0]); strings.HasPrefix(got, "▁") {
		t.Errorf("the first token of and is %q", got)
	}
}

// Whatever loads encodes and decodes any text, and is saved.
func checkAny(t *testing.T, tok Tokenizer) {
	t.Helper()
	for _, text := range []string{"", " The  meaning, e\u0301\u0316ﬁ 中文 \xff\x00", "aaaa<s>ab </s>\r\n\u0301👩\u200d💻"} {
		ids, offsets := tok.EncodeOffsets(text)
		if got := tok.Encode(text); !slices.Equal(got, ids) || len(offsets) != len(ids)+1 {
			t.Errorf("%q: Encode gives %v, EncodeOffsets %v and %v", text, got, ids, offsets)
		}
		for i, at := range offsets {
			if at < 0 || at > len(text) || i > 0 && at < offsets[i-1] {
				t.Errorf("%q: offsets %v", text, offsets)
			}
		}
		for _, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				t.Errorf("%q: id %d of %d tokens", text, id, tok.VocabSize())
			}
		}
		tok.Decode(ids)
	}
	var out bytes.Buffer
	if _, err := tok.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	again, err := Read(&out)
	if err != nil {
		t.Fatalf("what was written does not load: %v", err)
	}
	if again.Fingerprint() != tok.Fingerprint() {
		t.Error("writing and reading changes the tokenizer")
	}
}

func FuzzHF(f *testing.F) {
	const template = `{"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":4,"content":"ab ","lstrip":true,` +
		`"rstrip":true,"normalized":%t}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},` +
		`{"type":"Strip","strip_left":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "},` +
		`{"type":"Prepend","prepend":"x"},` +
		`{"type":"Nmt"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},` +
		`{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}]},` +
		`"decoder":{"type":"Metaspace","replacement":"▁"},` +
		`"model":{"type":"Unigram","unk_id":1,"vocab":[["<s>",0],["<unk>",0],["a",-1.5],["▁a",-2e0]]}}`
	f.Add([]byte(fmt.Sprintf(template, true)))
	f.Add([]byte(fmt.Sprintf(template, false)))
	f.Add(modelFile(f, "gpt2.json"))
	f.Add(modelFile(f, "strip.json"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := Read(bytes.NewReader(data)); err == nil {
			checkAny(t, tok)
		}
	})
}

func FuzzSentencePiece(f *testing.F) {
	for _, name := range []string{"rules.model", "bpe.model", "bytes.model"} {
		f.Add(unzip(f, name))
	}
	f.Add(spm(f, piece("a", -1, spmNormal), piece("ab", 2, spmUserDefined), piece("▁a", -1, spmUnused)))
	bpe := message(fieldTrainer, number(fieldModelType, spmBPE))
	f.Add(spm(f, piece("a", -1, spmNormal), piece("aa", 2, spmUnused), bpe))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := Read(bytes.NewReader(data)); err == nil {
			checkAny(t, tok)
		}
	})
}

func BenchmarkModels(b *testing.B) {
	c := cases(b)
	text := strings.Join(c.Texts[len(c.Texts)-30:], " ")
	for _, name := range []string{"nmt.model", "bpe.model", "mbart.json", "roberta.json"} {
		b.Run(name, func(b *testing.B) {
			tok := loadModel(b, name)
			b.SetBytes(int64(len(text)))
			var ids []int32
			for b.Loop() {
				ids = tok.AppendEncode(ids[:0], text)
			}
		})
	}
}
