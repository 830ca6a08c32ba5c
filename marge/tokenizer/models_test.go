package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// The files in testdata/models, and what they encode texts as, come from the
// Python packages: testdata/make_models.py.

func unzip(tb testing.TB, name string) []byte {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata/models", name+".gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// modelFile returns a file, with the charsmap that mbart.json leaves out.
func modelFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data := unzip(tb, name)
	if name == "mbart.json" {
		m, err := parseSPM(unzip(tb, "nmt.model"))
		if err != nil {
			tb.Fatal(err)
		}
		charsmap := base64.StdEncoding.EncodeToString(m.normalizer.charsmap)
		data = bytes.Replace(data, []byte(`"nmt.model"`), []byte(`"`+charsmap+`"`), 1)
	}
	return data
}

func loadModel(tb testing.TB, name string) Tokenizer {
	tb.Helper()
	t, err := Read(bytes.NewReader(modelFile(tb, name)))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return t
}

type modelCases struct {
	Texts  []string
	Broken [][]byte // not valid UTF-8
	Models map[string]struct {
		IDs, Broken [][]int32
		Unk         int32
		Decoded     []string // of the last texts
	}
}

var readCases = sync.OnceValues(func() (c modelCases, err error) {
	f, err := os.Open("testdata/models/cases.json.gz")
	if err != nil {
		return c, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return c, err
	}
	return c, json.NewDecoder(z).Decode(&c)
})

func cases(tb testing.TB) modelCases {
	tb.Helper()
	c, err := readCases()
	if err != nil {
		tb.Fatal(err)
	}
	if len(c.Texts) < 250 || len(c.Broken) < 40 || len(c.Models) != 16 {
		tb.Fatalf("the fixture has %d and %d texts and %d models", len(c.Texts), len(c.Broken), len(c.Models))
	}
	return c
}

func TestModels(t *testing.T) {
	c := cases(t)
	for name, want := range c.Models {
		t.Run(name, func(t *testing.T) {
			tok := loadModel(t, name)
			for range 2 { // without and with the words that are remembered
				for i, text := range c.Texts {
					checkEncode(t, tok, text, want.IDs[i])
				}
			}
			for i, ids := range want.Broken {
				checkEncode(t, tok, string(c.Broken[i]), ids)
			}
			last := len(c.Texts) - len(want.Decoded)
			for i, text := range want.Decoded {
				ids := want.IDs[last+i]
				if strings.HasSuffix(name, ".model") && slices.Contains(ids, want.Unk) {
					continue // a text of its own there, nothing here
				}
				if got := tok.Decode(ids); got != text {
					t.Errorf("Decode of the ids of %q is %q, want %q", c.Texts[last+i], got, text)
				}
				checkStreaming(t, tok, ids)
			}
		})
	}
}

// checkEncode compares all ways to encode, and checks the places of tokens.
func checkEncode(t *testing.T, tok Tokenizer, text string, want []int32) {
	t.Helper()
	if got := tok.Encode(text); !slices.Equal(got, want) {
		t.Errorf("Encode(%q) = %v, want %v", text, got, want)
	}
	got := tok.AppendEncode([]int32{EOS}, text)
	if !slices.Equal(got[1:], want) || got[0] != EOS {
		t.Errorf("AppendEncode(%q) = %v, want %v", text, got, want)
	}
	ids, offsets := tok.EncodeOffsets(text)
	if !slices.Equal(ids, want) || len(offsets) != len(ids)+1 {
		t.Errorf("EncodeOffsets(%q) = %v, %v, want %v", text, ids, offsets, want)
	}
	if !slices.IsSorted(offsets) || offsets[0] < 0 || offsets[len(offsets)-1] > len(text) {
		t.Errorf("EncodeOffsets(%q): offsets %v", text, offsets)
	}
	for _, id := range ids {
		if unk, ok := tok.ID("<unk>"); tok.IsSpecial(id) && (!ok || id != unk) {
			t.Errorf("Encode(%q) has the special token %d", text, id)
		}
	}
}

// checkStreaming checks that bytes that were decoded stay when ids follow.
func checkStreaming(t *testing.T, tok Tokenizer, ids []int32) {
	t.Helper()
	whole := tok.DecodeBytes(ids)
	for n := range ids {
		if part := tok.DecodeBytes(ids[:n]); !bytes.HasPrefix(whole, part) {
			t.Fatalf("%d of %v decode as %q, all as %q", n, ids, part, whole)
		}
	}
}

// The part of the text that a token's place gives has its characters.
func TestModelOffsets(t *testing.T) {
	for name, text := range map[string]string{
		"nmt.model": "  The  meaning ", "bpe.model": " The  meaning", "mbart.json": " The  meaning ",
		"roberta.json": "The  meaning <sep> of", "gpt2.json": "Ünïcode 中文", "first.json": " The meaning",
		"bytes.model": "The 中文 \U0001f600", "added.json": "foo bar \xff <sep> the",
	} {
		tok := loadModel(t, name)
		ids, offsets := tok.EncodeOffsets(text)
		for i, id := range ids {
			token := strings.Trim(string(tok.DecodeBytes([]int32{-1, id})), " ")
			part := text[offsets[i]:offsets[i+1]]
			if utf8.ValidString(token) && !strings.Contains(strings.ToLower(part), strings.ToLower(token)) {
				t.Errorf("%s: %q: token %q has the place %q", name, text, token, part)
			}
		}
		if first := offsets[0]; strings.Trim(text[:first], " ") != "" {
			t.Errorf("%s: %q: the first token has the place %d", name, text, first)
		}
	}
}

