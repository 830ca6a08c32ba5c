package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// folder makes a folder of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// In fairseq's layouts the ids are those of SentencePiece but for the first
// ones, one more, and languages follow.
func TestLayouts(t *testing.T) {
	data := string(unzip(t, "rules.model"))
	c := cases(t)
	want := c.Models["rules.model"]
	plain := loadModel(t, "rules.model")
	for _, l := range []struct {
		layout    Layout
		files     map[string]string
		languages int
	}{
		{LayoutMBART, map[string]string{"config.json": `{"model_type":"mbart"}`}, 25},
		{LayoutMBART, map[string]string{"tokenizer_config.json": `{"tokenizer_class":"MBartTokenizerFast"}`}, 25},
		{LayoutMBART50, map[string]string{"tokenizer_config.json": `{"tokenizer_class":"MBart50Tokenizer"}`,
			"config.json": `{"model_type":"mbart"}`}, 52},
		{LayoutXLMR, map[string]string{"config.json": `{"model_type":"xlm-roberta","tokenizer_class":null}`}, 0},
	} {
		l.files["sentencepiece.bpe.model"] = data
		dir := folder(t, l.files)
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		same, err := LoadLayout(filepath.Join(dir, "sentencepiece.bpe.model"), l.layout)
		if err != nil || same.Fingerprint() != tok.Fingerprint() || tok.Fingerprint() == plain.Fingerprint() {
			t.Errorf("%s: another tokenizer, %v", l.layout, err)
		}
		if n := plain.VocabSize() + 1 + l.languages + 1; tok.VocabSize() != n {
			t.Errorf("%s: %d tokens, want %d", l.layout, tok.VocabSize(), n)
		}
		if err := CheckSpecial(tok); err != nil {
			t.Errorf("%s: %v", l.layout, err)
		}
		if mask := int32(tok.VocabSize() - 1); tok.Token(mask) != "<mask>" || !tok.IsSpecial(mask) {
			t.Errorf("%s: the last token is %q", l.layout, tok.Token(mask))
		}
		if n := len(tok.Languages()); n != l.languages {
			t.Errorf("%s: %d languages", l.layout, n)
		}
		if l.languages > 0 {
			first := int32(plain.VocabSize() + 1)
			if id, err := tok.LanguageToken("ar"); err != nil || id != first || tok.Token(id) != "ar_AR" {
				t.Errorf("%s: ar has the token %d, %v, want %d", l.layout, id, err, first)
			}
		}
		for i, text := range c.Texts {
			ids := slices.Clone(want.IDs[i])
			for k, id := range ids {
				ids[k] = id + 1
				if id == want.Unk {
					ids[k] = Unk
				}
			}
			checkEncode(t, tok, text, ids)
		}
		if got := tok.Decode(slices.Concat([]int32{BOS}, tok.Encode("the"), []int32{EOS})); got != "the" {
			t.Errorf("%s: decoded as %q", l.layout, got)
		}
	}
	if _, err := LoadLayout(folder(t, map[string]string{"spiece.model": data}), "mbarth"); err == nil ||
		!strings.Contains(err.Error(), `"mbarth"; there are xlm-roberta, mbart and mbart50`) {
		t.Errorf("unknown layout: error %v", err)
	}
	other := string(spm(t, piece("a", -1, spmNormal)))
	path := filepath.Join(folder(t, map[string]string{"bytes.model": other}), "bytes.model")
	if _, err := LoadLayout(path, LayoutXLMR); err == nil || !strings.Contains(err.Error(), "piece 0 must be <unk>") {
		t.Errorf("a model of another kind: error %v", err)
	}
}