// Where tokens begin: at what they are made of, and a space that is put at an end
// at the white space that is there.
func TestModelOffsetsExactly(t *testing.T) {
	for name, want := range map[string][]int{
		"nmt.model": {2, 2, 5}, "suffix.model": {2, 3, 5}, "bytes.model": {2, 5}, "bpe.model": {2, 2, 5},
	} {
		ids, offsets := loadModel(t, name).EncodeOffsets("  q  ")
		if !slices.Equal(offsets, want) {
			t.Errorf("%s: %v have the offsets %v, want %v", name, ids, offsets, want)
		}
	}
}

// Many goroutines can encode at a time, and what is encoded again takes no new
// memory.
func TestModelsConcurrently(t *testing.T) {
	c := cases(t)
	for _, name := range []string{"nmt.model", "bpe.model", "mbart.json", "roberta.json"} {
		tok, want := loadModel(t, name), c.Models[name].IDs
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range c.Texts {
					i = (i*7 + g) % len(c.Texts)
					if got := tok.Encode(c.Texts[i]); !slices.Equal(got, want[i]) {
						t.Errorf("%s: Encode(%q) = %v, want %v", name, c.Texts[i], got, want[i])
						return
					}
				}
			})
		}
		wg.Wait()
		line := strings.Repeat(" unterschiedlich", 20)
		ids := tok.Encode(line)
		if n := testing.AllocsPerRun(100, func() { ids = tok.AppendEncode(ids[:0], line) }); n > 0 {
			t.Errorf("%s: AppendEncode allocates %v times", name, n)
		}
	}
}

func TestModelsAreSaved(t *testing.T) {
	c := cases(t)
	prints := map[string]string{}
	for name, want := range c.Models {
		tok := loadModel(t, name)
		var out bytes.Buffer
		n, err := tok.WriteTo(&out)
		if err != nil || n != int64(out.Len()) {
			t.Fatalf("%s: WriteTo = %d, %v", name, n, err)
		}
		path := filepath.Join(t.TempDir(), tok.FileName())
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if again.Fingerprint() != tok.Fingerprint() || len(tok.Fingerprint()) != 64 {
			t.Errorf("%s: fingerprint %s after saving, %s before", name, again.Fingerprint(), tok.Fingerprint())
		}
		if other, ok := prints[tok.Fingerprint()]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		prints[tok.Fingerprint()] = name
		checkEncode(t, again, c.Texts[20], want.IDs[20])
		if tok.VocabSize() != again.VocabSize() || tok.VocabSize() < 300 {
			t.Errorf("%s: %d tokens, %d after saving", name, tok.VocabSize(), again.VocabSize())
		}
		for id := range int32(tok.VocabSize()) {
			if got, ok := tok.ID(tok.Token(id)); !ok || got != id {
				t.Fatalf("%s: ID(Token(%d)) = %d, %t", name, id, got, ok)
			}
		}
		if _, err := tok.WriteTo(&failingWriter{100}); err == nil {
			t.Errorf("%s: no error of a full disk", name)
		}
	}
}

// Fingerprints tell apart what encodes differently, and only that.
func TestModelFingerprint(t *testing.T) {
	data := string(modelFile(t, "added.json"))
	want := loadModel(t, "added.json").Fingerprint()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(data)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data string
		same bool
	}{
		"spaces":        {compact.String(), true},
		"decoder":       {strings.Replace(data, `"decoder":{"type":"Metaspace"`, `"decoder":{"type":"Fuse"`, 1), true},
		"a score":       {strings.Replace(data, `-`, `-1`, 1), false},
		"pre-tokenizer": {strings.Replace(data, `"prepend_scheme":"always"`, `"prepend_scheme":"never"`, 1), false},
		"added":         {strings.Replace(data, `"lstrip":true`, `"lstrip":false`, 1), false},
	} {
		tok, err := Read(strings.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if same := tok.Fingerprint() == want; same != c.same {
			t.Errorf("%s: fingerprints are equal: %t", name, same)
		}
	}
}

func TestModelLanguages(t *testing.T) {
	tok := loadModel(t, "mbart.json")
	if got := tok.Languages(); !slices.Equal(got, []string{"ar-AR", "de-DE", "en", "zh-CN"}) {
		t.Errorf("languages %q", got)
	}
	for lang, want := range map[string]string{"de": "de_DE", "de-AT": "de_DE", "de_de": "de_DE", "en": "en_XX",
		"en-GB": "en_XX", "zh-CN": "zh_CN", "zh-TW": "zh_CN", "ar": "ar_AR"} {
		if id, err := tok.LanguageToken(lang); err != nil || tok.Token(id) != want || !tok.IsSpecial(id) {
			t.Errorf("%s has the token %q, %v", lang, tok.Token(id), err)
		}
	}
	if err := tok.CheckLanguages([]string{"de", "fr", "zh"}); err == nil || !strings.Contains(err.Error(), `"fr"; there`) {
		t.Errorf("error %v, want one that names fr", err)
	}
	if err := CheckSpecial(tok); err != nil {
		t.Error(err)
	}
	if err := CheckSpecial(loadModel(t, "gpt2.json")); err == nil || !strings.Contains(err.Error(), "id 0 must be") {
		t.Errorf("GPT-2: error %v", err)
	}
}