// vocab.json and merges.txt are the same tokenizer as the tokenizer.json.
func TestVocabFiles(t *testing.T) {
	c := cases(t)
	vocab, merges := string(unzip(t, "roberta.vocab.json")), string(unzip(t, "roberta.merges.txt"))
	var f struct {
		AddedTokens []addedToken `json:"added_tokens"`
	}
	if err := json.Unmarshal(modelFile(t, "roberta.json"), &f); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"add_prefix_space": true}
	added := map[string]any{}
	for _, a := range f.AddedTokens {
		id, err := json.Marshal(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		added[string(id)] = a
	}
	config["added_tokens_decoder"] = added
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"vocab.json": vocab, "merges.txt": merges, "tokenizer_config.json": string(data)})
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := loadModel(t, "roberta.json"); tok.VocabSize() != want.VocabSize() {
		t.Errorf("%d tokens, want %d", tok.VocabSize(), want.VocabSize())
	}
	for i, text := range c.Texts {
		checkEncode(t, tok, text, c.Models["roberta.json"].IDs[i])
	}
	path := filepath.Join(t.TempDir(), tok.FileName())
	if err := tok.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := Load(path)
	if err != nil || again.Fingerprint() != tok.Fingerprint() {
		t.Errorf("saved and loaded: %v", err)
	}
	// Without a configuration.
	if err := os.Remove(filepath.Join(dir, "tokenizer_config.json")); err != nil {
		t.Fatal(err)
	}
	if tok, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	if err := CheckSpecial(tok); err != nil {
		t.Error(err)
	}
	if id, ok := tok.ID("<mask>"); !ok || !tok.IsSpecial(id) || tok.Token(tok.Encode("t")[0]) != "t" {
		t.Errorf("<mask> is %d, t is %q", id, tok.Token(tok.Encode("t")[0]))
	}
	for name, files := range map[string]map[string]string{
		"merges.txt: line 2: \"a\"": {"vocab.json": vocab, "merges.txt": "#version: 0.2\na\n"},
		"merge 0":                   {"vocab.json": vocab, "merges.txt": "no such\n"},
		"vocab.json: ":              {"vocab.json": "[]", "merges.txt": merges},
		"merges.txt: no such file":  {"vocab.json": vocab},
		"no tokenizer.json":         {},
		"config.json: ":             {"tokenizer.model": string(unzip(t, "rules.model")), "config.json": "{"},
		"added_tokens_decoder: id \"x\" of \"<s>\"": {"vocab.json": vocab, "merges.txt": merges,
			"tokenizer_config.json": `{"added_tokens_decoder":{"x":{"content":"<s>"}}}`},
	} {
		_, err := Load(folder(t, files))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %s", err, name)
		}
		if len(files) < 2 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v is not that of a file that does not exist", err)
		}
	}
}

// What Load makes of a file follows from its content.
func TestLoadByContent(t *testing.T) {
	own := string(fixtureBytes(t))
	brace := string(piece(strings.Repeat("a", 114), -1, spmNormal)) + string(piece("<unk>", 0, spmUnknown))
	if !strings.HasPrefix(brace, "\n{") {
		t.Fatalf("the model begins with %q", brace[:2])
	}
	for content, want := range map[string]Tokenizer{
		own: &BPE{}, "\n" + own + "\n": &BPE{},
		string(modelFile(t, "gpt2.json")):   &hfTokenizer{},
		string(modelFile(t, "bytes.model")): &sentencePiece{},
		brace:                               &sentencePiece{},
	} {
		dir := folder(t, map[string]string{
			"tokenizer.json": content, "spiece.model": "not read", "vocab.json": "not read", "config.json": "not read"})
		for _, path := range []string{dir, filepath.Join(dir, "tokenizer.json")} {
			got, err := Load(path)
			if err != nil {
				t.Errorf("%.20q: %v", content, err)
				continue
			}
			_, isBPE := got.(*BPE)
			_, isHF := got.(*hfTokenizer)
			_, wantBPE := want.(*BPE)
			_, wantHF := want.(*hfTokenizer)
			if isBPE != wantBPE || isHF != wantHF {
				t.Errorf("%.20q is loaded as %T", content, got)
			}
		}
	}
	for _, content := range []string{"", "null", "[]", "7", "\n{", "text"} {
		path := filepath.Join(folder(t, map[string]string{"f": content}), "f")
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want one that names the file", content, err)
		}
	}
}

// serde_json's numbers, printed by `tokenizers` 0.23.3.
func TestParseScore(t *testing.T) {
	for number, want := range map[string]float64{
		"0": 0, "-3": -3, "-12.5e1": -125, "-1.5E+3": -1500, "1e-5": 1e-5,
		"-12.3915000806360837783533740": -12.391500080636085,
		"-2.9254122482447577104656341":  -2.9254122482447573, "-10.208093972980635": -10.208093972980636,
		"-2.2321668484751350": -2.2321668484751354, "-3.58733577365894301": -3.5873357736589426,
		"12345678901234567890123":                   1.2345678901234568e+22,
		"0.000000000000000000000012345678901234567": 1.2345678901234569e-23,
		"1e-320": 1e-320, "123456789012345678901234567890e-10": 1.2345678901234567e+19, "0e999": 0,
		"18446744073709551616": 1.8446744073709552e+19, "18446744073709551615.5": 1.8446744073709552e+19,
		"4.9e-324": 5e-324, "1e308": 1e308, "-1e309": math.Inf(-1), "1e-999": 0,
	} {
		if got := parseScore(number); got != want {
			t.Errorf("%s is %v, want %v", number, got, want)
		}
	}
}

// piece, message and number build models of SentencePiece.
func piece(text string, score float32, kind uint64) []byte {
	b := protowire.AppendTag(nil, fieldPieceText, protowire.BytesType)
	b = protowire.AppendString(b, text)
	b = protowire.AppendTag(b, fieldPieceScore, protowire.Fixed32Type)
	b = protowire.AppendFixed32(b, math.Float32bits(score))
	return message(fieldPieces, b, number(fieldPieceKind, kind))
}

func message(field protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), bytes.Join(parts, nil))
}

func number(field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), value)
}

// spm is a model without normaliser.
func spm(tb testing.TB, parts ...[]byte) []byte {
	tb.Helper()
	return bytes.Join(append([][]byte{piece("<unk>", 0, spmUnknown)}, parts...), nil)
}

func TestSentencePieceErrors(t *testing.T) {
	a := piece("a", -1, spmNormal)
	badCharsmap := message(fieldCharsmap, []byte("x"))
	fallback := message(fieldTrainer, number(fieldByteFallback, 1))
	whole := spm(t, a)
	if _, err := Read(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string][]byte{
		"byte 16: ":                                 whole[:20],
		"unexpected EOF":                            whole[:len(whole)-1],
		"piece 1: is empty":                         spm(t, piece("", 0, spmNormal)),
		"piece 1: has 8000 bytes":                   spm(t, piece(strings.Repeat("a", 8000), 0, spmNormal)),
		"has a zero byte":                           spm(t, piece("a\x00", 0, spmNormal)),
		`"b" has the score NaN`:                     spm(t, piece("b", float32(math.NaN()), spmNormal)),
		`"b" has the score -Inf`:                    spm(t, piece("b", float32(math.Inf(-1)), spmNormal)),
		`pieces 1 and 2 are both "a"`:               spm(t, a, a),
		"pieces 0 and 1 are both unknown":           spm(t, piece("u", 0, spmUnknown)),
		"there is no piece for unknown text":        a,
		"there is no normal piece among 1":          spm(t),
		"byte_fallback with 1 bytes":                spm(t, a, piece("<0x0A>", 0, spmByte), fallback),
		"byte pieces without byte_fallback":         spm(t, a, piece("<0x0A>", 0, spmByte)),
		"is of type BYTE but no byte":               spm(t, a, piece("<0x0a>", 0, spmByte)),
		"the model is of type 3":                    spm(t, a, message(fieldTrainer, number(fieldModelType, 3))),
		"denormalizer_spec":                         spm(t, a, message(fieldDenormalizer, badCharsmap)),
		"precompiled_charsmap: has 1 bytes":         spm(t, a, message(fieldNormalizer, badCharsmap)),
		`no layout is called "other"`:               spm(t, a, message(fieldLayout, []byte("other"))),
		"layout xlm-roberta: piece 0 must be <unk>": spm(t, a, message(fieldLayout, []byte(LayoutXLMR))),
	} {
		if _, err := Read(bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// Fields that are repeated, unknown or of an unknown value count as they do in
// Protocol Buffers, and a sum that grows without bound keeps its meaning.
func TestSentencePieceRules(t *testing.T) {
	off := message(fieldNormalizer, number(fieldAddPrefix, 0), number(fieldRemoveSpaces, 0), number(fieldEscapeSpaces, 0))
	data := spm(t, piece("a", -3, spmNormal), piece("b", -1, 99), piece("ab", -2, spmUnused),
		piece("aa", -2.5, spmUserDefined), piece("z", 0, spmUserDefined), piece("zz", 0.05, spmNormal),
		number(500, 7), message(fieldNormalizer, number(fieldAddPrefix, 1)), off)
	tok, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"ab": {1, 2}, "aab": {4, 2}, "aaa": {1, 4}, " b  c": {0, 2, 0}, "xy": {0}, "<unk>": {0}, "": nil, "zz": {6},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
	// The sum is far beyond where float32 tells 0.02 apart.
	data = spm(t, piece("a", -1.5, spmNormal), piece("b", -1.5, spmNormal), piece("ab", -3.02, spmNormal), off)
	if tok, err = Read(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for i, id := range tok.Encode(strings.Repeat("ab", 300_000)) {
		if id != int32(1+i%2) {
			t.Fatalf("token %d of a long text is %d", i, id)
		}
	}
	data = spm(t, piece("a", -1.5, spmNormal), piece("b", -1.5, spmNormal), piece("ab", -2.9, spmNormal), off)
	if tok, err = Read(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for i, id := range tok.Encode(strings.Repeat("ab", 300_000)) {
		if id != 3 {
			t.Fatalf("token %d of a long text of whole pieces is %d", i, id)
		}
	}
}

// An unknown character scores 10 less than the worst piece: here better than two
// pieces of one character and one of two, but not by 5.
func TestUnknownScore(t *testing.T) {
	off := message(fieldNormalizer, number(fieldAddPrefix, 0))
	model := spm(t, piece("abc", -0.1, spmNormal), piece("a", -6.5, spmNormal), piece("b", -6.5, spmNormal),
		piece("cq", -9, spmNormal), piece("unused", -20, spmUserDefined), off)
	const hf = `{"added_tokens":[],"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["abc",-0.1],["a",-6.5],` +
		`["b",-6.5],["cq",-9]]}}`
	for _, data := range []string{string(model), hf} {
		tok, err := Read(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string][]int32{"abcq": {1, 0}, "bcq": {3, 4}, "aaq": {2, 2, 0}} {
			if got := tok.Encode(text); !slices.Equal(got, want) {
				t.Errorf("Encode(%q) = %v, want %v", text, got, want)
			}
		}
	}
}

// Pieces of a BPE model that are not to be used are divided again.
func TestSentencePieceUnusedPairs(t *testing.T) {
	data := spm(t, piece("a", -3, spmNormal), piece("b", -4, spmNormal), piece("c", -5, spmNormal),
		piece("ab", 0, spmUnused), piece("abc", -1, spmNormal), piece("bc", -2, spmUserDefined), piece("xy", -9, spmUnused),
		piece("bca", -1, spmNormal), piece("cc", -6, spmNormal),
		message(fieldTrainer, number(fieldModelType, spmBPE)),
		message(fieldNormalizer, number(fieldAddPrefix, 0)))
	tok, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"ab": {1, 2}, "aab": {1, 1, 2}, "abc": {1, 6}, "bca": {6, 1}, "ac": {1, 3}, "xy": {0}, "xaby": {0, 1, 2, 0},
		"abab": {1, 2, 1, 2}, "ccc": {9, 3},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
}
